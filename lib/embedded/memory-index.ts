import { DatabaseSync } from "node:sqlite";
import { field } from "../engine/codec.ts";
import type { Fields } from "../engine/transition.ts";
import { RunTallyRows } from "./run-tallies.ts";
import { ExpiryRows, expirySchema } from "./sqlite-expiry.ts";
import { RunIndexRows, runIndexSchema } from "./sqlite-run-index.ts";
import { RunLists } from "./sqlite-run-lists.ts";

/** Runs whose change is put off at most: 5 ms of work. */
const mostBehind = 250;

/**
 * Lists and statistics of runs in memory, in the same tables as in a file, so that they mean the same (R10). The tables
 * are written when somebody asks, or when many runs have changed: most have ended by then, and are written once.
 */
export class MemoryIndex {
  readonly #expiry: ExpiryRows;
  readonly tallies: RunTallyRows;
  readonly #runs: ReadonlyMap<string, Fields>;
  readonly #db: DatabaseSync;
  readonly #rows: RunIndexRows;
  readonly #lists: RunLists;
  /** Runs whose status has changed since the tables were written, as they were then. */
  readonly #behind = new Map<string, Fields | undefined>();

  /** @param runs as they are now */
  constructor(runs: ReadonlyMap<string, Fields>) {
    this.#runs = runs;
    this.#db = new DatabaseSync(":memory:");
    // Nothing is ever rolled back.
    this.#db.exec(`PRAGMA journal_mode = OFF; ${runIndexSchema} ${expirySchema}`);
    this.#expiry = new ExpiryRows(this.#db);
    this.tallies = new RunTallyRows(this.#db);
    this.#rows = new RunIndexRows(this.#db);
    this.#lists = new RunLists(this.#db, (runId) => runs.get(runId));
  }

  /** To be called after each write of a record. */
  change(runId: string, before: Fields | undefined, after: Fields | undefined): void {
    this.tallies.change(runId, before, after);
    this.tallies.complete();
    if (before?.[field.status] === after?.[field.status]) {
      if (before?.[field.expiresAt] !== after?.[field.expiresAt]) this.expiry().change(runId, before, after);
      return;
    }
    if (!this.#behind.has(runId)) this.#behind.set(runId, before);
    if (this.#behind.size >= mostBehind) this.#catchUp();
  }

  /** As of the last change. */
  lists(): RunLists {
    this.#catchUp();
    return this.#lists;
  }

  /** As of the last change. */
  expiry(): ExpiryRows {
    this.#catchUp();
    return this.#expiry;
  }

  /** Never behind: no change of a run writes them. */
  get removals(): Pick<ExpiryRows, "beginRemoval" | "endRemoval"> {
    return this.#expiry;
  }

  close(): void {
    if (this.#db.isOpen) this.#db.close();
  }

  #catchUp(): void {
    if (this.#behind.size === 0) return;
    this.#db.exec("BEGIN");
    for (const [runId, before] of this.#behind) {
      const now = this.#runs.get(runId);
      this.#rows.replace(runId, before, now);
      this.#expiry.change(runId, before, now);
    }
    this.#rows.complete();
    this.#db.exec("COMMIT");
    this.#behind.clear();
  }
}
