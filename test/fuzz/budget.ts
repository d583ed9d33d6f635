// How much is tried, and with which seed: many with PAWL_FUZZ_REQUESTS=10000, the same again with PAWL_FUZZ_SEED.
import type * as fc from "fast-check";

const asked = process.env.PAWL_FUZZ_REQUESTS;
const seed = process.env.PAWL_FUZZ_SEED;

/** @param few without being asked for more */
export function budget(few: number): fc.Parameters<unknown> {
  return {
    numRuns: asked === undefined ? few : Number(asked),
    ...(seed === undefined ? {} : { seed: Number(seed) }),
  };
}

/** More tries take more time. */
export const timeoutMs = asked === undefined ? 10_000 : 600_000;
