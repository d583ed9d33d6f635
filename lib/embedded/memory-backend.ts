import type { Fields } from "../engine/transition.ts";
import type { BackendOptions, EmbeddedBackend, KeepChange, RunChange } from "./backend.ts";
import { createFeed } from "./change-feed.ts";
import { keepChangesInMemory } from "./kept-changes.ts";
import { MemoryIndex } from "./memory-index.ts";
import { createMemoryMessages } from "./memory-messages.ts";
import { createMemoryRuns } from "./memory-runs.ts";
import { createRunTallies } from "./run-tallies.ts";
import { createMemorySecrets } from "./secrets.ts";
import { createExpiry } from "./sqlite-expiry.ts";
import { createRunLists, type RunLists } from "./sqlite-run-lists.ts";
import { StorageError } from "./storage-error.ts";

/** Runs and messages in this process' memory: nothing survives it. Otherwise it means the same as the file (R10). */
export function createMemoryBackend({ clock, logger }: BackendOptions): EmbeddedBackend {
  const changes = createFeed<RunChange>("run changes", logger);
  const arrivals = createFeed("message arrivals", logger);
  const runs = new Map<string, Fields>();
  const index = new MemoryIndex(runs);
  const kept = keepChangesInMemory(assertOpen);
  const keepChange: KeepChange = (runId, before, after) => {
    index.change(runId, before, after);
    kept.change(runId, before, after);
  };
  let open = true;

  function assertOpen(): void {
    if (open) return;
    throw new StorageError(
      "closed",
      "The storage in memory has been closed. Nothing can be asked of it after close().",
    );
  }

  async function whenOpen<T>(work: () => T): Promise<T> {
    assertOpen();
    return work();
  }

  const read = <T>(ask: (lists: RunLists) => T): Promise<T> => whenOpen(() => ask(index.lists()));

  return {
    ...createMemoryRuns(runs, keepChange, index.removals, changes.publish, assertOpen),
    ...createExpiry((ask) => whenOpen(() => ask(index.expiry()))),
    ...createRunLists(read, () => undefined),
    ...createMemoryMessages(clock, arrivals.publish, assertOpen),
    ...createMemorySecrets(assertOpen),
    ...createRunTallies(index.tallies, (ask) =>
      whenOpen(() => {
        // What was added since the last write.
        index.tallies.complete();
        return ask();
      }),
    ),
    keptChanges: kept.port,
    onMessage: arrivals.subscribe,
    onChange: changes.subscribe,
    async close() {
      open = false;
      index.close();
    },
  };
}
