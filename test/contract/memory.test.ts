// Hunts differences between the store in memory and the contract that every store keeps (R10).
import { expect } from "vitest";
import { createMemoryBackend } from "../../lib/embedded/memory-backend.ts";
import { createManualClock } from "./manual-clock.ts";
import { openRunsContract } from "./open-runs.contract.ts";
import { queueContract } from "./queue.contract.ts";
import { createRecordingLogger } from "./recording-logger.ts";
import { runIndexContract } from "./run-index.contract.ts";
import { storeContract } from "./store.contract.ts";

async function open() {
  const clock = createManualClock();
  const backend = createMemoryBackend({ clock, logger: createRecordingLogger() });
  return {
    store: backend,
    openRuns: backend.openRuns,
    runIndex: backend.runIndex,
    remove: async (runId: string) => expect(await backend.remove(runId, [])).toBe(true),
    // Nothing lags.
    settled: async () => undefined,
    queue: backend,
    clock,
    close: () => backend.close(),
  };
}

storeContract("memory", open);
queueContract("memory", open);
openRunsContract("memory", open);
runIndexContract("memory", open);
