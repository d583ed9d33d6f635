// Hunts: outputs that are moved out of a run and lost, moved although that costs more, or that come back after a redrive.
import { describe, expect, test } from "vitest";
import { limits } from "../../lib/definition/limits.ts";
import { archive, archivedIn, archiveOf, findArchived, withoutArchived } from "../../lib/engine/archive.ts";
import { decodeRun, encodeRun, encodeSteps, field } from "../../lib/engine/codec.ts";
import { commit } from "../../lib/engine/commit.ts";
import type { RunState } from "../../lib/engine/run-state.ts";
import { applyTransition, type Fields, type Transition } from "../../lib/engine/transition.ts";
import { archiveIdOf } from "../../lib/runtime/with-archives.ts";
import { ended, graphOf, nowMs, running, runOf } from "./sample-run.ts";

const json = (index: number): string => JSON.stringify(`${index} ${"x".repeat(20)}`);

/** A chain of so many steps, of which the first have succeeded, and the next one is about to. */
function chainAt(steps: number, done: number, change: Partial<RunState> = {}, onFailure: "fail" | "continue" = "fail") {
  const kind = onFailure === "fail" ? "after" : "afterSettled";
  const graph = graphOf(
    Array.from({ length: steps }, (_, index) => ({ onFailure, [kind]: index === 0 ? [] : [index - 1] })),
  );
  const run = runOf({
    steps: [...Array.from({ length: done }, () => ended("succeeded")), running()],
    outputs: Array.from({ length: done }, (_, index) => ({ json: json(index) })),
    ...change,
  });
  const fields = encodeRun(run);
  const verdict = commit(
    graph,
    run,
    { track: "step", step: done, attempt: 1, owner: "me" },
    { kind: "succeeded", output: { json: json(done) } },
    nowMs,
  );
  if (verdict.kind !== "write") throw new Error(verdict.kind);
  return { graph, run, fields, transition: verdict.transition, mine: done };
}

function archived({ graph, run, fields, transition, mine }: ReturnType<typeof chainAt>) {
  return archive(graph, run, fields, transition, mine, archiveIdOf);
}

function applied(transition: Transition, fields: Fields): Fields {
  const after = applyTransition(transition, fields);
  if (after === undefined) throw new Error("refused");
  return after;
}

describe("outputs are moved out of a run", () => {
  test("whose record is about to cost another write unit, all but the one that was just written", () => {
    const at = chainAt(50, 22);
    const found = archived(at);
    if (found === undefined) throw new Error("nothing was moved");
    const after = applied(found.transition, at.fields);
    expect(after[field.archived]).toBe(`${found.key.slice(4)}:0-21`);
    expect(Object.keys(after).filter((name) => /^o\d/.test(name))).toEqual(["o22"]);
    expect(after[field.schema]).toBe(2);
    const run = decodeRun("run", after);
    expect(run.outputs.slice(0, 22).map((output) => ("key" in output! ? archiveOf(output.key)?.step : -1))).toEqual(
      Array.from({ length: 22 }, (_, index) => index),
    );
    for (let index = 0; index < 22; index++) expect(findArchived(found.text, index)).toBe(json(index));
    expect(new Map(archivedIn(found.key, found.text))).toEqual(
      new Map(Array.from({ length: 22 }, (_, index) => [`${found.key}/${index}`, json(index)])),
    );
  });

  test("once more, beside those that were moved before", () => {
    const first = chainAt(200, 22);
    const after = applied(archived(first)!.transition, first.fields);
    const run = decodeRun("run", after);
    const grown = chainAt(200, 40, {
      steps: Array.from({ length: 41 }, (_, index) => (index < 40 ? ended("succeeded") : running())),
      outputs: Array.from({ length: 40 }, (_, index) => run.outputs[index] ?? { json: json(index) }),
    });
    // As it is stored: what was moved before is in the field.
    const fields = Object.fromEntries(
      Object.entries(grown.fields).filter(([, value]) => !String(value).startsWith("@arc#")),
    );
    const again = archived({ ...grown, fields: { ...fields, [field.archived]: after[field.archived]! } });
    const [one, two] = String(applied(again!.transition, { ...fields, ar: after.ar! })[field.archived]).split(",");
    expect([one, two]).toEqual([after[field.archived], `${again!.key.slice(4)}:22-39`]);
  });

  test.each<[string, ReturnType<typeof chainAt>]>([
    ["that is small", chainAt(50, 10)],
    ["that soon ends", chainAt(25, 22)],
    ["that ends now", chainAt(23, 22)],
    [
      "in which another step is at work",
      chainAt(50, 22, {
        steps: [...Array.from({ length: 22 }, () => ended("succeeded")), running(), running({ owner: "other" })],
      }),
    ],
    ["that is paused", chainAt(50, 22, { status: "paused" })],
    [
      "whose steps have failed, and left something all the same",
      chainAt(50, 22, { steps: [...Array.from({ length: 22 }, () => ended("failed")), running()] }, "continue"),
    ],
    [
      "whose outputs lie beside it already",
      chainAt(50, 40, { outputs: Array.from({ length: 40 }, () => ({ key: "k" })) }),
    ],
  ])("but not of one %s", (_, at) => {
    expect(archived(at)).toBeUndefined();
  });

  test("only as long as nobody else has moved some since", () => {
    const at = chainAt(50, 22);
    const { transition } = archived(at)!;
    expect(applyTransition(transition, { ...at.fields, [field.archived]: "other:0" })).toBeUndefined();
  });

  test("and make room for two ends of steps at least", () => {
    for (let done = 10; done < 150; done++) {
      const at = chainAt(200, done);
      const found = archived(at);
      if (found === undefined) continue;
      const bytesOf = (fields: Fields): number => JSON.stringify(fields).length;
      const saved = bytesOf(applied(at.transition, at.fields)) - bytesOf(applied(found.transition, at.fields));
      expect(saved).toBeGreaterThan(limits.archiveRoomBytes);
    }
  });
});

test("an output in the run is newer than one of the same step in an archive", () => {
  const run = runOf({ steps: [ended("succeeded")], outputs: [{ json: "2" }] });
  const fields = { ...encodeRun(run), [field.schema]: 2, [field.archived]: "abcdefghij:0-1" };
  expect(decodeRun("run", fields).outputs).toEqual([{ json: "2" }, { key: "arc#abcdefghij/1" }]);
});

test("a redrive keeps what it does not repeat", () => {
  const fields = { ...encodeRun(runOf()), [field.schema]: 2, [field.archived]: "abcdefghij:0-3,klmnopqrst:5" };
  const { outputs } = decodeRun("run", fields);
  expect(withoutArchived(outputs, new Set())).toBe(fields[field.archived]);
  expect(withoutArchived(outputs, new Set([1, 5]))).toBe("abcdefghij:0.2-3");
  expect(withoutArchived(outputs, new Set([0, 1, 2, 3, 5]))).toBeUndefined();
});

test.each(["", "abc", "abc:", "abc:1-", "abc:x", "abc:0-999", "abc:200", "abc:0,,"])("%j is damaged", (text) => {
  const fields = { ...encodeRun(runOf()), [field.archived]: text };
  expect(() => decodeRun("run", fields)).toThrow("its archives are stored as");
});

test.each([
  [[0], "0"],
  [[0, 1, 2], "0-2"],
  [[0, 2, 3, 7], "0.2-3.7"],
])("steps %j are written as %s", (steps, text) => {
  expect(encodeSteps(steps)).toBe(text);
});
