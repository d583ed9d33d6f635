/** The start rule: arm the run's first messages, then write the run, both within the grace time of its messages (R5). */
import type { Graph } from "../definition/graph.ts";
import { limits } from "../definition/limits.ts";
import { encodeRun } from "../engine/codec.ts";
import { due } from "../engine/due.ts";
import { payloadKey, placePayload } from "../engine/placement.ts";
import type { RunState } from "../engine/run-state.ts";
import { create, type NewRun, newRun } from "../engine/start.ts";
import { PawlError } from "./errors.ts";
import { type Image, imageOf } from "./image.ts";
import type { Ports } from "./ports.ts";

export interface RunStart extends Omit<NewRun, "input"> {
  readonly graph: Graph;
  /** The input, as JSON. */
  readonly json: string;
  /** Stores the graph, when nothing else makes sure that it will be found. */
  readonly keepGraph: () => Promise<void>;
}

export interface RunStarted {
  /** The run as it was to be written. */
  readonly wanted: RunState;
  /** The run that had the id already; absent when the start was made. */
  readonly existing?: Image;
}

/** @throws {PawlError} unavailable, when the start was held up for too long; nothing has begun then */
export async function startRun(ports: Ports, start: RunStart): Promise<RunStarted> {
  const { store, queue, clock } = ports;
  const { graph, json, keepGraph, ...draft } = start;
  const nowMs = clock.now();
  const bare = newRun(graph, { ...draft, input: { json: "" } }, nowMs);
  const key = payloadKey.input(draft.inputHash);
  // A shard's own record is for what its items return.
  const input = graph.shard === undefined ? placePayload(json, key, encodeRun(bare), graph.steps.length) : { key };
  const wanted = newRun(graph, { ...draft, input }, nowMs);
  const { runId } = wanted;

  if ("key" in input) {
    const existing = await store.get(runId);
    if (existing !== undefined) return { wanted, existing: imageOf(runId, existing) };
    await store.putPayload(runId, input.key, json);
  }
  await keepGraph();
  await queue.send(due(graph, wanted, nowMs));
  // Messages without a run are dropped after the grace time: a start that was held up writes nothing, and one whose
  // write was held up sends them again.
  const isLate = (): boolean => clock.now() - nowMs > limits.startGraceMs / 2;
  if (isLate()) throw new PawlError("unavailable", "The start took too long and was not made. Start the run again.");
  const result = await store.update(runId, create(wanted));
  if (result.applied) {
    if (isLate()) await queue.send(due(graph, wanted, clock.now()));
    return { wanted };
  }
  if (result.fields === undefined) throw new Error(`Run ${runId} was refused by an empty store.`);
  return { wanted, existing: imageOf(runId, result.fields) };
}
