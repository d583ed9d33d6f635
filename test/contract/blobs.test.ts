// Hunts differences between the blob stores and the contract that all of them keep (R10).
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openFileBlobs } from "../../lib/embedded/file-blobs.ts";
import { createMemoryBackend } from "../../lib/embedded/memory-backend.ts";
import { createMemoryBlobs } from "../../lib/embedded/memory-blobs.ts";
import { withBlobs } from "../../lib/runtime/with-blobs.ts";
import { blobContract } from "./blobs.contract.ts";
import { createManualClock } from "./manual-clock.ts";
import { createRecordingLogger } from "./recording-logger.ts";
import { storeContract } from "./store.contract.ts";

function inMemory() {
  return { blobs: createMemoryBlobs(), close: async () => undefined };
}

function inFiles() {
  const directory = mkdtempSync(join(tmpdir(), "pawl-contract-"));
  return {
    blobs: openFileBlobs(join(directory, "blobs")),
    close: async () => {
      rmSync(directory, { recursive: true });
    },
  };
}

blobContract("memory", async () => inMemory());
blobContract("files", async () => inFiles());

// A store with blobs under it is a store: what uses it must not notice.
for (const [name, open] of Object.entries({ inMemory, inFiles })) {
  storeContract(`with blobs ${name}`, async () => {
    const { blobs, close } = open();
    const backend = createMemoryBackend({ clock: createManualClock(), logger: createRecordingLogger() });
    return {
      store: withBlobs(backend, blobs),
      close: async () => {
        await backend.close();
        await close();
      },
    };
  });
}
