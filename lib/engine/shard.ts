/** How failed items add up, from the leaves of a map to its root. A run that is no shard has no items. */
import type { Graph, MapStep } from "../definition/graph.ts";
import { becauseOf } from "./run-error.ts";
import type { RunError, RunState } from "./run-state.ts";

/** Items of the shard that failed for good: its own, or those that its shards have told when they ended. */
export function failedItems(graph: Graph, run: RunState): number {
  return tallies(graph, run).reduce<number>((sum, tally) => sum + (tally ?? 0), 0);
}

/**
 * One shard with more failed items than the map as a whole tolerates is enough; and what a shard has not told, because
 * it was ended from outside, is not tolerated at all.
 */
export function toleratesFailures(graph: Graph, run: RunState): boolean {
  if (graph.shard === undefined) return true;
  return hasTold(graph, run) && failedItems(graph, run) <= graph.shard.tolerated;
}

/** What an ended shard tells the one that started it, as JSON; `undefined` when it cannot tell. */
export function toldByShard(graph: Graph, run: RunState): string | undefined {
  return run.status === "failed" && hasTold(graph, run) ? String(failedItems(graph, run)) : undefined;
}

function hasTold(graph: Graph, run: RunState): boolean {
  return !tallies(graph, run).includes(undefined);
}

/** Of each step, how many items failed in it. */
function tallies(graph: Graph, run: RunState): (number | undefined)[] {
  if (graph.shard === undefined) return [];
  return graph.steps.map((step, index) => {
    const status = run.steps[index]?.status;
    if (status !== "failed" && status !== "unknown") return 0;
    if (step.kind !== "shard") return 1;
    const told = run.outputs[index];
    return status === "failed" && told !== undefined && "json" in told ? Number(told.json) : undefined;
  });
}

/** Whether the run of the whole list came to an end that its map tolerates. */
export function hasMapped(graph: Graph, root: RunState): boolean {
  return root.status === "succeeded" || (root.status === "failed" && toleratesFailures(graph, root));
}

/** How a map fails of which too many items failed: with the error of the first that was seen. */
export function mapError({ id }: MapStep, graph: Graph, failures: number, first: RunError): RunError {
  const { shard } = graph;
  const most = shard?.tolerated ?? 0;
  const tolerated = most === 0 ? "none is" : `${most} ${most === 1 ? "is" : "are"}`;
  const what =
    failures > most
      ? `${failures} of ${shard?.count} items failed or were then stopped, and ${tolerated} tolerated.`
      : "A part of the items was ended from outside.";
  const message = `${what} Item ${first.step}: ${first.name}: ${first.message}`;
  return becauseOf(graph, { name: "MapFailed", message, step: id }, first);
}
