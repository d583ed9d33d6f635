/**
 * From a decided state to the one conditional write that brings it about. The guard follows from the decision: the
 * run's status and epoch, and the former state of each step that changes. Steps that have ended need no condition,
 * because within an epoch nothing changes them.
 */
import { encodeRun, encodeStep, field } from "./codec.ts";
import type { EndedStep, PayloadRef, RunState, StepState } from "./run-state.ts";
import type { Condition, Transition } from "./transition.ts";

export function transitionTo(run: RunState, next: RunState, also: readonly Condition[] = []): Transition {
  const guard: Condition[] = [
    { field: field.status, is: "equal", value: run.status },
    { field: field.epoch, is: "equal", value: run.epoch },
  ];
  const count = Math.max(run.steps.length, next.steps.length);
  for (let index = 0; index < count; index++) {
    const before = run.steps[index];
    if (before !== next.steps[index]) guard.push(stepIs(index, before));
  }
  guard.push(...also);
  return {
    guard,
    set: encodeRun(next, run),
    ...(run.pause !== undefined && next.pause === undefined ? { remove: [field.pause] } : {}),
    // Added, not set: the number of a status change is the id of its lifecycle event, and no two may share one (R9).
    ...(run.status === next.status ? {} : { add: { [field.changes]: 1 } }),
  };
}

export function stepIs(index: number, state: StepState | undefined): Condition {
  return state === undefined
    ? { field: field.step(index), is: "absent" }
    : { field: field.step(index), is: "equal", value: encodeStep(state) };
}

export function withStep(run: RunState, index: number, state: StepState): RunState {
  return { ...run, steps: withAt(run.steps, index, state) };
}

/** The list with this value there; it may grow. */
export function withAt<T>(list: readonly (T | undefined)[], index: number, value: T): (T | undefined)[] {
  const copy = [...list];
  copy[index] = value;
  return copy;
}

export function withOutput(run: RunState, index: number, step: EndedStep, output: PayloadRef): RunState {
  return { ...withStep(run, index, step), outputs: withAt(run.outputs, index, output) };
}

export function endedStep(
  step: Pick<EndedStep, "attempt" | "startedAtMs">,
  status: EndedStep["status"],
  nowMs: number,
): EndedStep {
  const { attempt, startedAtMs } = step;
  return { status, attempt, startedAtMs, endedAtMs: Math.max(nowMs, startedAtMs) };
}
