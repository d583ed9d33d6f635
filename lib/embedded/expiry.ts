/**
 * Removes runs that have expired, and finishes removals that a former process, or a failing disk, has left half-way.
 *
 * Invariants:
 * 1. Nothing is polled: a timer waits for the next run that expires, and keeps no process alive. It fires within a pause of
 *    `limits.expiryPauseMs`, so that runs which expire in quick succession are removed together.
 * 2. It works in small batches between everything else, and each run is removed by a conditional write of its own: one that
 *    is redriven meanwhile stays.
 * 3. When the clock has been set back, runs that ended by the former time are kept for their retention from now on, and not
 *    for as long as it was ahead. One that is set forward deletes what has expired by it: that cannot be told from time.
 */
import { limits } from "../definition/limits.ts";
import { field } from "../engine/codec.ts";
import { correctExpiry } from "../engine/end.ts";
import { StoredShapeError } from "../engine/field-reader.ts";
import { isTerminal } from "../engine/run-state.ts";
import { change, type Image, imageOf } from "../runtime/image.ts";
import type { Clock, Logger, RunStore } from "../runtime/ports.ts";
import type { Removal } from "../runtime/removal.ts";
import { settleAll } from "../runtime/settle-all.ts";
import type { EmbeddedBackend, Expiry } from "./backend.ts";

export interface ExpiryOptions {
  readonly backend: Pick<EmbeddedBackend, "expiry" | "onChange">;
  readonly store: RunStore;
  readonly removal: Removal;
  readonly clock: Clock;
  readonly logger: Logger;
}

export interface RunningExpiry {
  /** Looks again soon: a removal may have been left half-way. */
  lookSoon(): void;
  /** Resolves when nothing is being removed any more. */
  stop(): Promise<void>;
}

/** What has expired, or was left half-way, is removed at once. */
export function startExpiry({ backend, ...options }: ExpiryOptions): RunningExpiry {
  const { clock, logger } = options;
  const sweep = new Sweep({ ...options, expiry: backend.expiry });
  let underWay: Promise<void> = Promise.resolve();
  let isSweeping = false;
  let timer: { readonly atMs: number; readonly cancel: () => void } | undefined;
  /** The earliest that was asked for while a sweep was under way, which may have looked there before. */
  let askedAtMs = Number.POSITIVE_INFINITY;

  function plan(delayMs: number): void {
    const atMs = clock.now() + delayMs;
    if (isSweeping) askedAtMs = Math.min(askedAtMs, atMs);
    if (sweep.isStopped || isSweeping || (timer !== undefined && timer.atMs <= atMs)) return;
    timer?.cancel();
    timer = { atMs, cancel: clock.after(delayMs, begin, false) };
  }

  function begin(): void {
    timer = undefined;
    isSweeping = true;
    underWay = run();
  }

  async function run(): Promise<void> {
    let nextAtMs = Number.POSITIVE_INFINITY;
    try {
      const sweptAtMs = await sweep.run();
      nextAtMs = (await backend.expiry.nextAtMs(sweptAtMs)) ?? nextAtMs;
    } catch (error) {
      nextAtMs = clock.now();
      if (!sweep.isStopped) logger.error("Expired runs could not be removed; it is tried again", { error });
    }
    isSweeping = false;
    nextAtMs = Math.min(nextAtMs, askedAtMs);
    askedAtMs = Number.POSITIVE_INFINITY;
    if (Number.isFinite(nextAtMs)) planFor(nextAtMs);
  }

  function planFor(timeMs: number): void {
    plan(Math.max(timeMs - clock.now(), limits.expiryPauseMs));
  }

  const unsubscribe = backend.onChange(({ after }) => {
    const seconds = after[field.expiresAt];
    if (typeof seconds === "number") planFor(seconds * 1000);
  });
  begin();
  return {
    lookSoon: () => plan(limits.expiryPauseMs),
    async stop() {
      sweep.isStopped = true;
      unsubscribe();
      timer?.cancel();
      await underWay;
    },
  };
}

class Sweep {
  isStopped = false;
  readonly #unreadable = new Set<string>();
  readonly #expiry: Expiry;
  readonly #store: RunStore;
  readonly #removal: Removal;
  readonly #clock: Clock;
  readonly #logger: Logger;

  constructor({ expiry, store, removal, clock, logger }: Omit<ExpiryOptions, "backend"> & { readonly expiry: Expiry }) {
    this.#expiry = expiry;
    this.#store = store;
    this.#removal = removal;
    this.#clock = clock;
    this.#logger = logger;
  }

  /** Returns the time until which all that had expired is removed, but for runs that cannot be read: those stay. */
  async run(): Promise<number> {
    const batch = limits.expiredRuns;
    await this.#each(
      () => this.#expiry.removals(batch),
      async ({ runId, fields }) => {
        await this.#removal.afterRemove(runId, fields);
        return true;
      },
    );
    const latestMs = this.#clock.now() + limits.clockSkewMs;
    await this.#each(
      () => this.#expiry.endedAfter(latestMs, batch),
      (runId) => this.#correct(runId),
    );
    let sweptAtMs = 0;
    const removed = await this.#each(
      () => {
        sweptAtMs = this.#clock.now();
        return this.#expired(sweptAtMs, batch);
      },
      (runId) => this.#remove(runId),
    );
    if (removed > 0) this.#logger.info("expired runs were removed", { runs: removed });
    return sweptAtMs;
  }

  /** Goes on while something is done. Returns how often that was. */
  async #each<T>(find: () => Promise<readonly T[]>, handle: (item: T) => Promise<boolean>): Promise<number> {
    let done = 0;
    for (;;) {
      const found = this.isStopped ? [] : await find();
      const before = done;
      for (const isDone of await settleAll(found.map(handle))) if (isDone) done++;
      if (done === before) return done;
    }
  }

  /** Those that cannot be read stay in front, and nobody waits behind them. */
  async #expired(untilMs: number, batch: number): Promise<readonly string[]> {
    const found = await this.#expiry.expired(untilMs, batch + this.#unreadable.size);
    return found.filter((runId) => !this.#unreadable.has(runId));
  }

  async #correct(runId: string): Promise<boolean> {
    const image = await this.#read(runId);
    if (image === undefined) return false;
    const after = await change(this.#store, image, (run) => correctExpiry(run, this.#clock.now()));
    return after !== image;
  }

  async #remove(runId: string): Promise<boolean> {
    const image = await this.#read(runId);
    const { expiresAtMs = Number.POSITIVE_INFINITY, status } = image?.run ?? {};
    if (image === undefined || status === undefined || !isTerminal(status)) return false;
    return expiresAtMs <= this.#clock.now() && this.#removal.remove(image);
  }

  async #read(runId: string): Promise<Image | undefined> {
    try {
      const fields = await this.#store.get(runId);
      return fields && imageOf(runId, fields);
    } catch (error) {
      if (!(error instanceof StoredShapeError)) throw error;
      this.#unreadable.add(runId);
      this.#logger.error("an expired run cannot be read; it is left as it is", { error, runId });
      return undefined;
    }
  }
}
