/** A store that counts what DynamoDB would bill: writes, and the write units (1 KB of the item, whole) that they take. */
import { utf8Bytes } from "../definition/json.ts";
import { recordBytes } from "../engine/codec.ts";
import type { RunStore } from "../runtime/ports.ts";

export interface Writes {
  /** Of run records, refused ones included. */
  runs: number;
  /** Of payloads beside them. */
  payloads: number;
  units: number;
}

export function countWrites(store: RunStore): { readonly store: RunStore; readonly writes: Writes } {
  const writes: Writes = { runs: 0, payloads: 0, units: 0 };
  const unitsOf = (bytes: number): number => Math.max(1, Math.ceil(bytes / 1024));
  return {
    writes,
    store: {
      remove: (runId, guard) => store.remove(runId, guard),
      removeRest: (runId) => store.removeRest(runId),
      get: (runId) => store.get(runId),
      load: (runId) => store.load(runId),
      getPayloads: (runId, keys) => store.getPayloads(runId, keys),
      putGraph: (workflow, fingerprint, json) => store.putGraph(workflow, fingerprint, json),
      getGraph: (workflow, fingerprint) => store.getGraph(workflow, fingerprint),
      async update(runId, transition) {
        const result = await store.update(runId, transition);
        writes.runs++;
        writes.units += unitsOf(runId.length + recordBytes(result.fields ?? {}));
        return result;
      },
      async putPayload(runId, key, json) {
        await store.putPayload(runId, key, json);
        writes.payloads++;
        writes.units += unitsOf(runId.length + key.length + utf8Bytes(json));
      },
    },
  };
}
