// Hunts: a fork that keeps what it should repeat, repeats what it should keep, or shares something with its original.
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { dependencies } from "../../lib/definition/graph.ts";
import { defaultRetry } from "../../lib/definition/retry.ts";
import { due } from "../../lib/engine/due.ts";
import { forkedRun, keptSteps } from "../../lib/engine/fork.ts";
import { isTerminal, type RunState } from "../../lib/engine/run-state.ts";
import { create, isSameStart } from "../../lib/engine/start.ts";
import { applyTransition } from "../../lib/engine/transition.ts";
import { planUndo } from "../../lib/engine/undo.ts";
import { randomGraph, runState } from "./random-run.ts";
import { backingOff, ended, graphOf, nowMs, running, runOf, stored } from "./sample-run.ts";

const fork = { runId: "new", from: 2, id: "f0" };
/** a -> b -> c -> d, and e beside them. */
const line = graphOf([{}, { after: [0] }, { after: [1] }, { after: [2] }, {}]);
const done = ended("succeeded");

describe("what is kept", () => {
  test("what ended well and does not depend on the chosen step", () => {
    const run = runOf({ status: "failed", steps: [done, ended("skipped"), done, ended("failed"), done] });
    expect(keptSteps(line, run, 2)).toEqual([0, 1, 4]);
    expect(keptSteps(line, run, 0)).toEqual([4]);
    expect(keptSteps(line, run, 4)).toEqual([0, 1, 2]);
  });

  test.each(["after", "afterAny", "afterFailed", "afterSettled"] as const)("%s is a dependency", (kind) => {
    const graph = graphOf([{ onFailure: "continue" }, { [kind]: [0] }, { afterSettled: [1] }, {}]);
    const run = runOf({ status: "succeeded", steps: [done, done, done, done] });
    expect(keptSteps(graph, run, 0)).toEqual([3]);
  });

  test("of an open run, what has not ended begins anew", () => {
    const run = runOf({ steps: [done, running(), undefined, undefined, backingOff()] });
    expect(keptSteps(line, run, 3)).toEqual([0]);
  });

  test("a failure that was tolerated is kept with its handler; one that was missed is repeated", () => {
    const graph = graphOf([
      { onFailure: "continue" },
      { afterFailed: [0] },
      { onFailure: "continue" },
      { after: [2] },
      {},
    ]);
    const run = runOf({
      status: "failed",
      steps: [ended("failed"), done, ended("failed"), ended("failed", { attempt: 0 }), done],
    });
    expect(keptSteps(graph, run, 4)).toEqual([0, 1]);
  });
});

describe("the new run", () => {
  const original = runOf({
    status: "failed",
    epoch: 3,
    changes: 9,
    startAtMs: nowMs - 50_000,
    deadlineAtMs: nowMs - 1,
    endedAtMs: nowMs - 1,
    error: { name: "E", message: "m" },
    tags: { customer: "c" },
    steps: [ended("succeeded", { attempt: 2 }), done, ended("failed")],
    outputs: [{ key: "out#0#1.2" }, { json: "1" }],
    signals: [{ id: "taken" }, undefined, { id: "kept", payload: { json: "2" } }],
    byHand: [undefined, "hand"],
  });

  test("begins like a started one, with the kept steps, under payload keys of its own", () => {
    const run = forkedRun(line, original, fork, nowMs);
    expect(run).toEqual({
      runId: "new",
      workflow: "sample",
      fingerprint: original.fingerprint,
      status: "running",
      epoch: 0,
      changes: 1,
      input: original.input,
      inputHash: original.inputHash,
      tags: { customer: "c" },
      steps: [original.steps[0], original.steps[1]],
      outputs: [{ key: "out#0#f0.2" }, { json: "1" }],
      signals: [{ id: "taken" }],
      undos: [],
      generations: [],
      byHand: [undefined, "hand"],
      forkedFrom: { runId: "run", from: "s2", id: "f0" },
      createdAtMs: nowMs,
    });
    expect(stored(run)).toEqual(run);
    expect(due(line, run, nowMs).map(({ message }) => message)).toMatchObject([{ step: 2 }, { step: 4 }]);
  });

  test("what the original has done is not its to undo", () => {
    const compensate = { retry: defaultRetry, timeoutMs: 1_000 };
    const graph = { ...line, steps: line.steps.map((step) => ({ ...step, compensate })) };
    const run = { ...forkedRun(graph, original, fork, nowMs), status: "unwinding" } as const;
    expect(planUndo(graph, run)).toEqual({ ready: [], isOver: true });
    expect(planUndo(graph, { ...run, steps: [...run.steps.slice(0, 2), done] }).ready).toEqual([2]);
    expect(stored(run)).toEqual(run);
  });

  test("what was undone, and what was built on it, begins anew", () => {
    const run = { ...original, undos: [done] };
    expect(forkedRun(line, run, { ...fork, from: 4 }, nowMs).steps).toEqual([]);
  });

  test("its timeout counts anew, and its tags may be others", () => {
    const run = forkedRun({ ...line, timeoutMs: 60_000 }, original, { ...fork, tags: { a: "b" } }, nowMs);
    expect(run).toMatchObject({ deadlineAtMs: nowMs + 60_000, tags: { a: "b" } });
  });

  test("what follows without code is decided in the first write, however much it is", () => {
    const many = Array.from({ length: 100 }, () => ({ afterFailed: [0] }));
    const graph = graphOf([{ onFailure: "continue" }, ...many]);
    const run = forkedRun(graph, runOf({ steps: [done] }), { ...fork, from: 1 }, nowMs);
    expect(run.status).toBe("succeeded");
    expect(run.steps.filter((step) => step?.status === "skipped")).toHaveLength(100);
  });

  test("is the same start only as the same fork", () => {
    const run = forkedRun(line, original, fork, nowMs);
    expect(isSameStart(run, forkedRun(line, original, { ...fork, id: "f1" }, nowMs + 1))).toBe(true);
    expect(isSameStart(run, forkedRun(line, original, { ...fork, from: 1 }, nowMs))).toBe(false);
    expect(isSameStart(run, forkedRun(line, { ...original, runId: "other" }, fork, nowMs))).toBe(false);
    expect(isSameStart(run, original)).toBe(false);
    expect(isSameStart(original, run)).toBe(false);
  });

  test("of any run: it can be created, keeps only ended steps, and has ended or has something in flight (R5)", () => {
    const scenario = randomGraph().chain((graph) =>
      fc.tuple(fc.constant(graph), runState, fc.nat(graph.steps.length - 1)),
    );
    fc.assert(
      fc.property(scenario, ([graph, random, from]) => {
        const cut = <T>(list: readonly T[]): T[] => list.slice(0, graph.steps.length);
        const original: RunState = { ...random, steps: cut(random.steps), outputs: cut(random.outputs) };
        const run = forkedRun(graph, original, { ...fork, from }, nowMs);
        expect(applyTransition(create(run), undefined)).toBeDefined();
        const kept = keptSteps(graph, original, from);
        for (const index of kept) expect(run.steps[index]).toEqual(original.steps[index]);
        for (const index of kept) expect(dependencies(graph.steps[index]!)).not.toContain(from);
        expect(run.steps.every((step, index) => step === undefined || kept.includes(index) || step.attempt === 0)).toBe(
          true,
        );
        if (!isTerminal(run.status)) expect(due(graph, run, nowMs)).not.toEqual([]);
      }),
    );
  });
});
