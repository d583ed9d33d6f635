// Hunts: a run that reads otherwise because a former record of it is remembered.
import fc from "fast-check";
import { expect, test } from "vitest";
import { limits } from "../../lib/definition/limits.ts";
import { decodeRun, encodeRun, field } from "../../lib/engine/codec.ts";
import { StoredRunError } from "../../lib/engine/field-reader.ts";
import { type RunState, runStatuses, stepStatuses } from "../../lib/engine/run-state.ts";
import { encodeStep } from "../../lib/engine/step-codec.ts";
import { applyTransition, type Fields, type Transition } from "../../lib/engine/transition.ts";
import { follow, readRun } from "../../lib/runtime/read-run.ts";
import { nowMs, runOf, stateOf } from "../engine/sample-run.ts";

const first: Fields = Object.freeze(encodeRun(runOf({ steps: [stateOf("running")] })));

const stepTexts = stepStatuses.flatMap((status) => {
  const state = stateOf(status);
  return state === undefined ? [] : [encodeStep(state)];
});
const index = fc.nat({ max: 5 });
const set = fc.oneof(
  fc.tuple(index.map(field.step), fc.constantFrom(...stepTexts, "damaged")),
  fc.tuple(index.map(field.output), fc.constantFrom("1", '"@"', "@out#1#0.1")),
  fc.tuple(index.map(field.undo), fc.constantFrom(...stepTexts)),
  fc.tuple(index.map(field.token), fc.constant("hash")),
  fc.tuple(fc.constant(field.status), fc.constantFrom(...runStatuses)),
  fc.tuple(fc.constant(field.endedAt), fc.constant(nowMs)),
  fc.tuple(fc.constant(field.step(limits.stepsPerWorkflow)), fc.constantFrom(...stepTexts)),
);
const transition: fc.Arbitrary<Transition> = fc.record(
  {
    guard: fc.constant([]),
    set: fc.array(set, { maxLength: 3 }).map((sets) => Object.fromEntries(sets)),
    add: fc.constant({ [field.changes]: 1 }),
    remove: fc.array(index.map(field.step), { maxLength: 1 }),
  },
  { requiredKeys: ["guard", "set"] },
);

function outcome(read: () => RunState): unknown {
  try {
    return read();
  } catch (error) {
    expect(error).toBeInstanceOf(StoredRunError);
    return (error as Error).message;
  }
}

test("whatever was written and read before, a record reads as it does by itself", () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(transition, fc.boolean(), fc.boolean()), { maxLength: 12 }), (writes) => {
      let fields = first;
      for (const [write, isFollowed, isRead] of writes) {
        const after = Object.freeze(applyTransition(write, fields) as Fields);
        if (isFollowed) follow("run", fields, write, after);
        const expected = outcome(() => decodeRun("run", after));
        if (isRead) expect(outcome(() => readRun("run", after))).toEqual(expected);
        // One that was refused, and its store still shows the run as it was.
        if (isRead) expect(outcome(() => readRun("run", fields))).toEqual(outcome(() => decodeRun("run", fields)));
        fields = after;
      }
    }),
  );
});

test("a record that may still change is read anew, and so is that of another run", () => {
  const fields: Record<string, string | number> = { ...first };
  expect(readRun("run", fields).status).toBe("running");
  fields[field.status] = "paused";
  expect(readRun("run", fields).status).toBe("paused");
  expect(readRun("run", first).runId).toBe("run");
  expect(readRun("other", first).runId).toBe("other");
});

test("as long as it is remembered, a run is the same object, and its steps are told apart by identity", () => {
  const before = readRun("run", first);
  expect(readRun("run", first)).toBe(before);
  const write: Transition = { guard: [], set: { [field.step(1)]: stepTexts[0] as string } };
  const after = Object.freeze(applyTransition(write, first) as Fields);
  follow("run", first, write, after);
  const read = readRun("run", after);
  expect(read.steps[0]).toBe(before.steps[0]);
  expect(read.outputs).toBe(before.outputs);
});

test("only so many runs are remembered", () => {
  const before = readRun("run", first);
  for (let run = 0; run < limits.rememberedRuns; run++) readRun(`run-${run}`, first);
  expect(readRun("run", first)).not.toBe(before);
});
