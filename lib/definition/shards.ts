/**
 * How the items of a map are divided: a tree of runs, whose leaves have a few items each and whose inner nodes have
 * shards. The graph of each is a pure function of the map's graph and a few numbers, which its fingerprint carries:
 * nothing of it is stored, and all of them are derived alike wherever they are needed.
 *
 * Invariants:
 * 1. All shards but the last of a level are full, so that the place of an item follows from its index.
 * 2. Never more items are in flight than the map's concurrency says: the shards of one shard share its lanes out.
 */
import type { Graph, GraphStep, MapStep, Shard, StepBase } from "./graph.ts";
import { limits } from "./limits.ts";

/** The whole list. */
export function rootShard(map: MapStep, count: number): Shard {
  const { tolerated, concurrency = 0 } = map;
  // More lanes than items mean the same as one for each.
  const lanes = concurrency >= count ? 0 : concurrency;
  const most = "count" in tolerated ? tolerated.count : Math.floor((count * tolerated.percent) / 100);
  return { map: map.id, from: 0, count, lanes, tolerated: Math.min(most, count) };
}

export function shardGraph(base: Graph, map: MapStep, shard: Shard): Graph {
  const steps = shard.count <= map.shardItems ? itemSteps(map, shard) : shardSteps(map, shard);
  return { schema: 1, workflow: base.workflow, steps, shard };
}

/** `<fingerprint of the map's graph>.<map>.<from>.<count>.<lanes>.<tolerated>`: no other fingerprint has dots. */
export function shardFingerprint(base: string, mapIndex: number, { from, count, lanes, tolerated }: Shard): string {
  return [base, mapIndex, from, count, lanes, tolerated].join(".");
}

const fingerprintForm = /^([^.]+)\.(\d{1,3})\.(\d{1,6})\.(\d{1,6})\.(\d{1,6})\.(\d{1,6})$/;

export interface ShardName {
  /** Fingerprint of the graph that has the map. */
  readonly base: string;
  readonly mapIndex: number;
  readonly shard: Omit<Shard, "map">;
}

/** `undefined` for the fingerprint of a graph that is not derived. */
export function parseShardFingerprint(fingerprint: string): ShardName | undefined {
  const [, base, mapIndex, from, count, lanes, tolerated] = fingerprintForm.exec(fingerprint) ?? [];
  if (base === undefined || Number(count) > limits.mapItems) return undefined;
  const shard = { from: Number(from), count: Number(count), lanes: Number(lanes), tolerated: Number(tolerated) };
  return { base, mapIndex: Number(mapIndex), shard };
}

/** The graph that the fingerprint names; `undefined` when the base has no such map. */
export function deriveGraph(base: Graph, { mapIndex, shard }: ShardName): Graph | undefined {
  const map = base.steps[mapIndex];
  return map?.kind === "map" ? shardGraph(base, map, { ...shard, map: map.id }) : undefined;
}

/** The way from the whole list to the shard that has the item: the number of the shard at each level. */
export function pathTo(
  map: MapStep,
  count: number,
  index: number,
): { readonly path: readonly number[]; readonly from: number } {
  const path: number[] = [];
  let from = 0;
  for (let left = count; left > map.shardItems; ) {
    const size = shardSize(map, left);
    const number = Math.floor((index - from) / size);
    path.push(number);
    from += number * size;
    left = Math.min(size, left - number * size);
  }
  return { path, from };
}

/** Items of each of its shards but the last. */
function shardSize({ shardItems, fanOut }: MapStep, count: number): number {
  let size = shardItems;
  while (size * fanOut < count) size *= fanOut;
  return size;
}

function itemSteps(map: MapStep, { from, count, lanes, tolerated }: Shard): GraphStep[] {
  const { item } = map;
  return Array.from({ length: count }, (_, at): GraphStep => {
    const base = part(map, String(from + at), at, lanes, tolerated);
    if (item.kind === "child") return { ...base, kind: "child", whenParentEnds: "cancel" };
    return { ...base, ...item };
  });
}

function shardSteps(map: MapStep, shard: Shard): GraphStep[] {
  const { from, count, lanes, tolerated } = shard;
  const size = shardSize(map, count);
  const shards = Math.ceil(count / size);
  const inFlight = Math.min(lanes, shards);
  return Array.from({ length: shards }, (_, at): GraphStep => {
    const lane = inFlight === 0 ? 0 : at % inFlight;
    const share = inFlight === 0 ? 0 : Math.floor(lanes / inFlight) + (lane < lanes % inFlight ? 1 : 0);
    const own = {
      map: map.id,
      from: from + at * size,
      count: Math.min(size, count - at * size),
      lanes: share,
      tolerated,
    };
    return { ...part(map, String(at), at, inFlight, tolerated), kind: "shard", shard: own };
  });
}

/** What items and shards have in common: each lane takes up the next when the one before has ended. */
function part(map: MapStep, id: string, at: number, lanes: number, tolerated: number): StepBase {
  return {
    id,
    after: [],
    afterAny: [],
    afterFailed: [],
    afterSettled: lanes > 0 && at >= lanes ? [at - lanes] : [],
    taskQueue: map.taskQueue,
    retry: map.retry,
    onFailure: tolerated === 0 ? "fail" : "continue",
    timeoutMs: map.timeoutMs,
  };
}
