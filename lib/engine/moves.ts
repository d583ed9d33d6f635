/**
 * The one table of allowed moves (R1, R2). Every decision asks it before it builds a transition, and every guard is
 * built from what it says. What is not here is refused: `test/engine/moves.test.ts` tries every pair.
 */
import type { RunStatus, StepStatus } from "./run-state.ts";
import type { Track } from "./track.ts";

/**
 * Moves of a run that are asked for, and the statuses they start from. (The others follow from its steps: see
 * `settle`. A running run unwinds, succeeds or fails; an unwinding one ends as what it unwinds to.)
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

/** When somebody may begin to wait for the run's end, or wait for longer. It is no move: what the run does stays as it was. */
export const awaitable = ["running", "paused", "unwinding"] as const satisfies readonly RunStatus[];

interface Moves {
  readonly from: readonly StepStatus[];
  readonly during: readonly RunStatus[];
}

/** Moves of a step: from which of its statuses, and in which statuses of its run. */
export const stepMoves = {
  /** First attempt, next attempt, or the attempt after one whose lease has expired. */
  claim: { from: ["pending", "backing_off", "running"], during: ["running"] },
  renew: { from: ["running"], during: ["running", "paused", "unwinding"] },
  succeed: { from: ["running"], during: ["running", "paused", "unwinding"] },
  fail: { from: ["running"], during: ["running", "paused", "unwinding"] },
  /** By an attempt that began without a claim, whose run waits for nothing that it does not know of. */
  endUnclaimed: { from: ["pending", "backing_off"], during: ["running", "paused"] },
  /** Wait for the next attempt. An unwinding run makes no further attempts: the failure is then the last. */
  backOff: { from: ["running"], during: ["running", "paused"] },
  /** Wait for the start time that the step's code computed, or give back an attempt that a shutdown interrupted. */
  defer: { from: ["running"], during: ["running", "paused"] },
  skip: { from: ["running"], during: ["running", "paused", "unwinding"] },
  /** Wait for a signal, an answer or a time, without a worker. */
  wait: { from: ["running"], during: ["running", "paused"] },
  /** Wait for a run that the step has started: also while its own run unwinds, which then waits for that end. */
  waitForChild: { from: ["running"], during: ["running", "paused", "unwinding"] },
  /** Take a signal, or keep it until the step waits for it. */
  signal: { from: ["pending", "running", "backing_off", "waiting"], during: ["running", "paused"] },
  /** The time that the step waited for has come. */
  wake: { from: ["waiting"], during: ["running"] },
  /** Go on with the answer to the question that the step is parked on. */
  answer: { from: ["waiting"], during: ["running", "paused"] },
  /** The holder of the task token is alive: its wait goes on for longer. */
  prolong: { from: ["waiting"], during: ["running", "paused"] },
  /** By whoever holds the attempt's task token, or by the step's child run; while its code runs, or after. */
  endFromOutside: { from: ["running", "waiting"], during: ["running", "paused", "unwinding"] },
  /** The engine cannot handle the step's message, however often it is delivered. */
  giveUp: { from: ["pending", "running", "backing_off", "waiting"], during: ["running", "paused", "unwinding"] },
  /** Its worker was lost while the run was ending. */
  markUnknown: { from: ["running"], during: ["unwinding"] },
  /** End as succeeded or skipped by hand, as part of a redrive. */
  endByHand: { from: ["failed", "unknown", "cancelled"], during: ["failed", "timed_out", "cancelled"] },
} as const satisfies Record<string, Moves>;

export type StepMove = keyof typeof stepMoves;

/** Moves of a step's undoing: only while the run unwinds. What is not here it does not do. */
export const undoMoves = {
  claim: { from: ["pending", "backing_off", "running"], during: ["unwinding"] },
  renew: { from: ["running"], during: ["unwinding"] },
  succeed: { from: ["running"], during: ["unwinding"] },
  fail: { from: ["running"], during: ["unwinding"] },
  backOff: { from: ["running"], during: ["unwinding"] },
  defer: { from: ["running"], during: ["unwinding"] },
  giveUp: { from: ["pending", "running", "backing_off"], during: ["unwinding"] },
} as const satisfies Partial<Record<StepMove, Moves>>;

export function allowsRunMove(move: RunMove, status: RunStatus): boolean {
  return (runMoves[move] as readonly RunStatus[]).includes(status);
}

export function allowsStepMove(move: StepMove, run: RunStatus, step: StepStatus, track: Track = "step"): boolean {
  const moves: Partial<Record<StepMove, Moves>> = track === "step" ? stepMoves : undoMoves;
  const allowed = moves[move];
  return allowed !== undefined && allowed.from.includes(step) && allowed.during.includes(run);
}
