/** What single items of a map are billed: whether the last of many cost what the first did. */
import type { Assumptions } from "../lib/cost/assumptions.ts";
import { Meter, meterBackend } from "../lib/cost/meter.ts";
import { parseShardFingerprint } from "../lib/definition/shards.ts";
import type { Workflow } from "../lib/definition/workflow.ts";
import { field } from "../lib/engine/codec.ts";
import { startTestEngine } from "../lib/testing/test-engine.ts";

interface Items {
  readonly from: number;
  readonly count: number;
}

/**
 * Plays a run of a workflow that is one map, and shares what each of its parts writes among the items of the part.
 *
 * @returns write units of the table, by item
 */
export async function writesByItem(map: Workflow, items: number, assumptions: Assumptions): Promise<readonly number[]> {
  const meters = new Map<string, Meter>();
  const itemsOf = new Map<string, Items>();
  const counterOf = (record: string): Meter => {
    const meter = meters.get(record) ?? new Meter();
    meters.set(record, meter);
    return meter;
  };
  await using engine = await startTestEngine(
    { workflows: [map] },
    {
      backend: (own, clock) => {
        own.onChange(({ runId, after }) => {
          const shard = parseShardFingerprint(String(after[field.fingerprint]))?.shard;
          if (shard !== undefined) itemsOf.set(runId, shard);
        });
        return meterBackend(own, { counterOf, assumptions, clock });
      },
      blobs: (own) => own,
    },
  );
  await (await engine.start(map, {})).toEnd();
  const byItem = Array.from({ length: items }, () => 0);
  for (const [record, meter] of meters) {
    // What is no part of the map is of the run as a whole.
    const { from, count } = itemsOf.get(record) ?? { from: 0, count: items };
    const each = meter.total.tableWrites / count;
    for (let item = from; item < from + count; item++) byItem[item] = (byItem[item] ?? 0) + each;
  }
  return byItem;
}
