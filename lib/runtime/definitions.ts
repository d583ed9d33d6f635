/** The workflows that one worker or client knows, and the graphs of runs that began with other versions of them. */
import type { Graph } from "../definition/graph.ts";
import { limits } from "../definition/limits.ts";
import { reachableWorkflows } from "../definition/reachable.ts";
import { deriveGraph, parseShardFingerprint } from "../definition/shards.ts";
import type { Workflow } from "../definition/workflow.ts";
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

  /** The graph that a run is pinned to; `undefined` when neither the code nor the store has it. */
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
    const graph = JSON.parse(json) as Graph;
    if ((graph.schema as number) !== 1) {
      throw new Error(`Graph ${key} has schema ${graph.schema}, and this version of Pawl knows 1. Update the worker.`);
    }
    if (this.#graphs.size >= limits.cachedGraphs) this.#graphs.clear();
    this.#graphs.set(key, graph);
    return graph;
  }
}
