/** What a bill depends on beside the run: the stack, and what else happens in it. */
export interface Assumptions {
  /** Of the workers, MB. */
  readonly memoryMb: number;
  /** That an invocation of a worker takes, ms. */
  readonly invocationMs: number;
  /** Status changes that the stream brings at once: the more happens, the more come together. */
  readonly changesAtOnce: number;
}

/** As a new stack has it, while some forty runs begin and end each second. */
export const usualAssumptions: Assumptions = { memoryMb: 256, invocationMs: 50, changesAtOnce: 20 };

/** Of one invocation of a worker. */
export function gbSecondsOf({ memoryMb, invocationMs }: Pick<Assumptions, "memoryMb" | "invocationMs">): number {
  return (memoryMb / 1024) * (invocationMs / 1000);
}
