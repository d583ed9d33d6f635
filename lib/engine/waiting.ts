/**
 * Steps that wait without a worker, and what ends their wait: a signal or a time. Both rely on the step exactly as it
 * waits, so when they race, one of them wins and the other changes nothing (R6, R7).
 */
import type { Graph, GraphStep, SignalStep } from "../definition/graph.ts";
import { waitedInVain } from "./callback.ts";
import { field } from "./codec.ts";
import { allowsStepMove } from "./moves.ts";
import {
  type EndedStep,
  hasEnded,
  isTerminal,
  type PayloadRef,
  type RunError,
  type RunState,
  type WaitingStep,
} from "./run-state.ts";
import { settle, withFailure } from "./settle.ts";
import type { Transition } from "./transition.ts";
import { stepIs, transitionTo, withOutput, withStep } from "./transition-to.ts";

export type SignalVerdict =
  | { readonly kind: "write"; readonly transition: Transition }
  /** This very sending had happened before, and its answer was lost. */
  | { readonly kind: "already" }
  | { readonly kind: "refused"; readonly because: "delivered" | "step_ended" | "run_ended" };

/** Ends the step's wait with the payload; or keeps it, when the step does not wait yet. A second signal is refused. */
export function deliverSignal(
  graph: Graph,
  run: RunState,
  index: number,
  signal: { readonly id: string; readonly payload: PayloadRef },
  nowMs: number,
): SignalVerdict {
  const sent = run.signals[index];
  if (sent !== undefined)
    return sent.id === signal.id ? { kind: "already" } : { kind: "refused", because: "delivered" };
  const step = run.steps[index];
  if (!allowsStepMove("signal", run.status, step?.status ?? "pending")) {
    const isOver = isTerminal(run.status) || !hasEnded(step);
    return { kind: "refused", because: isOver ? "run_ended" : "step_ended" };
  }
  const signals = [...run.signals];
  const unsent = [{ field: field.signal(index), is: "absent" } as const];
  if (step?.status !== "waiting") {
    signals[index] = signal;
    // It relies on the step not waiting: a step that began to wait meanwhile would never hear of it.
    const transition = transitionTo(run, { ...run, signals }, [...unsent, stepIs(index, step)]);
    return { kind: "write", transition };
  }
  signals[index] = { id: signal.id };
  const next = { ...withOutput(run, index, ended(step, "succeeded", nowMs), signal.payload), signals };
  return { kind: "write", transition: transitionTo(run, settle(graph, next, nowMs), unsent) };
}

/**
 * The time has come that this step waits for. `undefined` when the run's status does not allow it.
 *
 * @param fraction random in [0, 1), for the backoff's jitter
 */
export function wake(
  graph: Graph,
  run: RunState,
  index: number,
  nowMs: number,
  fraction: number,
): Transition | undefined {
  const step = run.steps[index];
  const graphStep = graph.steps[index];
  if (step?.status !== "waiting" || graphStep === undefined) return undefined;
  if (!allowsStepMove("wake", run.status, step.status)) return undefined;
  const next = afterWait(graph, run, index, graphStep, step, nowMs, fraction);
  return next === undefined ? undefined : transitionTo(run, next);
}

/** Settled, once: a second look at the same image would end a run that has only begun to unwind. */
function afterWait(
  graph: Graph,
  run: RunState,
  index: number,
  graphStep: GraphStep,
  step: WaitingStep,
  nowMs: number,
  fraction: number,
): RunState | undefined {
  switch (graphStep.kind) {
    case "signal":
      return settle(graph, afterTimeout(graph, run, index, graphStep, step, nowMs), nowMs);
    case "sleep":
      return settle(graph, withOutput(run, index, ended(step, "succeeded", nowMs), nothing), nowMs);
    case "callback":
      return waitedInVain(graph, run, index, graphStep, step, nowMs, fraction);
    case "step":
    case "child":
    case "map":
    case "shard":
      return undefined;
  }
}

function afterTimeout(
  graph: Graph,
  run: RunState,
  index: number,
  signal: SignalStep,
  step: WaitingStep,
  nowMs: number,
): RunState {
  switch (signal.onTimeout.then) {
    case "value":
      return withOutput(run, index, ended(step, "succeeded", nowMs), { json: signal.onTimeout.json });
    case "skip":
      return withStep(run, index, ended(step, "skipped", nowMs));
    case "fail":
      return withFailure(graph, withStep(run, index, ended(step, "failed", nowMs)), index, signalTimeout(signal));
  }
}

/** The error of a signal that did not come in time: derived, not stored. */
export function signalTimeout({ id, waitMs = 0 }: SignalStep): RunError {
  return { name: "SignalTimeout", message: `No signal "${id}" came within ${waitMs / 1_000} s.`, step: id };
}

/** The output of a step that has none. */
export const nothing: PayloadRef = { json: "" };

function ended(step: WaitingStep, status: EndedStep["status"], nowMs: number): EndedStep {
  return { status, attempt: step.attempt, startedAtMs: step.sinceMs, endedAtMs: Math.max(nowMs, step.sinceMs) };
}
