import type { Clock } from "../../lib/runtime/ports.ts";

/** A clock that moves only when told to. Timers fire in the order of their due times, earlier ones first. */
export interface ManualClock extends Clock {
  /** Moves the time on, and fires what is due on the way; whatever that sets in motion has settled when it resolves. */
  advance(ms: number): Promise<void>;
  /** Sets the clock back or ahead, as an operator does: no timer notices. */
  jump(ms: number): void;
  /** When the timers that are set will fire, earliest first. */
  timersAtMs(): readonly number[];
}

export function createManualClock(startMs = 1_700_000_000_000): ManualClock {
  let nowMs = startMs;
  let lastId = 0;
  const timers = new Map<number, { readonly atMs: number; readonly callback: () => void }>();

  return {
    now: () => nowMs,
    after(delayMs, callback) {
      const id = (lastId += 1);
      timers.set(id, { atMs: nowMs + delayMs, callback });
      return () => void timers.delete(id);
    },
    async advance(ms) {
      const untilMs = nowMs + ms;
      await settled();
      for (;;) {
        const next = [...timers].sort(([a, left], [b, right]) => left.atMs - right.atMs || a - b)[0];
        if (next === undefined || next[1].atMs > untilMs) break;
        timers.delete(next[0]);
        nowMs = Math.max(nowMs, next[1].atMs);
        next[1].callback();
        await settled();
      }
      nowMs = untilMs;
    },
    jump(ms) {
      nowMs += ms;
    },
    timersAtMs: () => [...timers.values()].map(({ atMs }) => atMs).sort((a, b) => a - b),
  };
}

/** Lets work that waits for nothing but promises and group commits come to rest. */
export async function settled(): Promise<void> {
  for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}
