/**
 * The messages at hand, by due time, and who has received them. Both backends deliver from it; what is on disk is
 * the business of the SQLite backend alone.
 *
 * A binary heap that knows each message's place, because nearly every message is removed or moved long before its
 * visibility ends: without removal from the middle, the heap would be full of messages that are gone.
 */
import { keptDelayMs } from "../runtime/delay.ts";
import type { OutgoingMessage } from "../runtime/ports.ts";
import type { ReceivedMessage } from "./backend.ts";

/** A message in the queue. */
export interface QueuedMessage {
  readonly id: number;
  readonly taskQueue: string;
  readonly json: string;
  /** When the due time was decided: only the difference to it survives a clock that is set back. */
  scheduledAtMs: number;
  dueAtMs: number;
  receiveCount: number;
  failures: number;
}

interface Entry {
  readonly message: QueuedMessage;
  /** Number of the delivery in flight. */
  delivery: number | undefined;
  place: number;
}

export class DueQueue {
  readonly #heap: Entry[] = [];
  readonly #entries = new Map<number, Entry>();
  #deliveries = 0;

  get size(): number {
    return this.#heap.length;
  }

  add(message: QueuedMessage): void {
    const entry: Entry = { message, delivery: undefined, place: this.#heap.length };
    this.#entries.set(message.id, entry);
    this.#heap.push(entry);
    this.#rise(entry);
  }

  /** Delivers what is due, earliest first. */
  take(max: number, nowMs: number, visibilityMs: number): ReceivedMessage[] {
    const taken: Entry[] = [];
    while (taken.length < max) {
      const first = this.#heap[0];
      if (first === undefined || first.message.dueAtMs > nowMs) break;
      this.#lift(first);
      taken.push(first);
    }
    // Put back only now: with a visibility of 0 the loop above would meet the same message again.
    return taken.map((entry) => {
      const { message } = entry;
      message.dueAtMs = nowMs + visibilityMs;
      message.receiveCount += 1;
      entry.delivery = this.#deliveries += 1;
      entry.place = this.#heap.length;
      this.#heap.push(entry);
      this.#rise(entry);
      return {
        receipt: `${message.id}-${entry.delivery}`,
        body: parseBody(message.json),
        receiveCount: message.receiveCount,
        failures: message.failures,
      };
    });
  }

  /** The message that this receipt still stands for. */
  held(receipt: string): QueuedMessage | undefined {
    const dash = receipt.indexOf("-");
    const entry = this.#entries.get(Number(receipt.slice(0, dash)));
    return entry?.delivery === Number(receipt.slice(dash + 1)) ? entry.message : undefined;
  }

  /** Keeps the delivery and its receipt, and changes when it ends. */
  prolong(id: number, dueAtMs: number): void {
    const entry = this.#entries.get(id);
    if (entry !== undefined) this.#move(entry, dueAtMs);
  }

  /** Ends the delivery: its receipt is stale from now on. */
  giveBack(id: number, scheduledAtMs: number, dueAtMs: number): void {
    const entry = this.#entries.get(id);
    if (entry === undefined) return;
    entry.delivery = undefined;
    entry.message.scheduledAtMs = scheduledAtMs;
    this.#move(entry, dueAtMs);
  }

  remove(id: number): void {
    const entry = this.#entries.get(id);
    if (entry === undefined) return;
    this.#entries.delete(id);
    this.#lift(entry);
  }

  nextDueAtMs(): number | undefined {
    return this.#heap[0]?.message.dueAtMs;
  }

  /** See `EmbeddedBackend.recover`. */
  recover(nowMs: number): void {
    for (const entry of this.#entries.values()) {
      const { id, scheduledAtMs, dueAtMs } = entry.message;
      if (entry.delivery !== undefined) this.giveBack(id, nowMs, nowMs);
      else if (scheduledAtMs > nowMs) this.giveBack(id, nowMs, nowMs + dueAtMs - scheduledAtMs);
    }
  }

  #move(entry: Entry, dueAtMs: number): void {
    entry.message.dueAtMs = dueAtMs;
    this.#rise(entry);
    this.#sink(entry);
  }

  /** Takes an entry out of the heap, wherever it is. */
  #lift(entry: Entry): void {
    const last = this.#heap.pop();
    if (last === undefined || last === entry) return;
    this.#set(last, entry.place);
    this.#rise(last);
    this.#sink(last);
  }

  #rise(entry: Entry): void {
    while (entry.place > 0) {
      const parent = this.#heap[(entry.place - 1) >> 1] as Entry;
      if (!isBefore(entry, parent)) return;
      this.#swap(entry, parent);
    }
  }

  #sink(entry: Entry): void {
    for (;;) {
      const left = this.#heap[2 * entry.place + 1];
      const right = this.#heap[2 * entry.place + 2];
      if (left === undefined) return;
      const child = right !== undefined && isBefore(right, left) ? right : left;
      if (!isBefore(child, entry)) return;
      this.#swap(entry, child);
    }
  }

  #swap(a: Entry, b: Entry): void {
    const place = a.place;
    this.#set(a, b.place);
    this.#set(b, place);
  }

  #set(entry: Entry, place: number): void {
    this.#heap[place] = entry;
    entry.place = place;
  }
}

/** A message as it is kept. Its body becomes text here, so that no caller shares an object with the queue. */
export function queuedMessage(
  id: number,
  { taskQueue, message, delayMs }: OutgoingMessage,
  nowMs: number,
): QueuedMessage {
  return {
    id,
    taskQueue,
    json: JSON.stringify(message),
    scheduledAtMs: Math.ceil(nowMs),
    dueAtMs: dueAtMs(nowMs, delayMs),
    receiveCount: 0,
    failures: 0,
  };
}

/** When a message with this delay is due. Whole milliseconds, never early. */
export function dueAtMs(nowMs: number, delayMs: number): number {
  return Math.ceil(nowMs + keptDelayMs(delayMs));
}

/** A stored body. Text that is no JSON goes on as it is, for the worker to refuse. */
export function parseBody(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    return json;
  }
}

/** By due time; the older message first among equals. */
function isBefore(a: Entry, b: Entry): boolean {
  const difference = a.message.dueAtMs - b.message.dueAtMs;
  return difference < 0 || (difference === 0 && a.message.id < b.message.id);
}
