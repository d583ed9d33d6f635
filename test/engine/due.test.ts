// Hunts: a step or timer that is not sent, sent too early, or sent for a run that begins nothing (R5, R8).
import { describe, expect, test } from "vitest";
import type { Graph } from "../../lib/definition/graph.ts";
import { limits } from "../../lib/definition/limits.ts";
import { due, dueBecauseOf, nudge } from "../../lib/engine/due.ts";
import type { OutgoingMessage } from "../../lib/engine/message.ts";
import { type RunState, type RunStatus, runStatuses, type StepState } from "../../lib/engine/run-state.ts";
import { backingOff, ended, graphOf, nowMs, running, runOf } from "./sample-run.ts";

const tolerant = { onFailure: "continue" } as const;

/** Step, attempt and delay of each step message; `deadline` and its delay. */
function short(messages: readonly OutgoingMessage[]): unknown[] {
  return messages.map(({ message, delayMs }) =>
    message.kind === "step" ? [message.step, message.attempt, delayMs] : [message.kind, delayMs],
  );
}

const dueOf = (graph: Graph, change: Partial<RunState> = {}, atMs = nowMs): unknown[] =>
  short(due(graph, runOf(change), atMs));

describe("messages", () => {
  test("carry all that a claim needs, on the step's own queue (R7)", () => {
    const graph = graphOf([{ taskQueue: "heavy" }]);
    expect(due(graph, runOf({ epoch: 3 }), nowMs)).toEqual([
      {
        taskQueue: "heavy",
        delayMs: 0,
        message: {
          v: 1,
          kind: "step",
          runId: "run",
          workflow: "sample",
          fingerprint: "0123456789abcdef",
          epoch: 3,
          sentAtMs: nowMs,
          step: 0,
          attempt: 1,
        },
      },
    ]);
  });

  test("go to the queue of their own step", () => {
    const graph = graphOf([{ taskQueue: "light" }, { taskQueue: "heavy" }, { taskQueue: "heavy" }, {}]);
    const run = runOf({ steps: [undefined, backingOff(), running()] });
    expect(due(graph, run, nowMs).map(({ taskQueue }) => taskQueue)).toEqual(["light", "heavy", "heavy", "default"]);
  });

  test("a nudge goes to the queue of the first step, later than its sender may live", () => {
    expect(nudge(graphOf([{ taskQueue: "heavy" }, {}]), runOf(), nowMs)).toMatchObject({
      taskQueue: "heavy",
      delayMs: limits.nudgeDelayMs,
      message: { kind: "nudge", runId: "run", epoch: 0, sentAtMs: nowMs },
    });
  });
});

describe("what is in flight for a step", () => {
  const graph = graphOf([{}, { after: [0] }]);

  test.each<readonly [string, (StepState | undefined)[], unknown[]]>([
    ["ready: its first attempt", [], [[0, 1, 0]]],
    ["waiting for the next attempt: that attempt, then", [backingOff(2, nowMs + 7_000)], [[0, 3, 7_000]]],
    ["waiting for its start time: the first attempt, then", [backingOff(0, nowMs + 7_000)], [[0, 1, 7_000]]],
    ["waiting since long ago: at once", [backingOff(2, nowMs - 7_000)], [[0, 3, 0]]],
    ["at work: the message that is kept until its lease ends", [running({ attempt: 4 })], [[0, 4, 0]]],
    ["at work with an expired lease: at once", [running({ leaseUntilMs: nowMs - 1 })], [[0, 1, 0]]],
    ["ended: what waits for it", [ended("succeeded")], [[1, 1, 0]]],
  ])("%s", (_what, steps, expected) => {
    expect(dueOf(graph, { steps })).toEqual(expected);
  });

  test("only a timer names the pause that it ends", () => {
    const message = (steps: StepState[]): unknown => due(graph, runOf({ steps }), nowMs)[0]?.message;
    expect(message([backingOff(2, nowMs + 7_000)])).toHaveProperty("wakeAtMs", nowMs + 7_000);
    expect(message([running()])).not.toHaveProperty("wakeAtMs");
    expect(message([])).not.toHaveProperty("wakeAtMs");
  });

  test.each(runStatuses)("a %s run begins steps only when it is running", (status) => {
    const two = graphOf([{}, {}, {}]);
    const steps = [undefined, backingOff(), running()];
    const expected: Partial<Record<RunStatus, unknown[]>> = {
      running: [
        [0, 1, 0],
        [1, 2, 1_000],
        [2, 1, 0],
      ],
      // What is at work is still watched.
      unwinding: [[2, 1, 0]],
    };
    expect(dueOf(two, { status, steps })).toEqual(expected[status] ?? []);
  });
});

describe("delays are exact", () => {
  test("a delay counts from the moment at which the step became ready, not from when someone looks", () => {
    const graph = graphOf([{}, { after: [0], delayMs: 30_000 }]);
    const steps = [ended("succeeded", { endedAtMs: nowMs })];
    for (const lateMs of [0, 1, 29_999, 30_000, 90_000]) {
      expect(dueOf(graph, { steps }, nowMs + lateMs)).toEqual([[1, 1, Math.max(0, 30_000 - lateMs)]]);
    }
  });

  test("without dependencies, it counts from the start of the run", () => {
    const graph = graphOf([{ delayMs: 30_000 }]);
    expect(dueOf(graph, { createdAtMs: nowMs })).toEqual([[0, 1, 30_000]]);
    expect(dueOf(graph, { createdAtMs: nowMs - 10_000 })).toEqual([[0, 1, 20_000]]);
    expect(dueOf(graph, { createdAtMs: nowMs - 10_000, startAtMs: nowMs + 5_000 })).toEqual([[0, 1, 35_000]]);
  });

  test("a run that starts later begins nothing before", () => {
    const graph = graphOf([{}, { startAtMs: nowMs + 1_000 }, { startAtMs: nowMs + 90_000 }]);
    expect(dueOf(graph, { startAtMs: nowMs + 60_000 })).toEqual([
      [0, 1, 60_000],
      [1, 1, 60_000],
      [2, 1, 90_000],
    ]);
  });

  test("a start time in the past is no delay, one ahead is, whichever of delay and start time is later", () => {
    const at = (startAtMs: number, delayMs: number): unknown[] =>
      dueOf(graphOf([{ startAtMs, delayMs }]), { createdAtMs: nowMs });
    expect(at(nowMs - 1, 1)).toEqual([[0, 1, 1]]);
    expect(at(-5, 1)).toEqual([[0, 1, 1]]);
    expect(at(nowMs + 10, 1)).toEqual([[0, 1, 10]]);
    expect(at(nowMs + 10, 20)).toEqual([[0, 1, 20]]);
  });

  test("a clock behind that of the run's writer adds nothing to a delay", () => {
    const graph = graphOf([{}, { after: [0], delayMs: 30_000 }]);
    const steps = [ended("succeeded", { endedAtMs: nowMs + 60_000 })];
    expect(dueOf(graph, { steps, createdAtMs: nowMs + 50_000 })).toEqual([[1, 1, 30_000]]);
    expect(dueOf(graph, { createdAtMs: nowMs + 50_000 })).toEqual([[0, 1, 0]]);
  });

  test("a fraction of a ms is not lost", () => {
    expect(dueOf(graphOf([{}]), { steps: [backingOff(1, nowMs + 0.25)] })).toEqual([[0, 2, 1]]);
  });

  test("a step whose time is further away than the longest delay does not begin before it", () => {
    const graph = graphOf([{ delayMs: limits.delayMs }]);
    const run = runOf({ createdAtMs: nowMs, startAtMs: nowMs + limits.delayMs });
    // The claim does not look at the clock: until the time is within reach, only another look is taken.
    expect(due(graph, run, nowMs)).toMatchObject([{ message: { kind: "nudge" }, delayMs: limits.delayMs }]);
    expect(dueOf(graph, run, nowMs + limits.delayMs)).toEqual([[0, 1, limits.delayMs]]);
  });

  test("many steps that are far away need one look, not one each (R8)", () => {
    const graph = graphOf([
      { startAtMs: 8e15 },
      { startAtMs: 8e15 },
      { startAtMs: 8e15 },
      { after: [0] },
      { after: [0] },
    ]);
    expect(due(graph, runOf(), nowMs)).toHaveLength(1);
  });

  test("stored times of the far future are bounded (R8)", () => {
    expect(dueOf(graphOf([{}]), { steps: [backingOff(1, nowMs + 2 * limits.delayMs)] })).toEqual([
      [0, 2, limits.delayMs],
    ]);
    expect(due(graphOf([{ startAtMs: 8e15 }]), runOf(), nowMs)).toMatchObject([{ delayMs: limits.delayMs }]);
  });
});

describe("the deadline", () => {
  const graph = graphOf([{ taskQueue: "heavy" }]);

  test("goes to the queue of the first step, at the deadline", () => {
    const messages = due(graph, runOf({ deadlineAtMs: nowMs + 90_000, steps: [backingOff()] }), nowMs);
    expect(messages).toHaveLength(2);
    expect(messages[1]).toMatchObject({ taskQueue: "heavy", delayMs: 90_000, message: { kind: "deadline" } });
  });

  test("is at once when it has passed, and bounded when it is far", () => {
    const steps = [ended("succeeded")];
    expect(dueOf(graph, { deadlineAtMs: nowMs - 5, steps })).toEqual([["deadline", 0]]);
    expect(dueOf(graph, { deadlineAtMs: 8e15, steps })).toEqual([["deadline", limits.delayMs]]);
  });

  test.each(runStatuses)("of a %s run ends it only while it is running or paused", (status) => {
    const isOpen = status === "running" || status === "paused";
    const run = { status, deadlineAtMs: nowMs + 5, steps: [ended("succeeded")] };
    expect(dueOf(graph, run)).toEqual(isOpen ? [["deadline", 5]] : []);
  });

  test("is not repeated with every step", () => {
    const run = runOf({ deadlineAtMs: nowMs + 90_000, steps: [backingOff()] });
    expect(short(dueBecauseOf(graph, run, 0, nowMs))).toEqual([[0, 2, 1_000]]);
  });
});

describe("what one step caused", () => {
  const because = (
    graph: Graph,
    steps: (StepState | undefined)[],
    cause: number,
    change: Partial<RunState> = {},
  ): unknown[] => short(dueBecauseOf(graph, runOf({ steps, ...change }), cause, nowMs)).sort();

  test("its own timer, and nothing of others", () => {
    const graph = graphOf([{}, {}, {}]);
    expect(because(graph, [backingOff(), backingOff()], 0)).toEqual([[0, 2, 1_000]]);
  });

  test("the steps that became ready by its end", () => {
    const graph = graphOf([{}, {}, { after: [0] }, { after: [0, 1] }, { after: [1] }, {}]);
    expect(because(graph, [ended("succeeded")], 0)).toEqual([[2, 1, 0]]);
    expect(because(graph, [ended("succeeded"), ended("succeeded")], 0)).toEqual([
      [2, 1, 0],
      [3, 1, 0],
    ]);
  });

  test("nothing while it is at work", () => {
    expect(because(graphOf([{}, { after: [0] }]), [running()], 0)).toEqual([]);
  });

  test("steps behind others that were skipped or blocked with it", () => {
    const graph = graphOf([
      tolerant,
      { ...tolerant, after: [0] },
      { afterFailed: [1] },
      { afterSettled: [2] },
      { ...tolerant, after: [1] },
      { afterFailed: [4] },
    ]);
    const blocked = ended("failed", { attempt: 0 });
    expect(because(graph, [ended("failed"), blocked, undefined, undefined, blocked], 0)).toEqual([
      [2, 1, 0],
      [5, 1, 0],
    ]);
  });

  test("not what others, who made attempts of their own, have caused", () => {
    const graph = graphOf([{}, { after: [0] }, { after: [1] }]);
    expect(because(graph, [ended("succeeded"), ended("succeeded")], 0)).toEqual([]);
    expect(because(graph, [ended("succeeded"), ended("succeeded")], 1)).toEqual([[2, 1, 0]]);
  });

  test("what is at work is left to its own message", () => {
    const graph = graphOf([{}, { after: [0] }]);
    expect(because(graph, [ended("succeeded"), running()], 0)).toEqual([]);
  });

  test.each(runStatuses)("in a %s run, only when it is running", (status) => {
    const graph = graphOf([{}, { after: [0] }]);
    expect(because(graph, [ended("succeeded")], 0, { status })).toEqual(status === "running" ? [[1, 1, 0]] : []);
  });

  test("is found in a graph as wide and as deep as the limits allow", () => {
    const count = limits.stepsPerWorkflow;
    const all = Array.from({ length: count }, (_, index) => index);
    const graph = graphOf(all.map((index) => ({ afterSettled: all.slice(0, index), ...tolerant })));
    const steps = [ended("succeeded"), ...all.slice(2).map(() => ended("skipped", { attempt: 0 }))];
    expect(because(graph, steps, 0)).toEqual([[count - 1, 1, 0]]);
  });
});
