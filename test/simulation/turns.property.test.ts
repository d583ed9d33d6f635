// Hunts: schedules of faults and operations over several runs of one concurrency key that let too many go on, serve
// them out of turn, lose a slot, or leave a run waiting for ever.
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decodeRun } from "../../lib/engine/codec.ts";
import { isTerminal, type RunState } from "../../lib/engine/run-state.ts";
import { randomChooser } from "../../lib/testing/simulator/chooser.ts";
import type { Faults } from "../../lib/testing/simulator/faults.ts";
import { gateOf } from "../../lib/testing/simulator/flow-checks.ts";
import { signalsAwaited } from "../../lib/testing/simulator/outsiders.ts";
import { World } from "../../lib/testing/simulator/world.ts";
import { apiRate, buildWorkflow, type StepPlan, seeded, workflowPlan } from "./random-workflow.ts";
import { schedules } from "./schedules.ts";

/** A schedule of several runs takes twice as long. */
const half = { ...schedules, numRuns: Math.ceil(schedules.numRuns / 2) };
const stepsAtMost = 20_000;
/** Operations beget work, and while there is work there are operations: without a bound, some schedules would not end. */
const operationsAtMost = 100;

interface Scenario {
  readonly plans: readonly StepPlan[];
  readonly seed: number;
  readonly faults: Faults;
  readonly limit: number;
  readonly runs: number;
  readonly operations: boolean;
  readonly timeout?: "10m";
}

const faults: fc.Arbitrary<Faults> = fc.record({
  crashes: fc.nat(4),
  duplicates: fc.nat(4),
  lostResponses: fc.nat(4),
  failures: fc.nat(2),
  stalls: fc.nat(3),
  skewMs: fc.constantFrom(0, 0, 5_000),
});

const scenario = fc.record({
  plans: workflowPlan.map((plans) => plans.slice(0, 3)),
  seed: fc.integer(),
  faults,
  limit: fc.constantFrom(1, 1, 2),
  runs: fc.integer({ min: 2, max: 5 }),
});

async function play({ plans, seed, faults, limit, runs, operations, timeout }: Scenario): Promise<World> {
  const random = seeded(seed);
  const playing: { world?: World } = {};
  const inUserCode = async (label: string, isLimited?: boolean): Promise<void> =>
    playing.world?.userCode(label, isLimited);
  const options = { concurrency: { limit }, ...(timeout === undefined ? {} : { timeout }) };
  const workflow = buildWorkflow(
    plans,
    inUserCode,
    (index, token) => playing.world?.outsiders.handOut(index, token),
    options,
  );
  const world = new World({ workflows: [workflow], chooser: randomChooser(random), faults, rate: apiRate });
  playing.world = world;
  const runIds = Array.from({ length: runs }, (_, index) => `r${index}`);
  const start = (runId: string): void => {
    world.act(`start ${runId}`, (commands) => commands.start("random", { runId }));
  };
  /** What its user does for a run that cannot go on by itself. `false`: nothing. */
  const help = (runId: string): boolean => {
    const run = runIn(world, runId);
    if (run === undefined) start(runId);
    else if (run.status === "paused") world.act(`resume ${runId}`, (commands) => commands.resume(runId));
    else {
      const name = signalsAwaited(run)[0];
      if (isTerminal(run.status) || name === undefined) return false;
      world.act(`signal ${name}`, (commands) => commands.signal(runId, name, 1));
    }
    return true;
  };
  try {
    for (const runId of runIds) start(runId);
    let operationsMade = 0;
    for (let step = 0; step < stepsAtMost; step++) {
      if (operations && operationsMade < operationsAtMost && random() < 0.05) {
        operate(world, random, runIds[Math.floor(random() * runs)] ?? "r0");
        operationsMade++;
      }
      if (await world.step()) continue;
      // Nothing is in flight. A caller that heard nothing asks again; those whose turn it is need their users.
      if (runIds.filter((runId) => help(runId)).length > 0) continue;
      // An outside party died with its answer, or never heard that it had failed.
      if (world.outsiders.askAgain()) continue;
      const open = runIds.filter((runId) => !isTerminal(runIn(world, runId)?.status ?? "running"));
      if (open.length > 0) throw new Error(`R5: ${open.join(", ")} wait and nothing is in flight`);
      if (operations && random() < 0.3) {
        const ended = runIds.filter((runId) => runIn(world, runId)?.status !== "succeeded");
        for (const runId of ended) world.act(`redrive ${runId}`, (commands) => commands.redrive(runId));
        if (ended.length > 0) continue;
      }
      const { holders, telling, passed, tickets } = gateOf(world.seen.runs, workflow, "");
      expect({ holders, telling, passed }).toEqual({ holders: [], telling: undefined, passed: tickets });
      return world;
    }
    throw new Error(`The schedule did not end within ${stepsAtMost} steps`);
  } catch (error) {
    const last = world.trace.slice(-200).join("\n");
    throw new Error(`${error instanceof Error ? error.message : String(error)}\nseed ${seed}, schedule:\n${last}`, {
      cause: error,
    });
  }
}

function runIn(world: World, runId: string): RunState | undefined {
  const fields = world.seen.runs.get(runId);
  return fields === undefined ? undefined : decodeRun(runId, fields);
}

function operate(world: World, random: () => number, runId: string): void {
  const choice = random();
  const step = `s${Math.floor(random() * 3)}`;
  if (choice < 0.2) world.act(`pause ${runId}`, (commands) => commands.pause(runId));
  else if (choice < 0.4) world.act(`resume ${runId}`, (commands) => commands.resume(runId));
  else if (choice < 0.6) world.act(`signal ${step} of ${runId}`, (commands) => commands.signal(runId, step, 1));
  else if (choice < 0.8) world.act(`redrive ${runId}`, (commands) => commands.redrive(runId));
  else if (choice < 0.93) world.act(`cancel ${runId}`, (commands) => commands.cancel(runId));
  else world.terminate(runId);
}

describe("turns over random graphs", () => {
  test("faults lose no turn and give none twice; every run ends and the gate is empty then", async () => {
    await fc.assert(
      fc.asyncProperty(scenario, async (one) => {
        await play({ ...one, operations: false });
      }),
      half,
    );
  }, 900_000);

  test("nor do signals, pause, resume, cancel, terminate, redrive and the run's timeout at any moment", async () => {
    await fc.assert(
      fc.asyncProperty(scenario, fc.boolean(), async (one, hasTimeout) => {
        await play({ ...one, operations: true, ...(hasTimeout ? { timeout: "10m" } : {}) });
      }),
      half,
    );
  }, 900_000);
});
