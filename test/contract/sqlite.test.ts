// Hunts differences between the store on SQLite and the contract that every store keeps (R10).
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "vitest";
import { openSqliteBackend } from "../../lib/embedded/sqlite-backend.ts";
import { createManualClock } from "./manual-clock.ts";
import { openRunsContract } from "./open-runs.contract.ts";
import { queueContract } from "./queue.contract.ts";
import { createRecordingLogger } from "./recording-logger.ts";
import { runIndexContract } from "./run-index.contract.ts";
import { storeContract } from "./store.contract.ts";

async function open() {
  const directory = mkdtempSync(join(tmpdir(), "pawl-contract-"));
  const clock = createManualClock();
  const backend = openSqliteBackend({ file: join(directory, "pawl.db"), clock, logger: createRecordingLogger() });
  return {
    store: backend,
    openRuns: backend.openRuns,
    runIndex: backend.runIndex,
    remove: async (runId: string) => expect(await backend.remove(runId, [])).toBe(true),
    // Nothing lags.
    settled: async () => undefined,
    queue: backend,
    clock,
    async close() {
      await backend.close();
      rmSync(directory, { recursive: true });
    },
  };
}

storeContract("sqlite", open);
queueContract("sqlite", open);
openRunsContract("sqlite", open);
runIndexContract("sqlite", open);
