// Workflows whose maps have tiny shards, so that a few items make a tree of several levels.
import { fingerprint, type Graph } from "../../lib/definition/graph.ts";
import type { Workflow } from "../../lib/definition/workflow.ts";

/** The workflow with other numbers pinned into its graph, as another version of Pawl may choose them. */
export function withSmallShards<W extends Workflow>(of: W, shardItems = 2, fanOut = 2): W {
  const steps = of.graph.steps.map((step) => (step.kind === "map" ? { ...step, shardItems, fanOut } : step));
  const graph: Graph = { ...of.graph, steps };
  return { ...of, graph, fingerprint: fingerprint(graph) };
}
