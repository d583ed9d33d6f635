// Hunts: two workers on one attempt, an attempt too many, a lost worker that nobody replaces, a message thrown away too early.
import { describe, expect, test } from "vitest";
import type { Graph } from "../../lib/definition/graph.ts";
import { limits } from "../../lib/definition/limits.ts";
import { defaultRetry } from "../../lib/definition/retry.ts";
import { type ClaimVerdict, claim, leaseRemainingMs, reconsiderClaim } from "../../lib/engine/claim.ts";
import { encodeRun, field, runSchemas } from "../../lib/engine/codec.ts";
import type { StepMessage } from "../../lib/engine/message.ts";
import { type RunState, runStatuses, type StepState, terminalStatuses } from "../../lib/engine/run-state.ts";
import { applyTransition } from "../../lib/engine/transition.ts";
import {
  after,
  backingOff,
  claimant,
  ended,
  graphOf,
  messageFor,
  nowMs,
  running,
  runOf,
  stored,
} from "./sample-run.ts";

const graph = graphOf([{ onFailure: "continue" }, {}]);
const leaseUntilMs = nowMs + limits.leaseMs;
const atWork = (change = {}): Extract<StepState, { status: "running" }> =>
  running({ owner: "other", ...change }) as Extract<StepState, { status: "running" }>;

function reconsider(
  change: Partial<RunState>,
  message: Partial<StepMessage> = {},
  by: Parameters<typeof claimant>[0] = {},
  inGraph: Graph = graph,
): ClaimVerdict {
  const run = stored(runOf(change));
  return reconsiderClaim(inGraph, run, messageFor(run, 0, message), claimant(by));
}

describe("the first try, which reads nothing", () => {
  test("begins a step that has not begun", () => {
    const run = runOf();
    const next = after(run, claim(messageFor(run, 0), claimant()));
    expect(next.steps[0]).toEqual({ status: "running", attempt: 1, owner: "me", startedAtMs: nowMs, leaseUntilMs });
  });

  test("ends a pause with the attempt after the last", () => {
    const run = runOf({ steps: [backingOff(2, nowMs - 5)] });
    const next = after(run, claim(messageFor(run, 0, { attempt: 3, wakeAtMs: nowMs - 5 }), claimant()));
    expect(next.steps[0]).toMatchObject({ status: "running", attempt: 3, owner: "me" });
  });

  test("touches no other step and no other field", () => {
    const run = runOf({ steps: [undefined, atWork()] });
    const next = after(run, claim(messageFor(run, 0), claimant()));
    expect({ ...next, steps: next.steps.slice(1) }).toEqual({ ...run, steps: run.steps.slice(1) });
  });

  test("is refused for a message of an older epoch or another graph (R7)", () => {
    const run = runOf({ epoch: 2 });
    for (const change of [{ epoch: 1 }, { epoch: 3 }, { fingerprint: "other" }]) {
      expect(applyTransition(claim(messageFor(run, 0, change), claimant()), encodeRun(run))).toBeUndefined();
    }
  });
});

test("nothing is written to a run of a shape that is not known", () => {
  const run = runOf();
  const fields = { ...encodeRun(run), [field.schema]: Math.max(...runSchemas) + 1 };
  expect(applyTransition(claim(messageFor(run, 0), claimant()), fields)).toBeUndefined();
});

describe("the rows of the delivery rule", () => {
  test("nothing stands in the way, as when only the code was missing before: claim as the message says", () => {
    expect(reconsider({})).toEqual({ kind: "claimable" });
    const timer = { attempt: 3, wakeAtMs: nowMs };
    expect(reconsider({ steps: [backingOff(2, nowMs)] }, timer)).toEqual({ kind: "claimable" });
    for (const step of [backingOff(2, nowMs + 1), backingOff(1, nowMs), undefined]) {
      expect(reconsider({ steps: [step] }, timer)).toEqual({ kind: "over" });
    }
  });

  test("the step has ended: what is due because of it is sent, in whatever status the run is", () => {
    for (const status of runStatuses) {
      for (const step of ["succeeded", "failed", "skipped", "unknown"] as const) {
        expect(reconsider({ status, steps: [ended(step)] })).toEqual({ kind: "over" });
      }
    }
  });

  test("the message is about a former attempt of a step that waits: its timer is sent again", () => {
    expect(reconsider({ steps: [backingOff(2)] }, { attempt: 2 })).toEqual({ kind: "over" });
  });

  test("another delivery holds a live lease: the message stays until that ends (R4)", () => {
    const verdict = reconsider({ steps: [atWork({ leaseUntilMs: nowMs + 12_345 })] });
    expect(verdict).toEqual({ kind: "later", delayMs: 12_345 });
  });

  test("the lease has ended: take over as the next attempt", () => {
    const run = runOf({ steps: [atWork({ attempt: 2, leaseUntilMs: nowMs })] });
    const verdict = reconsiderClaim(graph, run, messageFor(run, 0), claimant());
    if (verdict.kind !== "takeOver") throw new Error(verdict.kind);
    const next = after(run, verdict.transition);
    expect(next.steps[0]).toEqual({ status: "running", attempt: 3, owner: "me", startedAtMs: nowMs, leaseUntilMs });
    expect(next).toMatchObject({ status: "running", changes: 1 });
  });

  test("the lease is extended while we take over: the guard refuses (R4)", () => {
    const run = runOf({ steps: [atWork({ leaseUntilMs: nowMs })] });
    const verdict = reconsiderClaim(graph, run, messageFor(run, 0), claimant());
    if (verdict.kind !== "takeOver") throw new Error(verdict.kind);
    const renewed = encodeRun({ ...run, steps: [atWork({ leaseUntilMs: nowMs + 1 })] });
    expect(applyTransition(verdict.transition, renewed)).toBeUndefined();
  });

  test.each(["running", "paused", "unwinding"] as const)(
    "our own claim, whose answer was lost, in a %s run",
    (status) => {
      // Also when the lease has ended meanwhile: it is still ours.
      for (const untilMs of [leaseUntilMs, nowMs - 1]) {
        expect(reconsider({ status, steps: [atWork({ owner: "me", leaseUntilMs: untilMs })] })).toEqual({
          kind: "won",
        });
      }
    },
  );

  test("a paused run begins nothing, and no attempt is taken over in it", () => {
    const drop = { kind: "drop", because: "the run is paused" };
    expect(reconsider({ status: "paused" })).toEqual(drop);
    expect(reconsider({ status: "paused", steps: [backingOff()] })).toEqual(drop);
    expect(reconsider({ status: "paused", steps: [atWork({ leaseUntilMs: nowMs })] })).toEqual(drop);
    expect(reconsider({ status: "paused", steps: [atWork()] })).toMatchObject({ kind: "later" });
  });

  test.each(terminalStatuses)("a %s run: nothing but what is due, which is nothing", (status) => {
    for (const step of [undefined, atWork(), backingOff()]) {
      expect(reconsider({ status, steps: [step], endedAtMs: nowMs })).toEqual({ kind: "over" });
    }
  });

  test("an unwinding run begins nothing; looking at it again may end it", () => {
    expect(reconsider({ status: "unwinding" })).toEqual({ kind: "over" });
    expect(reconsider({ status: "unwinding", steps: [backingOff()] })).toEqual({ kind: "over" });
  });

  test("the run is not there yet: wait for a start that is under way, then drop", () => {
    const verdict = (ageMs: number): ClaimVerdict =>
      reconsiderClaim(graph, undefined, messageFor(runOf(), 0, { sentAtMs: nowMs - ageMs }), claimant());
    const later = { kind: "later", delayMs: limits.startRetryMs };
    expect(verdict(0)).toEqual(later);
    expect(verdict(limits.startGraceMs)).toEqual(later);
    expect(verdict(limits.startGraceMs + 1)).toEqual({ kind: "drop", because: "no such run" });
    // Sent by a clock that is ahead of ours.
    expect(verdict(-limits.clockSkewMs)).toEqual(later);
  });

  test("a message of another epoch or graph is dropped, whatever the step is doing (R7)", () => {
    for (const step of [
      undefined,
      atWork({ leaseUntilMs: 0 }),
      atWork({ owner: "me" }),
      backingOff(),
      ended("succeeded"),
    ]) {
      for (const message of [{ epoch: 1 }, { fingerprint: "other" }]) {
        expect(reconsider({ steps: [step] }, message)).toMatchObject({ kind: "drop" });
      }
    }
  });

  test("a step that the graph does not have is dropped", () => {
    const verdict = reconsider({ steps: [atWork({ leaseUntilMs: 0 })] }, {}, {}, graphOf([]));
    expect(verdict).toEqual({ kind: "drop", because: "the graph has no step 0" });
  });
});

describe("a worker that was lost", () => {
  const lost = atWork({ attempt: defaultRetry.maxAttempts, leaseUntilMs: nowMs - 1 });
  const error = {
    name: "WorkerCrashed",
    message:
      'The worker of attempt 3 of step "s0" was lost (crash, out of memory, or its machine went away), and that was the last of 3 attempts.',
    step: "s0",
  };

  test("at its last attempt fails the step as WorkerCrashed; never an attempt beyond the policy (R3)", () => {
    const run = runOf({ steps: [lost] });
    const verdict = reconsiderClaim(graph, run, messageFor(run, 0), claimant());
    if (verdict.kind !== "giveUp") throw new Error(verdict.kind);
    expect(verdict).toMatchObject({ error, attempt: 3 });
    const next = after(run, verdict.transition);
    expect(next.steps[0]).toEqual({ status: "failed", attempt: 3, startedAtMs: nowMs - 5_000, endedAtMs: nowMs });
    expect(next.status).toBe("running");
    expect(next.error).toBeUndefined();
  });

  test("at its last attempt ends the run when the failure counts, in the same write", () => {
    const one = graphOf([{}]);
    const run = runOf({ steps: [lost] });
    const verdict = reconsiderClaim(one, run, messageFor(run, 0), claimant());
    if (verdict.kind !== "giveUp") throw new Error(verdict.kind);
    expect(after(run, verdict.transition)).toMatchObject({ status: "failed", error, endedAtMs: nowMs, changes: 2 });
  });

  test.each([1, 2, 3, 4])("with a policy of %d attempts has exactly so many (R3)", (maxAttempts) => {
    const limited = graphOf([{ onFailure: "continue", retry: { ...defaultRetry, maxAttempts } }, {}]);
    let run = runOf();
    run = after(run, claim(messageFor(run, 0), claimant()));
    for (let crash = 1; ; crash++) {
      const by = claimant({ owner: `owner-${crash}`, nowMs: nowMs + crash * (limits.leaseMs + 1) });
      const verdict = reconsiderClaim(limited, run, messageFor(run, 0), by);
      if (verdict.kind !== "takeOver" && verdict.kind !== "giveUp") throw new Error(verdict.kind);
      run = after(run, verdict.transition);
      if (verdict.kind === "giveUp") break;
      expect(run.steps[0]?.attempt).toBe(crash + 1);
    }
    expect(run.steps[0]).toMatchObject({ status: "failed", attempt: maxAttempts });
  });

  test("is replaced for ever when attempts are unlimited", () => {
    const unlimited = graphOf([{ retry: { ...defaultRetry, maxAttempts: "unlimited" } }]);
    const verdict = reconsider({ steps: [atWork({ attempt: 1e6, leaseUntilMs: 0 })] }, {}, {}, unlimited);
    expect(verdict.kind).toBe("takeOver");
  });

  test("of an unwinding run is not replaced: the step is unknown, and the run ends when it was the last", () => {
    const run = runOf({ status: "unwinding", changes: 2, steps: [lost, ended("failed")] });
    const verdict = reconsiderClaim(graph, run, messageFor(run, 0), claimant());
    if (verdict.kind !== "giveUp") throw new Error(verdict.kind);
    expect(verdict.error).toBeUndefined();
    expect(after(run, verdict.transition)).toMatchObject({
      status: "failed",
      changes: 3,
      steps: [{ status: "unknown", attempt: 3, endedAtMs: nowMs }, { status: "failed" }],
    });
    const busy = runOf({ status: "unwinding", steps: [lost, atWork()] });
    const other = reconsiderClaim(graph, busy, messageFor(busy, 0), claimant());
    if (other.kind !== "giveUp") throw new Error(other.kind);
    expect(after(busy, other.transition)).toMatchObject({ status: "unwinding", steps: [{ status: "unknown" }, {}] });
  });

  test("whose process is known to be gone is not waited for", () => {
    const isOwnerGone = (owner: string): boolean => owner === "other";
    expect(reconsider({ steps: [atWork()] }, {}, { isOwnerGone }).kind).toBe("takeOver");
    expect(reconsider({ steps: [atWork({ owner: "third" })] }, {}, { isOwnerGone }).kind).toBe("later");
  });
});

describe("clocks that differ", () => {
  const remaining = (untilMs: number): number => leaseRemainingMs(atWork({ leaseUntilMs: untilMs }), claimant());
  const most = limits.leaseMs + limits.clockSkewMs;

  test.each([
    [nowMs - 1, 0],
    [nowMs, 0],
    [nowMs + 1, 1],
    [nowMs + limits.leaseMs, limits.leaseMs],
    [nowMs + most, most],
    // No honest clock can have set it: it would keep the step for ever.
    [nowMs + most + 1, 0],
    [8e15, 0],
  ])("a lease until %d is waited for %d ms", (untilMs, remainingMs) => {
    expect(remaining(untilMs)).toBe(remainingMs);
  });

  test("a lease of the far future is taken over like an expired one", () => {
    expect(reconsider({ steps: [atWork({ leaseUntilMs: nowMs + 10 * most })] }).kind).toBe("takeOver");
  });

  test("a step that started in the future of this clock does not end before it started", () => {
    const lost = atWork({ attempt: 3, startedAtMs: nowMs + 9_000, leaseUntilMs: nowMs });
    const run = runOf({ steps: [lost] });
    const verdict = reconsiderClaim(graph, run, messageFor(run, 0), claimant());
    if (verdict.kind !== "giveUp") throw new Error(verdict.kind);
    expect(after(run, verdict.transition).steps[0]).toMatchObject({
      startedAtMs: nowMs + 9_000,
      endedAtMs: nowMs + 9_000,
    });
  });
});
