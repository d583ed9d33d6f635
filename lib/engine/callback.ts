/**
 * The wait of a callback: for whoever holds the attempt's task token. It ends by an answer (`endFromOutside`), or when
 * the answer or a sign of life is overdue; each relies on the step exactly as it waits, so one of them wins (R6, R7).
 */
import type { CallbackStep, Graph } from "../definition/graph.ts";
import { limits } from "../definition/limits.ts";
import { allowsStepMove } from "./moves.ts";
import { endFromOutside, type OutsideEnd } from "./outside.ts";
import type { RunError, RunState, WaitingStep } from "./run-state.ts";
import type { Transition } from "./transition.ts";
import { transitionTo, withAt, withStep } from "./transition-to.ts";

/** What a task token is bound to. */
export interface TokenPlace {
  readonly step: number;
  readonly epoch: number;
  readonly attempt: number;
}

/** How long an attempt waits when nobody gives a sign of life; `undefined`: for ever. */
export function firstWaitMs({ waitMs, heartbeatMs }: CallbackStep): number | undefined {
  const soonestMs = Math.min(waitMs ?? Number.POSITIVE_INFINITY, heartbeatMs ?? Number.POSITIVE_INFINITY);
  return soonestMs === Number.POSITIVE_INFINITY ? undefined : soonestMs;
}

/**
 * Ends the attempt with what the holder of its token says, and takes the token. `undefined` when the attempt is not
 * open any more.
 *
 * @param id of this answer, random: takes the place of the token's hash
 */
export function answerCallback(
  graph: Graph,
  run: RunState,
  { step, epoch, attempt }: TokenPlace,
  id: string,
  end: OutsideEnd,
  nowMs: number,
): Transition | undefined {
  if (run.epoch !== epoch) return undefined;
  const next = endFromOutside(graph, run, step, attempt, end, nowMs);
  return next === undefined ? undefined : transitionTo(run, { ...next, tokens: withAt(next.tokens, step, id) });
}

/**
 * The run after a sign of life: its holder has the whole heartbeat timeout again. The timer that is in flight for the
 * sooner time finds the later one, and is followed by another (R5). `undefined` when nothing changes, also because the
 * code of the attempt still runs: the timeout counts from the beginning of its wait.
 */
export function prolongWait(graph: Graph, run: RunState, index: number, nowMs: number): RunState | undefined {
  const step = run.steps[index];
  const callback = graph.steps[index];
  if (step?.status !== "waiting" || callback?.kind !== "callback" || callback.heartbeatMs === undefined) {
    return undefined;
  }
  if (!allowsStepMove("prolong", run.status, step.status)) return undefined;
  // Signs of life in quick succession come to the same time, and only the first of them is written.
  const slotMs = Math.ceil(callback.heartbeatMs / limits.heartbeatWrites);
  const slots = Math.ceil((nowMs - step.sinceMs + callback.heartbeatMs) / slotMs);
  const wakeAtMs = step.sinceMs + Math.min(slots * slotMs, callback.waitMs ?? Number.POSITIVE_INFINITY);
  if (step.wakeAtMs === undefined || wakeAtMs <= step.wakeAtMs) return undefined;
  return withStep(run, index, { ...step, wakeAtMs });
}

/** The time is over: a failed attempt as any other. `undefined` when the run's status does not allow it. */
export function waitedInVain(
  graph: Graph,
  run: RunState,
  index: number,
  callback: CallbackStep,
  step: WaitingStep,
  nowMs: number,
  fraction: number,
): RunState | undefined {
  const error = callbackTimeout(callback, step);
  const end: OutsideEnd = { kind: "failed", error, failure: { retryable: true, isCutOff: true }, fraction };
  return endFromOutside(graph, run, index, step.attempt, end, nowMs);
}

/** What is overdue for an attempt that waited until its time: its answer, or a sign of life. */
export function callbackTimeout({ id, waitMs, heartbeatMs = 0 }: CallbackStep, step: WaitingStep): RunError {
  if (waitMs !== undefined && step.wakeAtMs === step.sinceMs + waitMs) {
    return {
      name: "CallbackTimeout",
      message: `Callback "${id}" was not answered within ${waitMs / 1_000} s.`,
      step: id,
    };
  }
  const message = `Callback "${id}" had neither an answer nor a heartbeat within ${heartbeatMs / 1_000} s.`;
  return { name: "HeartbeatTimeout", message, step: id };
}
