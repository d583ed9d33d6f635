import type { BackendOptions, EmbeddedBackend, RunChange } from "./backend.ts";
import { createFeed } from "./change-feed.ts";
import { createSqliteSecrets } from "./secrets.ts";
import { openSqliteFile, storageError } from "./sqlite-file.ts";
import { GroupCommit } from "./sqlite-group-commit.ts";
import { MessageRows } from "./sqlite-message-rows.ts";
import { createSqliteMessages } from "./sqlite-messages.ts";
import { createSqliteRuns, openRunsIndex, RunCache } from "./sqlite-runs.ts";

/**
 * Runs and messages in one SQLite file. What a promise has acknowledged survives `kill -9` and a power cut.
 *
 * @throws StorageError when the file is in use by another process, damaged, of another application, written by a
 *   newer version, or cannot be opened.
 */
export function openSqliteBackend({
  file,
  clock,
  logger,
}: BackendOptions & { readonly file: string }): EmbeddedBackend {
  const db = openSqliteFile(file);
  try {
    const changes = createFeed<RunChange>("run changes", logger);
    const arrivals = createFeed("message arrivals", logger);
    const cache = new RunCache();
    db.exec(openRunsIndex);
    const commits = new GroupCommit(file, db, () => cache.clear());
    return {
      ...createSqliteRuns(db, cache, commits, changes.publish),
      ...createSqliteMessages(new MessageRows(db), commits, clock, arrivals.publish),
      ...createSqliteSecrets(db, commits),
      onMessage: arrivals.subscribe,
      onChange: changes.subscribe,
      async close() {
        commits.close();
        if (db.isOpen) db.close();
      },
    };
  } catch (error) {
    // Only now are the tables read: damage beyond the file's header shows here.
    db.close();
    throw storageError(file, error);
  }
}
