/**
 * Syncs of SQLite's write-ahead log that come when somebody waits for them, instead of at each commit.
 *
 * With `synchronous = NORMAL` SQLite writes the same to the log as with FULL and keeps the file whole by syncs of its own:
 * of the log before each checkpoint and of its header when it is begun anew, of the file after it. All that FULL adds is a
 * sync of the log after each commit; this is that sync. https://sqlite.org/pragma.html#pragma_synchronous
 */
import { closeSync, fdatasyncSync, openSync } from "node:fs";
import type { DatabaseSync } from "node:sqlite";

export interface WalSync {
  /** Returns when all that is committed survives a power cut. @throws when the disk does not confirm it */
  sync(): void;
  close(): void;
}

/** @param db of that file, in WAL mode, exclusive, and already written to: so its log is there, and stays until it is closed */
export function openWalSync(file: string, db: DatabaseSync): WalSync {
  // Windows syncs only what may be written.
  const descriptor = openSync(`${file}-wal`, "r+");
  db.exec("PRAGMA synchronous = NORMAL");
  let isOpen = true;
  return {
    sync: () => fdatasyncSync(descriptor),
    close() {
      if (isOpen) closeSync(descriptor);
      isOpen = false;
    },
  };
}
