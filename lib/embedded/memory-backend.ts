import type { BackendOptions, EmbeddedBackend, RunChange } from "./backend.ts";
import { createFeed } from "./change-feed.ts";
import { createMemoryMessages } from "./memory-messages.ts";
import { createMemoryRuns } from "./memory-runs.ts";
import { createMemorySecrets } from "./secrets.ts";
import { StorageError } from "./storage-error.ts";

/** Runs and messages in this process' memory: nothing survives it. Otherwise it means the same as the file (R10). */
export function createMemoryBackend({ clock, logger }: BackendOptions): EmbeddedBackend {
  const changes = createFeed<RunChange>("run changes", logger);
  const arrivals = createFeed("message arrivals", logger);
  let open = true;

  function assertOpen(): void {
    if (open) return;
    throw new StorageError(
      "closed",
      "The storage in memory has been closed. Nothing can be asked of it after close().",
    );
  }

  return {
    ...createMemoryRuns(changes.publish, assertOpen),
    ...createMemoryMessages(clock, arrivals.publish, assertOpen),
    ...createMemorySecrets(assertOpen),
    onMessage: arrivals.subscribe,
    onChange: changes.subscribe,
    async close() {
      open = false;
    },
  };
}
