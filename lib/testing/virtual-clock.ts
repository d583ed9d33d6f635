/** A clock that stands still until it is told to go on: a workflow of thirty days is tested in milliseconds. */
import { setImmediate } from "node:timers/promises";
import type { Clock } from "../runtime/ports.ts";

interface Timer {
  readonly atMs: number;
  readonly order: number;
  readonly callback: () => void;
}

export class VirtualClock implements Clock {
  #nowMs: number;
  #timers: Timer[] = [];
  #order = 0;
  readonly #rest: () => Promise<void>;

  /**
   * @param startMs milliseconds since 1970
   * @param rest until what a timer caused has come to rest. As a number, turns of the event loop: few for a store in
   * memory, more for one that answers in a later turn
   */
  constructor(startMs: number = Date.UTC(2026, 0, 1), rest: number | (() => Promise<void>) = 5) {
    this.#nowMs = startMs;
    this.#rest = typeof rest === "number" ? () => atRest(rest) : rest;
  }

  now(): number {
    return this.#nowMs;
  }

  after(delayMs: number, callback: () => void): () => void {
    const timer: Timer = { atMs: this.#nowMs + Math.max(0, delayMs), order: this.#order++, callback };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((one) => one !== timer);
    };
  }

  /** When the next timer fires; `undefined` when none is set. */
  nextTimerAtMs(): number | undefined {
    return this.#next()?.atMs;
  }

  /** Goes on by so many ms, firing timers in their order, and lets what they caused come to rest before the next one. */
  async advance(ms: number): Promise<void> {
    const untilMs = this.#nowMs + ms;
    await this.#rest();
    for (let timer = this.#next(); timer !== undefined && timer.atMs <= untilMs; timer = this.#next()) {
      this.#fire(timer);
      await this.#rest();
    }
    this.#nowMs = untilMs;
  }

  /** Goes straight to the time, then fires what is due by then: as for a process that was suspended meanwhile. */
  jumpTo(timeMs: number): void {
    this.#nowMs = Math.max(this.#nowMs, timeMs);
    for (let timer = this.#next(); timer !== undefined && timer.atMs <= this.#nowMs; timer = this.#next())
      this.#fire(timer);
  }

  #fire(timer: Timer): void {
    this.#timers = this.#timers.filter((one) => one !== timer);
    this.#nowMs = Math.max(this.#nowMs, timer.atMs);
    timer.callback();
  }

  #next(): Timer | undefined {
    let first: Timer | undefined;
    for (const timer of this.#timers) {
      const isEarlier =
        first === undefined || timer.atMs < first.atMs || (timer.atMs === first.atMs && timer.order < first.order);
      if (isEarlier) first = timer;
    }
    return first;
  }
}

/** Until promises that need no timer and no I/O have settled. */
export async function atRest(turns = 5): Promise<void> {
  for (let turn = 0; turn < turns; turn++) await setImmediate();
}
