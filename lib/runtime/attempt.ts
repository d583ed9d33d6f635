/**
 * One call of a step's code: with a time limit, signs of life, a signal, and tracked background work.
 *
 * Invariants:
 * 1. `run` resolves; nothing that user code does makes it reject or wait for ever.
 * 2. No promise of the attempt goes unobserved: work that ignores its abort is waited for within bounds, then reported.
 */
import { limits } from "../definition/limits.ts";
import { AttemptAborted } from "./errors.ts";
import type { Clock, Logger } from "./ports.ts";
import { settleAll } from "./settle-all.ts";
import { recordError } from "./step-data.ts";

export type AttemptResult =
  | { readonly kind: "returned"; readonly value: unknown }
  | { readonly kind: "threw"; readonly error: unknown }
  /** The code had not returned when it was aborted. `settled`: it has ended since. */
  | { readonly kind: "aborted"; readonly error: AttemptAborted; readonly settled: boolean };

export class RunningAttempt {
  readonly #clock: Clock;
  readonly #log: Logger;
  /** Made when the code asks for its signal: most code does not. */
  #controller: AbortController | undefined;
  #aborted: AttemptAborted | undefined;
  #onAbort = (_aborted: "aborted"): void => undefined;
  readonly #background: Promise<unknown>[] = [];
  readonly #backgroundErrors: unknown[] = [];
  #graceMs: number = limits.abortGraceMs;
  readonly #token: string | undefined;
  #timeoutAtMs = 0;
  #lastDetails: string | undefined;
  #restartSilence = (): void => undefined;
  /** By then all of it is given up. */
  #stopAtMs = Number.POSITIVE_INFINITY;
  #stopDraining = (): void => undefined;
  #hasEnded = false;
  #isDrained = false;

  /** @param token of the attempt: is not logged, whatever its code throws */
  constructor(clock: Clock, log: Logger, token?: string) {
    this.#clock = clock;
    this.#log = log;
    this.#token = token;
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#aborted !== undefined) this.#controller.abort(this.#aborted);
    }
    return this.#controller.signal;
  }

  /** @param graceMs how long the code may take to react */
  abort(because: AttemptAborted["because"], message: string, graceMs: number = limits.abortGraceMs): void {
    if (because === "shutdown") {
      this.#stopAtMs = this.#clock.now() + graceMs;
      this.#stopDraining();
    }
    // Once the code has returned, only a shutdown still concerns the background work that it left.
    if (this.#aborted !== undefined || (this.#hasEnded && because !== "shutdown")) return;
    this.#graceMs = graceMs;
    this.#aborted = new AttemptAborted(because, message);
    this.#onAbort("aborted");
    this.#controller?.abort(this.#aborted);
  }

  /**
   * Asks the code to end, as its run is being ended. Unlike after `abort` it is waited for until its timeout, and what it
   * returns counts: what has been done can then be undone.
   */
  hurry(): void {
    this.abort("run_ending", "The run is being ended.", this.#timeoutAtMs - this.#clock.now());
  }

  /** The code is alive. @param details as JSON; the former ones are kept when there are none */
  beat(details: string | undefined): void {
    this.#lastDetails = details ?? this.#lastDetails;
    this.#restartSilence();
  }

  /** Details of the last sign of life that had some, as JSON. */
  get lastDetails(): string | undefined {
    return this.#lastDetails;
  }

  readonly background = (work: Promise<unknown>): void => {
    if (this.#isDrained)
      this.#log.error("background() was called after the step had ended; its work is not waited for");
    const tracked = Promise.resolve(work).catch((error: unknown) => {
      if (!this.#isDrained) {
        this.#backgroundErrors.push(error);
        return;
      }
      const record = recordError(error, this.#clock.now(), this.#token);
      this.#log.error("background work failed after its step had been given up", { error: record });
    });
    this.#background.push(tracked);
  };

  /** @param heartbeatMs the longest time without a sign of life; `undefined`: any */
  async run(code: () => unknown, timeoutMs: number, heartbeatMs?: number): Promise<AttemptResult> {
    this.#timeoutAtMs = this.#clock.now() + timeoutMs;
    const cancelTimer = this.#clock.after(timeoutMs, () => {
      this.abort("timeout", `The attempt took longer than its timeout of ${timeoutMs} ms.`);
    });
    const cancelSilence = this.#watchSilence(heartbeatMs);
    const aborted = new Promise<"aborted">((resolve) => {
      this.#onAbort = resolve;
      if (this.#aborted !== undefined) resolve("aborted");
    });
    const work = settleCode(code);
    const first = await Promise.race([work, aborted]);
    this.#hasEnded = true;
    cancelTimer();
    cancelSilence();
    return first === "aborted" ? this.#afterAbort(work, this.#aborted as AttemptAborted) : first;
  }

  #watchSilence(heartbeatMs: number | undefined): () => void {
    if (heartbeatMs === undefined) return () => undefined;
    const start = (): (() => void) =>
      this.#clock.after(heartbeatMs, () => {
        this.abort("heartbeat_timeout", `The attempt gave no heartbeat for ${heartbeatMs} ms.`);
      });
    let cancel = start();
    this.#restartSilence = () => {
      cancel();
      if (!this.#hasEnded) cancel = start();
    };
    return () => {
      cancel();
    };
  }

  async #afterAbort(work: Promise<AttemptResult>, error: AttemptAborted): Promise<AttemptResult> {
    const late = await withinMs(this.#clock, this.#graceMs, work);
    // These only ask the code to hurry: a result that it still gives counts.
    if (late?.kind === "returned" && ["shutdown", "run_ending"].includes(error.because)) return late;
    if (late === undefined) {
      this.#log.warn("step code goes on after it was aborted; let it watch its signal", { because: error.because });
    }
    return { kind: "aborted", error, settled: late !== undefined };
  }

  get hasBackground(): boolean {
    return this.#background.length > 0;
  }

  /** Waits for background work, so long at most, and returns how it failed. */
  async drain(atMostMs: number = limits.backgroundMs): Promise<readonly unknown[]> {
    let seen = 0;
    const all = (async () => {
      // Background work may add more of it.
      while (seen < this.#background.length) {
        seen = this.#background.length;
        await settleAll(this.#background);
      }
      return true;
    })();
    const beganAtMs = this.#clock.now();
    const giveUp = Promise.withResolvers<false>();
    let cancelTimer = (): void => undefined;
    // Called again when a shutdown leaves it less time.
    this.#stopDraining = () => {
      cancelTimer();
      const untilMs = Math.min(beganAtMs + atMostMs, this.#stopAtMs);
      cancelTimer = this.#clock.after(Math.max(0, untilMs - this.#clock.now()), () => giveUp.resolve(false));
    };
    // Nothing takes no time.
    if (this.hasBackground) this.#stopDraining();
    const isDrained = await Promise.race([all, giveUp.promise]);
    cancelTimer();
    this.#stopDraining = () => undefined;
    this.#isDrained = true;
    if (!isDrained) {
      const waitedMs = Math.max(0, Math.min(beganAtMs + atMostMs, this.#stopAtMs) - beganAtMs);
      this.#backgroundErrors.push(new Error(`Background work did not end within ${waitedMs} ms.`));
    }
    return this.#backgroundErrors;
  }
}

async function settleCode(code: () => unknown): Promise<AttemptResult> {
  try {
    return { kind: "returned", value: await code() };
  } catch (error) {
    return { kind: "threw", error };
  }
}

/** The promise's value, or `undefined` when the time is over first. */
export async function withinMs<T>(clock: Clock, ms: number, promise: Promise<T>): Promise<T | undefined> {
  let cancel = (): void => undefined;
  const timer = new Promise<undefined>((resolve) => {
    cancel = clock.after(ms, () => {
      resolve(undefined);
    });
  });
  try {
    return await Promise.race([promise, timer]);
  } finally {
    cancel();
  }
}
