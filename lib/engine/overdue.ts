/**
 * What a run should do by itself, and since when. Something is in flight for each of these and moves the run soon after
 * that time; a run for which it lies far back has lost its messages (R5). What waits for somebody outside is not here.
 *
 * Invariant: what is told here is brought about by everything that is `due` for the run that it is told of.
 */
import { endsWithParent, type Graph, startsRun } from "../definition/graph.ts";
import { childRunId, endWithParent, isAwaited } from "./child.ts";
import { asksForSlotAtMs, mayHaveOpenChild } from "./due.ts";
import { beganAtMs, readiness } from "./readiness.ts";
import { hasEnded, isBeforeEnd, isTerminal, type RunState, type StepState } from "./run-state.ts";
import { settle } from "./settle.ts";
import { isDrained, planUndo } from "./undo.ts";

/** Something that should have happened at that time, or soon after. It may lie ahead. */
export interface Expected {
  readonly what: string;
  readonly atMs: number;
}

/** A run and the graph that it is pinned to. */
export interface Driven {
  readonly graph: Graph;
  readonly run: RunState;
}

/**
 * The first thing that the run should do; `undefined` when it waits for others alone.
 *
 * @param mayWaitMs how long a new attempt of the step may be held back for a reason, e.g. by a rate limit
 */
export function firstExpected(
  { graph, run }: Driven,
  nowMs: number,
  mayWaitMs: (step: number) => number,
): Expected | undefined {
  if (isTerminal(run.status)) return undefined;
  const expected = [...ofRun(run), ...ofEnd(graph, run, nowMs)];
  // A paused run begins nothing. One that waits for its turn neither; what it did in a former epoch can be undone.
  if (run.status !== "paused") {
    if (run.slot?.status !== "wanted") expected.push(...ofSteps(graph, run, mayWaitMs));
    expected.push(...ofUndos(graph, run));
  }
  return earliest(expected.map(({ what, atMs }) => ({ what, atMs: Math.max(atMs, turnedAtMs(run)) })));
}

export function earliest(expected: readonly Expected[]): Expected | undefined {
  return expected.reduce<Expected | undefined>(
    (first, next) => (first === undefined || next.atMs < first.atMs ? next : first),
    undefined,
  );
}

/** Before this time the run was paused, or did something else: what was ready then may begin only since. */
function turnedAtMs({ createdAtMs, redrivenAtMs = 0, turnedAtMs: turned = 0 }: RunState): number {
  return Math.max(createdAtMs, redrivenAtMs, turned);
}

function ofRun(run: RunState): Expected[] {
  if (!isBeforeEnd(run.status)) return [];
  const { deadlineAtMs, slot } = run;
  const asks = slot?.status === "wanted" && slot.ticket === undefined;
  return [
    ...(deadlineAtMs === undefined ? [] : [{ what: "the run's timeout", atMs: deadlineAtMs }]),
    ...(asks ? [{ what: "asking for the run's turn", atMs: asksForSlotAtMs(run) }] : []),
  ];
}

/** Whoever made the last move settles the run; a second write may be needed for that. */
function ofEnd(graph: Graph, run: RunState, nowMs: number): Expected[] {
  return settle(graph, run, nowMs) === run ? [] : [{ what: "what follows from the last step", atMs: lastMoveMs(run) }];
}

function lastMoveMs(run: RunState): number {
  return [...run.steps, ...run.undos].reduce<number>((latest, state) => {
    if (state === undefined || state.status === "backing_off") return latest;
    if (hasEnded(state)) return Math.max(latest, state.endedAtMs);
    return Math.max(latest, state.status === "running" ? state.startedAtMs : state.sinceMs);
  }, 0);
}

function ofSteps(graph: Graph, run: RunState, mayWaitMs: (step: number) => number): Expected[] {
  return graph.steps.flatMap((step, index): Expected[] => {
    const state = run.steps[index];
    const named = JSON.stringify(step.id);
    if (state?.status === "running") return [ofLease(state, `step ${named}`)];
    if (run.status !== "running") return [];
    if (state?.status === "backing_off") {
      return [{ what: `the next attempt of step ${named}`, atMs: state.wakeAtMs + mayWaitMs(index) }];
    }
    if (state?.status === "waiting" && state.wakeAtMs !== undefined) {
      return [{ what: `the end of the wait of step ${named}`, atMs: state.wakeAtMs }];
    }
    if (state !== undefined || readiness(step, run.steps) !== "ready") return [];
    const readyMs = beganAtMs(graph, run, index, Number.POSITIVE_INFINITY);
    const atMs = Math.max(readyMs + (step.delayMs ?? 0), step.startAtMs ?? 0);
    return [{ what: `the first attempt of step ${named}`, atMs: atMs + mayWaitMs(index) }];
  });
}

/** A worker that lives renews it. */
function ofLease({ leaseUntilMs }: Extract<StepState, { status: "running" }>, of: string): Expected {
  return { what: `another worker for ${of}, whose lease has ended`, atMs: leaseUntilMs };
}

function ofUndos(graph: Graph, run: RunState): Expected[] {
  if (run.status !== "unwinding" || !isDrained(graph, run)) return [];
  const ready = new Set(planUndo(graph, run).ready);
  return graph.steps.flatMap(({ id }, index): Expected[] => {
    const of = `the undoing of step ${JSON.stringify(id)}`;
    const state = run.undos[index];
    if (state?.status === "running") return [ofLease(state, of)];
    if (state?.status === "backing_off") return [{ what: `the next attempt of ${of}`, atMs: state.wakeAtMs }];
    return state === undefined && ready.has(index) ? [{ what: of, atMs: lastMoveMs(run) }] : [];
  });
}

/** Steps of the run that wait for the end of another: whether that end is overdue is told by `expectedOfChild`. */
export function stepsWithChild({ graph, run }: Driven): number[] {
  if (run.status !== "running" && run.status !== "unwinding") return [];
  return graph.steps.flatMap((step, index) => {
    const isAsked = run.status === "running" || endsWithParent(step);
    return isAsked && startsRun(step) && run.steps[index]?.status === "waiting" ? [index] : [];
  });
}

/**
 * What should happen to a step because of the run that it has started; `undefined` while that goes on as it should.
 *
 * @param child as it is; absent when there is none
 */
export function expectedOfChild(
  { graph, run }: Driven,
  index: number,
  child: Driven | undefined,
  nowMs: number,
): Expected | undefined {
  const state = run.steps[index];
  const step = graph.steps[index];
  if (state?.status !== "waiting" || step === undefined) return undefined;
  const sinceMs = Math.max(state.sinceMs, turnedAtMs(run));
  const named = JSON.stringify(step.id);
  if (child === undefined) {
    const what = `the end of step ${named}, whose run was never started`;
    return run.status === "unwinding" ? { what, atMs: sinceMs } : undefined;
  }
  if (isAwaited(graph, run, index, child.run)) {
    const atMs = Math.max(child.run.endedAtMs ?? 0, sinceMs);
    return { what: `the end of step ${named}, whose run has ended`, atMs };
  }
  const isLeft = endWithParent(step, run, child, nowMs) !== undefined;
  return isLeft ? { what: `the end of the run of step ${named}`, atMs: sinceMs } : undefined;
}

/**
 * The end of a run whose parent has ended, and was to end it, too. A run that was redriven since goes on by itself; within
 * one millisecond nobody can tell, and then it is left alone: an audit must not end what a user has set going.
 */
export function expectedOfOrphan(parent: Driven, child: Driven, nowMs: number): Expected | undefined {
  const { endedAtMs } = parent.run;
  const { parent: link, createdAtMs, redrivenAtMs = 0 } = child.run;
  if (link === undefined || endedAtMs === undefined || !isTerminal(parent.run.status)) return undefined;
  if (redrivenAtMs >= endedAtMs) return undefined;
  // Its end has been taken, or the step has begun anew with another child; then a user has redriven it.
  if (!mayHaveOpenChild(parent.run, link.step)) return undefined;
  if (childRunId(parent.graph, parent.run, link.step) !== child.run.runId) return undefined;
  const ends = endWithParent(parent.graph.steps[link.step], parent.run, child, nowMs) !== undefined;
  return ends ? { what: "the run's end with its parent", atMs: Math.max(endedAtMs, createdAtMs) } : undefined;
}
