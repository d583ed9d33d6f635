/** Spaces out what is done, so that no second has more of it than was asked for. */
import type { Clock } from "../runtime/ports.ts";

export interface Pacer {
  /** Resolves when it is the caller's turn. @throws the signal's reason */
  turn(signal: AbortSignal): Promise<void>;
}

/**
 * Each turn comes a whole interval after the one before, as that really came: nothing is caught up on. The first one
 * waits, too, as whoever had the last turn before this pacer was made may have had it just now.
 */
export function createPacer(clock: Clock, ratePerSecond: number): Pacer {
  const intervalMs = 1_000 / ratePerSecond;
  let lastAtMs = clock.now();
  let line: Promise<void> = Promise.resolve();
  const next = async (signal: AbortSignal): Promise<void> => {
    await waitMs(clock, Math.ceil(lastAtMs + intervalMs - clock.now()), signal);
    lastAtMs = clock.now();
  };
  return {
    turn(signal) {
      const mine = line.then(() => next(signal));
      // Who is behind does not care how this one ended.
      line = mine.catch(() => undefined);
      return mine;
    },
  };
}

async function waitMs(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  if (ms <= 0) return;
  const ended = Promise.withResolvers<undefined>();
  const end = (): void => ended.resolve(undefined);
  const cancel = clock.after(ms, end);
  signal.addEventListener("abort", end, { once: true });
  await ended.promise;
  cancel();
  signal.removeEventListener("abort", end);
  signal.throwIfAborted();
}
