// Plays one plan to its end: the world goes on step by step, its users act in between, and when nothing is in flight any
// more they do what the runs wait for, until all have ended.
import { type Chooser, pick } from "../../lib/testing/simulator/chooser.ts";
import { Violation } from "../../lib/testing/simulator/evidence.ts";
import type { Faults } from "../../lib/testing/simulator/faults.ts";
import { World, type WorldOptions } from "../../lib/testing/simulator/world.ts";
import type { Plan } from "./plan.ts";
import { apiRate, buildWorkflow } from "./random-workflow.ts";
import { singleRun } from "./single-run.ts";
import { turns } from "./turns.ts";

/** Nobody can do anything for a run that has not ended. */
export class Stuck extends Violation {}

/** What its users do in a world. */
export interface Story {
  /** At first. */
  begin(): void;
  /** At any moment, though not for ever: operations beget work, and while there is work there are operations. */
  operate(): void;
  /** When nothing is in flight any more. @returns `false` when all is over */
  goOn(): Promise<boolean>;
}

export interface PlayOptions {
  /** @default those of the plan */
  readonly faults?: Faults;
  readonly isTraced?: boolean;
  /** @default nothing */
  readonly tamper?: WorldOptions["tamper"];
  /** Sees each change of a record. */
  readonly onChange?: WorldOptions["onChange"];
}

const stepsMost = 20_000;
const operationsMost = 100;
const waitersMost = 12;
const userChance = 0.05;

export async function play(plan: Plan, chooser: Chooser, options: PlayOptions = {}): Promise<World> {
  // A world goes on without a turn of the event loop: others get theirs before each.
  await new Promise<void>((resolve) => {
    setImmediate(resolve);
  });
  const world = worldOf(plan, chooser, options);
  const story = plan.kind === "turns" ? turns(world, plan) : singleRun(world, plan);
  let { losses } = plan;
  let operations = plan.operationChance > 0 ? operationsMost : 0;
  let waiters = plan.kind === "turns" ? 0 : waitersMost;
  try {
    story.begin();
    for (let step = 0; step < stepsMost; step++) {
      if (operations > 0 && chooser.chance(plan.operationChance, "user")) {
        operations--;
        story.operate();
      }
      if (waiters > 0 && chooser.chance(userChance, "user")) {
        waiters--;
        waitForSome(world);
      }
      if (losses > 0 && chooser.chance(userChance, "user")) {
        losses--;
        world.loseMessages();
      }
      if (await world.step()) continue;
      // What a user has just asked for may still be under way.
      if ((await world.isAtRest()) && !(await story.goOn())) return world;
    }
    throw new Stuck(`R5: the schedule did not end within ${stepsMost} steps`);
  } catch (error) {
    throw new PlayError(error, world);
  }
}

/** What went wrong, and the world in which it did. */
export class PlayError extends Error {
  readonly world: World;
  readonly isStuck: boolean;

  constructor(cause: unknown, world: World) {
    super(cause instanceof Error ? cause.message : String(cause), { cause });
    this.world = world;
    this.isStuck = cause instanceof Stuck;
  }
}

function worldOf(
  plan: Plan,
  chooser: Chooser,
  { faults = plan.faults, isTraced = false, tamper, onChange }: PlayOptions,
): World {
  const inUserCode = (label: string, isLimited?: boolean): Promise<void> => world.userCode(label, isLimited);
  const handOut = (index: number, token: string): void => world.outsiders.handOut(index, token);
  const { limit, hasTimeout } = plan.turns;
  const forTurns = { concurrency: { limit }, ...(hasTimeout ? { timeout: "10m" as const } : {}) };
  const child = buildWorkflow(plan.childSteps, inUserCode, handOut, { name: "child" });
  const workflow = buildWorkflow(plan.steps, inUserCode, handOut, plan.kind === "turns" ? forTurns : { child });
  const world: World = new World({
    workflows: [workflow, child],
    chooser,
    faults,
    faultChance: plan.faultChance,
    processes: plan.processes,
    deliveriesAtOnce: plan.deliveriesAtOnce,
    rate: apiRate,
    isTraced,
    ...(tamper === undefined ? {} : { tamper }),
    ...(onChange === undefined ? {} : { onChange }),
  });
  return world;
}

function waitForSome(world: World): void {
  const runs = [...world.seen.allRuns()];
  world.waitFor(runs.length === 0 ? "run" : pick(world.chooser, runs, "user").runId);
}
