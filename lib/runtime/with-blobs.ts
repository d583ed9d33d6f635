/**
 * Payloads that are too large for an item of the store live in a blob store; whoever uses the store does not notice.
 *
 * Invariants:
 * 1. The blob is stored before the store refers to it: whoever dies in between leaves a blob that nothing refers to, and
 *    a repeat goes on from there.
 * 2. A blob's key has the hash of its content, so two writers of one payload never replace each other's blob, and the
 *    store's own rule (a payload is written once) decides whose counts.
 * 3. What is read is what was written, or an error: length and hash are checked on every read.
 */
import { createHash } from "node:crypto";
import { limits } from "../definition/limits.ts";
import { LostPayload } from "./errors.ts";
import type { BlobStore, RunStore } from "./ports.ts";
import { settleAll } from "./settle-all.ts";

export function withBlobs(store: RunStore, blobs: BlobStore): RunStore {
  async function resolve(runId: string, key: string, stored: string): Promise<string> {
    const marker = parseMarker(stored);
    if (marker === undefined) return stored;
    const text = await blobs.get(blobKey(runId, marker.hash));
    if (text === undefined) throw lostBlob(runId, key, "is missing");
    const found = markerOf(text);
    if (found !== stored) throw lostBlob(runId, key, `is damaged (${stored} was stored, ${found} is there)`);
    return text;
  }

  return {
    update: (runId, transition, told) => store.update(runId, transition, told),
    async remove(runId, guard) {
      const isGone = await store.remove(runId, guard);
      if (isGone) await blobs.removeAll(runId);
      return isGone;
    },
    async removeRest(runId) {
      // A new run of that id has blobs of its own.
      if ((await store.get(runId)) === undefined) await blobs.removeAll(runId);
      // Last, as it ends the removal.
      await store.removeRest(runId);
    },
    get: (runId) => store.get(runId),
    async load(runId) {
      const loaded = await store.load(runId);
      if (loaded === undefined) return undefined;
      const payloads = new Map(loaded.payloads);
      const larger = new Map(loaded.larger);
      for (const [key, stored] of loaded.payloads) {
        const marker = parseMarker(stored);
        if (marker === undefined) continue;
        payloads.delete(key);
        larger.set(key, marker.bytes);
      }
      return { fields: loaded.fields, payloads, larger };
    },
    async putPayload(runId, key, json) {
      // A character takes up to three bytes: only texts near the limit need counting.
      if (json.length * 3 <= limits.itemPayloadBytes || Buffer.byteLength(json) <= limits.itemPayloadBytes) {
        return store.putPayload(runId, key, json);
      }
      await blobs.put(blobKey(runId, hashOf(json)), json);
      return store.putPayload(runId, key, markerOf(json));
    },
    async getPayloads(runId, keys) {
      const found = await store.getPayloads(runId, keys);
      const texts = [...found].map(async ([key, stored]) => [key, await resolve(runId, key, stored)] as const);
      return new Map(await settleAll(texts));
    },
    putGraph: (workflow, fingerprint, json) => store.putGraph(workflow, fingerprint, json),
    getGraph: (workflow, fingerprint) => store.getGraph(workflow, fingerprint),
  };
}

/** The run refers to a payload that its blob store does not have any more. */
function lostBlob(runId: string, key: string, what: string): LostPayload {
  const remedy = "Restore the blobs from the backup that belongs to the runs, then redrive the run.";
  return new LostPayload(`The blob of payload ${key} of run ${runId} ${what}. ${remedy}`);
}

/**
 * What the store holds instead of a large payload: `@blob:<bytes>:<hash>`. It cannot be a payload: those are JSON texts
 * or empty, and no JSON text begins with `@`.
 */
const markerForm = /^@blob:(\d+):([\w-]{43})$/;

function markerOf(text: string): string {
  return `@blob:${Buffer.byteLength(text)}:${hashOf(text)}`;
}

function parseMarker(stored: string): { readonly bytes: number; readonly hash: string } | undefined {
  const [, bytes, hash] = stored.startsWith("@") ? (markerForm.exec(stored) ?? []) : [];
  return hash === undefined ? undefined : { bytes: Number(bytes), hash };
}

function hashOf(text: string): string {
  return createHash("sha256").update(text).digest("base64url");
}

/** Blobs of one run share a prefix, so that they can be found and deleted with it. */
function blobKey(runId: string, hash: string): string {
  return `${runId}/${hash}`;
}
