// Hunts: a step that a redrive ends by hand and repeats all the same, or that is ended although it may not be.
import { expect, test } from "vitest";
import { isDoneByHand, mayEndByHand } from "../../lib/engine/by-hand.ts";
import { encodeRun } from "../../lib/engine/codec.ts";
import { redrive } from "../../lib/engine/operate.ts";
import { isTerminal, type RunState, runStatuses } from "../../lib/engine/run-state.ts";
import type { Fields } from "../../lib/engine/transition.ts";
import { after, ended, graphOf, nowMs, running, runOf } from "./sample-run.ts";

const graph = graphOf([{}, { after: [0] }, { after: [1] }, {}]);
const failed = runOf({
  status: "failed",
  endedAtMs: nowMs - 500,
  error: { name: "E", message: "m" },
  steps: [ended("succeeded"), ended("failed", { attempt: 3 }), undefined, ended("unknown")],
  outputs: [{ json: "0" }],
});

function done(run: RunState, byHand: Parameters<typeof redrive>[3]): RunState {
  const verdict = redrive(graph, run, nowMs, byHand);
  if (verdict.kind !== "write") throw new Error(verdict.kind);
  return after(run, verdict.transition);
}

test("a step that is set succeeds with its output, one that is skipped is skipped, and the others are repeated", () => {
  const run = done(failed, new Map([[1, { id: "h", output: { key: "k" } }]]));
  expect(run).toMatchObject({ status: "running", epoch: 1, changes: 2 });
  expect(run.steps).toEqual([ended("succeeded"), ended("succeeded", { attempt: 3, endedAtMs: nowMs })]);
  expect(run.outputs).toEqual([{ json: "0" }, { key: "k" }]);
  expect(run.byHand).toEqual([undefined, "h"]);

  const skipped = done(failed, new Map([[3, { id: "h" }]]));
  expect(skipped.steps).toEqual([ended("succeeded"), undefined, undefined, ended("skipped", { endedAtMs: nowMs })]);
  expect(skipped.byHand).toEqual([undefined, undefined, undefined, "h"]);
});

test("a step that was cut off by the end of its run is ended by hand, whatever is stored of it", () => {
  const cut: Fields = { ...encodeRun(runOf({ steps: [running()] })), st: "cancelled", z: nowMs - 500 };
  const run = runOf({ status: "cancelled", endedAtMs: nowMs - 500, steps: [ended("cancelled")] });
  const verdict = redrive(graph, run, nowMs, new Map([[0, { id: "h", output: { json: "" } }]]));
  if (verdict.kind !== "write") throw new Error(verdict.kind);
  expect(verdict.transition.guard.every(({ field }) => cut[field] !== undefined)).toBe(true);
  expect(verdict.transition.set.s0).toMatch(/^s1\./);
});

test("only a redrive of a run that ended without success ends steps, and only those that did not end well", () => {
  const byHand = new Map([[0, { id: "h" }]]);
  for (const status of runStatuses) {
    const run = { ...failed, status, steps: [ended("failed")] };
    const may = isTerminal(status) && status !== "succeeded";
    expect(redrive(graph, run, nowMs, byHand).kind).toBe(may ? "write" : "refused");
  }
  for (const state of [undefined, ended("succeeded"), ended("skipped")]) {
    expect(() => redrive(graph, { ...failed, steps: [state] }, nowMs, byHand)).toThrow(
      "Step 0 cannot be ended by hand",
    );
  }
});

test("a signal that is kept for a step is not passed over", () => {
  const run = { ...failed, steps: [ended("cancelled")] };
  expect(mayEndByHand({ ...run, signals: [{ id: "q", payload: { json: "1" } }] }, 0)).toBe(false);
  expect(mayEndByHand({ ...run, signals: [undefined, { id: "q", payload: { json: "1" } }] }, 0)).toBe(true);
});

test("a step that is repeated after all is no longer ended by hand", () => {
  const run = { ...failed, byHand: [undefined, "old"] };
  expect(done(run, undefined).byHand).toBeUndefined();
  expect(done(run, new Map([[1, { id: "new" }]])).byHand).toEqual([undefined, "new"]);
});

test("a redrive whose answer was lost is told from that of somebody else by its records", () => {
  const byHand = new Map([[1, { id: "h" }]]);
  const run = done(failed, byHand);
  expect(isDoneByHand(run, byHand)).toBe(true);
  expect(isDoneByHand(run, new Map([[1, { id: "other" }]]))).toBe(false);
  expect(isDoneByHand(run, new Map([...byHand, [3, { id: "h" }]]))).toBe(false);
  expect(isDoneByHand(done(failed, undefined), byHand)).toBe(false);
});
