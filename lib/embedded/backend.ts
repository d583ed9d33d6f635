/**
 * What the embedded engine needs from its storage: the runtime's ports, and the receiving side of the queue.
 * Two variants implement it, in memory and on one SQLite file; `test/contract` holds them to the same meaning (R10).
 */
import type { Fields } from "../engine/transition.ts";
import type { Clock, Logger, MessageQueue, OpenRuns, RunStore } from "../runtime/ports.ts";
import type { RunIndex } from "../runtime/run-index.ts";
import type { Secrets } from "./secrets.ts";

/** Everything one process needs to store runs and to pass messages to itself. */
export interface EmbeddedBackend extends RunStore, MessageQueue, MessageSource, Secrets {
  readonly openRuns: OpenRuns;
  readonly runIndex: RunIndex;
  readonly expiry: Expiry;
  readonly keptChanges: KeptChanges;
  readonly runTallies: RunTallies;
  /** The earliest due time of all messages, in flight ones included (their visibility ends then). May lie in the past. */
  nextDueAtMs(): number | undefined;
  /** Calls back when a message may have become due earlier than before. Returns what ends the subscription. */
  onMessage(listener: () => void): () => void;
  /** Calls back after each committed write of a run, in commit order. Returns what ends the subscription. */
  onChange(listener: (change: RunChange) => unknown): () => void;
  /**
   * To be called once at start-up, before the first receive. Whatever was in flight is visible at once, and a message
   * that was scheduled in the future, by a clock that has been set back since, waits at most its own delay from now.
   */
  recover(): Promise<void>;
  /** Finishes the writes that were asked for and closes. Everything after that is refused. */
  close(): Promise<void>;
}

/** A committed write of a run. */
export interface RunChange {
  readonly runId: string;
  readonly before: Fields | undefined;
  readonly after: Fields;
}

/**
 * Called in the transaction of each write of a record, with the record before and after it: what it stores becomes durable
 * with the write, or not at all. `before` is `undefined` for a new record, `after` for one that has been removed.
 */
export type KeepChange = (runId: string, before: Fields | undefined, after: Fields | undefined) => void;

/** What somebody outside is still to be told of. */
export interface KeptChanges {
  /** From now on, keeps what this says of a change, in the transaction that makes it. */
  keep(note: (...change: Parameters<KeepChange>) => string | undefined): void;
  /** Those kept first, in front. */
  oldest(limit: number): Promise<readonly KeptChange[]>;
  drop(id: number): Promise<void>;
}

export interface KeptChange {
  readonly id: number;
  /** What was said of it. */
  readonly json: string;
}

/** Sums that somebody keeps of each run, by names of their own. They go when the run goes. */
export interface RunTallies {
  /** From now on sums are kept, and this is called in the transaction of each write of a run. */
  keep(watch: KeepChange): void;
  /** What is added while `watch` is told of a write of the run is stored with it, or not at all; else with the next commit. */
  add(runId: string, amounts: Amounts): void;
  /** As stored; `undefined` when there is no such run, or nothing was counted of it. */
  of(runId: string): Promise<RunTally | undefined>;
}

export type Amounts = Readonly<Record<string, number>>;

export interface RunTally {
  /** Of the run and of all runs that it has started. */
  readonly amounts: Amounts;
  /** So many runs these are. */
  readonly runs: number;
  /** Whether sums were kept all the time since they began. */
  readonly isWhole: boolean;
}

/** When runs expire. */
export interface Expiry {
  /** Of the run that expires first after this time; `undefined` when none does. */
  nextAtMs(afterMs: number): Promise<number | undefined>;
  /** Runs that have expired by then, those that did so first in front. */
  expired(untilMs: number, limit: number): Promise<readonly string[]>;
  /** Those whose retention counts from later than this: the clock has been set back since they ended. */
  endedAfter(timeMs: number, limit: number): Promise<readonly string[]>;
  /** Runs that are gone, as they were, and whose removal has not come to its end: see `RunStore.removeRest`. */
  removals(limit: number): Promise<readonly { readonly runId: string; readonly fields: Fields }[]>;
}

/** The receiving side of a queue. */
export interface MessageSource {
  /** Up to `max` due messages in about the order of their due times. Each stays invisible for `visibilityMs`. */
  receive(max: number, visibilityMs: number): Promise<readonly ReceivedMessage[]>;
  /** Removes the message. `false`, and nothing happens, when the receipt is unknown or stale. */
  acknowledge(receipt: string): Promise<boolean>;
  /**
   * Gives the message back, to be visible after the delay. `"failed"` adds one to its failures.
   * `false`, and nothing happens, when the receipt is unknown or stale.
   */
  redeliver(receipt: string, delayMs: number, because?: "asked" | "failed"): Promise<boolean>;
  /** Moves the message to the dead letters. `false`, and nothing happens, when the receipt is unknown or stale. */
  deadLetter(receipt: string, reason: string): Promise<boolean>;
  /** Keeps the message invisible for so long from now. `false`, and nothing happens, when the receipt is unknown or stale. */
  extend(receipt: string, visibleInMs: number): Promise<boolean>;
  /** The newest dead letters, newest first. */
  deadLetters(limit: number): Promise<readonly DeadLetter[]>;
}

/** One delivery of a message. */
export interface ReceivedMessage {
  /** Names this delivery. It goes stale when the message has been given back, or received again. */
  readonly receipt: string;
  /** The parsed JSON, or the stored text when it is no JSON: the receiver trusts neither. */
  readonly body: unknown;
  /** How often the message has been received, this time included. A receive that a crash cut short may be missing. */
  readonly receiveCount: number;
  /** How often it was given back as failed. */
  readonly failures: number;
}

/** A message that could not be handled. The newest 10,000 are kept. */
export interface DeadLetter {
  readonly taskQueue: string;
  readonly body: unknown;
  readonly reason: string;
  readonly receiveCount: number;
  readonly deadAtMs: number;
}

export interface BackendOptions {
  readonly clock: Pick<Clock, "now">;
  readonly logger: Logger;
}

/** Runs on one page of those that are open. */
export const openRunsPerPage = 500;

/** Dead letters kept; older ones make room. SQS bounds them by time instead, at 14 days. */
export const deadLettersKept = 10_000;
