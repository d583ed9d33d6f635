// Between a map and the runs that are its parts.
import type { MapSummary } from "../../definition/map.ts";
import { mapRunId } from "../../engine/child.ts";
import type { RunState } from "../../engine/run-state.ts";
import type { Evidence } from "./evidence.ts";

/** A map tells of each of its items, once: what its leaves say is what it says. */
export function checkMap(seen: Evidence, runId: string, index: number, is: RunState): void {
  const output = is.outputs[index];
  const json = output !== undefined && "key" in output ? seen.payload(is.runId, output.key) : output?.json;
  if (json === undefined) return seen.fail(`map ${index} of ${is.runId} has no output`);
  const told = JSON.parse(json) as MapSummary;
  let ended = 0;
  let failures = 0;
  for (const leaf of seen.allRuns()) {
    if (leaf.runId !== runId && !leaf.runId.startsWith(`${runId}.`)) continue;
    // Repeated by hand since it told.
    if (leaf.epoch > 0) return;
    seen.graphOf(leaf).steps.forEach((step, at) => {
      const status = leaf.steps[at]?.status;
      if (step.kind === "shard") return;
      if (status === "succeeded" || status === "failed") ended++;
      if (status === "failed") failures++;
    });
  }
  if (told.items !== ended || told.failures !== failures)
    seen.fail(`map ${index} tells ${JSON.stringify(told)}, and its leaves ${ended} items and ${failures} failures`);
}

/** Never more items are in flight than the map allows, in all of its shards together. */
export function checkConcurrency(seen: Evidence, is: RunState, mapId: string): void {
  const base = seen.workflows.find(({ name }) => name === is.workflow)?.graph;
  const map = base?.steps.find(({ id }) => id === mapId);
  if (map?.kind !== "map" || map.concurrency === undefined) return;
  const root = `${mapRunId(is.runId)}~${mapId}`;
  let inFlight = 0;
  for (const shard of seen.allRuns()) {
    if (shard.runId !== root && !shard.runId.startsWith(`${root}.`)) continue;
    // A shard that a person redrives by hand knows nothing of the others.
    if (shard.epoch > 0) return;
    seen.graphOf(shard).steps.forEach((step, at) => {
      const status = shard.steps[at]?.status;
      if (step.kind !== "shard" && (status === "running" || status === "backing_off")) inFlight++;
    });
  }
  if (inFlight > map.concurrency) seen.fail(`${inFlight} items of ${root} are in flight, not ${map.concurrency}`);
}
