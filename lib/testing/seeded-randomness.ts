/** Randomness that is the same each time: pauses with jitter, ids and tokens of a test do not change from run to run. */
import type { Randomness } from "../runtime/ports.ts";

export function seededRandomness(seed: number): Randomness {
  const fraction = seededFractions(seed);
  let made = 0;
  return {
    fraction,
    // Ids differ from their first characters on: some are cut.
    id: () => (made++).toString(36).padStart(6, "0"),
    secret: () => `secret-${made++}`,
  };
}

/** Uniform in [0, 1): mulberry32. */
export function seededFractions(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
