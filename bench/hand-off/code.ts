import { setTimeout } from "node:timers/promises";

/**
 * The emulator looks into its queues when it is told of a message, but pauses for 50 ms when it was told for nothing, as by the
 * end of an invocation. Code that takes longer than that meets no such pause when it ends.
 */
export const codeMs = 80;

/** When the code of a step began and ended: ms since 1970, and parts of them. */
export type Ran = readonly [beganAtMs: number, endedAtMs: number];

/** The code of each step, and of each hop of the floor. */
export async function run(): Promise<Ran> {
  const beganAtMs = now();
  await setTimeout(codeMs);
  return [beganAtMs, now()];
}

function now(): number {
  return performance.timeOrigin + performance.now();
}
