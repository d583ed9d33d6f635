import { limits } from "../definition/limits.ts";
import { runIn } from "../engine/barred.ts";
import type { Fields } from "../engine/transition.ts";
import type { RunStore } from "../runtime/ports.ts";
import { follow } from "../runtime/read-run.ts";
import type { KeepChange, RunChange } from "./backend.ts";
import { nextImage } from "./run-image.ts";
import type { ExpiryRows } from "./sqlite-expiry.ts";

/** Runs, payloads and graphs in memory. */
export function createMemoryRuns(
  runs: Map<string, Fields>,
  keepChange: KeepChange,
  removals: Pick<ExpiryRows, "beginRemoval" | "endRemoval">,
  onChange: (change: RunChange) => void,
  assertOpen: () => void,
): RunStore {
  const payloads = new Map<string, Map<string, string>>();
  const graphs = new Map<string, string>();

  return {
    async update(runId, transition) {
      assertOpen();
      const stored = runs.get(runId);
      const after = nextImage(transition, stored);
      const before = runIn(stored);
      if (after === undefined) return { applied: false, fields: before };
      follow(runId, stored, transition, after);
      runs.set(runId, after);
      if (runIn(after) !== undefined) {
        keepChange(runId, before, after);
        onChange({ runId, before, after });
      }
      return { applied: true, fields: after };
    },
    async remove(runId, guard) {
      assertOpen();
      const before = runs.get(runId);
      if (before === undefined || nextImage({ guard, set: {} }, before) === undefined) return false;
      runs.delete(runId);
      if (runIn(before) !== undefined) {
        removals.beginRemoval(runId, before);
        keepChange(runId, before, undefined);
      }
      payloads.delete(runId);
      return true;
    },
    async removeRest(runId) {
      assertOpen();
      removals.endRemoval(runId);
      if (!runs.has(runId)) payloads.delete(runId);
    },
    async get(runId) {
      assertOpen();
      return runIn(runs.get(runId));
    },
    async load(runId) {
      assertOpen();
      const fields = runIn(runs.get(runId));
      if (fields === undefined) return undefined;
      const shown = new Map<string, string>();
      const larger = new Map<string, number>();
      for (const [key, json] of payloads.get(runId) ?? []) {
        const bytes = Buffer.byteLength(json);
        if (bytes <= limits.shownPayloadBytes) shown.set(key, json);
        else larger.set(key, bytes);
      }
      return { fields, payloads: shown, larger };
    },
    async putPayload(runId, key, json) {
      assertOpen();
      const own = payloads.get(runId) ?? new Map<string, string>();
      if (!own.has(key)) own.set(key, json);
      payloads.set(runId, own);
    },
    async getPayloads(runId, keys) {
      assertOpen();
      const own = payloads.get(runId);
      const found = new Map<string, string>();
      for (const key of keys) {
        const json = own?.get(key);
        if (json !== undefined) found.set(key, json);
      }
      return found;
    },
    async putGraph(workflow, fingerprint, json) {
      assertOpen();
      const key = graphKey(workflow, fingerprint);
      if (!graphs.has(key)) graphs.set(key, json);
    },
    async getGraph(workflow, fingerprint) {
      assertOpen();
      return graphs.get(graphKey(workflow, fingerprint));
    },
  };
}

function graphKey(workflow: string, fingerprint: string): string {
  return JSON.stringify([workflow, fingerprint]);
}
