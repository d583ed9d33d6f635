/** What the checks see of a world, and what they remember of it. */
import type { Graph } from "../../definition/graph.ts";
import { deriveGraph, parseShardFingerprint } from "../../definition/shards.ts";
import type { Workflow } from "../../definition/workflow.ts";
import { archiveOf, findArchived } from "../../engine/archive.ts";
import { isBarred, runIn } from "../../engine/barred.ts";
import { decodeRun } from "../../engine/codec.ts";
import { isRunId } from "../../engine/record-id.ts";
import type { RunState } from "../../engine/run-state.ts";
import type { Fields } from "../../engine/transition.ts";
import type { SimulatedStore } from "./simulated-store.ts";

/** Something that must never be so. */
export class Violation extends Error {}

interface EvidenceOptions extends Pick<Evidence, "workflows" | "nowMs" | "skewMs"> {
  readonly store: SimulatedStore;
}

export class Evidence {
  readonly workflows: readonly Workflow[];
  readonly #store: SimulatedStore;
  /** How often each step of each run has succeeded in its present generation, by `runId/step`. */
  readonly successes = new Map<string, number>();
  readonly eventIds = new Set<string>();
  /** Children that did not succeed, with the epoch and attempt of the step that waited for them then. */
  readonly badEnds = new Set<string>();
  /** Who was told of which run, and of its end in which epoch. */
  readonly told = new Set<string>();
  /** What its users have asked to end without undoing anything. */
  readonly terminated = new Set<string>();
  /** The first one counts: what comes after it may only be its consequence. */
  violation: Error | undefined;
  readonly #decoded = new WeakMap<Fields, RunState>();

  /** By the true clock. */
  readonly nowMs: () => number;
  /** The clocks of processes are off by so much, at most. */
  readonly skewMs: number;

  constructor({ workflows, store, nowMs, skewMs }: EvidenceOptions) {
    this.workflows = workflows;
    this.#store = store;
    this.nowMs = nowMs;
    this.skewMs = skewMs;
  }

  /** All records, those that runs share included. */
  get runs(): ReadonlyMap<string, Fields> {
    return this.#store.runs;
  }

  run(runId: string): RunState | undefined {
    const fields = runIn(this.#store.runs.get(runId));
    return fields === undefined ? undefined : this.decoded(runId, fields);
  }

  /** Only the runs. */
  *allRuns(): Generator<RunState> {
    for (const [id, fields] of this.#store.runs) if (isRunId(id) && !isBarred(fields)) yield this.decoded(id, fields);
  }

  /** What a record that was stored says; it never changes, so neither does this. */
  decoded(runId: string, fields: Fields): RunState {
    const known = this.#decoded.get(fields);
    if (known !== undefined) return known;
    const run = decodeRun(runId, fields);
    this.#decoded.set(fields, run);
    return run;
  }

  payload(runId: string, key: string): string | undefined {
    const archived = archiveOf(key);
    if (archived === undefined) return this.#store.payload(runId, key);
    return findArchived(this.#store.payload(runId, archived.key) ?? "", archived.step);
  }

  hasBlob(key: string): boolean {
    return this.#store.hasBlob(key);
  }

  /** Also of a shard. */
  graphOf({ workflow, fingerprint }: RunState): Graph {
    const own = this.workflows.find(({ name }) => name === workflow)?.graph;
    const shard = parseShardFingerprint(fingerprint);
    const graph = own === undefined || shard === undefined ? own : deriveGraph(own, shard);
    return graph ?? this.fail(`there is no graph ${fingerprint} of workflow ${workflow}`);
  }

  fail(message: string): never {
    this.violation ??= new Violation(message);
    throw this.violation;
  }

  assertNone(fault: string | undefined): void {
    if (fault !== undefined) this.fail(fault);
  }
}

/** The output of a step, wherever it is stored. */
export function contentOf(seen: Evidence, run: RunState, index: number): string | undefined {
  const output = run.outputs[index];
  if (output === undefined) return undefined;
  return "key" in output ? seen.payload(run.runId, output.key) : output.json;
}
