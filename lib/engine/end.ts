/**
 * The end of a run, however it comes about, and the time from which on it may be deleted.
 *
 * Invariants:
 * 1. A run that has not ended has no expiry. The write that ends it sets one, unless it belongs to another run and goes
 *    with that one, and is refused when it no longer does; a redrive takes it away in the write that begins the new epoch.
 * 2. A clock that is behind deletes nothing early: the run is kept for its retention after everything else that it tells
 *    the time of, too. One that is ahead makes no run immortal: whoever sees an expiry that no honest clock could have set
 *    corrects it (`correctExpiry`).
 */
import { limits } from "../definition/limits.ts";
import { field } from "./codec.ts";
import { isTerminal, type RunState, type TerminalStatus } from "./run-state.ts";
import type { Condition, Transition } from "./transition.ts";

export type End = Pick<RunState, "endedAtMs" | "expiresAtMs"> & { readonly status: TerminalStatus };

export function endOf(run: RunState, status: TerminalStatus, nowMs: number): End {
  const endedAtMs = Math.max(nowMs, run.createdAtMs);
  const { retentionMs, redrivenAtMs = 0, turnedAtMs = 0 } = run;
  if (retentionMs === undefined) return { status, endedAtMs };
  return { status, endedAtMs, expiresAtMs: wholeSecond(Math.max(endedAtMs, redrivenAtMs, turnedAtMs) + retentionMs) };
}

/** Stores keep the expiry in seconds, and nothing goes before its time. */
function wholeSecond(timeMs: number): number {
  return Math.ceil(timeMs / 1000) * 1000;
}

/**
 * An expiry that is further ahead than a run that ends now could have: the clock of whoever ended it was ahead. It begins
 * to count now. `undefined` when there is nothing to correct.
 */
export function correctExpiry(run: RunState, nowMs: number): Transition | undefined {
  const { expiresAtMs, retentionMs } = run;
  if (expiresAtMs === undefined || retentionMs === undefined) return undefined;
  if (expiresAtMs <= wholeSecond(nowMs + retentionMs + limits.clockSkewMs)) return undefined;
  return {
    guard: [...asItIs(run), { field: field.expiresAt, is: "equal", value: expiresAtMs / 1000 }],
    set: { [field.expiresAt]: wholeSecond(nowMs + retentionMs) / 1000 },
  };
}

/** What whoever removes a run that has ended relies on: nothing else of it can change. */
export function asItIs({ status, epoch }: RunState): readonly Condition[] {
  return [
    { field: field.status, is: "equal", value: status },
    { field: field.epoch, is: "equal", value: epoch },
  ];
}

/**
 * A run that has lost the one it belonged to, and goes on: it expires by itself after its end. `undefined` when it will
 * already, or has ended.
 */
export function retain(run: RunState, retentionMs: number): Transition | undefined {
  if (run.retentionMs !== undefined || isTerminal(run.status)) return undefined;
  return { guard: asItIs(run), set: { [field.retention]: retentionMs } };
}
