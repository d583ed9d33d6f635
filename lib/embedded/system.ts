/** The machine's clock and randomness, as the embedded engine uses them. */
import { randomBytes } from "node:crypto";
import type { Clock, Randomness } from "../runtime/ports.ts";

/** Node's timers end at 2^31 - 1 ms, some 24 days; longer ones go on from there. */
const longestTimerMs = 2 ** 31 - 1;

/**
 * Wall time at the start of the process, and monotonic from there: a clock that is set while the process lives makes
 * no lease immortal and no timer late.
 */
export function systemClock(): Clock {
  const startedAtMs = Date.now() - performance.now();
  const clock: Clock = {
    now: () => Math.floor(startedAtMs + performance.now()),
    after: (delayMs, callback) => {
      let cancelled = false;
      let timer: NodeJS.Timeout;
      const wait = (leftMs: number): void => {
        timer = setTimeout(
          () => {
            if (cancelled) return;
            if (leftMs > longestTimerMs) wait(leftMs - longestTimerMs);
            else callback();
          },
          Math.min(leftMs, longestTimerMs),
        );
      };
      wait(Math.max(0, delayMs));
      return () => {
        cancelled = true;
        clearTimeout(timer);
      };
    },
  };
  return clock;
}

/** 32 characters without look-alikes: each holds five bits. */
const idAlphabet = "0123456789abcdefghjkmnpqrstvwxyz";

export const systemRandomness: Randomness = {
  fraction: () => Math.random(),
  // 100 random bits.
  id: () => Array.from(randomBytes(20), (byte) => idAlphabet[byte & 31]).join(""),
};
