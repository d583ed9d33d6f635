// What steps and users do in whichever world is being explored now.
import type { Workflow } from "../../lib/definition/workflow.ts";
import { isRunId } from "../../lib/engine/record-id.ts";
import type { RunState } from "../../lib/engine/run-state.ts";
import { contentOf } from "../../lib/testing/simulator/evidence.ts";
import type { Explorable } from "../../lib/testing/simulator/explore-all.ts";
import type { ExploredWorld, FaultBudget, Operation } from "../../lib/testing/simulator/explored-world.ts";

/** A graph, its users, and how its run may come out. */
export interface Graph {
  readonly workflows: readonly Workflow[];
  readonly users: readonly (readonly Operation[])[];
  /** Statuses that the run may end with, where several are right. @default none: every end must be the calm one */
  readonly mayEnd?: readonly string[];
}

export class Inside {
  #world: ExploredWorld | undefined;

  enter(world: ExploredWorld): void {
    this.#world = world;
  }

  /** Takes a while, and a crash may hit. */
  readonly code = async (label: string): Promise<void> => this.#world?.world.userCode(label);

  readonly handOut = (token: string): void => {
    this.#world?.handOut(token);
  };
}

export const runId = "run";

export function explorable(inside: Inside, graph: Graph, budget: FaultBudget, isReduced = true): Explorable {
  let calm: string | undefined;
  const outcomeOf = (world: ExploredWorld): string => {
    const runs = [...world.world.seen.allRuns()].filter((run) => isRunId(run.runId));
    const outcome = runs
      .map((run) => outcomeText(world, run))
      .sort()
      .join(" | ");
    if (graph.mayEnd !== undefined) {
      const status = world.world.seen.run(runId)?.status ?? "not there";
      if (!graph.mayEnd.includes(status)) throw new Error(`The run is ${status}, not ${graph.mayEnd.join(" or ")}`);
      return outcome;
    }
    // The first branch is the one without faults.
    calm ??= outcome;
    if (outcome !== calm) throw new Error(`The outcome is ${outcome}, and without faults it is ${calm}`);
    return outcome;
  };
  return { ...graph, budget, isReduced, outcomeOf, enter: (world) => inside.enter(world) };
}

function outcomeText(world: ExploredWorld, run: RunState): string {
  const steps = run.steps.map((step, index) => {
    const undo = run.undos[index]?.status;
    const output = step?.status === "succeeded" ? ` ${contentOf(world.world.seen, run, index) ?? ""}` : "";
    return `${step?.status ?? "absent"}${output}${undo === undefined ? "" : ` undo ${undo}`}`;
  });
  return `${run.runId} ${run.status}${run.epoch === 0 ? "" : ` in epoch ${run.epoch}`}: ${steps.join(", ")}`;
}
