/**
 * Changes of runs that somebody outside is still to be told of. They are kept in the transaction that makes the change, so
 * that a process which dies right after it has lost none.
 */
import type { DatabaseSync } from "node:sqlite";
import type { KeepChange, KeptChanges } from "./backend.ts";
import type { GroupCommit } from "./sqlite-group-commit.ts";

/** What `keep` of the port was given is asked of each change. */
export interface ChangeKeeper {
  readonly change: KeepChange;
  readonly port: KeptChanges;
}

/** Made where it is missing, also in files of former versions. */
const schema = "CREATE TABLE IF NOT EXISTS kept_change (id INTEGER PRIMARY KEY, json TEXT NOT NULL) STRICT";

export function keepChangesInFile(db: DatabaseSync, commits: GroupCommit): ChangeKeeper {
  db.exec(schema);
  const insert = db.prepare("INSERT INTO kept_change (json) VALUES (?)");
  const oldest = db.prepare("SELECT id, json FROM kept_change ORDER BY id LIMIT ?");
  const drop = db.prepare("DELETE FROM kept_change WHERE id = ?");
  return keeper((json) => void insert.run(json), {
    oldest: (limit) =>
      commits.read(() => oldest.all(limit).map(({ id, json }) => ({ id: Number(id), json: String(json) }))),
    drop: (id) => commits.writeSoon(() => void drop.run(id)),
  });
}

export function keepChangesInMemory(assertOpen: () => void): ChangeKeeper {
  const kept = new Map<number, string>();
  let next = 0;
  return keeper((json) => void kept.set(next++, json), {
    async oldest(limit) {
      assertOpen();
      return [...kept].slice(0, limit).map(([id, json]) => ({ id, json }));
    },
    async drop(id) {
      assertOpen();
      kept.delete(id);
    },
  });
}

function keeper(insert: (json: string) => void, port: Omit<KeptChanges, "keep">): ChangeKeeper {
  let noteOf: Parameters<KeptChanges["keep"]>[0] = () => undefined;
  return {
    change(...change) {
      const json = noteOf(...change);
      if (json !== undefined) insert(json);
    },
    port: {
      ...port,
      keep: (note) => {
        noteOf = note;
      },
    },
  };
}
