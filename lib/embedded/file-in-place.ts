/**
 * Whether an open file is still the one under its name. A process goes on writing into a file that somebody has removed
 * or replaced, and all of that is gone with the process: what it acknowledges then would be lost.
 */
import { statSync } from "node:fs";
import { StorageError } from "./storage-error.ts";

/**
 * @param file of SQLite, open in WAL mode by this process alone: its `-wal` file, too, stays until it is closed
 * @returns what is to be asked before each commit. It throws a StorageError, `file_unusable`
 */
export function watchPlace(file: string): () => void {
  const opened = new Map([file, `${file}-wal`].map((name) => [name, identity(name)]));
  return () => {
    for (const [name, before] of opened) {
      const now = identity(name);
      if (now === before) continue;
      // SQLite makes it at the first write.
      if (before === undefined) opened.set(name, now);
      else throw displaced(name, now === undefined ? "removed" : "replaced");
    }
  };
}

/** What tells it from another file of its name; `undefined` when there is none. */
function identity(name: string): string | undefined {
  const stats = statSync(name, { throwIfNoEntry: false });
  return stats === undefined ? undefined : `${stats.dev}:${stats.ino}`;
}

function displaced(name: string, what: string): StorageError {
  const remedy = "Stop this process, put the file back if you have it, and start again.";
  return new StorageError("file_unusable", `${name} was ${what} while it is in use: nothing more is kept. ${remedy}`);
}
