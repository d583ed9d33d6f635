/** What the end of a run means for the step that started it: an output, or an error. */
import type { Graph, GraphStep, MapStep } from "../definition/graph.ts";
import { limits } from "../definition/limits.ts";
import type { MapSummary } from "../definition/map.ts";
import { childError } from "../engine/child.ts";
import type { OutsideEnd } from "../engine/outside.ts";
import type { RunError, RunState } from "../engine/run-state.ts";
import { failedItems, hasMapped, mapError, toldByShard } from "../engine/shard.ts";
import type { Attempt } from "../engine/track.ts";
import { compensationOf } from "../engine/undo.ts";
import { keepError } from "./claim-step.ts";
import type { Image } from "./image.ts";
import type { Ports, RunStore } from "./ports.ts";
import { missingPayload, truncate } from "./step-data.ts";

/** The output of a step that has none. */
const none = "";

/** A run that a step has started. */
export interface Child {
  readonly graph: Graph;
  readonly image: Image;
}

export type ChildEnd =
  /** @param json the step's output */
  | { readonly kind: "succeeded"; readonly json: string }
  /**
   * @param json what the step tells of it all the same
   * @param isCutOff not all that it did could be undone
   */
  | { readonly kind: "failed"; readonly error: RunError; readonly json?: string; readonly isCutOff?: true };

export async function endOfChild(
  store: RunStore,
  parent: Graph,
  step: GraphStep,
  { graph, image: { run } }: Child,
): Promise<ChildEnd> {
  if (step.kind === "map") return endOfMap(parent, step, graph, run);
  if (step.kind === "shard" && run.status !== "succeeded") {
    const told = toldByShard(graph, run);
    return {
      kind: "failed",
      error: run.error ?? childError(parent, step, run),
      ...(told === undefined ? {} : { json: told }),
    };
  }
  if (run.status !== "succeeded") {
    const isCutOff = compensationOf(graph, run) === "incomplete";
    return { kind: "failed", error: childError(parent, step, run), ...(isCutOff ? { isCutOff } : {}) };
  }
  return { kind: "succeeded", json: await outputOf(store, graph, run) };
}

function endOfMap(parent: Graph, step: MapStep, graph: Graph, root: RunState): ChildEnd {
  const failures = failedItems(graph, root);
  if (hasMapped(graph, root)) {
    return { kind: "succeeded", json: summaryJson({ items: graph.shard?.count ?? 0, failures }, root.runId) };
  }
  const first = root.status === "failed" ? root.error : undefined;
  return {
    kind: "failed",
    error: first === undefined ? childError(parent, step, root) : mapError(step, graph, failures, first),
  };
}

/** The output of a run that has succeeded, as JSON. */
async function outputOf(store: RunStore, graph: Graph, run: RunState): Promise<string> {
  const output = (graph.output === undefined ? undefined : run.outputs[graph.output]) ?? { json: none };
  const json = "json" in output ? output.json : (await store.getPayloads(run.runId, [output.key])).get(output.key);
  if (json === undefined) return missingPayload(run, "key" in output ? output.key : "");
  const isMap = graph.output !== undefined && graph.steps[graph.output]?.kind === "map" && json !== none;
  return isMap ? JSON.stringify(readSummary(JSON.parse(json) as StoredSummary)) : json;
}

/** The output of a map as it is stored: what came of the items is found by the run that has all of them. */
export interface StoredSummary extends MapSummary {
  readonly root: string;
}

export function summaryJson({ items, failures }: MapSummary, root: string): string {
  return JSON.stringify({ items, failures, root } satisfies StoredSummary);
}

export function readSummary({ items, failures }: StoredSummary): MapSummary {
  return { items, failures };
}

/** Keeps the error of an attempt, and says how the attempt ends. A child is not tried again by its step. */
export async function storeFailure(
  ports: Ports,
  run: RunState,
  { step, attempt }: Pick<Attempt, "step" | "attempt">,
  { error, json, isCutOff }: Omit<Extract<ChildEnd, { kind: "failed" }>, "kind">,
): Promise<Omit<Extract<OutsideEnd, { kind: "failed" }>, "kind">> {
  const { name, message } = error;
  await keepError(ports, run, { track: "step", step }, attempt, { name, message, atMs: ports.clock.now() });
  return {
    error: { ...error, message: truncate(message, limits.errorSummaryLength) },
    failure: { retryable: "fatal", ...(isCutOff === undefined ? {} : { isCutOff }) },
    fraction: 0,
    ...(json === undefined ? {} : { output: { json } }),
  };
}
