/**
 * When runs expire, and which removals have not come to their end, in tables of their own. They are written in the
 * transaction that writes the run, and only by its end, its redrive and its removal.
 */
import type { DatabaseSync, SQLInputValue, StatementSync } from "node:sqlite";
import { field } from "../engine/codec.ts";
import type { Fields } from "../engine/transition.ts";
import type { EmbeddedBackend, Expiry } from "./backend.ts";
import { parseFieldsOrNone } from "./run-image.ts";

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
    if (to !== undefined) this.#run("insertExpiry", to, runId, to - retentionMs(after));
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
      return { runId: run_id as string, fields: parseFieldsOrNone(run_id as string, fields as string) };
    });
  }

  nextAtMs(afterMs: number): number | undefined {
    return (this.#statements.next.get(afterMs)?.expires_at_ms as number | null) ?? undefined;
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

/** @param read calls it with the rows, when nothing is being written */
export function createExpiry(read: <T>(ask: (rows: ExpiryRows) => T) => Promise<T>): Pick<EmbeddedBackend, "expiry"> {
  const expiry: Expiry = {
    nextAtMs: (afterMs) => read((rows) => rows.nextAtMs(afterMs)),
    expired: (untilMs, limit) => read((rows) => rows.expired(untilMs, limit)),
    endedAfter: (timeMs, limit) => read((rows) => rows.endedAfter(timeMs, limit)),
    removals: (limit) => read((rows) => rows.removals(limit)),
  };
  return { expiry };
}

/** For tests, which look at their plans. */
export const expiryReads = {
  removals: "SELECT run_id, fields FROM removal ORDER BY run_id LIMIT ?",
  next: "SELECT min(expires_at_ms) AS expires_at_ms FROM run_expiry WHERE expires_at_ms > ?",
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

/** Of a damaged run, none: it must not stop others. */
function retentionMs(fields: Fields | undefined): number {
  const value = fields?.[field.retention];
  return typeof value === "number" ? value : 0;
}

function expiryMs(fields: Fields | undefined): number | undefined {
  const seconds = fields?.[field.expiresAt];
  return typeof seconds === "number" ? seconds * 1000 : undefined;
}
