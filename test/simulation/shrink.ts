// Makes what fails smaller, as long as it fails in the same way: fewer and simpler steps, fewer faults and operations, then a
// shorter schedule. Greedy, and bounded in time: what comes out is small, not the smallest there is.
import {
  type Chooser,
  randomChooser,
  recordingChooser,
  replayingChooser,
  type Schedule,
} from "../../lib/testing/simulator/chooser.ts";
import { faultKinds, noFaults } from "../../lib/testing/simulator/faults.ts";
import type { World } from "../../lib/testing/simulator/world.ts";
import { check, type Seed } from "./check-seed.ts";
import type { Plan } from "./plan.ts";
import { PlayError, type PlayOptions } from "./playing.ts";
import { type StepPlan, seeded } from "./random-workflow.ts";

export interface Shrunk {
  readonly plan: Plan;
  /** Makes the world fail, together with the plan. */
  readonly schedule: Schedule;
  readonly world: World;
  readonly message: string;
  /** Faults that struck. */
  readonly strikes: number;
  /** Worlds that were played. */
  readonly tries: number;
}

export interface ShrinkOptions {
  /** @default 20,000 */
  readonly atMostMs?: number;
  /** What the seed failed with. */
  readonly play?: Pick<PlayOptions, "tamper">;
}

/** Of each smaller plan, so many schedules are tried: the one that failed seldom fits. */
const schedulesPerPlan = 30;

interface Failing {
  readonly plan: Plan;
  readonly schedule: Schedule;
  readonly error: PlayError;
}

/** `undefined`: it does not fail. */
export async function shrink(
  { plan, chooser }: Seed,
  { atMostMs = 20_000, play = {} }: ShrinkOptions = {},
): Promise<Shrunk | undefined> {
  const untilMs = performance.now() + atMostMs;
  const shrinking = new Shrinking(untilMs, play);
  const first = await shrinking.fails(plan, chooser());
  if (first === undefined) return undefined;
  const small = await shrinking.shorten(await shrinking.simplify(first));
  const world = await traced(small, play);
  const strikes = Object.values(world.struck).reduce((sum, count) => sum + count, 0);
  const { message } = small.error;
  return { plan: small.plan, schedule: small.schedule, world, message, strikes, tries: shrinking.tries };
}

class Shrinking {
  tries = 0;
  readonly #untilMs: number;

  readonly #play: PlayOptions;

  constructor(untilMs: number, play: PlayOptions) {
    this.#untilMs = untilMs;
    this.#play = play;
  }

  /** @param alike the kind of failure that counts. @default any */
  async fails(plan: Plan, chooser: Chooser, alike?: string): Promise<Failing | undefined> {
    if (this.#isOver()) return undefined;
    this.tries++;
    const schedule: number[] = [];
    try {
      await check(plan, recordingChooser(chooser, schedule), this.#play);
    } catch (error) {
      if (!(error instanceof PlayError)) throw error;
      return alike === undefined || kindOf(error.message) === alike ? { plan, schedule, error } : undefined;
    }
    return undefined;
  }

  /** The same plan with less in it, over and over. */
  async simplify(failing: Failing): Promise<Failing> {
    let small = failing;
    let isSmaller = true;
    while (isSmaller && !this.#isOver()) {
      isSmaller = false;
      for (const plan of smallerPlans(small.plan)) {
        const found = await this.#someSchedule(plan, small);
        if (found === undefined) continue;
        small = found;
        isSmaller = true;
        break;
      }
    }
    return small;
  }

  async #someSchedule(plan: Plan, { schedule, error }: Failing): Promise<Failing | undefined> {
    const alike = kindOf(error.message);
    const same = await this.fails(plan, replayingChooser(schedule), alike);
    if (same !== undefined) return same;
    for (let number = 0; number < schedulesPerPlan; number++) {
      const found = await this.fails(plan, randomChooser(seeded(number)), alike);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  /** Whatever is chosen calmly instead, without the failure going away: whole parts first, then single choices. */
  async shorten(failing: Failing): Promise<Failing> {
    const alike = kindOf(failing.error.message);
    let small = failing;
    for (
      let length = Math.ceil(small.schedule.length / 2);
      length >= 1 && !this.#isOver();
      length = Math.floor(length / 2)
    ) {
      for (let from = 0; from < small.schedule.length && !this.#isOver(); from += length) {
        const until = from + length;
        if (small.schedule.slice(from, until).every((choice) => choice === 0)) continue;
        const calmer = small.schedule.map((choice, at) => (at >= from && at < until ? 0 : choice));
        const cut = small.schedule.filter((_, at) => at < from || at >= until);
        for (const schedule of [cut, calmer]) {
          const found = await this.fails(small.plan, replayingChooser(schedule), alike);
          if (found === undefined || found.schedule.length > small.schedule.length) continue;
          small = found;
          break;
        }
      }
    }
    return small;
  }

  #isOver(): boolean {
    return performance.now() > this.#untilMs;
  }
}

async function traced({ plan, schedule }: Failing, play: PlayOptions): Promise<World> {
  try {
    return await check(plan, replayingChooser(schedule), { ...play, isTraced: true });
  } catch (error) {
    if (error instanceof PlayError) return error.world;
    throw error;
  }
}

/** Failures are alike when they say the same, but for names and numbers. */
export function kindOf(message: string): string {
  return message.replaceAll(/[a-z]+\d+[\w~.]*|\d+|fork\d|run[~\w.]*/g, "…");
}

/** Those that have a little less in them; the greatest differences first. */
export function* smallerPlans(plan: Plan): Generator<Plan> {
  const { steps, childSteps, faults, turns } = plan;
  // First, as a single step that is left may fail only with the help of many of them.
  if (plan.operationChance > 0) yield { ...plan, operationChance: 0 };
  for (const kind of faultKinds) if (faults[kind] > 0) yield { ...plan, faults: { ...faults, [kind]: 0 } };
  if (faults.skewMs > 0) yield { ...plan, faults: { ...faults, skewMs: noFaults.skewMs } };
  if (plan.losses > 0) yield { ...plan, losses: 0 };
  for (let at = steps.length - 1; at >= 0 && steps.length > 1; at--) yield { ...plan, steps: without(steps, at) };
  for (let at = childSteps.length - 1; at >= 0 && childSteps.length > 1; at--)
    yield { ...plan, childSteps: without(childSteps, at) };
  if (plan.padded) yield { ...plan, padded: false };
  if (plan.usersTakeMs > 0) yield { ...plan, usersTakeMs: 0 };
  if (plan.kind === "turns" && turns.runs > 1) yield { ...plan, turns: { ...turns, runs: turns.runs - 1 } };
  if (turns.hasTimeout) yield { ...plan, turns: { ...turns, hasTimeout: false } };
  for (const kind of faultKinds)
    if (faults[kind] > 1) yield { ...plan, faults: { ...faults, [kind]: faults[kind] - 1 } };
  for (let at = 0; at < steps.length; at++) {
    for (const step of simplerSteps(steps[at] as StepPlan)) yield { ...plan, steps: steps.with(at, step) };
  }
  for (let at = 0; at < childSteps.length; at++) {
    for (const step of simplerSteps(childSteps[at] as StepPlan))
      yield { ...plan, childSteps: childSteps.with(at, step) };
  }
}

/** Those behind it move up, and depend on what is left of what they depended on. */
function without(steps: readonly StepPlan[], gone: number): StepPlan[] {
  return steps.toSpliced(gone, 1).map((step) => ({
    ...step,
    after: step.after.filter((at) => at !== gone).map((at) => (at > gone ? at - 1 : at)),
  }));
}

const plain = { behaviour: "succeeds", kind: "after", onFailure: "continue", undo: "none" } as const;

function* simplerSteps(step: StepPlan): Generator<StepPlan> {
  for (const name of ["delayed", "skipWithDependency", "limited", "large", "filling", "idempotent"] as const)
    if (step[name]) yield { ...step, [name]: false };
  for (const name of ["undo", "behaviour", "kind", "onFailure"] as const)
    if (step[name] !== plain[name]) yield { ...step, [name]: plain[name] };
  for (const gone of step.after) yield { ...step, after: step.after.filter((at) => at !== gone) };
}
