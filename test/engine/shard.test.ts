// Hunts: failed items that are lost on their way up, and a map that ends with more of them than it tolerates.
import { describe, expect, test } from "vitest";
import type { Graph, MapStep } from "../../lib/definition/graph.ts";
import { shardGraph } from "../../lib/definition/shards.ts";
import { workflow } from "../../lib/definition/workflow.ts";
import { redrive } from "../../lib/engine/operate.ts";
import type { PayloadRef, RunState, StepState } from "../../lib/engine/run-state.ts";
import { settle, withFailure } from "../../lib/engine/settle.ts";
import { failedItems, hasMapped, mapError, toldByShard, toleratesFailures } from "../../lib/engine/shard.ts";
import { after, ended, nowMs, running, runOf, stored } from "./sample-run.ts";

const base = workflow("wide", {}, (w) => {
  w.map("each", { items: () => [1], run: () => 1 });
}).graph;
const map = { ...(base.steps[0] as MapStep), shardItems: 3, fanOut: 3 };
const leaf = (tolerated: number): Graph =>
  shardGraph(base, map, { map: "each", from: 6, count: 3, lanes: 0, tolerated });
const inner = (tolerated: number): Graph =>
  shardGraph(base, map, { map: "each", from: 0, count: 9, lanes: 0, tolerated });

const ok = ended("succeeded");
const bad = ended("failed");
const of = (steps: (StepState | undefined)[], told: (number | undefined)[] = []): RunState => {
  const outputs = told.map((count): PayloadRef | undefined => (count === undefined ? undefined : { json: `${count}` }));
  return runOf({ steps, outputs });
};
const error = { name: "E", message: "m", step: "7" };

describe("a leaf", () => {
  test("succeeds when all of its items have, and fails when some have not", () => {
    expect(settle(leaf(1), of([ok, ok, ok]), nowMs).status).toBe("succeeded");
    const failed = settle(leaf(1), withFailure(leaf(1), of([ok, bad, ok]), 1, error), nowMs);
    expect(failed).toMatchObject({ status: "failed", error });
    expect(toldByShard(leaf(1), failed)).toBe("1");
  });

  test("goes on while its failures are tolerated, and stops with the first that is not", () => {
    expect(settle(leaf(1), of([bad, running(), running()]), nowMs).status).toBe("running");
    expect(settle(leaf(1), of([bad, running(), bad]), nowMs).status).toBe("unwinding");
    expect(settle(leaf(0), of([running(), running(), bad]), nowMs).status).toBe("unwinding");
  });

  test("keeps the first error that it sees", () => {
    const first = withFailure(leaf(2), of([bad]), 0, error);
    expect(first.error).toMatchObject(error);
    expect(withFailure(leaf(2), first, 1, { ...error, step: "8" }).error).toEqual(first.error);
  });

  test("has the fingerprint of its map, whichever item failed", () => {
    const fingerprintOf = (step: string): string | undefined =>
      withFailure(leaf(2), of([bad]), 0, { ...error, step }).error?.fingerprint;
    expect(fingerprintOf("7")).toMatch(/^[0-9a-v]{12}$/);
    expect(fingerprintOf("8")).toBe(fingerprintOf("7"));
  });

  test("repeats all that failed when it is redriven, also what was tolerated", () => {
    const failed = stored(runOf({ status: "failed", endedAtMs: nowMs, steps: [bad, ok, bad] }));
    const verdict = redrive(leaf(2), failed, nowMs);
    if (verdict.kind !== "write") throw new Error(verdict.kind);
    expect(after(failed, verdict.transition).steps).toEqual([undefined, ok]);
  });
});

describe("a shard of shards", () => {
  test("adds up what they have told", () => {
    const run = of([bad, ok, bad], [2, undefined, 3]);
    expect(failedItems(inner(5), run)).toBe(5);
    expect(settle(inner(5), run, nowMs).status).toBe("failed");
    expect(toldByShard(inner(5), { ...run, status: "failed" })).toBe("5");
    expect(hasMapped(inner(5), { ...run, status: "failed" })).toBe(true);
    expect(hasMapped(inner(4), { ...run, status: "failed" })).toBe(false);
    expect(hasMapped(inner(5), { ...run, status: "cancelled" })).toBe(false);
  });

  test("stops as soon as it is too much", () => {
    expect(settle(inner(4), of([bad, running(), running()], [4]), nowMs).status).toBe("running");
    expect(settle(inner(4), of([bad, running(), bad], [2, undefined, 3]), nowMs).status).toBe("unwinding");
  });

  test("does not tolerate one that has told nothing", () => {
    const run = of([bad, running(), running()]);
    expect(toleratesFailures(inner(9), run)).toBe(false);
    expect(settle(inner(9), run, nowMs).status).toBe("unwinding");
    expect(toldByShard(inner(9), { ...run, status: "failed" })).toBeUndefined();
    expect(toldByShard(inner(9), { ...of([]), status: "cancelled" })).toBeUndefined();
  });
});

test("a map that fails says how many of how many did, and the first error", () => {
  const message = (tolerated: number, failures: number): string =>
    mapError(map, leaf(tolerated), failures, error).message;
  expect(message(0, 1)).toBe("1 of 3 items failed or were then stopped, and none is tolerated. Item 7: E: m");
  expect(message(1, 2)).toBe("2 of 3 items failed or were then stopped, and 1 is tolerated. Item 7: E: m");
  expect(message(2, 3)).toBe("3 of 3 items failed or were then stopped, and 2 are tolerated. Item 7: E: m");
  expect(message(2, 1)).toBe("A part of the items was ended from outside. Item 7: E: m");
});

test("a run that is no shard has no items", () => {
  expect(failedItems(base, of([bad]))).toBe(0);
  expect(toleratesFailures(base, of([bad]))).toBe(true);
});
