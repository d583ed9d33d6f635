// Hunts: a token that outlives its attempt, two ends of one wait that both count, timers that never die.
import { describe, expect, test } from "vitest";
import type { CallbackStep } from "../../lib/definition/graph.ts";
import { limits } from "../../lib/definition/limits.ts";
import { answerCallback, callbackTimeout, firstWaitMs, prolongWait } from "../../lib/engine/callback.ts";
import { claim, reconsiderClaim } from "../../lib/engine/claim.ts";
import { encodeRun } from "../../lib/engine/codec.ts";
import { commit } from "../../lib/engine/commit.ts";
import { dueBecauseOf } from "../../lib/engine/due.ts";
import { redrive } from "../../lib/engine/operate.ts";
import type { RunState, StepState } from "../../lib/engine/run-state.ts";
import { applyTransition } from "../../lib/engine/transition.ts";
import { transitionTo } from "../../lib/engine/transition-to.ts";
import { wake } from "../../lib/engine/waiting.ts";
import { after, backingOff, claimant, ended, graphOf, messageFor, nowMs, running, runOf } from "./sample-run.ts";

const callback: Partial<CallbackStep> = { kind: "callback", waitMs: 3_600_000, heartbeatMs: 600_000 };
const graph = graphOf([callback, { after: [0] }]);
const sinceMs = nowMs - 100_000;

function waiting(change: Partial<Extract<StepState, { status: "waiting" }>> = {}): StepState {
  return { status: "waiting", attempt: 2, sinceMs, wakeAtMs: sinceMs + 600_000, ...change };
}

function runWith(step: StepState | undefined, change: Partial<RunState> = {}): RunState {
  return runOf({ steps: [step], tokens: ["hash"], ...change });
}

const place = { step: 0, epoch: 0, attempt: 2 };
const succeeds = { kind: "succeeded", output: { json: "1" } } as const;

describe("a claim", () => {
  test("stores the hash of its token in the same write, also when it takes over (R1)", () => {
    const by = claimant({ owner: "other", tokenHash: "next" });
    const fresh = runOf();
    expect(after(fresh, claim(messageFor(fresh, 0), by)).tokens).toEqual(["next"]);
    const lost = runWith(running({ leaseUntilMs: nowMs - 1 }));
    const verdict = reconsiderClaim(graph, lost, messageFor(lost, 0), by);
    if (verdict.kind !== "takeOver") throw new Error(verdict.kind);
    expect(after(lost, verdict.transition)).toMatchObject({ tokens: ["next"], steps: [{ attempt: 2 }] });
  });
});

describe("an answer", () => {
  test("ends an open attempt, whether its code runs or it waits, and takes the token", () => {
    for (const step of [waiting(), running({ attempt: 2 })]) {
      for (const status of ["running", "paused", "unwinding"] as const) {
        const run = runWith(step, { status });
        const transition = answerCallback(graph, run, place, "answer", succeeds, nowMs);
        expect(transition && after(run, transition)).toMatchObject({
          steps: [{ status: "succeeded", attempt: 2, endedAtMs: nowMs }],
          outputs: [{ json: "1" }],
          tokens: ["answer"],
        });
      }
    }
  });

  test("changes nothing in another epoch, another attempt, or once the attempt or the run is over", () => {
    const refused: RunState[] = [
      runWith(waiting(), { epoch: 1 }),
      runWith(waiting({ attempt: 3 })),
      runWith(backingOff(2)),
      runWith(ended("failed", { attempt: 2 })),
      runWith(undefined),
      runWith(ended("cancelled", { attempt: 2 }), { status: "cancelled", endedAtMs: nowMs }),
    ];
    for (const run of refused) expect(answerCallback(graph, run, place, "a", succeeds, nowMs)).toBeUndefined();
  });

  test("and the end of the wait: whichever is written first, the other is refused (R6)", () => {
    const run = runWith(waiting());
    const moved = prolongWait(graph, run, 0, nowMs);
    const ends = [
      answerCallback(graph, run, place, "a", succeeds, nowMs),
      answerCallback(graph, run, place, "b", { ...failure, kind: "failed" }, nowMs),
      wake(graph, run, 0, nowMs, 0),
      moved && transitionTo(run, moved),
    ];
    for (const first of ends) {
      const fields = first && applyTransition(first, encodeRun(run));
      expect(fields).toBeDefined();
      for (const second of ends) expect(second && applyTransition(second, fields)).toBeUndefined();
    }
  });

  test("is forgotten by a redrive: the steps that it repeats keep no token", () => {
    const run = runWith(ended("failed", { attempt: 2 }), { status: "failed", endedAtMs: nowMs });
    const verdict = redrive(graph, run, nowMs);
    if (verdict.kind !== "write") throw new Error(verdict.kind);
    expect(after(run, verdict.transition)).toMatchObject({ epoch: 1, steps: [], tokens: [] });
  });
});

const failure = { error: { name: "E", message: "m" }, failure: { retryable: true }, fraction: 0 } as const;

describe("the wait", () => {
  test("begins with the sooner of both timeouts, or has none", () => {
    const of = (change: Partial<CallbackStep>): number | undefined =>
      firstWaitMs({ ...(graphOf([{ kind: "callback", ...change }]).steps[0] as CallbackStep) });
    expect([of(callback), of({ waitMs: 5 }), of({ heartbeatMs: 7 }), of({})]).toEqual([600_000, 5, 7, undefined]);
  });

  test("that is over is a failed attempt, and says what is overdue", () => {
    const atEnd = waiting({ wakeAtMs: sinceMs + 3_600_000 });
    for (const [step, name] of [
      [waiting(), "HeartbeatTimeout"],
      [atEnd, "CallbackTimeout"],
    ] as const) {
      const run = runWith(step);
      const wakeAtMs = step.status === "waiting" ? step.wakeAtMs : undefined;
      const timer = messageFor(run, 0, { attempt: 2, ...(wakeAtMs === undefined ? {} : { wakeAtMs }) });
      const verdict = reconsiderClaim(graph, run, timer, claimant({ fraction: 0.5 }));
      if (verdict.kind !== "wake") throw new Error(verdict.kind);
      expect(verdict).toMatchObject({ attempt: 2, error: { name, step: "s0" } });
      // The default backoff after the second failure, halved by the fraction.
      expect(after(run, verdict.transition).steps[0]).toEqual(backingOff(2, nowMs + 1_000));
    }
    const last = runWith(waiting({ attempt: 3 }));
    const transition = wake(graph, last, 0, nowMs, 0.5);
    expect(transition && after(last, transition)).toMatchObject({
      status: "unwinding",
      error: { name: "HeartbeatTimeout" },
      steps: [{ status: "failed", attempt: 3 }],
    });
  });

  test("that is over ends a failing run in two looks: a sibling may be claimed meanwhile", () => {
    const siblings = graphOf([{ ...callback, retry: { ...graph.steps[0]!.retry, maxAttempts: 1 } }, {}]);
    const run = runWith(waiting({ attempt: 1 }));
    const transition = wake(siblings, run, 0, nowMs, 0);
    expect(transition && after(run, transition).status).toBe("unwinding");
  });

  test("a message of a derived error names the step and the time", () => {
    const [step] = graph.steps;
    const state = waiting({ wakeAtMs: sinceMs + 3_600_000 });
    if (step?.kind !== "callback" || state.status !== "waiting") throw new Error();
    expect(callbackTimeout(step, state).message).toBe('Callback "s0" was not answered within 3600 s.');
  });

  test("of a run that unwinds is not begun: what the outside makes of the token will not be known", () => {
    const run = runWith(running(), { status: "unwinding" });
    const verdict = commit(
      graph,
      run,
      { track: "step", step: 0, attempt: 1, owner: "me" },
      { kind: "waits", forMs: 5 },
      nowMs,
    );
    expect(verdict).toMatchObject({ kind: "write", ends: "unknown" });
  });
});

describe("a sign of life", () => {
  test("moves the end of the wait, never beyond the whole of it, and never back", () => {
    const wakeAt = (step: StepState, atMs: number): number | undefined => {
      const moved = prolongWait(graph, runWith(step), 0, atMs)?.steps[0];
      return moved?.status === "waiting" ? (moved.wakeAtMs ?? 0) - sinceMs : undefined;
    };
    expect(wakeAt(waiting(), sinceMs + 60_000)).toBe(660_000);
    expect(wakeAt(waiting(), sinceMs + 60_001)).toBe(720_000);
    expect(wakeAt(waiting(), sinceMs + 3_500_000)).toBe(3_600_000);
    expect(wakeAt(waiting({ wakeAtMs: sinceMs + 720_000 }), sinceMs + 61_000)).toBeUndefined();
    expect(wakeAt(waiting(), sinceMs - 5_000)).toBeUndefined();
    expect(wakeAt(running({ attempt: 2 }), nowMs)).toBeUndefined();
  });

  test("gives at least the whole timeout, and costs at most so many writes within it", () => {
    let run = runWith(waiting());
    const seen = new Set<number>();
    for (let atMs = sinceMs; atMs < sinceMs + 600_000; atMs += 1_000) {
      run = prolongWait(graph, run, 0, atMs) ?? run;
      const step = run.steps[0];
      if (step?.status !== "waiting" || step.wakeAtMs === undefined) throw new Error();
      expect(step.wakeAtMs - atMs).toBeGreaterThanOrEqual(600_000);
      seen.add(step.wakeAtMs);
    }
    expect(seen.size).toBeLessThanOrEqual(limits.heartbeatWrites + 1);
  });

  test("outdates the timer that is in flight, which is then followed by another (R5, R7)", () => {
    const run = runWith(waiting());
    const moved = prolongWait(graph, run, 0, nowMs);
    if (moved === undefined) throw new Error();
    const former = messageFor(run, 0, { attempt: 2, wakeAtMs: sinceMs + 600_000 });
    expect(reconsiderClaim(graph, moved, former, claimant())).toEqual({ kind: "over" });
    const [timer] = dueBecauseOf(graph, moved, 0, nowMs);
    expect(timer?.message).toMatchObject({ kind: "step", attempt: 2, wakeAtMs: sinceMs + 720_000 });
  });
});
