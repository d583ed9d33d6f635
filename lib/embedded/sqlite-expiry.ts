/**
 * When runs expire, and which removals have not come to their end, in tables of their own. They are written in the
 * transaction that writes the run, and only by its end, its redrive and its removal.
 */
import { DatabaseSync, type SQLInputValue, type StatementSync } from "node:sqlite";
import { field } from "../engine/codec.ts";
import type { Fields } from "../engine/transition.ts";
import type { EmbeddedBackend, Expiry } from "./backend.ts";

/** `since_ms`: from when on the run counts as ended. In the future when the clock has been set back since. */
export const expirySchema = `
  CREATE TABLE IF NOT EXISTS run_expiry (
    expires_at_ms REAL NOT NULL,
    run_id TEXT NOT NULL,
    since_ms REAL NOT NULL,
    PRIMARY KEY (expires_at_ms, run_id)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX IF NOT EXISTS run_expiry_since ON run_expiry (since_ms);
  CREATE TABLE IF NOT EXISTS removal (run_id TEXT PRIMARY KEY, fields TEXT NOT NULL) STRICT, WITHOUT ROWID;
`;

/** Keeps the rows, and reads them: one place of an index, whatever the number of runs. */
export class ExpiryRows {
  readonly #statements: Readonly<Record<keyof typeof statements, StatementSync>>;

  constructor(db: DatabaseSync) {
    const prepared = Object.entries(statements).map(([name, sql]) => [name, db.prepare(sql)] as const);
    this.#statements = Object.fromEntries(prepared) as Record<keyof typeof statements, StatementSync>;
  }

  /** To be called in the transaction of each write of a record, with the record before and after it. */
  change(runId: string, before: Fields | undefined, after: Fields | undefined): void {
    const [from, to] = [expiryMs(before), expiryMs(after)];
    if (from === to) return;
    if (from !== undefined) this.#run("deleteExpiry", from, runId);
    if (to !== undefined) this.#run("insertExpiry", to, runId, to - Number(after?.[field.retention] ?? 0));
  }

  /** In the transaction that removes the run. */
  beginRemoval(runId: string, last: Fields): void {
    this.#run("insertRemoval", runId, JSON.stringify(last));
  }

  endRemoval(runId: string): void {
    this.#run("deleteRemoval", runId);
  }

  removals(limit: number): { readonly runId: string; readonly fields: Fields }[] {
    return this.#statements.removals.all(limit).map(({ run_id, fields }) => {
      return { runId: run_id as string, fields: JSON.parse(fields as string) as Fields };
    });
  }

  nextAtMs(): number | undefined {
    return (this.#statements.next.get()?.expires_at_ms as number | null) ?? undefined;
  }

  expired(untilMs: number, limit: number): string[] {
    return this.#statements.expired.all(untilMs, limit).map(({ run_id }) => run_id as string);
  }

  endedAfter(timeMs: number, limit: number): string[] {
    return this.#statements.endedAfter.all(timeMs, limit).map(({ run_id }) => run_id as string);
  }

  #run(name: keyof typeof statements, ...values: SQLInputValue[]): void {
    this.#statements[name].run(...values);
  }
}

/** The same tables without a file, so that they mean the same (R10). They go with the process. */
export function openMemoryExpiry(): ExpiryRows {
  const db = new DatabaseSync(":memory:");
  // Nothing is ever rolled back.
  db.exec(`PRAGMA journal_mode = OFF; ${expirySchema}`);
  return new ExpiryRows(db);
}

/** @param read calls it with the rows, when nothing is being written */
export function createExpiry(read: <T>(ask: (rows: ExpiryRows) => T) => Promise<T>): Pick<EmbeddedBackend, "expiry"> {
  const expiry: Expiry = {
    nextAtMs: () => read((rows) => rows.nextAtMs()),
    expired: (untilMs, limit) => read((rows) => rows.expired(untilMs, limit)),
    endedAfter: (timeMs, limit) => read((rows) => rows.endedAfter(timeMs, limit)),
    removals: (limit) => read((rows) => rows.removals(limit)),
  };
  return { expiry };
}

/** For tests, which look at their plans. */
export const expiryReads = {
  removals: "SELECT run_id, fields FROM removal ORDER BY run_id LIMIT ?",
  next: "SELECT min(expires_at_ms) AS expires_at_ms FROM run_expiry",
  expired: "SELECT run_id FROM run_expiry WHERE expires_at_ms <= ? ORDER BY expires_at_ms, run_id LIMIT ?",
  endedAfter:
    "SELECT run_id FROM run_expiry INDEXED BY run_expiry_since WHERE since_ms > ? ORDER BY since_ms DESC LIMIT ?",
};

const statements = {
  ...expiryReads,
  insertExpiry: "INSERT INTO run_expiry (expires_at_ms, run_id, since_ms) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
  deleteExpiry: "DELETE FROM run_expiry WHERE expires_at_ms = ? AND run_id = ?",
  insertRemoval:
    "INSERT INTO removal (run_id, fields) VALUES (?, ?) ON CONFLICT DO UPDATE SET fields = excluded.fields",
  deleteRemoval: "DELETE FROM removal WHERE run_id = ?",
};

function expiryMs(fields: Fields | undefined): number | undefined {
  const seconds = fields?.[field.expiresAt];
  return typeof seconds === "number" ? seconds * 1000 : undefined;
}
