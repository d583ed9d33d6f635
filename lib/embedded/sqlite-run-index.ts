/**
 * What lists and statistics need of the runs, in tables of their own: `engine/projection.ts` as rows. They are written
 * in the transaction that writes the run, and only when its status changes, so that most writes of a run cost nothing here.
 *
 * Invariants:
 * 1. The rows are what follows from the runs that are stored: rebuilt from nothing, they would be the same. Only what
 *    groups of failures tell of their first and last failure is history.
 * 2. A run that cannot be read has no rows but the one that says it is open, and fails no write.
 */
import type { DatabaseSync, SQLInputValue, StatementSync } from "node:sqlite";
import { field } from "../engine/codec.ts";
import { StoredRunError } from "../engine/field-reader.ts";
import {
  type Count,
  countChanges,
  entryKey,
  type FailureSight,
  isListed,
  type Projection,
  project,
} from "../engine/projection.ts";
import { isRunId } from "../engine/record-id.ts";
import { isTerminal, type RunState, type RunStatus } from "../engine/run-state.ts";
import type { Fields } from "../engine/transition.ts";
import { readRun } from "../runtime/read-run.ts";

/**
 * The order of every key is that of the lists, so that a page is read from one place on. Rows are short and hold nothing
 * but their keys: WITHOUT ROWID saves the second copy.
 */
export const runIndexSchema = `
  CREATE TABLE run_open (run_id TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
  CREATE TABLE run_index (
    created_at_ms REAL NOT NULL,
    run_id TEXT NOT NULL,
    workflow TEXT NOT NULL,
    status TEXT NOT NULL,
    PRIMARY KEY (created_at_ms, run_id)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX run_index_status ON run_index (status, created_at_ms, run_id);
  CREATE INDEX run_index_workflow ON run_index (workflow, status, created_at_ms, run_id);
  CREATE TABLE run_entry (
    entry TEXT NOT NULL,
    created_at_ms REAL NOT NULL,
    run_id TEXT NOT NULL,
    PRIMARY KEY (entry, created_at_ms, run_id)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE run_count (
    day TEXT NOT NULL,
    workflow TEXT NOT NULL,
    name TEXT NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (day, workflow, name)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE run_failure (
    fingerprint TEXT PRIMARY KEY,
    count INTEGER NOT NULL,
    workflow TEXT NOT NULL,
    step TEXT,
    name TEXT NOT NULL,
    message TEXT NOT NULL,
    run_id TEXT NOT NULL,
    first_at_ms REAL NOT NULL,
    last_at_ms REAL NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX run_failure_last ON run_failure (last_at_ms);
`;

/** Keeps the rows. */
export class RunIndexRows {
  readonly #run: (name: keyof typeof writes, ...values: SQLInputValue[]) => void;
  /** What the open transaction adds to counts: many runs change the same few of them. */
  readonly #counts = new Map<string, Count & { by: number }>();

  constructor(db: DatabaseSync) {
    const statements = new Map<string, StatementSync>();
    for (const [name, sql] of Object.entries(writes)) statements.set(name, db.prepare(sql));
    this.#run = (name, ...values) => void statements.get(name)?.run(...values);
  }

  /**
   * To be called in the transaction of each write of a record, with the record before and after it.
   *
   * @param before `undefined` when there was none
   * @param after `undefined` when it has been removed
   */
  change(runId: string, before: Fields | undefined, after: Fields | undefined): void {
    if (before?.[field.status] !== after?.[field.status]) this.replace(runId, before, after);
  }

  /** As `change`, but whatever became of the run between the two. */
  replace(runId: string, before: Fields | undefined, after: Fields | undefined): void {
    if (!isRunId(runId)) return;
    if (isOpen(before) !== isOpen(after)) this.#run(isOpen(after) ? "insertOpen" : "deleteOpen", runId);
    const former = read(runId, before);
    const next = read(runId, after);
    this.#changeRun(former.run, next.run);
    this.#changeEntries(former, next);
    this.#changeFailure(former.projection.failure, next.projection.failure);
    for (const { by, ...count } of countChanges(former.projection, next.projection)) {
      const key = `${count.day} ${count.workflow} ${count.name}`;
      const known = this.#counts.get(key);
      if (known === undefined) this.#counts.set(key, { ...count, by });
      else known.by += by;
    }
  }

  /** To be called before the transaction is committed. */
  complete(): void {
    for (const { day, workflow, name, by } of this.#counts.values()) {
      // `run_expiry` has them.
      if (name === "expires" || by === 0) continue;
      this.#run("addCount", day, workflow, name, by);
      if (by < 0) this.#run("deleteCount", day, workflow, name);
    }
    this.#counts.clear();
  }

  /** To be called when the transaction has been rolled back. */
  forget(): void {
    this.#counts.clear();
  }

  #changeRun(former: RunState | undefined, next: RunState | undefined): void {
    if (former !== undefined && former.createdAtMs !== next?.createdAtMs) {
      this.#run("deleteRun", former.createdAtMs, former.runId);
    }
    if (next === undefined) return;
    const { createdAtMs, runId, workflow, status } = next;
    this.#run("putRun", createdAtMs, runId, workflow, status);
  }

  #changeEntries(former: Listed, next: Listed): void {
    const keys = entryKeys(next);
    const formerKeys = entryKeys(former);
    for (const key of formerKeys) if (!keys.has(key)) this.#entry("deleteEntry", key, former);
    for (const key of keys) if (!formerKeys.has(key)) this.#entry("insertEntry", key, next);
  }

  #entry(name: "insertEntry" | "deleteEntry", key: string, { run }: Listed): void {
    if (run !== undefined) this.#run(name, key, run.createdAtMs, run.runId);
  }

  #changeFailure(former: FailureSight | undefined, next: FailureSight | undefined): void {
    // Added first: a group that stays keeps what it knows of its first failure.
    if (next !== undefined) {
      const { fingerprint, workflow, step = null, name, message, runId, atMs } = next;
      this.#run("putFailure", fingerprint, workflow, step, name, message, runId, atMs, atMs);
    }
    if (former !== undefined) {
      this.#run("forgetFailure", former.fingerprint);
      this.#run("deleteFailure", former.fingerprint);
    }
  }
}

const writes = {
  insertOpen: "INSERT INTO run_open (run_id) VALUES (?) ON CONFLICT DO NOTHING",
  deleteOpen: "DELETE FROM run_open WHERE run_id = ?",
  putRun: `
    INSERT INTO run_index (created_at_ms, run_id, workflow, status) VALUES (?, ?, ?, ?)
    ON CONFLICT DO UPDATE SET workflow = excluded.workflow, status = excluded.status`,
  deleteRun: "DELETE FROM run_index WHERE created_at_ms = ? AND run_id = ?",
  insertEntry: "INSERT INTO run_entry (entry, created_at_ms, run_id) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
  deleteEntry: "DELETE FROM run_entry WHERE entry = ? AND created_at_ms = ? AND run_id = ?",
  addCount: `
    INSERT INTO run_count (day, workflow, name, count) VALUES (?, ?, ?, ?)
    ON CONFLICT DO UPDATE SET count = count + excluded.count`,
  deleteCount: "DELETE FROM run_count WHERE day = ? AND workflow = ? AND name = ? AND count = 0",
  putFailure: `
    INSERT INTO run_failure (fingerprint, count, workflow, step, name, message, run_id, first_at_ms, last_at_ms)
    VALUES (?, 1, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT DO UPDATE SET
      count = count + 1,
      first_at_ms = min(first_at_ms, excluded.first_at_ms),
      message = iif(excluded.last_at_ms >= last_at_ms, excluded.message, message),
      run_id = iif(excluded.last_at_ms >= last_at_ms, excluded.run_id, run_id),
      last_at_ms = max(last_at_ms, excluded.last_at_ms)`,
  forgetFailure: "UPDATE run_failure SET count = count - 1 WHERE fingerprint = ?",
  deleteFailure: "DELETE FROM run_failure WHERE fingerprint = ? AND count = 0",
};

interface Listed {
  /** Absent: it is in no list. */
  readonly run?: RunState;
  readonly projection: Projection;
}

function read(runId: string, fields: Fields | undefined): Listed {
  const run = fields === undefined ? undefined : readable(runId, fields);
  const projection = project(run);
  return run === undefined || !isListed(run) ? { projection } : { run, projection };
}

function readable(runId: string, fields: Fields): RunState | undefined {
  try {
    return readRun(runId, fields);
  } catch (error) {
    if (error instanceof StoredRunError) return undefined;
    throw error;
  }
}

function isOpen(fields: Fields | undefined): boolean {
  const status = fields?.[field.status];
  return status !== undefined && !isTerminal(status as RunStatus);
}

function entryKeys({ projection }: Listed): ReadonlySet<string> {
  return new Set(projection.entries.map(entryKey));
}
