/** The machine's clock and randomness, as every process of ours uses them. */
import { randomBytes } from "node:crypto";
import type { Clock, Randomness } from "./ports.ts";

/** Longer timers look at the clock so often, as the machine may have slept meanwhile. (Node's own end at 24 days.) */
const timerCheckMs = 60_000;

/**
 * Wall time that never goes back: a clock that is set back while the process lives makes no lease immortal and no
 * timer late. It does jump ahead, as after the sleep of a laptop.
 */
export function systemClock(): Clock {
  let originMs = Date.now() - performance.now();
  const now = (): number => {
    const sinceMs = performance.now();
    originMs = Math.max(originMs, Date.now() - sinceMs);
    return Math.floor(originMs + sinceMs);
  };
  return {
    now,
    after: (delayMs, callback, keepsAlive = true) => {
      const dueAtMs = now() + delayMs;
      let timer: NodeJS.Timeout;
      const wait = (leftMs: number): void => {
        // eslint-disable-next-line no-restricted-globals -- this is the clock: whoever sets a timer has what cancels it
        timer = setTimeout(
          () => {
            const stillMs = dueAtMs - now();
            if (stillMs > 0) wait(stillMs);
            else callback();
          },
          Math.min(Math.max(0, leftMs), timerCheckMs),
        );
        // eslint-disable-next-line no-restricted-syntax -- as was asked for; its owner cancels it all the same when it stops
        if (!keepsAlive) timer.unref();
      };
      wait(delayMs);
      return () => {
        clearTimeout(timer);
      };
    },
  };
}

/** 32 characters without look-alikes: each holds five bits. */
const idAlphabet = "0123456789abcdefghjkmnpqrstvwxyz";

export const systemRandomness: Randomness = {
  fraction: () => Math.random(),
  // 100 random bits.
  id: () => Array.from(randomBytes(20), (byte) => idAlphabet[byte & 31]).join(""),
  secret: () => randomBytes(32).toString("base64url"),
};
