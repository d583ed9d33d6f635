// Hunts: schedules of crashes, duplicates, lost responses, stalls and skewed clocks that break R1-R7 or leave a run stuck.
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decodeRun } from "../../lib/engine/codec.ts";
import { isTerminal } from "../../lib/engine/run-state.ts";
import { buildWorkflow, type StepPlan, seeded, workflowPlan } from "./random-workflow.ts";
import { type Faults, World } from "./world.ts";

const numRuns = Number(process.env.PAWL_SIM_SEEDS ?? 1_500);
const stepsAtMost = 6_000;

interface Scenario {
  readonly plans: readonly StepPlan[];
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

async function play({ plans, seed, faults, operations }: Scenario): Promise<World> {
  const random = seeded(seed);
  const scenario: { world?: World } = {};
  const inUserCode = async (label: string): Promise<void> => scenario.world?.userCode(label);
  const workflow = buildWorkflow(plans, inUserCode, (index, token) => scenario.world?.outsiders.handOut(index, token));
  const world = new World([workflow], random, faults);
  scenario.world = world;
  const start = (): void => {
    world.act("start", (commands) => commands.start("random", { runId: "run" }));
  };
  try {
    start();
    for (let step = 0; step < stepsAtMost; step++) {
      if (operations && random() < 0.05) operate(world, random);
      if (await world.step()) continue;
      const fields = world.runs.get("run");
      const status = fields === undefined ? undefined : decodeRun("run", fields).status;
      // Nothing is in flight. A caller that heard nothing asks again; a paused run waits for its user.
      const waits = status === undefined ? [] : signalsAwaited(world);
      const [name] = waits;
      if (status === "running" && name !== undefined) {
        world.act(`signal ${name}`, (commands) => commands.signal("run", name, 1));
      } else if (status === "running" && world.outsiders.askAgain()) {
        // The outside party died with its answer, or never heard that it had failed.
      } else if (status === undefined) start();
      else if (status === "paused") world.act("resume", (commands) => commands.resume("run"));
      else if (isTerminal(status)) {
        if (!operations || status === "succeeded" || random() < 0.5) return world;
        world.act("redrive", (commands) => commands.redrive("run"));
      } else throw new Error(`R5: the run is ${status} and nothing is in flight`);
    }
    throw new Error(`The schedule did not end within ${stepsAtMost} steps`);
  } catch (error) {
    const last = world.trace.slice(-150).join("\n");
    throw new Error(`${error instanceof Error ? error.message : String(error)}\nseed ${seed}, schedule:\n${last}`, {
      cause: error,
    });
  }
}

/** Steps that wait for a signal alone, and have not been sent one. A callback has a token. */
function signalsAwaited(world: World): string[] {
  const run = decodeRun("run", world.runs.get("run") ?? {});
  return run.steps.flatMap((step, index) => {
    const isAwaited = step?.status === "waiting" && step.wakeAtMs === undefined && run.signals[index] === undefined;
    if (run.tokens[index] !== undefined || run.interrupts[index] !== undefined) return [];
    return isAwaited ? [`s${index}`] : [];
  });
}

function operate(world: World, random: () => number): void {
  const choice = random();
  const step = `s${Math.floor(random() * 7)}`;
  if (choice < 0.25) world.act("pause", (commands) => commands.pause("run"));
  else if (choice < 0.5) world.act("resume", (commands) => commands.resume("run"));
  else if (choice < 0.6) world.outsiders.meddle();
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
      fc.asyncProperty(workflowPlan, fc.integer(), faults, async (plans, seed, faults) => {
        const calm = await play({ plans, seed, faults: none, operations: false });
        const stormy = await play({ plans, seed, faults, operations: false });
        expect(outcome(stormy)).toEqual(outcome(calm));
      }),
      { numRuns },
    );
  }, 120_000);

  test("lost responses and duplicates cost no attempt", async () => {
    await fc.assert(
      fc.asyncProperty(
        workflowPlan,
        fc.integer(),
        fc.nat(4),
        fc.nat(3),
        async (plans, seed, lostResponses, duplicates) => {
          const calm = await play({ plans, seed, faults: none, operations: false });
          const stormy = await play({ plans, seed, faults: { ...none, lostResponses, duplicates }, operations: false });
          if (outcome(calm).status === "succeeded") expect(attempts(stormy)).toEqual(attempts(calm));
        },
      ),
      { numRuns },
    );
  }, 120_000);

  test("signals, pause, resume, cancel, terminate and redrive at any moment leave every invariant intact", async () => {
    await fc.assert(
      fc.asyncProperty(workflowPlan, fc.integer(), faults, async (plans, seed, faults) => {
        await play({ plans, seed, faults, operations: true });
      }),
      { numRuns },
    );
  }, 120_000);
});
