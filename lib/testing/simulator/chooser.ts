/**
 * Whatever a world leaves open is decided by one chooser: what happens next, which message goes to which process, whether a
 * fault strikes, and how long something takes. So a schedule is nothing but the list of what was chosen: it can be drawn
 * from a seed, recorded, repeated, cut down, or enumerated.
 */

/** What is being decided. `user`: what the users of a run do, and when; `jitter`: the fractions that the runtime draws. */
export type ChoiceKind = "next" | "fault" | "process" | "user" | "outsider" | "jitter" | "stall" | "skew";

export interface Chooser {
  /**
   * @param options how many there are, at least 1
   * @param labelOf what an option is, in words
   * @returns the index of one of them
   */
  choose(options: number, kind: ChoiceKind, labelOf?: (index: number) => string): number;
  /** Whether something happens that need not, and that so likely does. */
  chance(probability: number, kind: ChoiceKind): boolean;
  /** At least 0 and less than 1. */
  fraction(kind: ChoiceKind): number;
}

/** What was chosen, in its order: indices, 1 or 0 for chances, fractions. */
export type Schedule = readonly number[];

/** Chooses at random, by numbers that are uniform in [0, 1). */
export function randomChooser(random: () => number): Chooser {
  return {
    choose: (options) => Math.floor(random() * options),
    chance: (probability) => random() < probability,
    fraction: () => random(),
  };
}

/** Chooses as another one does, and writes down what that is. */
export function recordingChooser(of: Chooser, chosen: number[]): Chooser {
  const record = (choice: number): number => {
    chosen.push(choice);
    return choice;
  };
  return {
    choose: (options, kind, labelOf) => record(of.choose(options, kind, labelOf)),
    chance: (probability, kind) => record(of.chance(probability, kind) ? 1 : 0) === 1,
    fraction: (kind) => record(of.fraction(kind)),
  };
}

/**
 * Repeats what was recorded. A choice that does not fit, because the schedule was changed by hand, becomes the nearest that
 * does; after the last one the calmest is chosen: the first option, no chance, 0.
 */
export function replayingChooser(schedule: Schedule): Chooser {
  let at = 0;
  const next = (): number => schedule[at++] ?? 0;
  return {
    choose: (options) => Math.max(0, Math.min(options - 1, Math.floor(next()))),
    chance: () => next() >= 1,
    fraction: () => Math.min(Math.max(0, next()), 1 - Number.EPSILON),
  };
}

/** One of them, which must not be none. */
export function pick<T>(chooser: Chooser, from: readonly T[], kind: ChoiceKind, labelOf?: (one: T) => string): T {
  const index = chooser.choose(from.length, kind, labelOf && ((at) => labelOf(from[at] as T)));
  return from[index] as T;
}
