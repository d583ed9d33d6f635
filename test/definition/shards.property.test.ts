// Hunts: items that are in no shard or in two, a path that leads elsewhere, and more in flight than was allowed.
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { fingerprint, type Graph, type MapStep, type Shard } from "../../lib/definition/graph.ts";
import { limits } from "../../lib/definition/limits.ts";
import {
  deriveGraph,
  parseShardFingerprint,
  pathTo,
  rootShard,
  shardFingerprint,
  shardGraph,
} from "../../lib/definition/shards.ts";
import { workflow } from "../../lib/definition/workflow.ts";

const { graph: base } = workflow("wide", {}, (w) => {
  const before = w.step("before", { run: () => 1 });
  w.map("each", { after: [before], items: () => [1], run: () => 1 });
});

const map: fc.Arbitrary<MapStep> = fc
  .record(
    {
      shardItems: fc.integer({ min: 1, max: 16 }),
      fanOut: fc.integer({ min: 2, max: 32 }),
      concurrency: fc.integer({ min: 1, max: 60 }),
    },
    { requiredKeys: ["shardItems", "fanOut"] },
  )
  .map((change) => ({ ...(base.steps[1] as MapStep), ...change }));

const count = fc.integer({ min: 1, max: 700 });

interface Leaf {
  readonly path: readonly number[];
  readonly graph: Graph;
  readonly shard: Shard;
}

function leavesOf(of: MapStep, shard: Shard, path: readonly number[] = []): Leaf[] {
  const graph = shardGraph(base, of, shard);
  return graph.steps.flatMap((step, index) => {
    if (step.kind === "shard") return leavesOf(of, step.shard, [...path, Number(step.id)]);
    return index === 0 ? [{ path, graph, shard }] : [];
  });
}

describe("the shards of a map", () => {
  test("have each item once, in order, and no more of them than a shard may have", () => {
    fc.assert(
      fc.property(map, count, (of, count) => {
        const leaves = leavesOf(of, rootShard(of, count));
        const ids = leaves.flatMap(({ graph }) => graph.steps.map(({ id }) => Number(id)));
        expect(ids).toEqual(Array.from({ length: count }, (_, index) => index));
        for (const { graph } of leaves) expect(graph.steps.length).toBeLessThanOrEqual(of.shardItems);
      }),
    );
  });

  test("are found from the index of an item", () => {
    fc.assert(
      fc.property(map, count, fc.nat(), (of, count, at) => {
        const index = at % count;
        const leaf = leavesOf(of, rootShard(of, count)).find(({ shard }) => index < shard.from + shard.count);
        expect(pathTo(of, count, index)).toEqual({ path: leaf?.path, from: leaf?.shard.from });
      }),
    );
  });

  test("of one shard share its lanes out, and never have more of them together", () => {
    /** The most items that may be in flight: in each lane, one shard after the other. */
    const mostOf = (of: MapStep, shard: Shard): number => {
      const { steps } = shardGraph(base, of, shard);
      const lanes = new Map<number, number[]>();
      const laneOf = (index: number): number => {
        const [former] = steps[index]?.afterSettled ?? [];
        return former === undefined ? index : laneOf(former);
      };
      steps.forEach((step, index) => {
        const most = step.kind === "shard" ? mostOf(of, step.shard) : 1;
        lanes.set(laneOf(index), [...(lanes.get(laneOf(index)) ?? []), most]);
      });
      return [...lanes.values()].reduce((sum, mosts) => sum + Math.max(...mosts), 0);
    };
    fc.assert(
      fc.property(map, count, (of, count) => {
        const most = mostOf(of, rootShard(of, count));
        expect(most).toBeLessThanOrEqual(Math.min(count, of.concurrency ?? count));
        if (of.concurrency === undefined) expect(most).toBe(count);
        else expect(most).toBeGreaterThan(0);
      }),
    );
  });

  test("are derived from their fingerprint alone", () => {
    fc.assert(
      fc.property(count, fc.nat(50_000), fc.nat(60), fc.nat(700), (count, from, lanes, tolerated) => {
        const shard: Shard = { map: "each", from, count, lanes, tolerated };
        const text = shardFingerprint(fingerprint(base), 1, shard);
        expect(text.length).toBeLessThanOrEqual(64);
        const name = parseShardFingerprint(text);
        if (name === undefined) throw new Error(text);
        expect(name).toEqual({ base: fingerprint(base), mapIndex: 1, shard: { from, count, lanes, tolerated } });
        expect(deriveGraph(base, name)).toEqual(shardGraph(base, base.steps[1] as MapStep, shard));
      }),
    );
  });
});

test("a fingerprint of another kind, of another step, or of too many items names no shard", () => {
  expect(parseShardFingerprint(fingerprint(base))).toBeUndefined();
  expect(parseShardFingerprint("0123456789abcdef.1.0.5")).toBeUndefined();
  expect(parseShardFingerprint(`0123456789abcdef.1.0.${limits.mapItems + 1}.0.0`)).toBeUndefined();
  const elsewhere = parseShardFingerprint("0123456789abcdef.0.0.5.0.0");
  expect(elsewhere && deriveGraph(base, elsewhere)).toBeUndefined();
});

test("the whole list tolerates so many percent of its items, rounded down", () => {
  const of = (tolerated: MapStep["tolerated"]): MapStep => ({ ...(base.steps[1] as MapStep), tolerated });
  expect(rootShard(of({ percent: 5 }), 99).tolerated).toBe(4);
  expect(rootShard(of({ percent: 100 }), 99).tolerated).toBe(99);
  expect(rootShard(of({ percent: 0.5 }), 199).tolerated).toBe(0);
  expect(rootShard(of({ count: 7 }), 5).tolerated).toBe(5);
  expect(rootShard(of({ count: 7 }), 99).tolerated).toBe(7);
});

test("the graph of the largest map stays within the steps of a workflow, at every level", () => {
  expect(limits.shardItems).toBeLessThanOrEqual(limits.stepsPerWorkflow);
  expect(limits.shardFanOut).toBeLessThanOrEqual(limits.stepsPerWorkflow);
  const { path } = pathTo(base.steps[1] as MapStep, limits.mapItems, limits.mapItems - 1);
  expect(path.length).toBeLessThanOrEqual(3);
});
