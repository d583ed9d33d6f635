// Hunts: an attempt without a claim that writes over what came since, or that is refused although nothing has.
import { describe, expect, test } from "vitest";
import { limits } from "../../lib/definition/limits.ts";
import { encodeRun } from "../../lib/engine/codec.ts";
import { commit, type Outcome, renew } from "../../lib/engine/commit.ts";
import type { RunState, StepState } from "../../lib/engine/run-state.ts";
import type { Attempt } from "../../lib/engine/track.ts";
import { applyTransition, type Transition } from "../../lib/engine/transition.ts";
import { beginUnclaimed, isIdempotent } from "../../lib/engine/unclaimed.ts";
import { after, backingOff, ended, graphOf, nowMs, running, runOf, stored } from "./sample-run.ts";

const graph = graphOf([{ idempotent: true, onFailure: "continue" }, {}]);
const success: Outcome = { kind: "succeeded", output: { json: "1" } };

/** The first attempt, or the one after a pause, as it begins in this run. */
function begun(run: RunState): Attempt {
  const unclaimed = beginUnclaimed(run, 0, nowMs - 1_000);
  return { track: "step", step: 0, attempt: (run.steps[0]?.attempt ?? 0) + 1, owner: "me", unclaimed };
}

function committed(run: RunState, mine: Attempt, outcome: Outcome = success) {
  return commit(graph, stored(run), mine, outcome, nowMs);
}

function write(run: RunState, mine: Attempt): Transition {
  const verdict = committed(run, mine);
  if (verdict.kind !== "write") throw new Error(verdict.kind);
  return verdict.transition;
}

describe("the commit of an attempt without a claim", () => {
  test.each<[string, StepState | undefined, number]>([
    ["a step that has not begun", undefined, 1],
    ["a step that waits for its next attempt", backingOff(2, nowMs - 5_000), 3],
  ])("ends %s", (_, before, attempt) => {
    const run = stored(runOf({ steps: [before] }));
    const next = after(run, write(run, begun(run)));
    expect(next.steps[0]).toEqual({ status: "succeeded", attempt, startedAtMs: nowMs - 1_000, endedAtMs: nowMs });
    expect(next.outputs[0]).toEqual({ json: "1" });
  });

  const run = stored(runOf({ interrupts: [{ answers: ["a"] }] }));
  test.each<[string, Partial<RunState>]>([
    ["ended", { steps: [ended("succeeded")] }],
    ["was claimed", { steps: [running({ owner: "other" })] }],
    ["backs off", { steps: [backingOff(1)] }],
    ["was given back", { steps: [backingOff(0)] }],
    ["asks something", { interrupts: [{ answers: ["a"], pending: "b" }] }],
    ["was answered", { interrupts: [{ answers: ["a", "b"] }] }],
    ["is of another epoch", { epoch: 1 }],
    ["is of another run of the same id", { createdAtMs: nowMs }],
    ["is in a run that unwinds", { status: "unwinding" }],
    ["is in a run that has ended", { status: "cancelled", endedAtMs: nowMs }],
  ])("is refused when the step %s, by what is read and by the write itself (R6, R7)", (_, change) => {
    const mine = begun(run);
    const since = stored({ ...run, ...change });
    expect(committed(since, mine).kind).not.toBe("write");
    expect(applyTransition(write(run, mine), encodeRun(since))).toBeUndefined();
  });

  test("that was done before by us or another is no reason to keep the message", () => {
    const mine = begun(run);
    expect(committed({ ...run, steps: [ended("succeeded")] }, mine).kind).toBe("committed");
    expect(committed({ ...run, steps: [ended("failed")] }, mine).kind).toBe("endedElsewhere");
    expect(committed({ ...run, status: "unwinding" }, mine).kind).toBe("runEnded");
    const leaseUntilMs = nowMs + 25_000;
    expect(committed({ ...run, steps: [running({ owner: "other" })] }, mine)).toEqual({ kind: "lost", leaseUntilMs });
  });
});

describe("the claim of an attempt that goes on for long", () => {
  test("says since when it has run, and is renewed like any other", () => {
    const run = stored(runOf());
    const mine = begun(run);
    const claimed = after(run, renew(run, mine, nowMs) as Transition);
    const startedAtMs = nowMs - 1_000;
    const lease = { leaseUntilMs: nowMs + limits.leaseMs };
    expect(claimed.steps[0]).toEqual({ status: "running", attempt: 1, owner: "me", startedAtMs, ...lease });
    const later = nowMs + limits.leaseRenewalMs;
    expect(after(claimed, renew(claimed, mine, later) as Transition).steps[0]).toMatchObject({
      leaseUntilMs: later + limits.leaseMs,
    });
    expect(after(claimed, write(claimed, mine)).steps[0]).toMatchObject({ status: "succeeded", startedAtMs });
  });

  test("is not made when another has it", () => {
    const run = stored(runOf());
    expect(renew({ ...run, steps: [running({ owner: "other" })] }, begun(run), nowMs)).toBeUndefined();
  });
});

test("only steps that run code, and say so, are idempotent", () => {
  expect(graph.steps.map(isIdempotent)).toEqual([true, false]);
  expect(isIdempotent(graphOf([{ kind: "signal", onTimeout: { then: "fail" } }]).steps[0])).toBe(false);
  expect(isIdempotent(undefined)).toBe(false);
});
