/**
 * Changes of runs that somebody outside is still to be told of. They are kept in the transaction that makes the change, so
 * that a process which dies right after it has lost none.
 */
import type { DatabaseSync } from "node:sqlite";
import type { Fields } from "../engine/transition.ts";
import type { KeepChange, KeptChange, KeptChanges } from "./backend.ts";

/** Made where it is missing, also in files of former versions. */
const schema = "CREATE TABLE IF NOT EXISTS kept_change (id INTEGER PRIMARY KEY, json TEXT NOT NULL) STRICT";

type Note = Parameters<KeptChanges["keep"]>[0];

export class KeptChangeRows {
  readonly #insert: (json: string) => void;
  readonly #oldest: (limit: number) => readonly KeptChange[];
  readonly #drop: (id: number) => void;
  #note: Note = () => undefined;

  constructor(db: DatabaseSync) {
    db.exec(schema);
    const insert = db.prepare("INSERT INTO kept_change (json) VALUES (?)");
    const oldest = db.prepare("SELECT id, json FROM kept_change ORDER BY id LIMIT ?");
    const drop = db.prepare("DELETE FROM kept_change WHERE id = ?");
    this.#insert = (json) => void insert.run(json);
    this.#oldest = (limit) => oldest.all(limit).map(({ id, json }) => ({ id: Number(id), json: String(json) }));
    this.#drop = (id) => void drop.run(id);
  }

  readonly change: KeepChange = (runId: string, before: Fields | undefined, after: Fields | undefined): void => {
    const json = this.#note(runId, before, after);
    if (json !== undefined) this.#insert(json);
  };

  /** @param read and `write` run the work at once, or as part of a transaction */
  port(read: <T>(work: () => T) => Promise<T>, write: (work: () => void) => Promise<void>): KeptChanges {
    return {
      keep: (note) => {
        this.#note = note;
      },
      oldest: (limit) => read(() => this.#oldest(limit)),
      drop: (id) => write(() => this.#drop(id)),
    };
  }
}
