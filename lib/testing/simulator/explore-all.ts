/**
 * Everything that can happen in a small world, each state once: depth first, and no further where a state was seen before.
 *
 * Nobody can take a world back to what it was, so another branch is reached by doing all that led to it anew; a branch is
 * followed to its end before the next one is begun, so that each costs its length once.
 */
import { type Event, type ExploredOptions, ExploredWorld } from "./explored-world.ts";

export interface Explorable extends ExploredOptions {
  /** Told of each world before anything happens in it: what its users and steps do, they do there. */
  readonly enter: (world: ExploredWorld) => void;
  /** How it came out, in words. @throws when that is not allowed */
  readonly outcomeOf: (world: ExploredWorld) => string;
}

export interface ExploreLimits {
  /** No more states than this are visited; `isComplete` then tells that there are others. @default none */
  readonly states?: number;
  /** Ends when so many violations were found. @default 10 */
  readonly violations?: number;
  /** Goes on where a state was seen before, too: only to show that this changes nothing. @default false */
  readonly isRepeating?: boolean;
}

/** Which of its events happened in each state, by their index. */
export type Path = readonly number[];

export interface Explored {
  readonly states: number;
  readonly transitions: number;
  /** Worlds that came to rest, by outcome. Those that met in a state on their way count once. */
  readonly ends: ReadonlyMap<string, number>;
  readonly longestPath: number;
  /** What went wrong, each with the shortest path that was found to it. */
  readonly violations: ReadonlyMap<string, Path>;
  /** Whether there is nothing that was left out. */
  readonly isComplete: boolean;
}

export async function exploreAll(explorable: Explorable, limits: ExploreLimits = {}): Promise<Explored> {
  const search = new Search(explorable, limits);
  await search.run();
  return search;
}

export interface Replayed {
  /** What happened, in words. */
  readonly trace: readonly string[];
  /** How it came out, or what went wrong. */
  readonly end: string;
  readonly isViolation: boolean;
}

/** One path; after its end, the calmest event happens each time. */
export async function replayPath(explorable: Explorable, path: Path): Promise<Replayed> {
  const world = new ExploredWorld({ ...explorable, isTraced: true });
  explorable.enter(world);
  await begun;
  try {
    for (let at = 0; ; at++) {
      const events = world.events();
      const event = events[Math.min(path[at] ?? 0, events.length - 1)];
      if (event === undefined) break;
      await world.happen(event);
    }
    await world.assertDone();
    return { trace: world.world.trace, end: explorable.outcomeOf(world), isViolation: false };
  } catch (error) {
    return { trace: world.world.trace, end: `VIOLATION: ${messageOf(error)}`, isViolation: true };
  }
}

/** To be awaited first: a world goes on when no promise is left to go on, which is known only from within one. */
const begun = Promise.resolve();

/** A path, from its end: branches share what they have in common. */
interface Step {
  readonly before: Step | undefined;
  readonly choice: number;
  readonly length: number;
}

class Search implements Explored {
  transitions = 0;
  longestPath = 0;
  isComplete = true;
  readonly ends = new Map<string, number>();
  readonly violations = new Map<string, Path>();
  readonly #explorable: Explorable;
  readonly #limits: Required<ExploreLimits>;
  readonly #seen = new Set<string>();
  readonly #open: (Step | undefined)[] = [undefined];

  constructor(explorable: Explorable, limits: ExploreLimits) {
    this.#explorable = explorable;
    this.#limits = { states: Number.POSITIVE_INFINITY, violations: 10, isRepeating: false, ...limits };
  }

  get states(): number {
    return this.#seen.size;
  }

  async run(): Promise<void> {
    await begun;
    while (this.#open.length > 0) {
      if (this.states >= this.#limits.states || this.violations.size >= this.#limits.violations) {
        this.isComplete = false;
        return;
      }
      const branch = this.#open.pop();
      await this.#follow(branch).catch((error: unknown) => {
        this.#violated(messageOf(error));
      });
    }
  }

  /** Where the branch that is being followed has come to. */
  #at: Step | undefined;

  async #follow(branch: Step | undefined): Promise<void> {
    const world = new ExploredWorld(this.#explorable);
    this.#explorable.enter(world);
    this.#at = branch;
    let events = world.events();
    for (const [at, choice] of pathOf(branch).entries()) {
      // All but the last have happened before, on the branch that this one leaves.
      if (at === (branch?.length ?? 0) - 1) this.transitions++;
      await world.happen(events[choice] as Event);
      events = world.events();
    }
    while (this.#isNew(world)) {
      if (events.length === 0) {
        await this.#ended(world);
        return;
      }
      // Before time passes, once for each state.
      if (world.isQuiet) await world.assertNoFalseAlarm();
      for (let choice = events.length - 1; choice > 0; choice--) this.#open.push(stepTo(this.#at, choice));
      this.#at = stepTo(this.#at, 0);
      this.transitions++;
      await world.happen(events[0] as Event);
      events = world.events();
    }
  }

  #isNew(world: ExploredWorld): boolean {
    this.longestPath = Math.max(this.longestPath, this.#at?.length ?? 0);
    const key = world.key();
    if (this.#seen.has(key)) return this.#limits.isRepeating;
    this.#seen.add(key);
    return true;
  }

  async #ended(world: ExploredWorld): Promise<void> {
    await world.assertDone();
    const outcome = this.#explorable.outcomeOf(world);
    this.ends.set(outcome, (this.ends.get(outcome) ?? 0) + 1);
  }

  #violated(message: string): void {
    const path = pathOf(this.#at);
    const known = this.violations.get(message);
    if (known === undefined || path.length < known.length) this.violations.set(message, path);
  }
}

function stepTo(before: Step | undefined, choice: number): Step {
  return { before, choice, length: (before?.length ?? 0) + 1 };
}

function pathOf(last: Step | undefined): number[] {
  const path: number[] = [];
  for (let step = last; step !== undefined; step = step.before) path.push(step.choice);
  return path.reverse();
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
