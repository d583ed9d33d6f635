/** The workflows that one worker or client knows, and the graphs of runs that began with other versions of them. */
import { fingerprint as fingerprintOf, type Graph } from "../definition/graph.ts";
import { limits } from "../definition/limits.ts";
import { reachableWorkflows } from "../definition/reachable.ts";
import { deriveGraph, parseShardFingerprint } from "../definition/shards.ts";
import type { Workflow } from "../definition/workflow.ts";
import { otherVersion, StoredShapeError, shown } from "../engine/field-reader.ts";
import type { PauseReason } from "../engine/run-state.ts";
import type { RunStore } from "./ports.ts";

export class Definitions {
  readonly #byName: ReadonlyMap<string, Workflow>;
  readonly #graphs = new Map<string, Graph>();
  readonly #kept = new Set<string>();
  readonly #store: RunStore;

  /** @throws {TypeError} when two workflows share a name */
  constructor(workflows: readonly Workflow[], store: RunStore) {
    this.#store = store;
    this.#byName = reachableWorkflows(workflows);
  }

  all(): readonly Workflow[] {
    return [...this.#byName.values()];
  }

  find(name: string): Workflow | undefined {
    return this.#byName.get(name);
  }

  /** Stores the graph before the first run that is pinned to it; once per process. */
  async keep(workflow: Workflow): Promise<void> {
    if (this.#kept.has(workflow.fingerprint)) return;
    await this.#store.putGraph(workflow.name, workflow.fingerprint, JSON.stringify(workflow.graph));
    this.#kept.add(workflow.fingerprint);
  }

  /**
   * The graph that a run is pinned to; `undefined` when neither the code nor the store has it.
   *
   * @throws {StoredShapeError} when the one in the store is damaged, or of a newer version
   */
  async graph(workflowName: string, fingerprint: string): Promise<Graph | undefined> {
    const own = this.#byName.get(workflowName);
    if (own?.fingerprint === fingerprint) return own.graph;
    const shard = parseShardFingerprint(fingerprint);
    if (shard !== undefined) {
      const base = await this.graph(workflowName, shard.base);
      return base === undefined ? undefined : deriveGraph(base, shard);
    }
    const key = `${workflowName}#${fingerprint}`;
    const cached = this.#graphs.get(key);
    if (cached !== undefined) return cached;
    const json = await this.#store.getGraph(workflowName, fingerprint);
    if (json === undefined) return undefined;
    const graph = readGraph(`Graph ${key}`, json, fingerprint);
    if (this.#graphs.size >= limits.cachedGraphs) this.#graphs.clear();
    this.#graphs.set(key, graph);
    return graph;
  }
}

/** Why a run waits for a person that was begun with a graph which nobody has. */
export function graphMissing(workflow: string, fingerprint: string): PauseReason {
  const message = `The graph ${fingerprint} of workflow "${workflow}", which this run began with, is neither in the code nor in the store. Deploy that version again, then resume the run.`;
  return { code: "graph_missing", message };
}

const graphSchema = 1;

/** A graph is what its fingerprint was made of, to the letter: no other damage need be looked for. */
function readGraph(what: string, json: string, fingerprint: string): Graph {
  let graph: Graph;
  try {
    graph = JSON.parse(json) as Graph;
  } catch {
    throw new StoredShapeError(what, `it is not JSON: ${shown(json)}`);
  }
  const schema: unknown = (graph as Partial<Graph> | null)?.schema;
  if (schema !== graphSchema) throw new StoredShapeError(what, otherVersion(schema, graphSchema));
  const found = fingerprintOf(graph);
  if (found !== fingerprint) throw new StoredShapeError(what, `its fingerprint is ${found} now`);
  return graph;
}
