// What a seed is: a plan, and a schedule of it, from one number. And what must be so when it has been played.
import { type Chooser, randomChooser } from "../../lib/testing/simulator/chooser.ts";
import { Violation } from "../../lib/testing/simulator/evidence.ts";
import { noFaults } from "../../lib/testing/simulator/faults.ts";
import type { World } from "../../lib/testing/simulator/world.ts";
import { drawPlan, type Plan, withFullRecord, withIdempotentSteps } from "./plan.ts";
import { PlayError, type PlayOptions, play } from "./playing.ts";
import { seeded } from "./random-workflow.ts";
import { assertNothingLeft, attempts, outcome } from "./single-run.ts";
import { StreamObserver } from "./stream-observer.ts";

export interface Seed {
  readonly plan: Plan;
  /** A new one at each call, which chooses the same. */
  readonly chooser: () => Chooser;
}

export function seedOf(seed: number): Seed {
  // Seeds that follow each other have nothing in common.
  const random = seeded(Math.imul(seed, 0x9e3779b1) ^ 0x5bd1e995);
  const drawn = drawPlan(random);
  const schedule = Math.floor(random() * 2 ** 32);
  const [isIdempotent, isFull] = [seed % 5 === 0, seed % 10 === 1];
  const plan = isIdempotent ? withIdempotentSteps(drawn, random) : isFull ? withFullRecord(drawn, random) : drawn;
  return { plan, chooser: () => randomChooser(seeded(schedule)) };
}

/** Plays it, and throws a `PlayError` when something is wrong. */
export async function check(plan: Plan, chooser: Chooser, options: PlayOptions = {}): Promise<World> {
  const stream = new StreamObserver(seeded(1));
  const onChange: PlayOptions["onChange"] = (change, seen) => {
    stream.changed(change, seen);
    options.onChange?.(change, seen);
  };
  const world = await play(plan, chooser, { ...options, onChange });
  try {
    stream.finish(world.seen);
    await checkEnd(plan, world);
  } catch (error) {
    throw new PlayError(error, world);
  }
  return world;
}

async function checkEnd(plan: Plan, world: World): Promise<void> {
  if (plan.kind === "purged") assertNothingLeft(world);
  if (plan.kind !== "sameOutcome" && plan.kind !== "costless") return;
  const calm = await play({ ...plan, losses: 0 }, randomChooser(seeded(1)), { faults: noFaults });
  const [is, should] = [outcome(world), outcome(calm)];
  if (is !== should) throw new Violation(`the run has ended as ${is}; without faults it ends as ${should}`);
  if (plan.kind !== "costless" || calm.seen.run("run")?.status !== "succeeded") return;
  const [took, takes] = [attempts(world), attempts(calm)];
  if (took !== takes) throw new Violation(`R3: the steps took ${took} attempts; without faults they take ${takes}`);
}
