import type { DatabaseSync } from "node:sqlite";
import type { BackendOptions, EmbeddedBackend, KeepChange, RunChange } from "./backend.ts";
import { createFeed } from "./change-feed.ts";
import { watchPlace } from "./file-in-place.ts";
import { keepChangesInFile } from "./kept-changes.ts";
import { parseFieldsOrNone } from "./run-image.ts";
import { createRunTallies, RunTallyRows } from "./run-tallies.ts";
import { createSqliteSecrets } from "./secrets.ts";
import { createExpiry, ExpiryRows } from "./sqlite-expiry.ts";
import { openSqliteFile, storageError } from "./sqlite-file.ts";
import { GroupCommit } from "./sqlite-group-commit.ts";
import { MessageRows } from "./sqlite-message-rows.ts";
import { createSqliteMessages } from "./sqlite-messages.ts";
import { RunIndexRows } from "./sqlite-run-index.ts";
import { createRunLists, RunLists } from "./sqlite-run-lists.ts";
import { createSqliteRuns, RunCache, storedRuns } from "./sqlite-runs.ts";
import { openWalSync, type WalSync } from "./wal-sync.ts";

export interface SqliteBackendOptions extends BackendOptions {
  readonly file: string;
  /** @default the disk's own */
  readonly openSync?: typeof openWalSync;
}

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
  openSync = openWalSync,
}: SqliteBackendOptions): EmbeddedBackend {
  const db = openSqliteFile(file);
  let disk: WalSync | undefined;
  try {
    const wal = openSync(file, db);
    disk = wal;
    const changes = createFeed<RunChange>("run changes", logger);
    const arrivals = createFeed("message arrivals", logger);
    const cache = new RunCache();
    const rows = new RunIndexRows(db);
    const tallies = new RunTallyRows(db);
    const rolledBack = (): void => {
      cache.clear();
      rows.forget();
      tallies.forget();
    };
    const assertInPlace = watchPlace(file);
    const beforeCommit = (): void => {
      rows.complete();
      tallies.complete();
      assertInPlace();
    };
    const commits = new GroupCommit(file, db, rolledBack, beforeCommit, () => wal.sync());
    const lists = new RunLists(db, storedRuns(db, parseFieldsOrNone));
    const kept = keepChangesInFile(db, commits);
    const expiry = new ExpiryRows(db);
    const keepChange: KeepChange = (runId, before, after) => {
      rows.change(runId, before, after);
      kept.change(runId, before, after);
      expiry.change(runId, before, after);
      tallies.change(runId, before, after);
    };
    return {
      ...createSqliteRuns(db, cache, commits, keepChange, expiry, changes.publish),
      ...createExpiry((ask) => commits.read(() => ask(expiry))),
      ...createRunLists(
        (ask) => commits.read(() => ask(lists)),
        () => storedBytes(db),
      ),
      ...createSqliteMessages(new MessageRows(db), commits, clock, arrivals.publish),
      ...createSqliteSecrets(db, commits),
      ...createRunTallies(tallies, (ask) => commits.read(ask)),
      keptChanges: kept.port,
      onMessage: arrivals.subscribe,
      onChange: changes.subscribe,
      async close() {
        commits.close();
        // First, as SQLite removes the log.
        wal.close();
        if (db.isOpen) db.close();
      },
    };
  } catch (error) {
    // Only now are the tables read: damage beyond the file's header shows here.
    disk?.close();
    db.close();
    throw storageError(file, error);
  }
}

/** Without what has been freed and not used again. */
function storedBytes(db: DatabaseSync): number {
  const pragma = (name: string): number => Number(db.prepare(`PRAGMA ${name}`).get()?.[name]);
  return (pragma("page_count") - pragma("freelist_count")) * pragma("page_size");
}
