import { limits } from "../definition/limits.ts";

/** The delay of a message as a queue keeps it (R8). What lies in the past is due at once. @throws {RangeError} for delays that no queue of ours keeps */
export function keptDelayMs(delayMs: number): number {
  const longest = limits.delayMs + limits.clockSkewMs;
  if (delayMs <= longest) return Math.max(0, delayMs);
  throw new RangeError(
    `A delay of ${delayMs} ms cannot be kept: at most ${longest} ms are allowed (limits.delayMs). Send a shorter one.`,
  );
}
