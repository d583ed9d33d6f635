/** What single items of a map are billed: whether the last of many cost what the first did. */
import { AsyncLocalStorage } from "node:async_hooks";
import type { Assumptions } from "../lib/cost/assumptions.ts";
import { Meter, meterBackend, type Part } from "../lib/cost/meter.ts";
import type { Usage } from "../lib/cost/usage.ts";
import { parseShardFingerprint } from "../lib/definition/shards.ts";
import type { Workflow } from "../lib/definition/workflow.ts";
import type { EmbeddedBackend } from "../lib/embedded/backend.ts";
import { field } from "../lib/engine/codec.ts";
import type { Clock } from "../lib/runtime/ports.ts";
import { startTestEngine } from "../lib/testing/test-engine.ts";

/** A meter that also knows for which record each write of the table was. */
class MeterByRecord extends Meter {
  readonly writes = new Map<string, number>();
  /** Of the call of the storage that is being metered. */
  readonly record = new AsyncLocalStorage<string>();

  override add(part: Part, usage: Partial<Usage>): void {
    super.add(part, usage);
    const record = this.record.getStore();
    if (record === undefined) return;
    this.writes.set(record, (this.writes.get(record) ?? 0) + (usage.tableWrites ?? 0));
  }
}

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
  const meter = new MeterByRecord();
  const itemsOf = new Map<string, Items>();
  const between = (own: EmbeddedBackend, clock: Clock): EmbeddedBackend => {
    const metered = meterBackend(own, meter, assumptions, clock);
    return {
      ...metered,
      update: (id, transition) =>
        meter.record.run(id, async () => {
          const result = await metered.update(id, transition);
          const shard = parseShardFingerprint(String(result.fields?.[field.fingerprint]))?.shard;
          if (shard !== undefined) itemsOf.set(id, shard);
          return result;
        }),
      putPayload: (id, key, json) => meter.record.run(id, () => metered.putPayload(id, key, json)),
    };
  };
  await using engine = await startTestEngine({ workflows: [map] }, { backend: between, blobs: (own) => own });
  await (await engine.start(map, {})).toEnd();
  const byItem = Array.from({ length: items }, () => 0);
  for (const [record, writes] of meter.writes) {
    // What is no part of the map is of the run as a whole.
    const { from, count } = itemsOf.get(record) ?? { from: 0, count: items };
    for (let item = from; item < from + count; item++) byItem[item] = (byItem[item] ?? 0) + writes / count;
  }
  return byItem;
}
