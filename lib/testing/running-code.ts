/**
 * Code that is at work in real time while virtual time stands still for it: however long a step's code really takes, on
 * however slow a machine, nothing that waits for virtual time overtakes it.
 *
 * Invariant: code that never ends holds virtual time up for a bounded real time only, and then its timeout can fire.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { atRest } from "./virtual-clock.ts";

interface Work {
  readonly settled: Promise<unknown>;
  /** In real ms: from then on virtual time does not wait for it any more. */
  untilMs: number;
}

export class RunningCode {
  readonly #running = new Set<Work>();
  #isIgnored = false;
  #wake = (): void => undefined;

  /**
   * @param atMostMs the longest real time that virtual time waits for it; counted anew when it is aborted
   * @returns the work
   */
  track<T>(work: Promise<T>, atMostMs: number, signal?: AbortSignal): Promise<T> {
    this.watch(work, atMostMs, signal);
    return work;
  }

  /** As `track`, for work whose end is for somebody else to hear of. */
  watch(work: Promise<unknown>, atMostMs: number, signal?: AbortSignal): void {
    const ended = (): void => {
      this.#running.delete(tracked);
      signal?.removeEventListener("abort", onAbort);
    };
    const tracked: Work = { settled: work.then(ended, ended), untilMs: performance.now() + atMostMs };
    const onAbort = (): void => {
      tracked.untilMs = performance.now() + Math.min(atMostMs, abortMs);
    };
    signal?.addEventListener("abort", onAbort, { once: true });
    this.#running.add(tracked);
  }

  /** Whether virtual time waits for none of it: its process has died, or stands still. */
  ignore(isIgnored: boolean): void {
    this.#isIgnored = isIgnored;
    this.#wake();
  }

  /** Resolves when all that can happen without virtual time has happened. */
  readonly rest = async (): Promise<void> => {
    while (true) {
      await atRest(turns);
      const nowMs = performance.now();
      const awaited = [...this.#running].filter(({ untilMs }) => untilMs > nowMs);
      if (awaited.length === 0 || this.#isIgnored) return;
      const soonestMs = Math.min(...awaited.map(({ untilMs }) => untilMs)) - nowMs;
      const woken = new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      await settledWithin(soonestMs, [woken, ...awaited.map(({ settled }) => settled)]);
    }
  };
}

/** Turns of the event loop after which the engine in memory has done all that it can. */
const turns = 2;

/** Code that was aborted needs a moment to clean up; code that does not listen is not waited for longer. */
const abortMs = 100;

async function settledWithin(ms: number, works: readonly Promise<unknown>[]): Promise<void> {
  const settled = new AbortController();
  const { signal } = settled;
  const over = sleep(Math.min(ms + 1, 2 ** 31 - 1), undefined, { signal }).catch(() => undefined);
  await Promise.race([over, ...works]);
  settled.abort();
  await over;
}
