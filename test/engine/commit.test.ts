// Hunts: a result that is lost, counted twice, or committed by a worker that no longer holds the attempt (R4, R6).
import { describe, expect, test } from "vitest";
import { limits } from "../../lib/definition/limits.ts";
import { encodeRun } from "../../lib/engine/codec.ts";
import { commit, giveUp, type Outcome, renew } from "../../lib/engine/commit.ts";
import { resume } from "../../lib/engine/operate.ts";
import { type RunState, runStatuses, terminalStatuses } from "../../lib/engine/run-state.ts";
import { settle } from "../../lib/engine/settle.ts";
import type { Attempt } from "../../lib/engine/track.ts";
import { applyTransition } from "../../lib/engine/transition.ts";
import { after, backingOff, ended, graphOf, nowMs, running, runOf, stored } from "./sample-run.ts";

const mine: Attempt = { track: "step" as const, step: 0, attempt: 1, owner: "me" };
/** The second step stays open, so that the run does. */
const graph = graphOf([{}, {}]);
const error = { name: "TypeError", message: "no", step: "s0" };
const succeeded: Outcome = { kind: "succeeded", output: { json: '"done"' } };
const failed = (change: Partial<Extract<Outcome, { kind: "failed" }>["failure"]> = {}): Outcome => ({
  kind: "failed",
  error,
  failure: { retryable: true, ...change },
  fraction: 0.5,
});
const deferred: Outcome = { kind: "deferred", wakeAtMs: nowMs + 90_000 };
const released: Outcome = { kind: "released" };
const outcomes: readonly Outcome[] = [
  succeeded,
  failed(),
  failed({ retryable: "fatal" }),
  { kind: "skipped" },
  deferred,
  released,
];

function committed(run: RunState, outcome: Outcome, by = mine, inGraph = graph): RunState {
  const verdict = commit(inGraph, run, by, outcome, nowMs);
  if (verdict.kind !== "write") throw new Error(verdict.kind);
  const next = after(run, verdict.transition);
  expect(next.steps[by.step]?.status).toBe(verdict.ends);
  return next;
}

describe("how an attempt ends", () => {
  const run = runOf({ steps: [running()] });

  test("with its output, kept inline or by key", () => {
    const next = committed(run, succeeded);
    expect(next.steps[0]).toEqual({ status: "succeeded", attempt: 1, startedAtMs: nowMs - 5_000, endedAtMs: nowMs });
    expect(next.outputs).toEqual([{ json: '"done"' }]);
    const kept = committed(run, { kind: "succeeded", output: { key: "out#0#0.1" } });
    expect(kept.outputs).toEqual([{ key: "out#0#0.1" }]);
    expect(committed(run, { kind: "succeeded", output: { json: "" } }).outputs).toEqual([{ json: "" }]);
  });

  test("with a pause until the next attempt", () => {
    // Half of the base of 1 s, by full jitter.
    expect(committed(run, failed()).steps[0]).toEqual({ status: "backing_off", attempt: 1, wakeAtMs: nowMs + 500 });
    expect(committed(run, failed({ afterMs: 7_000 })).steps[0]).toMatchObject({ wakeAtMs: nowMs + 7_000 });
    expect(committed(run, failed({ afterMs: 1e15 })).steps[0]).toMatchObject({ wakeAtMs: nowMs + limits.retryDelayMs });
  });

  test.each(["fatal", "not_retryable"] as const)("with a failure that is not retried: %s", (retryable) => {
    const next = committed(run, failed({ retryable }));
    expect(next).toMatchObject({ status: "unwinding", error, steps: [{ status: "failed", attempt: 1 }] });
  });

  test("with the last failure: no attempt beyond the policy (R3)", () => {
    const last = runOf({ steps: [running({ attempt: 3 })] });
    const next = committed(last, failed(), { ...mine, attempt: 3 });
    expect(next).toMatchObject({ status: "unwinding", error, steps: [{ status: "failed", attempt: 3 }] });
  });

  test("skipped, without an output", () => {
    const next = committed(run, { kind: "skipped" });
    expect(next.steps[0]).toMatchObject({ status: "skipped", attempt: 1, endedAtMs: nowMs });
    expect(next.outputs).toEqual([]);
  });

  test("deferred or released: the attempt is given back, and its number used again (R3)", () => {
    const third = runOf({ steps: [running({ attempt: 3 })] });
    const by = { ...mine, attempt: 3 };
    expect(committed(third, deferred, by).steps[0]).toEqual({
      status: "backing_off",
      attempt: 2,
      wakeAtMs: nowMs + 90_000,
    });
    expect(committed(third, released, by).steps[0]).toEqual({ status: "backing_off", attempt: 2, wakeAtMs: nowMs });
    expect(committed(run, released).steps[0]).toEqual({ status: "backing_off", attempt: 0, wakeAtMs: nowMs });
  });

  test("the last step's end is the run's, in the same write", () => {
    const one = graphOf([{}]);
    expect(committed(run, succeeded, mine, one)).toMatchObject({ status: "succeeded", endedAtMs: nowMs, changes: 2 });
    expect(committed(run, { kind: "skipped" }, mine, one)).toMatchObject({ status: "succeeded" });
    expect(committed(run, failed({ retryable: "fatal" }), mine, one)).toMatchObject({
      status: "failed",
      error,
      changes: 2,
    });
    expect(committed(run, failed(), mine, one)).toMatchObject({ status: "running", changes: 1 });
  });

  test("a failure that is tolerated is not the run's", () => {
    const tolerant = graphOf([{ onFailure: "continue" }, {}]);
    const next = committed(run, failed({ retryable: "fatal" }), mine, tolerant);
    expect(next).toMatchObject({ status: "running", steps: [{ status: "failed" }] });
    expect(next.error).toBeUndefined();
  });

  test("what follows without code is in the same write", () => {
    const cascade = graphOf([
      { onFailure: "continue" },
      { afterFailed: [0] },
      { after: [1], skipWithDependency: true },
    ]);
    const next = committed(run, succeeded, mine, cascade);
    expect(next).toMatchObject({ status: "succeeded", steps: [{}, { status: "skipped" }, { status: "skipped" }] });
  });

  test("an attempt does not end before it started, whatever the clocks say", () => {
    const ahead = runOf({ steps: [running({ startedAtMs: nowMs + 9_000 })] });
    expect(committed(ahead, succeeded).steps[0]).toMatchObject({
      startedAtMs: nowMs + 9_000,
      endedAtMs: nowMs + 9_000,
    });
  });
});

describe("the fence (R4)", () => {
  test("a worker whose attempt was taken over commits nothing and keeps its message", () => {
    const run = runOf({ steps: [running({ attempt: 2, owner: "other", leaseUntilMs: nowMs + 9_000 })] });
    for (const outcome of outcomes) {
      expect(commit(graph, run, mine, outcome, nowMs)).toEqual({ kind: "lost", leaseUntilMs: nowMs + 9_000 });
    }
  });

  test("the same attempt of another owner is not ours", () => {
    const run = runOf({ steps: [running({ owner: "other" })] });
    for (const outcome of outcomes) expect(commit(graph, run, mine, outcome, nowMs).kind).toBe("lost");
  });

  test("another attempt of the same owner is not that attempt", () => {
    const run = runOf({ steps: [running({ attempt: 2 })] });
    for (const outcome of outcomes) expect(commit(graph, run, mine, outcome, nowMs).kind).toBe("lost");
  });

  test("a commit that was decided on an older lease is refused, and decided again", () => {
    const run = runOf({ steps: [running()] });
    const renewed = runOf({ steps: [running({ leaseUntilMs: nowMs + limits.leaseMs })] });
    for (const outcome of outcomes) {
      const verdict = commit(graph, run, mine, outcome, nowMs);
      if (verdict.kind !== "write") throw new Error(verdict.kind);
      expect(applyTransition(verdict.transition, encodeRun(renewed))).toBeUndefined();
      expect(commit(graph, renewed, mine, outcome, nowMs).kind).toBe("write");
    }
  });

  test("a sibling's commit does not get into the way: each changes only its own step", () => {
    const run = runOf({ steps: [running(), running({ owner: "other" })] });
    const three = graphOf([{}, {}, {}]);
    const verdict = commit(three, run, mine, succeeded, nowMs);
    if (verdict.kind !== "write") throw new Error(verdict.kind);
    const meanwhile = committed(run, succeeded, { track: "step", step: 1, attempt: 1, owner: "other" }, three);
    const both = after(meanwhile, verdict.transition);
    expect(both).toMatchObject({ status: "running", steps: [{ status: "succeeded" }, { status: "succeeded" }] });
    expect(both.outputs).toHaveLength(2);
  });

  test("two siblings that end at once: one of them must look again, and exactly one ends the run (R6)", () => {
    const run = runOf({ steps: [running(), running({ owner: "other" })] });
    const verdict = commit(graph, run, mine, succeeded, nowMs);
    if (verdict.kind !== "write") throw new Error(verdict.kind);
    const first = committed(run, succeeded, { track: "step", step: 1, attempt: 1, owner: "other" });
    expect(first.status).toBe("running");
    // Decided when the other was still at work: all steps have ended, and the run has not. Whoever wrote last sees it.
    const second = after(first, verdict.transition);
    expect(second.status).toBe("running");
    expect(settle(graph, first, nowMs)).toBe(first);
    expect(settle(graph, second, nowMs)).toMatchObject({ status: "succeeded" });
  });
});

describe("a commit whose answer was lost", () => {
  test.each(outcomes.map((outcome, index) => [index, outcome] as const))(
    "is known again: outcome %d",
    (_index, outcome) => {
      for (const status of ["running", "paused"] as const) {
        const run = runOf({ status, steps: [running()] });
        const next = committed(run, outcome);
        const again = commit(graph, next, mine, outcome, nowMs + 5);
        expect(again).toEqual({ kind: "committed" });
      }
    },
  );

  test.each([succeeded, failed(), { kind: "skipped" } as const])(
    "is known again in an unwinding run: $kind",
    (outcome) => {
      const run = runOf({ status: "unwinding", steps: [running(), running()] });
      expect(commit(graph, committed(run, outcome), mine, outcome, nowMs)).toEqual({ kind: "committed" });
    },
  );

  test.each([deferred, released])("is known again in an unwinding run: $kind", (outcome) => {
    const run = runOf({ status: "unwinding", steps: [running(), running()] });
    expect(commit(graph, committed(run, outcome), mine, outcome, nowMs)).toEqual({ kind: "committed" });
  });

  test("is known again when it ended the run", () => {
    const one = graphOf([{}]);
    for (const outcome of [succeeded, failed({ retryable: "fatal" }), { kind: "skipped" } as const]) {
      const next = committed(runOf({ steps: [running()] }), outcome, mine, one);
      expect(commit(one, next, mine, outcome, nowMs)).toEqual({ kind: "committed" });
    }
  });

  test("is over when the next attempt has begun since", () => {
    const next = runOf({ steps: [running({ attempt: 2, owner: "other" })] });
    expect(commit(graph, next, mine, failed(), nowMs)).toMatchObject({ kind: "lost" });
    const again = runOf({ steps: [running({ owner: "other" })] });
    expect(commit(graph, again, mine, released, nowMs)).toMatchObject({ kind: "lost" });
  });
});

describe("a run that ended first (R2)", () => {
  test.each(terminalStatuses)("%s: the result is refused", (status) => {
    const run = stored(runOf({ status, endedAtMs: nowMs - 1, steps: [running()] }));
    for (const outcome of outcomes) expect(commit(graph, run, mine, outcome, nowMs)).toEqual({ kind: "runEnded" });
  });
});

describe("an unwinding run", () => {
  const run = runOf({ status: "unwinding", error: { name: "E", message: "first" }, steps: [running(), running()] });

  test("lets siblings commit, and makes no further attempts", () => {
    expect(committed(run, succeeded).steps[0]).toMatchObject({ status: "succeeded" });
    expect(committed(run, failed()).steps[0]).toMatchObject({ status: "failed", attempt: 1 });
    expect(committed(run, deferred).steps[0]).toMatchObject({ status: "skipped" });
    expect(committed(run, released).steps[0]).toMatchObject({ status: "skipped" });
  });

  test("keeps the error that began it", () => {
    expect(committed(run, failed({ retryable: "fatal" })).error).toEqual({ name: "E", message: "first" });
  });

  test("fails with the last that drains", () => {
    const last = { ...run, steps: [running(), ended("failed")] };
    for (const outcome of outcomes)
      expect(committed(last, outcome)).toMatchObject({ status: "failed", endedAtMs: nowMs });
  });
});

describe("a paused run", () => {
  const run = runOf({ status: "paused", changes: 2, pause: { code: "requested", message: "" }, steps: [running()] });

  test("takes results, and stays paused", () => {
    for (const outcome of outcomes) {
      const next = committed(run, outcome);
      expect(next).toMatchObject({ status: "paused", changes: 2, pause: run.pause });
    }
    expect(committed(run, failed()).steps[0]).toMatchObject({ status: "backing_off" });
  });

  test("keeps the error of a failure for the resume, which then fails the run with it", () => {
    const next = committed(run, failed({ retryable: "fatal" }));
    expect(next).toMatchObject({ status: "paused", error, steps: [{ status: "failed" }] });
    const verdict = resume(graph, next, nowMs + 1_000);
    if (verdict.kind !== "write") throw new Error(verdict.kind);
    const resumed = after(next, verdict.transition);
    expect(resumed).toMatchObject({ status: "unwinding", error, changes: 3 });
    expect(resumed.pause).toBeUndefined();
  });

  test("ends when it is resumed after its last step", () => {
    const next = committed({ ...run, steps: [running(), ended("succeeded")] }, succeeded);
    expect(next.status).toBe("paused");
    const verdict = resume(graph, next, nowMs + 1_000);
    if (verdict.kind !== "write") throw new Error(verdict.kind);
    expect(after(next, verdict.transition)).toMatchObject({ status: "succeeded", endedAtMs: nowMs + 1_000 });
  });
});

describe("renewing a lease", () => {
  test.each(runStatuses)("in a %s run", (status) => {
    const run = runOf({ status, steps: [running({ leaseUntilMs: nowMs + 3 })] });
    const transition = renew(run, mine, nowMs);
    if (status === "running" || status === "paused" || status === "unwinding") {
      expect(after(run, transition!).steps).toEqual([running({ leaseUntilMs: nowMs + limits.leaseMs })]);
    } else expect(transition).toBeUndefined();
  });

  test("is refused for what is no longer ours", () => {
    for (const step of [
      running({ owner: "other" }),
      running({ attempt: 2, owner: "other" }),
      backingOff(),
      ended("succeeded"),
      undefined,
    ]) {
      expect(renew(runOf({ steps: [step] }), mine, nowMs)).toBeUndefined();
    }
  });

  test("an attempt whose lease has ended, and which nobody took over, is still ours", () => {
    expect(renew(runOf({ steps: [running({ leaseUntilMs: nowMs - 60_000 })] }), mine, nowMs)).toBeDefined();
  });
});

describe("giving up a step whose message failed at every delivery", () => {
  const cause = { name: "EngineFailure", message: "store gone", step: "s0" };
  const given = (run: RunState, inGraph = graph): RunState =>
    after(run, giveUp(inGraph, run, { track: "step", step: 0 }, cause, nowMs)!);

  test("fails the step with the cause, before or after it began, so that the run does not hang (R5)", () => {
    expect(given(runOf())).toMatchObject({
      status: "unwinding",
      error: cause,
      steps: [{ status: "failed", attempt: 0 }],
    });
    expect(given(runOf({ steps: [running({ attempt: 2 })] })).steps[0]).toEqual({
      status: "failed",
      attempt: 2,
      startedAtMs: nowMs - 5_000,
      endedAtMs: nowMs,
    });
    expect(given(runOf({ steps: [backingOff(2)] })).steps[0]).toMatchObject({ status: "failed", attempt: 2 });
  });

  test("ends the run when it was the last", () => {
    expect(given(runOf(), graphOf([{}]))).toMatchObject({ status: "failed", error: cause });
    expect(given(runOf({ status: "unwinding", steps: [running()] }))).toMatchObject({ status: "failed" });
    expect(given(runOf(), graphOf([{ onFailure: "continue" }]))).toMatchObject({ status: "succeeded" });
  });

  test("changes nothing of a step that has ended, nor of a run that has (R2)", () => {
    for (const step of ["succeeded", "failed", "skipped", "unknown"] as const) {
      expect(giveUp(graph, runOf({ steps: [ended(step)] }), { track: "step", step: 0 }, cause, nowMs)).toBeUndefined();
    }
    for (const status of terminalStatuses) {
      expect(
        giveUp(
          graph,
          stored(runOf({ status, endedAtMs: nowMs, steps: [running()] })),
          { track: "step", step: 0 },
          cause,
          nowMs,
        ),
      ).toBeUndefined();
    }
  });
});
