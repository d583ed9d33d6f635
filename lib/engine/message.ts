/**
 * What travels on a queue. A step message carries everything that its claim needs, so that claiming costs no read.
 * `lib/runtime/message-codec.ts` is its form on the wire.
 */

import { limits } from "../definition/limits.ts";

/** Version of messages. Older functions, which run beside newer ones for a while, keep what they cannot read for those. */
export const messageVersion = 1;

interface MessageBase {
  /** Version of this shape. */
  readonly v: typeof messageVersion;
  readonly runId: string;
  readonly workflow: string;
  readonly fingerprint: string;
  /** Messages of an older epoch than the run's bounce (R7). */
  readonly epoch: number;
  /** When the message was built, in ms since 1970, by its sender's clock. */
  readonly sentAtMs: number;
  /** How many messages in a row, up to this one, were sent at once although nothing had been written. Absent: none. */
  readonly hops?: number;
}

/** Run this attempt of this step, or of its undoing. */
export interface StepMessage extends MessageBase {
  readonly kind: "step" | "undo";
  /** Index of the step in the graph that the run is pinned to. */
  readonly step: number;
  /** The attempt that this message may claim, from 1. */
  readonly attempt: number;
  /** Present when the message is a timer: it may claim only a step that waits for exactly this time. */
  readonly wakeAtMs?: number;
  /** The attempts before may have taken effect although none succeeded: the claim relies on it and passes it on. */
  readonly mayHaveActed?: true;
}

/** Look at the run and send whatever should be in flight. Armed by everyone who changes a run from outside. */
export interface NudgeMessage extends MessageBase {
  readonly kind: "nudge";
}

/** The run's timeout. */
export interface DeadlineMessage extends MessageBase {
  readonly kind: "deadline";
}

/**
 * The run that this step started may have ended: if so, that is the end of the step's attempt. The run that is named is
 * the parent.
 */
export interface ChildEndedMessage extends MessageBase {
  readonly kind: "childEnded";
  readonly step: number;
}

/** This run, the parent, ends without success, and with it the run that this step started. */
export interface EndChildMessage extends MessageBase {
  readonly kind: "endChild";
  readonly step: number;
}

/** Ask for the run's slot, or give it back when the run has ended. */
export interface SlotMessage extends MessageBase {
  readonly kind: "slot";
}

export type Message = StepMessage | NudgeMessage | DeadlineMessage | SlotMessage | ChildEndedMessage | EndChildMessage;

/**
 * Whether the run of a message that is not there may still come: a start arms its messages first. What says that it was
 * sent in the future, beyond what clocks may differ, waits for nothing.
 */
export function mayPrecedeRun({ sentAtMs }: Pick<Message, "sentAtMs">, nowMs: number): boolean {
  const ageMs = nowMs - sentAtMs;
  return ageMs >= -limits.clockSkewMs && ageMs <= limits.startGraceMs;
}

/** A message and where and when it is to be delivered. */
export interface OutgoingMessage {
  readonly taskQueue: string;
  readonly message: Message;
  /** Not delivered before this many ms have passed; 0 is at once. Any length: the adapter picks queue or scheduler. */
  readonly delayMs: number;
}
