// Hunts: something in a world that its chooser does not decide, so that a schedule cannot be repeated.
import * as fc from "fast-check";
import { expect, test } from "vitest";
import {
  type Chooser,
  randomChooser,
  recordingChooser,
  replayingChooser,
} from "../../lib/testing/simulator/chooser.ts";
import { World } from "../../lib/testing/simulator/world.ts";
import { apiRate, buildWorkflow, childPlan, type StepPlan, seeded, workflowPlan } from "./random-workflow.ts";

async function traceOf(
  plans: readonly StepPlan[],
  childPlans: readonly StepPlan[],
  chooser: Chooser,
): Promise<readonly string[]> {
  const inUserCode = async (label: string, isLimited?: boolean): Promise<void> => world.userCode(label, isLimited);
  const handOut = (index: number, token: string): void => world.outsiders.handOut(index, token);
  const child = buildWorkflow(childPlans, inUserCode, handOut, { name: "child" });
  const workflow = buildWorkflow(plans, inUserCode, handOut, { child });
  const faults = { crashes: 2, duplicates: 2, lostResponses: 2, failures: 2, stalls: 2, skewMs: 5_000 };
  const world = new World({ workflows: [workflow, child], chooser, faults, rate: apiRate });
  world.act("start", (commands) => commands.start("random", { runId: "run" }));
  for (let step = 0; step < 200; step++) if (!(await world.step())) break;
  return world.trace;
}

test("what was chosen is the whole schedule: it makes the same world again", async () => {
  await fc.assert(
    fc.asyncProperty(workflowPlan, childPlan, fc.integer(), async (plans, childPlans, seed) => {
      const chosen: number[] = [];
      const trace = await traceOf(plans, childPlans, recordingChooser(randomChooser(seeded(seed)), chosen));
      expect(await traceOf(plans, childPlans, replayingChooser(chosen))).toEqual(trace);
    }),
    { numRuns: 20, seed: 1 },
  );
});
