// Hunts: a run that has lost its messages and is not noticed (R5), and one that waits for a reason and is taken for stuck.
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { limits } from "../../lib/definition/limits.ts";
import { due } from "../../lib/engine/due.ts";
import {
  type Driven,
  expectedOfChild,
  expectedOfOrphan,
  firstExpected,
  stepsWithChild,
} from "../../lib/engine/overdue.ts";
import { isTerminal, type ParentLink, type RunState, type StepState } from "../../lib/engine/run-state.ts";
import { settle } from "../../lib/engine/settle.ts";
import { randomGraph, runState } from "./random-run.ts";
import { backingOff, ended, graphOf, nowMs, running, runOf, stored } from "./sample-run.ts";

const hour = 3_600_000;
const graph = graphOf([{}, { after: [0] }]);
const undoable = graphOf([{ compensate: { retry: graph.steps[0]!.retry, timeoutMs: 1_000 } }, { after: [0] }]);

function first(change: Partial<RunState>, of = graph, mayWaitMs = 0): unknown {
  const expected = firstExpected({ graph: of, run: runOf(change) }, nowMs, () => mayWaitMs);
  return expected && [expected.what, expected.atMs - nowMs];
}

describe("what a run should do", () => {
  test("begin: since it was started, or since the time that it was to start at", () => {
    expect(first({})).toEqual(['the first attempt of step "s0"', -60_000]);
    expect(first({ startAtMs: nowMs + hour })).toEqual(['the first attempt of step "s0"', hour]);
    const delayed = graphOf([{ delayMs: 5_000 }]);
    expect(first({}, delayed)).toEqual(['the first attempt of step "s0"', -55_000]);
    expect(first({}, graphOf([{ startAtMs: nowMs + 1 }]))).toEqual(['the first attempt of step "s0"', 1]);
  });

  test("go on: since the last step that was waited for has ended", () => {
    expect(first({ steps: [ended("succeeded")] })).toEqual(['the first attempt of step "s1"', -1_000]);
  });

  test("try again, or wake up: at the time that the step waits for", () => {
    expect(first({ steps: [backingOff(1, nowMs + 7)] })).toEqual(['the next attempt of step "s0"', 7]);
    const waiting: StepState = { status: "waiting", attempt: 1, sinceMs: nowMs - 9, wakeAtMs: nowMs + 9 };
    expect(first({ steps: [waiting] })).toEqual(['the end of the wait of step "s0"', 9]);
  });

  test("take a lost worker's step over: since its lease has ended", () => {
    expect(first({ steps: [running()] })).toEqual(['another worker for step "s0", whose lease has ended', 25_000]);
  });

  test("end: since the last step has", () => {
    const all = [ended("succeeded"), ended("succeeded")];
    expect(first({ steps: all })).toEqual(["what follows from the last step", -1_000]);
  });

  test("time out", () => {
    const waiting: StepState = { status: "waiting", attempt: 1, sinceMs: nowMs - 9 };
    expect(first({ deadlineAtMs: nowMs - 5, steps: [waiting] })).toEqual(["the run's timeout", -5]);
    expect(first({ deadlineAtMs: nowMs - 5, status: "paused" })).toEqual(["the run's timeout", -5]);
  });

  test("the first of several things", () => {
    const two = graphOf([{}, {}]);
    expect(first({ steps: [backingOff(1, nowMs + 7), backingOff(1, nowMs + 3)] }, two)).toEqual([
      'the next attempt of step "s1"',
      3,
    ]);
  });

  test("not more than a rate limit allows: new attempts are held back, and nothing else", () => {
    expect(first({}, graph, hour)).toEqual(['the first attempt of step "s0"', hour - 60_000]);
    expect(first({ steps: [backingOff(1, nowMs)] }, graph, hour)).toEqual(['the next attempt of step "s0"', hour]);
    expect(first({ steps: [running({ leaseUntilMs: nowMs })] }, graph, hour)).toEqual([expect.any(String), 0]);
  });

  test("undo what it did: since everything has ended, and it has begun to", () => {
    const unwinding = { status: "unwinding", steps: [ended("succeeded"), ended("failed")] } as const;
    expect(first({ ...unwinding, turnedAtMs: nowMs - 10 }, undoable)).toEqual(['the undoing of step "s0"', -10]);
    expect(first(unwinding, undoable)).toEqual(['the undoing of step "s0"', -1_000]);
    const [at, again] = [
      { ...unwinding, undos: [running()] },
      { ...unwinding, undos: [backingOff()] },
    ];
    expect(first(at, undoable)).toEqual(['another worker for the undoing of step "s0", whose lease has ended', 25_000]);
    expect(first(again, undoable)).toEqual(['the next attempt of the undoing of step "s0"', 1_000]);
    // While a step is at work, nothing is undone.
    const busy = { ...unwinding, steps: [ended("succeeded"), running()] };
    expect(first(busy, undoable)).toEqual(['another worker for step "s1", whose lease has ended', 25_000]);
  });

  test("ask for its turn; and begin when it has it, however long that took", () => {
    const wanted = { slot: { status: "wanted", key: "" } } as const;
    expect(first(wanted)).toEqual(["asking for the run's turn", limits.nudgeDelayMs - 60_000]);
    const held = { slot: { status: "held", key: "", ticket: 1, sinceMs: nowMs - 3 } } as const;
    expect(first(held)).toEqual(['the first attempt of step "s0"', -3]);
  });
});

describe("a run that waits for others", () => {
  test.each<readonly [why: string, run: Partial<RunState>]>([
    ["a signal", { steps: [{ status: "waiting", attempt: 1, sinceMs: 0 }] }],
    ["its user", { status: "paused", createdAtMs: 0 }],
    ["its user, and a step is over", { status: "paused", steps: [ended("succeeded", { endedAtMs: 0 })] }],
    ["its user, and the worker of a step was lost", { status: "paused", steps: [running({ leaseUntilMs: 0 })] }],
    ["its turn", { createdAtMs: 0, slot: { status: "wanted", key: "", ticket: 7 } }],
    ["nobody: it has ended", { status: "failed", steps: [ended("failed")], endedAtMs: 0, deadlineAtMs: 0 }],
  ])("for %s, is not expected to do anything", (_why, run) => {
    expect(first(run)).toBeUndefined();
  });

  test("is not late with what was ready while it was paused, or before it was redriven", () => {
    const since = [ended("succeeded", { startedAtMs: 0, endedAtMs: 0 }), undefined];
    expect(first({ createdAtMs: 0, steps: since })).toEqual([expect.any(String), -nowMs]);
    for (const turn of [{ turnedAtMs: nowMs - 4 }, { epoch: 1, redrivenAtMs: nowMs - 4 }])
      expect(first({ createdAtMs: 0, steps: since, ...turn })).toEqual([expect.any(String), -4]);
    const late = { createdAtMs: 0, steps: [backingOff(1, 5)], turnedAtMs: nowMs - 4 };
    expect(first(late)).toEqual([expect.any(String), -4]);
  });
});

test("something is expected exactly when something is due, in any run of any graph", () => {
  // After every time that a random run knows.
  const laterMs = 9_000_000_000_000;
  fc.assert(
    fc.property(randomGraph(), runState, (of, state) => {
      const run = stored(state);
      fc.pre(!isTerminal(run.status));
      const isAsked = ({ message }: ReturnType<typeof due>[number]): boolean => !message.kind.endsWith("hild");
      const now = due(of, run, laterMs).filter((one) => one.delayMs === 0 && isAsked(one));
      const isDue = now.length > 0 || settle(of, run, laterMs) !== run;
      const expected = firstExpected({ graph: of, run }, laterMs, () => 0);
      expect(expected !== undefined && expected.atMs <= laterMs).toBe(isDue);
    }),
    { numRuns: 500 },
  );
});

describe("a run and the one that its step has started", () => {
  const link: ParentLink = {
    workflow: "sample",
    fingerprint: "0123456789abcdef",
    step: 0,
    taskQueue: "default",
    epoch: 0,
    attempt: 1,
  };
  const childSteps = graphOf([{}]);
  const starting = graphOf([{ kind: "child", whenParentEnds: "cancel" }, {}]);
  const leaving = graphOf([{ kind: "child", whenParentEnds: "leave" }, {}]);
  const waiting: StepState = { status: "waiting", attempt: 1, sinceMs: nowMs - 50 };
  const parent = (change: Partial<RunState> = {}, of = starting): Driven => ({
    graph: of,
    run: runOf({ steps: [waiting], ...change }),
  });
  const child = (change: Partial<RunState> = {}): Driven => ({
    graph: childSteps,
    run: runOf({ runId: "run~s0", createdAtMs: nowMs - 100, parent: link, ...change }),
  });
  const over = { status: "succeeded", steps: [ended("succeeded")], endedAtMs: nowMs - 20 } as const;
  const atOf = (expected: { readonly atMs: number } | undefined): number | undefined =>
    expected && expected.atMs - nowMs;

  test("are looked at together while the step waits, and the run listens", () => {
    expect(stepsWithChild(parent())).toEqual([0]);
    expect(stepsWithChild(parent({ status: "paused" }))).toEqual([]);
    expect(stepsWithChild(parent({ steps: [running()] }))).toEqual([]);
    expect(stepsWithChild(parent({ status: "unwinding" }))).toEqual([0]);
    expect(stepsWithChild(parent({ status: "unwinding" }, leaving))).toEqual([]);
  });

  test("the step ends when that run has, and not before", () => {
    expect(expectedOfChild(parent(), 0, child(), nowMs)).toBeUndefined();
    expect(atOf(expectedOfChild(parent(), 0, child(over), nowMs))).toBe(-20);
    expect(atOf(expectedOfChild(parent({ turnedAtMs: nowMs - 5 }), 0, child(over), nowMs))).toBe(-5);
    const former = child({ ...over, parent: { ...link, attempt: 9 } });
    expect(expectedOfChild(parent(), 0, former, nowMs)).toBeUndefined();
  });

  test("an unwinding run ends the other, or notices that it was never started", () => {
    const unwinding = parent({ status: "unwinding", turnedAtMs: nowMs - 8 });
    expect(atOf(expectedOfChild(unwinding, 0, child(), nowMs))).toBe(-8);
    expect(expectedOfChild(unwinding, 0, child({ status: "unwinding" }), nowMs)).toBeUndefined();
    expect(atOf(expectedOfChild(unwinding, 0, undefined, nowMs))).toBe(-8);
    expect(expectedOfChild(parent(), 0, undefined, nowMs)).toBeUndefined();
  });

  test("one whose parent has ended otherwise than by success ends with it", () => {
    const failed = { status: "failed", steps: [waiting], endedAtMs: nowMs - 30 } as const;
    expect(atOf(expectedOfOrphan(parent(failed), child(), nowMs))).toBe(-30);
    const young = child({ createdAtMs: nowMs - 10 });
    expect(atOf(expectedOfOrphan(parent(failed), young, nowMs))).toBe(-10);
  });

  test("one is left alone when its parent goes on, has succeeded or leaves it, and when it was redriven since", () => {
    const failed = { status: "failed", steps: [waiting], endedAtMs: nowMs - 30 } as const;
    const redriven = (atMs: number) => child({ epoch: 1, redrivenAtMs: atMs });
    expect(expectedOfOrphan(parent(), child(), nowMs)).toBeUndefined();
    expect(expectedOfOrphan(parent({ ...failed, status: "succeeded" }), child(), nowMs)).toBeUndefined();
    expect(expectedOfOrphan(parent(failed, leaving), child(), nowMs)).toBeUndefined();
    expect(expectedOfOrphan(parent(failed), redriven(nowMs - 29), nowMs)).toBeUndefined();
    // Within one millisecond: an audit must not end what a user has set going.
    expect(expectedOfOrphan(parent(failed), redriven(nowMs - 30), nowMs)).toBeUndefined();
    expect(atOf(expectedOfOrphan(parent(failed), redriven(nowMs - 31), nowMs))).toBe(-30);
    expect(expectedOfOrphan(parent(failed), child({ status: "unwinding" }), nowMs)).toBeUndefined();
    // Its step was ended by hand, before its own end was known.
    const skipped = { ...failed, steps: [ended("skipped")] };
    expect(atOf(expectedOfOrphan(parent({ ...skipped, byHand: ["h"] }), child(), nowMs))).toBe(-30);
    expect(expectedOfOrphan(parent(skipped), child(), nowMs)).toBeUndefined();
    // Its step has begun anew since, with a child of its own.
    const anew = parent({ ...failed, generations: [1] });
    expect(expectedOfOrphan(anew, child(), nowMs)).toBeUndefined();
    expect(atOf(expectedOfOrphan(anew, child({ runId: `${child().run.runId}.r1` }), nowMs))).toBe(-30);
  });
});
