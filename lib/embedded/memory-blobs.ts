import type { BlobStore } from "../runtime/ports.ts";

/** Blobs in this process' memory: nothing survives it. Otherwise it means the same as the folder (R10). */
export function createMemoryBlobs(): BlobStore {
  const blobs = new Map<string, string>();
  return {
    async put(key, text) {
      blobs.set(key, text);
    },
    async get(key) {
      return blobs.get(key);
    },
  };
}
