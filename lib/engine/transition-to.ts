/**
 * From a decided state to the one conditional write that brings it about. The guard follows from the decision: the
 * run's status and epoch, and the former state of each step that changes. Steps that have ended need no condition,
 * because within an epoch nothing changes them.
 */
import { encodeRun, field } from "./codec.ts";
import { type EndedStep, isTerminal, type PayloadRef, type RunState, type StepState } from "./run-state.ts";
import { encodeStep } from "./step-codec.ts";
import { fieldOn, lengthOn, stateOn, type Track, tracks, withState } from "./track.ts";
import type { Condition, Transition } from "./transition.ts";

export function transitionTo(run: RunState, next: RunState, also: readonly Condition[] = []): Transition {
  const guard: Condition[] = [
    { field: field.status, is: "equal", value: run.status },
    { field: field.epoch, is: "equal", value: run.epoch },
  ];
  for (const track of tracks) {
    if (areSame(track, run, next)) continue;
    const count = Math.max(lengthOn(track, run), lengthOn(track, next));
    for (let index = 0; index < count; index++) {
      const before = stateOn(track, run, index);
      if (before !== stateOn(track, next, index)) guard.push(stepIs(index, before, track));
    }
  }
  // Its own end sets no expiry, because it goes with another run: which may be removed, and leave it its own, just now.
  const endsWithoutExpiry = isTerminal(next.status) && next.status !== run.status && run.retentionMs === undefined;
  if (endsWithoutExpiry) guard.push({ field: field.retention, is: "absent" });
  guard.push(...also);
  const remove = [
    ...(run.pause !== undefined && next.pause === undefined ? [field.pause] : []),
    ...(run.slot?.status === "wanted" && next.slot?.status === "held" ? [field.slotWanted] : []),
  ];
  return {
    guard,
    set: encodeRun(next, run),
    ...(remove.length === 0 ? {} : { remove }),
    // Added, not set: the number of a status change is the id of its lifecycle event, and no two may share one (R9).
    ...(run.status === next.status ? {} : { add: { [field.changes]: 1 } }),
  };
}

function areSame(track: Track, run: RunState, next: RunState): boolean {
  return track === "step" ? run.steps === next.steps : run.undos === next.undos;
}

export function stepIs(index: number, state: StepState | undefined, track: Track = "step"): Condition {
  return state === undefined
    ? { field: fieldOn(track, index), is: "absent" }
    : { field: fieldOn(track, index), is: "equal", value: encodeStep(state) };
}

export function withStep(run: RunState, index: number, state: StepState): RunState {
  return withState("step", run, index, state);
}

/** The list with this value there; it may grow. */
export function withAt<T>(list: readonly (T | undefined)[], index: number, value: T): (T | undefined)[] {
  const copy = [...list];
  copy[index] = value;
  return copy;
}

export function withOutput(run: RunState, index: number, step: StepState, output: PayloadRef): RunState {
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
