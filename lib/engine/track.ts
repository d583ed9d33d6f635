/**
 * A step and its undoing run alike: both are claimed, leased, tried again and taken over. A track says which is meant;
 * everything that handles attempts takes one, so that there is one delivery rule and not two.
 */
import type { GraphStep, RetryPolicy } from "../definition/graph.ts";
import { field } from "./codec.ts";
import type { StepMessage } from "./message.ts";
import type { RunState, RunStatus, StepState } from "./run-state.ts";

export type Track = StepMessage["kind"];

export const tracks = ["step", "undo"] as const satisfies Track[];

/** An attempt that a worker has claimed. */
export interface Attempt {
  readonly track: Track;
  readonly step: number;
  readonly attempt: number;
  readonly owner: string;
  /** Details of its last heartbeat, as JSON. */
  readonly heartbeat?: string;
  /** Of an attempt that began without a claim. */
  readonly unclaimed?: Unclaimed;
}

/** What an attempt without a claim relies on: nothing in the run says that it is under way. */
export interface Unclaimed {
  readonly sinceMs: number;
  readonly epoch: number;
  /** Another run may have come to this id since. */
  readonly runCreatedAtMs: number;
  /** The step as it was, and what it had asked people, as they are stored. */
  readonly before: string | undefined;
  readonly asked: string | undefined;
}

export function stateOn(track: Track, run: RunState, index: number): StepState | undefined {
  return (track === "step" ? run.steps : run.undos)[index];
}

export function lengthOn(track: Track, run: RunState): number {
  return (track === "step" ? run.steps : run.undos).length;
}

export function withState(track: Track, run: RunState, index: number, state: StepState): RunState {
  const states = [...(track === "step" ? run.steps : run.undos)];
  states[index] = state;
  return track === "step" ? { ...run, steps: states } : { ...run, undos: states };
}

export function fieldOn(track: Track, index: number): string {
  return track === "step" ? field.step(index) : field.undo(index);
}

/** `undefined` when the step has nothing that undoes it. */
export function policyOn(track: Track, step: GraphStep): RetryPolicy | undefined {
  return track === "step" ? step.retry : step.compensate?.retry;
}

/** In which its attempts may begin. */
export function statusOn(track: Track): RunStatus {
  return track === "step" ? "running" : "unwinding";
}
