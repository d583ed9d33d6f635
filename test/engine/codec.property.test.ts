// Hunts: a run that is stored and read as another one, and a fence that does not compare what was written (R4).
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decodeRun, encodeRun, field } from "../../lib/engine/codec.ts";
import { StoredRunError } from "../../lib/engine/field-reader.ts";
import { isTerminal, type RunState } from "../../lib/engine/run-state.ts";
import { decodeStep, encodeStep } from "../../lib/engine/step-codec.ts";
import { applyTransition, type Fields } from "../../lib/engine/transition.ts";
import { transitionTo } from "../../lib/engine/transition-to.ts";
import { openStep, runState, stepState } from "./random-run.ts";

/**
 * A later state of the same run: some fields have changed, none is gone. Steps that did not change are the same values.
 * A slot that is waited for and one that is held are two fields, so neither becomes the other here.
 */
const successive: fc.Arbitrary<readonly [RunState, RunState]> = fc
  .tuple(runState, runState, fc.array(fc.boolean(), { minLength: 20, maxLength: 20 }))
  .map(([before, other, picks]) => {
    const pick = <T>(position: number, mine: T, theirs: T | undefined): T =>
      picks[position] === true && theirs !== undefined ? theirs : mine;
    const merge = <T>(mine: readonly T[], theirs: readonly T[], offset: number): T[] => {
      const length = Math.max(mine.length, theirs.length);
      const merged = Array.from({ length }, (_, at) => pick((offset + at) % picks.length, mine[at] as T, theirs[at]));
      return merged.slice(0, merged.findLastIndex((one) => one !== undefined) + 1);
    };
    const byHand = merge(before.byHand ?? [], other.byHand ?? [], 5);
    // Waiters come and go by writes of their own.
    const { slot, byHand: _others, waiters: _waiters, ...rest } = other;
    const { byHand: _before, ...kept } = before;
    const after: RunState = {
      ...kept,
      ...(picks[0] === true ? rest : {}),
      ...(picks[0] === true && slot !== undefined && slot.status === before.slot?.status ? { slot } : {}),
      ...(byHand.length === 0 ? {} : { byHand }),
      changes: before.changes,
      epoch: pick(1, before.epoch, other.epoch),
      status: pick(2, before.status, other.status),
      steps: merge(before.steps, other.steps, 3),
      outputs: merge(before.outputs, other.outputs, 11),
      signals: merge(before.signals, other.signals, 7),
      undos: merge(before.undos, other.undos, 7),
      generations: merge(before.generations, other.generations, 7),
      tokens: merge(before.tokens, other.tokens, 5),
      interrupts: merge(before.interrupts, other.interrupts, 9),
      heartbeats: merge(before.heartbeats, other.heartbeats, 13),
      runId: before.runId,
    };
    return [before, after];
  });

/** What the store holds is read as this: in a terminal run, what had not ended is cancelled. */
const withoutOpenSteps = (run: RunState): RunState => (isTerminal(run.status) ? { ...run, steps: [], undos: [] } : run);

describe("steps", () => {
  test("a step is read as it was written, and written again as it was read", () => {
    fc.assert(
      fc.property(stepState, (step) => {
        const text = encodeStep(step);
        const read = decodeStep(text);
        expect(read).toEqual(step);
        expect(read && encodeStep(read)).toBe(text);
      }),
      { numRuns: 1_000 },
    );
  });

  test("whatever an owner is called", () => {
    const step = { status: "running", attempt: 1, owner: "worker\n1-a", startedAtMs: 1, leaseUntilMs: 2 } as const;
    expect(decodeStep(encodeStep(step))).toEqual(step);
  });

  test("different states have different texts, so a fence tells them apart (R4)", () => {
    fc.assert(
      fc.property(stepState, stepState, (one, other) => {
        expect(encodeStep(one) === encodeStep(other)).toBe(isEqual(one, other));
      }),
    );
    fc.assert(
      fc.property(openStep, fc.integer({ min: 1, max: 5 }), (step, more) => {
        expect(encodeStep({ ...step, attempt: step.attempt + more })).not.toBe(encodeStep(step));
      }),
    );
  });

  test("text that is not a step is refused", () => {
    const head = fc.constantFrom(
      "",
      "x",
      "R1.a.b.o",
      "r.a.b.o",
      "b",
      "s1",
      "s1.a",
      "r1.a",
      "s1..",
      "s1.!.a",
      "b1.!",
      "-1.a.b",
      "r1.a.b",
    );
    fc.assert(
      fc.property(head, (text) => {
        expect(decodeStep(text)).toBeUndefined();
      }),
    );
  });

  test.each(["s1.a.b.c", "s1e3.a.b", "s-1.a.b", "s01.a.b", "s 1.a.b", "b1.a!", "s1.A.b", "b1.a.b.c"])(
    "%s is no step: it would be written otherwise",
    (text) => {
      expect(decodeStep(text)).toBeUndefined();
    },
  );
});

describe("runs", () => {
  test("a run is read as it was written, and written again as it was read", () => {
    fc.assert(
      fc.property(runState, (run) => {
        const fields = encodeRun(run);
        const read = decodeRun(run.runId, fields);
        expect(read).toEqual(run);
        expect(encodeRun(read)).toEqual(fields);
      }),
      { numRuns: 500 },
    );
  });

  test("the changed fields on top of the former ones are the run", () => {
    fc.assert(
      fc.property(successive, ([before, after]) => {
        expect({ ...encodeRun(before), ...encodeRun(after, before) }).toEqual(encodeRun(after));
      }),
      { numRuns: 500 },
    );
  });

  test("only what differs is written", () => {
    fc.assert(
      fc.property(successive, ([before, after]) => {
        expect(encodeRun(before, before)).toEqual({});
        const changed = encodeRun(after, before);
        const [was, is] = [encodeRun(before), encodeRun(after)];
        // Values that are equal but not identical may be written again.
        for (const name of Object.keys(is))
          if (is[name] !== was[name]) expect(changed).toHaveProperty([name], is[name]);
        expect(changed).not.toHaveProperty(field.changes);
        expect(changed).not.toHaveProperty(field.schema);
      }),
      { numRuns: 200 },
    );
  });

  test("a transition to a state brings about exactly that state, and counts each status change once (R9)", () => {
    fc.assert(
      fc.property(successive, fc.boolean(), ([before, after], unpaused) => {
        const { pause: _pause, ...rest } = after;
        const wanted = unpaused ? rest : after;
        const fields = applyTransition(transitionTo(before, wanted), encodeRun(before));
        const changes = before.changes + (wanted.status === before.status ? 0 : 1);
        expect(fields).toEqual(encodeRun({ ...wanted, changes }));
        const read = decodeRun(before.runId, fields ?? {});
        expect(withoutOpenSteps(read)).toEqual(withoutOpenSteps({ ...wanted, changes }));
      }),
      { numRuns: 500 },
    );
  });

  test("a transition's guard refuses any other status, epoch or former state of a step that it changes", () => {
    fc.assert(
      fc.property(successive, stepState, ([before, after], step) => {
        const transition = transitionTo(before, after);
        const fields = encodeRun(before);
        const apply = (change: Fields): unknown => applyTransition(transition, { ...fields, ...change });
        expect(apply({ [field.epoch]: before.epoch + 1 })).toBeUndefined();
        expect(apply({ [field.status]: `${before.status}?` })).toBeUndefined();
        after.steps.forEach((state, index) => {
          const text = encodeStep(step);
          if (state === before.steps[index] || fields[field.step(index)] === text) return;
          expect(apply({ [field.step(index)]: text })).toBeUndefined();
        });
        after.undos.forEach((state, index) => {
          const text = encodeStep(step);
          if (state === before.undos[index] || fields[field.undo(index)] === text) return;
          expect(apply({ [field.undo(index)]: text })).toBeUndefined();
        });
      }),
      { numRuns: 300 },
    );
  });
});

describe("damaged records", () => {
  test("a record without one of its fields, or with a value of another type there, is refused by name", () => {
    const needed = ["v", "w", "f", "st", "n", "e", "i", "h", "c"];
    fc.assert(
      fc.property(runState, fc.constantFrom(...needed), fc.boolean(), (run, name, isMissing) => {
        const fields: Record<string, string | number> = encodeRun(run);
        const { [name]: value, ...others } = fields;
        const damaged = isMissing ? others : { ...fields, [name]: typeof value === "number" ? String(value) : 5 };
        expect(() => decodeRun("run", damaged)).toThrow(StoredRunError);
        expect(() => decodeRun("run", damaged)).toThrow(new RegExp(`Run run cannot be read: .*field ${name} is `));
      }),
      { numRuns: 200 },
    );
  });

  test("a record of another version is refused with both versions, whatever else it holds", () => {
    fc.assert(
      fc.property(runState, fc.integer({ min: 3, max: 100 }), (run, version) => {
        expect(() => decodeRun("run", { [field.schema]: version, [field.status]: run.status })).toThrow(
          `Run run cannot be read: its shape has version ${version}, and this version of Pawl knows 2.`,
        );
      }),
    );
  });

  test.each([
    [{ st: "sleeping" }, 'its status is "sleeping"'],
    [{ s3: "q1.a.b" }, 'step 3 is stored as "q1.a.b"'],
    [{ s12: 7 }, "step 12 is stored as 7"],
    [{ x: "{" }, 'field x is not JSON: "{"'],
    [{ p: "nope" }, 'field p is not JSON: "nope"'],
    [{ g: "" }, 'field g is not JSON: ""'],
    [{ z: "now" }, 'field z is "now" instead of a number'],
    [{ a: "now" }, 'field a is "now" instead of a number'],
    [{ d: "now" }, 'field d is "now" instead of a number'],
  ])("%j is refused by name", (damage: Record<string, string | number>, what) => {
    const [sample] = fc.sample(runState, { numRuns: 1, seed: 1 });
    const fields = { ...encodeRun(sample!), ...damage };
    expect(() => decodeRun("run", fields)).toThrow(
      `Run run cannot be read: ${what}. It is left as it is; read it with the version of Pawl that wrote it.`,
    );
  });

  test.each([
    { x: "null" },
    { x: "5" },
    { g: "[]" },
    { p: '"text"' },
    { s1x: "s1.a.b" },
    { s4000000000: "s1.a.b" },
    { x: '{"name":"E"}' },
    { x: '{"name":"E","message":5}' },
    { p: '{"code":"requested"}' },
    { p: '{"message":"m"}' },
  ])("%j is refused", (damage: Record<string, string | number>) => {
    const [sample] = fc.sample(runState, { numRuns: 1, seed: 1 });
    expect(() => decodeRun("run", { ...encodeRun(sample!), ...damage })).toThrow(StoredRunError);
  });

  test("fields of later additions are ignored", () => {
    fc.assert(
      fc.property(runState, (run) => {
        expect(decodeRun(run.runId, { ...encodeRun(run), q: 1, sx: "text", parent: "other" })).toEqual(run);
      }),
      { numRuns: 50 },
    );
  });
});

function isEqual(one: object, other: object): boolean {
  const text = (value: object): string => JSON.stringify(Object.entries(value).sort());
  return text(one) === text(other);
}
