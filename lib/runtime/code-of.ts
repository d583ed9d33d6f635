/** The code of a step. That of a shard's steps is its map's, with the step's own item. */

import type { ChildCode } from "../definition/child.ts";
import type { Graph, GraphStep, Shard } from "../definition/graph.ts";
import type { MapCode } from "../definition/map.ts";
import type { RunCode, StepCode } from "../definition/step.ts";
import type { Workflow } from "../definition/workflow.ts";
import { mapRunId } from "../engine/child.ts";

export function codeOf(workflow: Workflow, { shard }: Graph, step: GraphStep): StepCode | undefined {
  if (shard === undefined) return workflow.code.get(step.id);
  const map = workflow.code.get(shard.map);
  if (map?.kind !== "map") return undefined;
  return step.kind === "shard" ? { kind: "shard" } : itemCode(map.item, shard, Number(step.id));
}

function itemCode(item: MapCode["item"], shard: Shard, index: number): RunCode | ChildCode {
  const itemOf = (input: unknown): unknown => (input as readonly unknown[])[index - shard.from];
  if (item.kind === "child") return { ...item, input: ({ input }) => itemOf(input) };
  return {
    ...item,
    run: ({ input, outputs: _outputs, errors: _errors, ...context }) =>
      item.run({ ...context, item: itemOf(input), index, runId: mapRunId(context.runId), stepId: shard.map }),
  };
}
