/** What came of the items of a map, read from the shards that have it: one read for the items of one leaf. */
import type { Graph, MapStep } from "../definition/graph.ts";
import { limits } from "../definition/limits.ts";
import type { ItemError, MapResults } from "../definition/map.ts";
import { pathTo, rootShard, shardGraph } from "../definition/shards.ts";
import { shardRunId } from "../engine/child.ts";
import { decodeRun } from "../engine/codec.ts";
import type { RunState } from "../engine/run-state.ts";
import type { StoredSummary } from "./child-end.ts";
import type { RunStore } from "./ports.ts";
import { settleAll } from "./settle-all.ts";
import { readError, readPayload } from "./step-data.ts";

interface ReadShard {
  readonly graph: Graph;
  readonly run: RunState;
  readonly payloads: ReadonlyMap<string, string>;
}

export function mapResults(store: RunStore, base: Graph, map: MapStep, summary: StoredSummary): MapResults<unknown> {
  return new StoredResults(store, base, map, summary);
}

class StoredResults implements MapResults<unknown> {
  readonly length: number;
  readonly failures: number;
  readonly #store: RunStore;
  readonly #base: Graph;
  readonly #map: MapStep;
  readonly #root: string;
  /** The leaf that was read last: its neighbours are likely to be asked for next. */
  #last: { readonly from: number; readonly outputs: Promise<readonly unknown[]> } | undefined;

  constructor(store: RunStore, base: Graph, map: MapStep, { items, failures, root }: StoredSummary) {
    this.#store = store;
    this.#base = base;
    this.#map = map;
    this.length = items;
    this.failures = failures;
    this.#root = root;
  }

  async get(index: number): Promise<unknown> {
    if (!Number.isInteger(index) || index < 0 || index >= this.length) {
      throw new RangeError(`There is no item ${index}; the map has ${this.length}, counted from 0.`);
    }
    const { from } = pathTo(this.#map, this.length, index);
    if (this.#last?.from !== from) this.#last = { from, outputs: this.#readLeaf(index) };
    return (await this.#last.outputs)[index - from];
  }

  async *[Symbol.asyncIterator](): AsyncIterator<unknown> {
    for (let index = 0; index < this.length; index++) yield await this.get(index);
  }

  async toArray(): Promise<unknown[]> {
    const { shardItems } = this.#map;
    const leaves = Array.from({ length: Math.ceil(this.length / shardItems) }, (_, leaf) => leaf * shardItems);
    const results: unknown[] = [];
    for (let at = 0; at < leaves.length; at += limits.shardReads) {
      const some = leaves.slice(at, at + limits.shardReads);
      results.push(...(await settleAll(some.map((from) => this.#readLeaf(from)))).flat());
    }
    return results;
  }

  async errors(): Promise<readonly ItemError[]> {
    return this.failures === 0 ? [] : this.#errorsIn(this.#root, this.length, 0);
  }

  /** Only shards that have failed have items that did. */
  async #errorsIn(runId: string, count: number, from: number): Promise<ItemError[]> {
    const { graph, run, payloads } = await this.#read(runId, count, from);
    const errors: ItemError[] = [];
    for (const [index, step] of graph.steps.entries()) {
      if (run.steps[index]?.status !== "failed") continue;
      if (step.kind === "shard") {
        errors.push(...(await this.#errorsIn(shardRunId(runId, Number(step.id)), step.shard.count, step.shard.from)));
      } else errors.push({ index: from + index, ...readError(graph, run, index, payloads) });
    }
    return errors;
  }

  /** Outputs of all items of the leaf that has this one. */
  async #readLeaf(index: number): Promise<readonly unknown[]> {
    const { path, from } = pathTo(this.#map, this.length, index);
    const runId = path.reduce((id, number) => shardRunId(id, number), this.#root);
    const count = Math.min(this.#map.shardItems, this.length - from);
    const { graph, run, payloads } = await this.#read(runId, count, from);
    const found = run.steps.map((step, at) => (step?.status === "succeeded" ? run.outputs[at] : undefined));
    const keys = found.flatMap((output) => (output !== undefined && "key" in output ? [output.key] : []));
    // Large ones are not read with their run.
    const large = keys.filter((key) => !payloads.has(key));
    const all =
      large.length === 0 ? payloads : new Map([...payloads, ...(await this.#store.getPayloads(runId, large))]);
    return graph.steps.map((_step, at) => readPayload(run, found[at], all));
  }

  async #read(runId: string, count: number, from: number): Promise<ReadShard> {
    const found = await this.#store.load(runId);
    if (found === undefined) throw new Error(`The items of a map are not in the store: there is no run ${runId}.`);
    const shard = { ...rootShard(this.#map, this.length), count, from };
    const { fields, payloads } = found;
    return { graph: shardGraph(this.#base, this.#map, shard), run: decodeRun(runId, fields), payloads };
  }
}
