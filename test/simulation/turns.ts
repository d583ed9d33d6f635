// Several runs of one concurrency key, and the users who operate them.
import { isTerminal } from "../../lib/engine/run-state.ts";
import { pick } from "../../lib/testing/simulator/chooser.ts";
import { Violation } from "../../lib/testing/simulator/evidence.ts";
import { gateOf } from "../../lib/testing/simulator/flow-checks.ts";
import { signalsAwaited } from "../../lib/testing/simulator/outsiders.ts";
import type { World } from "../../lib/testing/simulator/world.ts";
import type { Plan } from "./plan.ts";
import { type Story, Stuck } from "./playing.ts";

export function turns(world: World, plan: Plan): Story {
  const { chooser, seen } = world;
  const runIds = Array.from({ length: plan.turns.runs }, (_, index) => `r${index}`);
  const start = (runId: string): void => world.act(`start ${runId}`, (commands) => commands.start("random", { runId }));
  const signal = (runId: string, name: string): void =>
    world.act(`signal ${name} of ${runId}`, (commands) => commands.signal(runId, name, 1));

  /** What its user does for a run that cannot go on by itself. `false`: nothing. */
  const help = (runId: string): boolean => {
    const run = seen.run(runId);
    if (run === undefined) start(runId);
    else if (run.status === "paused") world.act(`resume ${runId}`, (commands) => commands.resume(runId));
    else {
      const name = signalsAwaited(run)[0];
      if (isTerminal(run.status) || name === undefined) return false;
      signal(runId, name);
    }
    return true;
  };

  return {
    begin: () => runIds.forEach(start),
    operate() {
      const runId = pick(chooser, runIds, "user");
      const choice = chooser.fraction("user");
      if (choice < 0.2) world.act(`pause ${runId}`, (commands) => commands.pause(runId));
      else if (choice < 0.4) world.act(`resume ${runId}`, (commands) => commands.resume(runId));
      else if (choice < 0.6) signal(runId, `s${chooser.choose(plan.steps.length, "user")}`);
      else if (choice < 0.8) world.act(`redrive ${runId}`, (commands) => commands.redrive(runId));
      else if (choice < 0.93) world.act(`cancel ${runId}`, (commands) => commands.cancel(runId));
      else world.terminate(runId);
    },
    async goOn() {
      // A caller that heard nothing asks again; those whose turn it is need their users.
      if (runIds.filter(help).length > 0) return true;
      // An outside party died with its answer, or never heard that it had failed.
      if (world.outsiders.askAgain()) return true;
      const open = runIds.filter((runId) => !isTerminal(seen.run(runId)?.status ?? "running"));
      if (open.length > 0) throw new Stuck(`R5: ${open.join(", ")} wait and nothing is in flight`);
      if (plan.operationChance > 0 && chooser.chance(0.3, "user")) {
        const ended = runIds.filter((runId) => seen.run(runId)?.status !== "succeeded");
        for (const runId of ended) world.act(`redrive ${runId}`, (commands) => commands.redrive(runId));
        if (ended.length > 0) return true;
      }
      const [workflow] = seen.workflows;
      const gate = workflow && gateOf(seen.runs, workflow, "");
      const isFree = gate?.holders.length === 0 && gate.telling === undefined && gate.passed === gate.tickets;
      if (!isFree) throw new Violation(`all runs have ended, and their gate is ${JSON.stringify(gate)}`);
      return false;
    },
  };
}
