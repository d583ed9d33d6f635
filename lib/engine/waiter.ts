/**
 * Who waits for the end of a run, and is told of it: one write registers a waiter on a run that has not ended, and shows
 * one that has. There is no moment between the two at which the end could be missed.
 *
 * Invariants:
 * 1. A waiter changes nothing of what the run does: no decision looks at waiters, and no other write touches them.
 * 2. Whoever brings a run to its end sees all of its waiters in what that write returns: none registers afterwards.
 * 3. They are told once at least. A redrive forgets them, so whoever asks for it tells them first.
 */
import { limits } from "../definition/limits.ts";
import { encodeUntil, field } from "./codec.ts";
import { awaitable } from "./moves.ts";
import { isTerminal, type RunState, type RunStatus } from "./run-state.ts";
import type { Condition, Transition } from "./transition.ts";

/** What a waiter is told. The run itself says the rest. */
export interface Notice {
  /** Version of this shape. */
  readonly v: 1;
  readonly runId: string;
  readonly status: RunStatus;
  /** Of the run when it ended, or was parked: a notice of a former one says nothing about this. */
  readonly epoch: number;
  /** It has not ended: it cannot go on with the code that is there, and waits for a person. */
  readonly parked?: true;
}

/** An effect, like a message: sent after the write that it follows from, and again by whoever may be the second. */
export interface Reply {
  /** Id of the reply queue. */
  readonly replyTo: string;
  readonly notice: Notice;
}

export type WaiterVerdict =
  | { readonly kind: "write"; readonly transition: Transition }
  /** It is registered for that long or longer: by this very write, whose answer was lost, or by one before. */
  | { readonly kind: "registered" }
  /** The image is the answer. */
  | { readonly kind: "ended" }
  /** As many as are allowed wait already. */
  | { readonly kind: "full" };

const isOpen: Condition = { field: field.status, is: "oneOf", values: awaitable };

/** Of a run that was not read: what the write returns, or is refused with, is the run. */
export function registerWaiter(replyTo: string, untilMs: number): Transition {
  return {
    guard: [
      isOpen,
      { field: field.waiter(replyTo), is: "absent" },
      { field: field.waiters, is: "below", value: limits.waiters },
    ],
    set: { [field.waiter(replyTo)]: encodeUntil(untilMs) },
    add: { [field.waiters]: 1 },
  };
}

/** After a refusal: what follows from the run as it is. */
export function reconsiderWaiter(run: RunState, replyTo: string, untilMs: number, nowMs: number): WaiterVerdict {
  if (isTerminal(run.status)) return { kind: "ended" };
  const { waiters = {} } = run;
  const beforeMs = waiters[replyTo];
  if (beforeMs !== undefined) return beforeMs >= untilMs ? { kind: "registered" } : prolong(replyTo, beforeMs, untilMs);
  const count = Object.keys(waiters).length;
  if (count < limits.waiters) return { kind: "write", transition: registerWaiter(replyTo, untilMs) };
  const over = Object.entries(waiters).filter(([, until]) => isOver(until, nowMs));
  return over.length === 0 ? { kind: "full" } : replace(replyTo, untilMs, over, count);
}

/** Another wait of the same process, for longer. */
function prolong(replyTo: string, beforeMs: number, untilMs: number): WaiterVerdict {
  const name = field.waiter(replyTo);
  const guard: Condition[] = [isOpen, { field: name, is: "equal", value: encodeUntil(beforeMs) }];
  return { kind: "write", transition: { guard, set: { [name]: encodeUntil(untilMs) } } };
}

/** Those whose time is over make room. */
function replace(
  replyTo: string,
  untilMs: number,
  over: readonly (readonly [string, number])[],
  count: number,
): WaiterVerdict {
  const guard: Condition[] = [
    isOpen,
    { field: field.waiter(replyTo), is: "absent" },
    { field: field.waiters, is: "equal", value: count },
    ...over.map(([other, until]): Condition => {
      return { field: field.waiter(other), is: "equal", value: encodeUntil(until) };
    }),
  ];
  const transition = {
    guard,
    set: { [field.waiter(replyTo)]: encodeUntil(untilMs) },
    remove: over.map(([other]) => field.waiter(other)),
    add: { [field.waiters]: 1 - over.length },
  };
  return { kind: "write", transition };
}

/** By the clock of whoever looks, which may differ from the waiter's. */
function isOver(untilMs: number, nowMs: number): boolean {
  return untilMs + limits.clockSkewMs < nowMs;
}

/** Whether the run waits for a person because it cannot go on with the code that is there. */
export function isParked({ status, pause }: Pick<RunState, "status" | "pause">): boolean {
  return status === "paused" && pause !== undefined && pause.code !== "requested";
}

/** What waiters are to be told now: that the run has ended, or is parked. Nothing of a run that goes on. */
export function repliesDue(run: RunState, nowMs: number): Reply[] {
  const { runId, status, epoch, waiters } = run;
  const parked = isParked(run);
  if (waiters === undefined || !(parked || isTerminal(status))) return [];
  const notice: Notice = { v: 1, runId, status, epoch, ...(parked ? { parked } : {}) };
  return Object.entries(waiters)
    .filter(([, untilMs]) => !isOver(untilMs, nowMs))
    .map(([replyTo]) => ({ replyTo, notice }));
}

/** All fields that are about waiters. */
export function waiterFields({ waiters }: RunState): string[] {
  return waiters === undefined ? [] : [field.waiters, ...Object.keys(waiters).map(field.waiter)];
}
