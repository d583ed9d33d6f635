/**
 * Sums that somebody keeps of runs, in a table of their own beside them.
 *
 * Invariants:
 * 1. What is added while a write is told of is stored in its transaction, or not at all: a process that is killed leaves
 *    neither a write that was not counted nor a count of no write.
 * 2. What is added otherwise is stored with the next commit, and causes none.
 * 3. Only runs that are there have a row: whatever is still added of one that has been removed comes to nothing.
 */
import type { DatabaseSync, StatementSync } from "node:sqlite";
import { isRunId } from "../engine/record-id.ts";
import type { Fields } from "../engine/transition.ts";
import type { Amounts, EmbeddedBackend, KeepChange, RunTally } from "./backend.ts";

interface Row {
  readonly amounts: Record<string, number>;
  readonly isWhole: boolean;
  /** `undefined` while it is not in the table. A write by it is cheaper than one by the run's id. */
  rowId: number | undefined;
}

/** Made when sums are first kept: other files do without. As runs, rows that change together lie together. */
const schema =
  "CREATE TABLE IF NOT EXISTS run_tally (run_id TEXT PRIMARY KEY, amounts TEXT NOT NULL, is_whole INTEGER NOT NULL) STRICT";

const statements = {
  select: "SELECT rowid, amounts, is_whole FROM run_tally WHERE run_id = ?",
  insert: "INSERT INTO run_tally (run_id, amounts, is_whole) VALUES (?, ?, ?)",
  update: "UPDATE run_tally SET amounts = ? WHERE rowid = ?",
  delete: "DELETE FROM run_tally WHERE run_id = ?",
  doubt: "UPDATE run_tally SET is_whole = 0 WHERE run_id = ?",
  within: "SELECT amounts, is_whole FROM run_tally WHERE run_id >= ? AND run_id < ?",
};

/** Of the runs changed last: the others are read again. */
const cachedRows = 2_000;
/** Runs of which something was added before they began: a start arms its messages first. */
const earlyRuns = 1_000;

export class RunTallyRows {
  readonly #db: DatabaseSync;
  #sql: Readonly<Record<keyof typeof statements, StatementSync>> | undefined;
  #watch: KeepChange | undefined;
  /** Added since the last commit, outside of any write. */
  readonly #pending = new Map<string, Record<string, number>>();
  readonly #early = new Map<string, Record<string, number>>();
  /** What the open transaction has changed. */
  readonly #changed = new Map<string, Row>();
  readonly #cache = new Map<string, Row>();
  #telling: { readonly runId: string; readonly row: Row } | undefined;

  constructor(db: DatabaseSync) {
    this.#db = db;
    const has = db.prepare("SELECT 1 FROM sqlite_schema WHERE name = 'run_tally'").get() !== undefined;
    if (has) this.#prepare();
  }

  keep(watch: KeepChange): void {
    this.#db.exec(schema);
    this.#prepare();
    this.#watch = watch;
  }

  add(runId: string, amounts: Amounts): void {
    if (this.#telling?.runId === runId) addTo(this.#telling.row.amounts, amounts);
    else addTo(entryOf(this.#pending, runId), amounts);
  }

  /** To be called in the transaction of each write of a record, with the record before and after it. */
  change(runId: string, before: Fields | undefined, after: Fields | undefined): void {
    if (this.#sql === undefined || !isRunId(runId)) return;
    if (after === undefined) {
      for (const rows of [this.#pending, this.#early, this.#changed, this.#cache]) rows.delete(runId);
      this.#sql.delete.run(runId);
    } else if (this.#watch === undefined) {
      // Nobody counts any more: what is there is less than all.
      this.#sql.doubt.run(runId);
    } else {
      const row = this.#rowOf(runId) ?? {
        amounts: this.#takeEarly(runId),
        isWhole: before === undefined,
        rowId: undefined,
      };
      this.#changed.set(runId, row);
      this.#telling = { runId, row };
      try {
        this.#watch(runId, before, after);
      } finally {
        this.#telling = undefined;
      }
    }
  }

  /** To be called before the transaction is committed. */
  complete(): void {
    if (this.#watch === undefined) return;
    for (const [runId, amounts] of this.#pending) {
      const row = this.#rowOf(runId);
      if (row === undefined) {
        addTo(entryOf(this.#early, runId), amounts);
        dropOldest(this.#early, earlyRuns);
      } else {
        addTo(row.amounts, amounts);
        this.#changed.set(runId, row);
      }
    }
    this.#pending.clear();
    for (const [runId, row] of this.#changed) {
      this.#write(runId, row);
      this.#cache.delete(runId);
      this.#cache.set(runId, row);
    }
    dropOldest(this.#cache, cachedRows);
    this.#changed.clear();
  }

  /** To be called when the transaction has been rolled back. */
  forget(): void {
    this.#changed.clear();
    this.#cache.clear();
  }

  of(runId: string): RunTally | undefined {
    const own = this.#sql?.select.get(runId);
    if (own === undefined) return undefined;
    const amounts: Record<string, number> = {};
    let [isWhole, runs] = [true, 0];
    for (const { amounts: json, is_whole } of [own, ...this.#startedBy(runId)]) {
      addTo(amounts, JSON.parse(json as string) as Amounts);
      isWhole &&= is_whole === 1;
      runs += 1;
    }
    return { amounts, isWhole, runs };
  }

  /** Ids of runs that a run has started begin with its own: `engine/child.ts`. `~` is the last character that an id may have. */
  *#startedBy(runId: string): Iterable<Record<string, unknown>> {
    if (this.#sql === undefined) return;
    yield* this.#sql.within.iterate(`${runId}~`, `${runId}\u007f`);
    // Shards of a shard have its id, a dot and a digit; the ids of users may have dots for reasons of their own.
    if (runId.includes("~")) yield* this.#sql.within.iterate(`${runId}.0`, `${runId}.:`);
  }

  #prepare(): void {
    const prepared = Object.entries(statements).map(([name, sql]) => [name, this.#db.prepare(sql)] as const);
    this.#sql = Object.fromEntries(prepared) as Record<keyof typeof statements, StatementSync>;
  }

  #write(runId: string, row: Row): void {
    const amounts = JSON.stringify(row.amounts);
    if (row.rowId === undefined)
      row.rowId = Number(this.#sql?.insert.run(runId, amounts, row.isWhole ? 1 : 0).lastInsertRowid);
    else this.#sql?.update.run(amounts, row.rowId);
  }

  #rowOf(runId: string): Row | undefined {
    const known = this.#changed.get(runId) ?? this.#cache.get(runId);
    if (known !== undefined) return known;
    const stored = this.#sql?.select.get(runId);
    if (stored === undefined) return undefined;
    const amounts = JSON.parse(stored.amounts as string) as Record<string, number>;
    return { amounts, isWhole: stored.is_whole === 1, rowId: stored.rowid as number };
  }

  #takeEarly(runId: string): Record<string, number> {
    const early = this.#early.get(runId) ?? {};
    this.#early.delete(runId);
    return early;
  }
}

/** @param read calls it with the rows, when nothing is being written */
export function createRunTallies(
  rows: RunTallyRows,
  read: <T>(ask: () => T) => Promise<T>,
): Pick<EmbeddedBackend, "runTallies"> {
  return {
    runTallies: {
      keep: (watch) => rows.keep(watch),
      add: (runId, amounts) => rows.add(runId, amounts),
      of: (runId) => read(() => rows.of(runId)),
    },
  };
}

function entryOf(map: Map<string, Record<string, number>>, runId: string): Record<string, number> {
  const known = map.get(runId);
  if (known !== undefined) return known;
  const made = {};
  map.set(runId, made);
  return made;
}

function addTo(sums: Record<string, number>, amounts: Amounts): void {
  for (const name in amounts) {
    const amount = amounts[name] ?? 0;
    if (amount !== 0) sums[name] = (sums[name] ?? 0) + amount;
  }
}

function dropOldest(map: Map<string, unknown>, most: number): void {
  for (const key of map.keys()) {
    if (map.size <= most) return;
    map.delete(key);
  }
}
