/** Outputs that lie in archives, many in one payload, found by keys of their own: whoever uses the store does not notice. */
import { createHash } from "node:crypto";
import { archivedIn, archiveIdLength, archiveOf, findArchived } from "../engine/archive.ts";
import type { RunStore } from "./ports.ts";

export function withArchives(store: RunStore): RunStore {
  return {
    ...store,
    async load(runId) {
      const loaded = await store.load(runId);
      if (loaded === undefined) return undefined;
      const payloads = [...loaded.payloads].flatMap(([key, text]) =>
        key.startsWith("arc#") ? archivedIn(key, text) : [[key, text] as const],
      );
      return { ...loaded, payloads: new Map(payloads) };
    },
    async getPayloads(runId, keys) {
      const stored = await store.getPayloads(runId, [...new Set(keys.map((key) => archiveOf(key)?.key ?? key))]);
      const found = keys.flatMap((key) => {
        const archived = archiveOf(key);
        const text = stored.get(archived?.key ?? key);
        const json = archived === undefined || text === undefined ? text : findArchived(text, archived.step);
        return json === undefined ? [] : [[key, json] as const];
      });
      return new Map(found);
    },
  };
}

export function archiveIdOf(text: string): string {
  return createHash("sha256").update(text).digest("base64url").slice(0, archiveIdLength);
}
