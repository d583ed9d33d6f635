import type { BlobStore } from "../runtime/ports.ts";

/** Blobs in this process' memory: nothing survives it. Otherwise it means the same as the folder (R10). */
export function createMemoryBlobs(): BlobStore {
  const blobs = new Map<string, Map<string, string>>();
  return {
    async put(key, text) {
      const runId = runOf(key);
      const own = blobs.get(runId) ?? new Map<string, string>();
      blobs.set(runId, own.set(key, text));
    },
    async get(key) {
      return blobs.get(runOf(key))?.get(key);
    },
    async removeAll(runId) {
      blobs.delete(runId);
    },
  };
}

/** The run that the blob belongs to: ids have no `/`. */
export function runOf(key: string): string {
  const slash = key.indexOf("/");
  return slash === -1 ? key : key.slice(0, slash);
}
