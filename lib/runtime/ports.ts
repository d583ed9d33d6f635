/**
 * Everything the runtime needs from the outside. `lib/embedded` and `lib/aws` implement these; one contract suite
 * (`test/contract`) runs on all of them (R10). Conflicts are returned, never thrown: a port throws only when its
 * backend fails, and then the message that was being handled is delivered again.
 */
import type { OutgoingMessage } from "../engine/message.ts";
import type { Condition, Fields, Transition } from "../engine/transition.ts";
import type { Reply } from "../engine/waiter.ts";

export type { OutgoingMessage, Reply };

/** What a conditional write answers. A refusal brings the run as it is; `undefined` when there is none. */
export type WriteResult =
  | { readonly applied: true; readonly fields: Fields }
  | { readonly applied: false; readonly fields: Fields | undefined };

/** Ids that are barred (`engine/barred.ts`) have no run: what is stored there is shown to nobody, and is no change of a run. */
export interface RunStore {
  /**
   * One atomic conditional write (R1). Also creates runs: its guard then says that the status is absent.
   *
   * @param told "soon": who asks tells nobody outside of it, nor calls user code, before another write that is not "soon".
   *   Until then a power cut may take it back, with all that was written after it. @default "now"
   */
  update(runId: string, transition: Transition, told?: "now" | "soon"): Promise<WriteResult>;
  /**
   * Deletes the run, when the conditions hold, and then everything that is stored beside it. Whoever dies in between leaves
   * the rest to `removeRest`. `false`: they do not hold, or there is no run. What bars an id is deleted in the same way.
   */
  remove(runId: string, guard: readonly Condition[]): Promise<boolean>;
  /**
   * Deletes what is stored beside a run that is gone, and ends its removal: nothing is left to be remembered of it. A
   * repeat changes nothing, and neither does a call for a run that is there.
   */
  removeRest(runId: string): Promise<void>;
  /** The run as of the last write that was acknowledged before this call (a consistent read). */
  get(runId: string): Promise<Fields | undefined>;
  /** The run and what is stored beside it, in one read, for whoever shows it. Large payloads are not read. */
  load(runId: string): Promise<LoadedRun | undefined>;
  /**
   * Stores a payload of a run beside it. A key is only ever written with one content, so a repeat changes nothing.
   * (Errors of one attempt that nobody claimed may be two: each tells how it failed.)
   */
  putPayload(runId: string, key: string, json: string): Promise<void>;
  /** The payloads found; keys that do not exist are missing from the map. */
  getPayloads(runId: string, keys: readonly string[]): Promise<ReadonlyMap<string, string>>;
  /** Keeps a graph under its fingerprint, so that runs go on with the graph they began with. A repeat changes nothing. */
  putGraph(workflow: string, fingerprint: string, json: string): Promise<void>;
  getGraph(workflow: string, fingerprint: string): Promise<string | undefined>;
}

export interface LoadedRun extends StoredPayloads {
  readonly fields: Fields;
}

export interface StoredPayloads {
  /** Those of up to `limits.shownPayloadBytes` bytes of UTF-8, by key. */
  readonly payloads: ReadonlyMap<string, string>;
  /** Bytes of those above it, by key. */
  readonly larger: ReadonlyMap<string, number>;
}

/** Holds the texts that are too large for an item of the store. `withBlobs` puts it under one. */
export interface BlobStore {
  /** Resolves when the text is safely stored. A key is only ever written with one content, so a repeat changes nothing. */
  put(key: string, text: string): Promise<void>;
  /** `undefined` when there is none. Whether it is what was put is for the caller to check. */
  get(key: string): Promise<string | undefined>;
  /** Deletes the blobs of a run: those whose keys begin with its id and `/`. */
  removeAll(runId: string): Promise<void>;
}

/** Finds runs that have not ended, for the audit. */
export interface OpenRuns {
  /**
   * Some of them, in no particular order. May lag behind: a run that has just begun may be missing, and one that has
   * just ended may still be named.
   *
   * @param cursor where the page before ended; `undefined` for the first
   * @returns `cursor: undefined` when there are no more
   */
  page(
    cursor: string | undefined,
  ): Promise<{ readonly runIds: readonly string[]; readonly cursor: string | undefined }>;
}

export interface MessageQueue {
  /** Resolves when every message is safely stored. At-least-once delivery, in no particular order. */
  send(messages: readonly OutgoingMessage[]): Promise<void>;
}

/** Tells processes that wait for the ends of runs. */
export interface Replies {
  /** Resolves when all are sent. A queue that is gone is no error: nobody waits there any more. */
  send(replies: readonly Reply[]): Promise<void>;
}

/** What one process waits at, for the ends of any number of runs. */
export interface ReplyQueue {
  /** What `Reply.replyTo` names it by. */
  readonly id: string;
  /**
   * The notices that have come, as they came off the wire; waits for some time when there are none. What is returned comes
   * again only by way of exception. A request that is aborted may take a notice with it, which is then late.
   *
   * @param atMostMs the longest time that it makes sense to wait
   * @returns `undefined` when the queue is gone
   * @throws when it is aborted, or the backend fails
   */
  receive(atMostMs: number, signal: AbortSignal): Promise<readonly unknown[] | undefined>;
  /** Also one that is gone. */
  remove(): Promise<void>;
}

/** Makes a queue for this process. */
export type CreateReplyQueue = () => Promise<ReplyQueue>;

/** One delivery of a message, as the worker sees it. */
export interface Delivery {
  /** The message as it came off the wire: not trusted, parsed by the worker. */
  readonly body: unknown;
  /** How often this message has been received, this time included. */
  readonly receiveCount: number;
  /** Ms until the process that handles it is ended from outside; absent when nothing ends it. */
  remainingMs?(): number;
  /** Keeps the message invisible for so many ms from now, while work on it goes on. */
  extend(visibleInMs: number): Promise<void>;
}

/** What becomes of a delivered message. */
export type Disposition =
  | { readonly kind: "acknowledge" }
  /** Not acknowledged: delivered again after the delay. */
  | { readonly kind: "redeliver"; readonly delayMs: number }
  /** Cannot be handled, ever. Kept with its reason, never looped. */
  | { readonly kind: "deadLetter"; readonly reason: string };

export interface Clock {
  /** Milliseconds since 1970. */
  now(): number;
  /**
   * Calls back once after so many ms; returns what cancels it.
   *
   * @param keepsAlive `false`: a process that has nothing else to do need not wait for it. @default true
   */
  after(delayMs: number, callback: () => void, keepsAlive?: boolean): () => void;
}

export interface Randomness {
  /** Uniform in [0, 1). */
  fraction(): number;
  /** Unique text of letters and digits, safe in keys and URLs. */
  id(): string;
  /** 256 random bits as text of letters, digits, "-" and "_": nobody can guess it. */
  secret(): string;
}

export interface Logger {
  debug(message: string, fields?: Readonly<Record<string, unknown>>): void;
  info(message: string, fields?: Readonly<Record<string, unknown>>): void;
  warn(message: string, fields?: Readonly<Record<string, unknown>>): void;
  error(message: string, fields?: Readonly<Record<string, unknown>>): void;
}

export interface Ports {
  readonly store: RunStore;
  readonly queue: MessageQueue;
  /** Absent where nobody waits at reply queues: the embedded engine tells its waiters by itself. */
  readonly replies?: Replies;
  readonly clock: Clock;
  readonly random: Randomness;
  readonly logger: Logger;
}
