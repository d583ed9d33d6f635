/**
 * The one table of allowed moves (R1, R2). Every decision asks it before it builds a transition, and every guard is
 * built from what it says. What is not here is refused: `test/engine/moves.test.ts` tries every pair.
 */
import type { RunStatus, StepStatus } from "./run-state.ts";

/**
 * Moves of a run that are asked for, and the statuses they start from. (The others follow from its steps: see
 * `settle`. A running run unwinds, succeeds or fails; an unwinding one fails.)
 */
export const runMoves = {
  pause: ["running"],
  resume: ["paused"],
  cancel: ["running", "paused"],
  timeOut: ["running", "paused"],
  /** End at once, also while the run unwinds. */
  terminate: ["running", "paused", "unwinding"],
  /** Go on from the failed steps, in a new epoch: the only move that leaves an end. */
  redrive: ["failed", "timed_out", "cancelled"],
} as const satisfies Record<string, readonly RunStatus[]>;

export type RunMove = keyof typeof runMoves;

/** Moves of a step: from which of its statuses, and in which statuses of its run. */
export const stepMoves = {
  /** First attempt, next attempt, or the attempt after one whose lease has expired. */
  claim: { from: ["pending", "backing_off", "running"], during: ["running"] },
  renew: { from: ["running"], during: ["running", "paused", "unwinding"] },
  succeed: { from: ["running"], during: ["running", "paused", "unwinding"] },
  fail: { from: ["running"], during: ["running", "paused", "unwinding"] },
  /** Wait for the next attempt. An unwinding run makes no further attempts: the failure is then the last. */
  backOff: { from: ["running"], during: ["running", "paused"] },
  /** Wait for the start time that the step's code computed, or give back an attempt that a shutdown interrupted. */
  defer: { from: ["running"], during: ["running", "paused"] },
  skip: { from: ["running"], during: ["running", "paused", "unwinding"] },
  /** Wait for a signal or a time, without a worker. */
  wait: { from: ["running"], during: ["running", "paused"] },
  /** Wait for a run that the step has started: also while its own run unwinds, which then waits for that end. */
  waitForChild: { from: ["running"], during: ["running", "paused", "unwinding"] },
  /** Take a signal, or keep it until the step waits for it. */
  signal: { from: ["pending", "running", "backing_off", "waiting"], during: ["running", "paused"] },
  /** The time that the step waited for has come. */
  wake: { from: ["waiting"], during: ["running"] },
  /** By whoever holds the attempt's task token, or by the step's child run; while its code runs, or after. */
  endFromOutside: { from: ["running", "waiting"], during: ["running", "paused", "unwinding"] },
  /** The engine cannot handle the step's message, however often it is delivered. */
  giveUp: { from: ["pending", "running", "backing_off", "waiting"], during: ["running", "paused", "unwinding"] },
  /** Its worker was lost while the run was ending. */
  markUnknown: { from: ["running"], during: ["unwinding"] },
} as const satisfies Record<string, { from: readonly StepStatus[]; during: readonly RunStatus[] }>;

export type StepMove = keyof typeof stepMoves;

export function allowsRunMove(move: RunMove, status: RunStatus): boolean {
  return (runMoves[move] as readonly RunStatus[]).includes(status);
}

export function allowsStepMove(move: StepMove, run: RunStatus, step: StepStatus): boolean {
  const { from, during } = stepMoves[move];
  return (from as readonly StepStatus[]).includes(step) && (during as readonly RunStatus[]).includes(run);
}
