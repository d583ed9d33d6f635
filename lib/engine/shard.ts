/** How failed items add up, from the leaves of a map to its root. A run that is no shard has no items. */
import type { Graph, MapStep } from "../definition/graph.ts";
import type { RunError, RunState } from "./run-state.ts";

/**
 * Items of the shard that failed for good, as its own record tells: its own, or those that its shards have told when
 * they ended. A shard that was ended from outside has done none of its items.
 */
export function failedItems(graph: Graph, run: RunState): number {
  if (graph.shard === undefined) return 0;
  if (run.status === "cancelled" || run.status === "timed_out") return graph.shard.count;
  return graph.steps.reduce((sum, step, index) => {
    const status = run.steps[index]?.status;
    if (status !== "failed" && status !== "unknown") return sum;
    return sum + (step.kind === "shard" ? toldItems(run, index, step.shard.count) : 1);
  }, 0);
}

/** One shard with more failed items than the map as a whole tolerates is enough. */
export function toleratesFailures(graph: Graph, run: RunState): boolean {
  return graph.shard === undefined || failedItems(graph, run) <= graph.shard.tolerated;
}

/** A shard that did not come to its end has told nothing. */
function toldItems({ outputs }: RunState, index: number, all: number): number {
  const told = outputs[index];
  const count = told !== undefined && "json" in told ? Number(told.json) : Number.NaN;
  return Number.isInteger(count) && count > 0 ? count : all;
}

/** Whether the run of the whole list came to an end that its map tolerates. */
export function hasMapped(graph: Graph, root: RunState): boolean {
  return root.status === "succeeded" || (root.status === "failed" && toleratesFailures(graph, root));
}

/** How a map fails of which too many items failed: with the error of the first that was seen. */
export function mapError({ id }: MapStep, { shard }: Graph, root: RunState, failures: number): RunError {
  const { error } = root;
  const most = shard?.tolerated ?? 0;
  const tolerated = most === 0 ? "none is" : `${most} ${most === 1 ? "is" : "are"}`;
  const first = error === undefined ? "" : ` Item ${error.step}: ${error.name}: ${error.message}`;
  const message = `${failures} of ${shard?.count} items failed or were then stopped, and ${tolerated} tolerated.${first}`;
  return { name: "MapFailed", message, step: id };
}
