// Hunts: schedules of crashes, duplicates, lost responses, stalls and skewed clocks that break R1-R7, leave a run stuck, or
// leave somebody who waits for its end without an answer.
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { limits } from "../../lib/definition/limits.ts";
import { mayEndByHand } from "../../lib/engine/by-hand.ts";
import { parentRunId } from "../../lib/engine/child.ts";
import { decodeRun } from "../../lib/engine/codec.ts";
import { isRunId } from "../../lib/engine/record-id.ts";
import { isTerminal, type RunStatus } from "../../lib/engine/run-state.ts";
import { randomChooser } from "../../lib/testing/simulator/chooser.ts";
import { type Faults, noFaults } from "../../lib/testing/simulator/faults.ts";
import { World } from "../../lib/testing/simulator/world.ts";
import { apiRate, buildWorkflow, childPlan, type StepPlan, seeded, workflowPlan } from "./random-workflow.ts";
import { schedules } from "./schedules.ts";

const stepsAtMost = 10_000;
/** Operations beget work, and while there is work there are operations: without a bound, some schedules would not end. */
const operationsAtMost = 100;
const waitersAtMost = 12;

interface Scenario {
  readonly plans: readonly StepPlan[];
  readonly childPlans: readonly StepPlan[];
  readonly seed: number;
  readonly faults: Faults;
  readonly operations: boolean;
  /** How often everything that is in flight is lost. Then only audits go on. */
  readonly losses?: number;
  /** Once all has ended, the run is purged, and perhaps redriven at the same time; with these faults. */
  readonly purge?: Faults;
  /** How long its users take to do what a run waits for. */
  readonly usersTakeMs?: number;
}

const skewMostMs = 5_000;
/** Steps, sleeps and callbacks of random workflows wait for this long at most. */
const delaysMostMs = 10 * 60_000;

const faults: fc.Arbitrary<Faults> = fc.record({
  crashes: fc.nat(3),
  duplicates: fc.nat(3),
  lostResponses: fc.nat(3),
  failures: fc.nat(2),
  stalls: fc.nat(3),
  skewMs: fc.constantFrom(0, 0, skewMostMs),
});

/** For schedules that take as long as two. */
const half = { ...schedules, numRuns: Math.ceil(schedules.numRuns / 2) };

async function play(scenarioOf: Scenario): Promise<World> {
  const { plans, childPlans, seed, faults, operations, usersTakeMs = 0 } = scenarioOf;
  let losses = scenarioOf.losses ?? 0;
  const random = seeded(seed);
  const scenario: { world?: World } = {};
  const inUserCode = async (label: string, isLimited?: boolean): Promise<void> =>
    scenario.world?.userCode(label, isLimited);
  const handOut = (index: number, token: string): void => {
    scenario.world?.outsiders.handOut(index, token);
  };
  const child = buildWorkflow(childPlans, inUserCode, handOut, { name: "child" });
  const workflow = buildWorkflow(plans, inUserCode, handOut, { child });
  const world = new World({ workflows: [workflow, child], chooser: randomChooser(random), faults, rate: apiRate });
  scenario.world = world;
  const start = (): void => {
    world.act("start", (commands) => commands.start("random", { runId: "run" }));
  };
  try {
    start();
    let operationsMade = 0;
    let waiters = 0;
    let purged = false;
    for (let step = 0; step < stepsAtMost; step++) {
      if (operations && operationsMade < operationsAtMost && random() < 0.05) {
        operate(world, random);
        operationsMade++;
      }
      if (waiters < waitersAtMost && random() < 0.05) {
        const runIds = [...world.seen.runs.keys()].filter(isRunId);
        world.waitFor(runIds[Math.floor(random() * runIds.length)] ?? "run");
        waiters++;
      }
      if (losses > 0 && random() < 0.05) {
        world.loseMessages();
        losses--;
      }
      if (await world.step()) continue;
      // Nothing is in flight.
      if (!(await world.isAtRest())) continue;
      world.assertWaitersTold();
      if (scenarioOf.losses !== undefined && (await auditInTime(world))) continue;
      if (usersTakeMs > 0) world.wait(usersTakeMs);
      if (purged && world.finishRemovals()) continue;
      // A caller that heard nothing asks again.
      if (!world.seen.runs.has("run") && !purged) start();
      else if (world.orphans()[0] !== undefined) throw new Error(`R5: ${world.orphans()[0]} outlived its parent`);
      else if (!answer(world)) {
        if (scenarioOf.purge !== undefined && !purged) {
          purged = true;
          Object.assign(world.faults, scenarioOf.purge);
          purge(world, random);
          continue;
        }
        if (!operations || random() < 0.4) return world;
        goOn(world, random);
      }
    }
    throw new Error(`The schedule did not end within ${stepsAtMost} steps`);
  } catch (error) {
    const last = world.trace.slice(-150).join("\n");
    throw new Error(`${error instanceof Error ? error.message : String(error)}\nseed ${seed}, schedule:\n${last}`, {
      cause: error,
    });
  }
}

/** Whether an audit finds something to repair, once it has been due for long; what a rate limit may hold back, a day later. */
async function auditInTime(world: World): Promise<boolean> {
  for (const waitMs of [limits.auditAfterMs + delaysMostMs, limits.rateMostMs]) {
    world.wait(waitMs);
    if ((await world.audit()).stuck > 0) return true;
  }
  return false;
}

function purge(world: World, random: () => number): void {
  const redrive = (): void => world.act("redrive", (commands) => commands.redrive("run"));
  const choice = random();
  if (choice < 0.3) redrive();
  world.act("purge", (commands) => commands.purge("run"));
  if (choice > 0.7) redrive();
  if (random() < 0.3) world.act("purge", (commands) => commands.purge("run"));
}

/** Does what some run waits for from outside; `false` when none does, and all have ended. */
function answer(world: World): boolean {
  const open = [...world.seen.runs.keys()].filter((runId) => isRunId(runId) && !isTerminal(statusOf(world, runId)));
  // An outside party died with its answer, or never heard that it had failed.
  if (open.some((runId) => statusOf(world, runId) === "running") && world.outsiders.askAgain()) return true;
  for (const runId of open) {
    const run = decodeRun(runId, world.seen.runs.get(runId) ?? {});
    if (run.status === "paused") {
      world.act(`resume ${runId}`, (commands) => commands.resume(runId));
      return true;
    }
    const index = run.steps.findIndex(
      (step, at) => world.awaitsSignal(run, at) && step?.status === "waiting" && run.signals[at] === undefined,
    );
    if (index !== -1 && run.status === "running") {
      world.act(`signal ${runId} s${index}`, (commands) => commands.signal(runId, `s${index}`, 1));
      return true;
    }
    const awaitsChild = run.steps.some((step, at) => step?.status === "waiting" && !world.awaitsSignal(run, at));
    if (!awaitsChild) throw new Error(`R5: ${runId} is ${run.status} and nothing is in flight`);
  }
  if (open[0] !== undefined) throw new Error(`R5: ${open[0]} waits for a child that has ended`);
  return false;
}

function statusOf(world: World, runId: string): RunStatus {
  return decodeRun(runId, world.seen.runs.get(runId) ?? {}).status;
}

function operate(world: World, random: () => number): void {
  const choice = random();
  const step = `s${Math.floor(random() * 7)}`;
  const children = [...world.seen.runs.keys()].filter((runId) => isRunId(runId) && runId.includes("~"));
  const child = children[Math.floor(random() * children.length)];
  if (child !== undefined && random() < 0.3) {
    const name = (["pause", "resume", "cancel", "redrive", "terminate"] as const)[Math.floor(random() * 5)] ?? "pause";
    if (name === "terminate") world.terminate(child);
    else world.act(`${name} ${child}`, (commands) => commands[name](child));
    return;
  }
  if (choice < 0.2) world.act("pause", (commands) => commands.pause("run"));
  else if (choice < 0.4) world.act("resume", (commands) => commands.resume("run"));
  else if (choice < 0.5) world.outsiders.meddle();
  else if (choice < 0.7) world.act(`signal ${step}`, (commands) => commands.signal("run", step, 1));
  else if (choice < 0.78) world.act("redrive", (commands) => commands.redrive("run"));
  else if (choice < 0.82) world.act("cancel", (commands) => commands.cancel("run"));
  else if (choice < 0.86) world.terminate("run");
  else if (choice < 0.93) redriveByHand(world, random, step);
  else fork(world, random, step);
}

/** What a user does when all runs have ended. */
function goOn(world: World, random: () => number): void {
  const run = decodeRun("run", world.seen.runs.get("run") ?? {});
  const mendable = run.steps.flatMap((_step, index) => (mayEndByHand(run, index) ? [`s${index}`] : []));
  const step = mendable[Math.floor(random() * mendable.length)];
  const choice = random();
  if (choice < 0.4) fork(world, random, `s${Math.floor(random() * 7)}`);
  else if (choice < 0.7 && step !== undefined) redriveByHand(world, random, step);
  else if (run.status !== "succeeded") world.act("redrive", (commands) => commands.redrive("run"));
}

/** With an output that says why, so that the two are known to belong together. */
function redriveByHand(world: World, random: () => number, step: string): void {
  const reason = String(Math.floor(random() * 1e6));
  const request = random() < 0.5 ? { set: { [step]: Number(reason) } } : { skip: [step] };
  world.act(`redrive by hand: ${JSON.stringify(request)}`, (commands) =>
    commands.redrive("run", { ...request, by: "somebody", reason }),
  );
}

/** Few ids, so that forks meet: of one run, of another, from here and from there, one after the other and at once. */
function fork(world: World, random: () => number, from: string): void {
  const runId = `fork${Math.floor(random() * 2)}`;
  const original = random() < 0.8 ? "run" : `fork${Math.floor(random() * 2)}`;
  world.act(`fork ${runId} of ${original} from ${from}`, (commands) => commands.fork(original, { from, runId }), runId);
  if (random() < 0.5) return;
  const other = `s${Math.floor(random() * 7)}`;
  world.act(`fork ${runId} of run from ${other}`, (commands) => commands.fork("run", { from: other, runId }), runId);
}

function outcome(world: World): { status: string; steps: (string | undefined)[] } {
  const run = decodeRun("run", world.seen.runs.get("run") ?? {});
  // What a failing run had begun when it failed depends on the schedule; what a succeeded one did does not.
  // A fault may cut a failing attempt off, or keep it from being cut off.
  const ends = run.steps.map((step) => (step?.status === "unknown" ? "failed" : step?.status));
  return { status: run.status, steps: run.status === "succeeded" ? ends : [] };
}

function attempts(world: World): (number | undefined)[] {
  return decodeRun("run", world.seen.runs.get("run") ?? {}).steps.map((step) => step?.attempt);
}

/** What is left of runs that are gone. */
function leftovers({ machinery, seen }: World): string[] {
  const runs = [...seen.allRuns()].flatMap(({ runId, parent, status, retentionMs }) => {
    if (parent === undefined || seen.runs.has(parentRunId(runId))) return [];
    return retentionMs === undefined ? [`${runId}, which is ${status} and never expires`] : [];
  });
  return [...machinery.store.leftovers(), ...runs];
}

describe("the delivery rule over random graphs", () => {
  test("faults change nothing about the outcome, and nothing is lost, doubled or stuck", async () => {
    await fc.assert(
      fc.asyncProperty(workflowPlan, childPlan, fc.integer(), faults, async (plans, childPlans, seed, faults) => {
        const calm = await play({ plans, childPlans, seed, faults: noFaults, operations: false });
        const stormy = await play({ plans, childPlans, seed, faults, operations: false });
        expect(outcome(stormy)).toEqual(outcome(calm));
      }),
      schedules,
    );
  }, 900_000);

  test("lost responses and duplicates cost no attempt", async () => {
    await fc.assert(
      fc.asyncProperty(
        workflowPlan,
        childPlan,
        fc.integer(),
        fc.nat(4),
        fc.nat(3),
        async (plans, childPlans, seed, lostResponses, duplicates) => {
          const calm = await play({ plans, childPlans, seed, faults: noFaults, operations: false });
          const stormy = await play({
            plans,
            childPlans,
            seed,
            faults: { ...noFaults, lostResponses, duplicates },
            operations: false,
          });
          if (outcome(calm).status === "succeeded") expect(attempts(stormy)).toEqual(attempts(calm));
        },
      ),
      schedules,
    );
  }, 900_000);

  test("signals, pause, resume, cancel, terminate, redrive and fork at any moment leave every invariant intact", async () => {
    await fc.assert(
      fc.asyncProperty(workflowPlan, childPlan, fc.integer(), faults, async (plans, childPlans, seed, faults) => {
        await play({ plans, childPlans, seed, faults, operations: true });
      }),
      schedules,
    );
  }, 900_000);

  test("what is lost for good is brought back by audits, and nothing else ends otherwise", async () => {
    await fc.assert(
      fc.asyncProperty(
        workflowPlan,
        childPlan,
        fc.integer(),
        faults,
        fc.integer({ min: 1, max: 12 }),
        async (plans, childPlans, seed, faults, losses) => {
          const calm = await play({ plans, childPlans, seed, faults: noFaults, operations: false });
          const lossy = await play({ plans, childPlans, seed, faults, operations: false, losses });
          expect(outcome(lossy)).toEqual(outcome(calm));
        },
      ),
      half,
    );
  }, 900_000);

  test("also when users operate the runs, and die with what they do", async () => {
    await fc.assert(
      fc.asyncProperty(
        workflowPlan,
        childPlan,
        fc.integer(),
        faults,
        fc.integer({ min: 1, max: 12 }),
        async (plans, childPlans, seed, faults, losses) => {
          await play({ plans, childPlans, seed, faults, operations: true, losses });
        },
      ),
      half,
    );
  }, 900_000);

  test("a purge removes all of a run or nothing, whoever dies with it, and of a purge and a redrive one happens", async () => {
    const seen = { gone: 0, left: 0 };
    await fc.assert(
      fc.asyncProperty(workflowPlan, childPlan, fc.integer(), faults, async (plans, childPlans, seed, faults) => {
        const world = await play({ plans, childPlans, seed, faults: noFaults, operations: false, purge: faults });
        expect(leftovers(world)).toEqual([]);
        if (world.seen.runs.has("run")) seen.left++;
        else seen.gone++;
      }),
      half,
    );
    expect(seen.gone).toBeGreaterThan(0);
    expect(seen.left).toBeGreaterThan(0);
  }, 900_000);

  test("no audit takes a run for stuck that has waited for hours for its users", async () => {
    await fc.assert(
      fc.asyncProperty(workflowPlan, childPlan, fc.integer(), faults, async (plans, childPlans, seed, faults) => {
        await play({ plans, childPlans, seed, faults, operations: true, usersTakeMs: 3 * 3_600_000 });
      }),
      half,
    );
  }, 900_000);
});
