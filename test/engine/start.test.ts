// Hunts: a run that begins in another state than its definition says, and a start that is made twice or not known again.
import { describe, expect, test } from "vitest";
import { decodeRun, encodeRun } from "../../lib/engine/codec.ts";
import { due } from "../../lib/engine/due.ts";
import { create, isSameStart, type NewRun, newRun } from "../../lib/engine/start.ts";
import { applyTransition } from "../../lib/engine/transition.ts";
import { graphOf, nowMs } from "./sample-run.ts";

const graph = graphOf([{}, { after: [0] }]);
const start: NewRun = { runId: "run", fingerprint: "f", input: { json: "1" }, inputHash: "h" };

describe("a new run", () => {
  test("has no step state at all, and its first status change is the start (R9)", () => {
    expect(newRun(graph, start, nowMs)).toEqual({
      ...start,
      workflow: "sample",
      status: "running",
      epoch: 0,
      changes: 1,
      steps: [],
      outputs: [],
      signals: [],
      undos: [],
      generations: [],
      createdAtMs: nowMs,
    });
  });

  test("has its deadline so long after it begins: now, or at its start time when that is ahead", () => {
    const timed = graphOf([{}], { timeoutMs: 60_000 });
    const deadline = (startAtMs?: number): number | undefined =>
      newRun(timed, { ...start, ...(startAtMs === undefined ? {} : { startAtMs }) }, nowMs).deadlineAtMs;
    expect(deadline()).toBe(nowMs + 60_000);
    expect(deadline(nowMs + 5_000)).toBe(nowMs + 65_000);
    expect(deadline(nowMs - 5_000)).toBe(nowMs + 60_000);
    expect(newRun(graph, start, nowMs)).not.toHaveProperty("deadlineAtMs");
  });

  test("is stored and read as it is, with its tags and start time", () => {
    const run = newRun(graph, { ...start, startAtMs: nowMs + 5_000, tags: { customer: "c" } }, nowMs);
    expect(decodeRun("run", encodeRun(run))).toEqual(run);
  });

  test("has something in flight (R5)", () => {
    expect(due(graph, newRun(graph, start, nowMs), nowMs).map(({ message }) => message)).toMatchObject([
      { step: 0, attempt: 1 },
    ]);
  });
});

describe("creating it", () => {
  const run = newRun(graph, start, nowMs);
  const fields = applyTransition(create(run), undefined);

  test("writes the whole run where none is", () => {
    expect(fields).toEqual(encodeRun(run));
  });

  test("is refused where any run is, whatever its status (R7)", () => {
    for (const status of ["running", "succeeded", "cancelled"]) {
      expect(applyTransition(create(run), { ...fields, st: status })).toBeUndefined();
    }
  });
});

test("the same start is the same workflow and input, whatever else differs", () => {
  const run = newRun(graph, start, nowMs);
  expect(isSameStart(run, newRun(graph, { ...start, fingerprint: "newer", tags: { a: "b" } }, nowMs + 5))).toBe(true);
  expect(isSameStart({ ...run, status: "failed" }, run)).toBe(true);
  expect(isSameStart(run, newRun(graph, { ...start, inputHash: "other" }, nowMs))).toBe(false);
  expect(isSameStart(run, newRun({ ...graph, workflow: "other" }, start, nowMs))).toBe(false);
});
