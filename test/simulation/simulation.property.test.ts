// Hunts: schedules of crashes, duplicates, lost responses, stalls and skewed clocks that break R1-R7 or leave a run stuck.
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decodeRun } from "../../lib/engine/codec.ts";
import { isTerminal } from "../../lib/engine/run-state.ts";
import { buildWorkflow, childPlan, type StepPlan, seeded, workflowPlan } from "./random-workflow.ts";
import { type Faults, World } from "./world.ts";

const numRuns = Number(process.env.PAWL_SIM_SEEDS ?? 1_500);
const stepsAtMost = 10_000;

interface Scenario {
  readonly plans: readonly StepPlan[];
  readonly childPlans: readonly StepPlan[];
  readonly seed: number;
  readonly faults: Faults;
  readonly operations: boolean;
}

const none: Faults = { crashes: 0, duplicates: 0, lostResponses: 0, failures: 0, stalls: 0, skewMs: 0 };

const faults: fc.Arbitrary<Faults> = fc.record({
  crashes: fc.nat(3),
  duplicates: fc.nat(3),
  lostResponses: fc.nat(3),
  failures: fc.nat(2),
  stalls: fc.nat(3),
  skewMs: fc.constantFrom(0, 0, 5_000),
});

async function play({ plans, childPlans, seed, faults, operations }: Scenario): Promise<World> {
  const random = seeded(seed);
  const scenario: { world?: World } = {};
  const inUserCode = async (label: string): Promise<void> => scenario.world?.userCode(label);
  const child = buildWorkflow(childPlans, inUserCode, { name: "child" });
  const workflow = buildWorkflow(plans, inUserCode, { child });
  const world = new World([workflow, child], random, faults);
  scenario.world = world;
  const start = (): void => {
    world.act("start", (commands) => commands.start("random", { runId: "run" }));
  };
  try {
    start();
    for (let step = 0; step < stepsAtMost; step++) {
      if (operations && random() < 0.05) operate(world, random);
      if (await world.step()) continue;
      // Nothing is in flight. A caller that heard nothing asks again.
      if (!world.runs.has("run")) start();
      else if (world.orphans()[0] !== undefined) throw new Error(`R5: ${world.orphans()[0]} outlived its parent`);
      else if (!answer(world)) {
        const { status } = decodeRun("run", world.runs.get("run") ?? {});
        if (!operations || status === "succeeded" || random() < 0.5) return world;
        world.act("redrive", (commands) => commands.redrive("run"));
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

/** Does what some run waits for from outside; `false` when none does, and all have ended. */
function answer(world: World): boolean {
  for (const [runId, fields] of world.runs) {
    const run = decodeRun(runId, fields);
    if (isTerminal(run.status)) continue;
    if (run.status === "paused") {
      world.act(`resume ${runId}`, (commands) => commands.resume(runId));
      return true;
    }
    const index = run.steps.findIndex(
      (step, at) => world.awaitsSignal(run, at) && step?.status === "waiting" && run.signals[at] === undefined,
    );
    if (index !== -1) {
      world.act(`signal ${runId} s${index}`, (commands) => commands.signal(runId, `s${index}`, 1));
      return true;
    }
    const awaitsChild = run.steps.some((step, at) => step?.status === "waiting" && !world.awaitsSignal(run, at));
    if (!awaitsChild) throw new Error(`R5: ${runId} is ${run.status} and nothing is in flight`);
  }
  const open = [...world.runs].find(([runId, fields]) => !isTerminal(decodeRun(runId, fields).status));
  if (open !== undefined) throw new Error(`R5: ${open[0]} waits for a child that has ended`);
  return false;
}

function operate(world: World, random: () => number): void {
  const choice = random();
  const step = `s${Math.floor(random() * 7)}`;
  const children = [...world.runs.keys()].filter((runId) => runId !== "run");
  const child = children[Math.floor(random() * children.length)];
  if (child !== undefined && random() < 0.3) {
    const name = (["pause", "resume", "cancel", "redrive", "terminate"] as const)[Math.floor(random() * 5)] ?? "pause";
    world.act(`${name} ${child}`, (commands) => commands[name](child));
    return;
  }
  if (choice < 0.25) world.act("pause", (commands) => commands.pause("run"));
  else if (choice < 0.5) world.act("resume", (commands) => commands.resume("run"));
  else if (choice < 0.85) world.act(`signal ${step}`, (commands) => commands.signal("run", step, 1));
  else if (choice < 0.92) world.act("redrive", (commands) => commands.redrive("run"));
  else if (choice < 0.96) world.act("cancel", (commands) => commands.cancel("run"));
  else world.act("terminate", (commands) => commands.terminate("run"));
}

function outcome(world: World): { status: string; steps: (string | undefined)[] } {
  const run = decodeRun("run", world.runs.get("run") ?? {});
  // What a failing run had begun when it failed depends on the schedule; what a succeeded one did does not.
  return { status: run.status, steps: run.status === "succeeded" ? run.steps.map((step) => step?.status) : [] };
}

function attempts(world: World): (number | undefined)[] {
  return decodeRun("run", world.runs.get("run") ?? {}).steps.map((step) => step?.attempt);
}

describe("the delivery rule over random graphs", () => {
  test("faults change nothing about the outcome, and nothing is lost, doubled or stuck", async () => {
    await fc.assert(
      fc.asyncProperty(workflowPlan, childPlan, fc.integer(), faults, async (plans, childPlans, seed, faults) => {
        const calm = await play({ plans, childPlans, seed, faults: none, operations: false });
        const stormy = await play({ plans, childPlans, seed, faults, operations: false });
        expect(outcome(stormy)).toEqual(outcome(calm));
      }),
      { numRuns },
    );
  }, 120_000);

  test("lost responses and duplicates cost no attempt", async () => {
    await fc.assert(
      fc.asyncProperty(
        workflowPlan,
        childPlan,
        fc.integer(),
        fc.nat(4),
        fc.nat(3),
        async (plans, childPlans, seed, lostResponses, duplicates) => {
          const calm = await play({ plans, childPlans, seed, faults: none, operations: false });
          const stormy = await play({
            plans,
            childPlans,
            seed,
            faults: { ...none, lostResponses, duplicates },
            operations: false,
          });
          if (outcome(calm).status === "succeeded") expect(attempts(stormy)).toEqual(attempts(calm));
        },
      ),
      { numRuns },
    );
  }, 120_000);

  test("signals, pause, resume, cancel, terminate and redrive at any moment leave every invariant intact", async () => {
    await fc.assert(
      fc.asyncProperty(workflowPlan, childPlan, fc.integer(), faults, async (plans, childPlans, seed, faults) => {
        await play({ plans, childPlans, seed, faults, operations: true });
      }),
      { numRuns },
    );
  }, 120_000);
});
