// A data file as JSON, so that what is checked in can be read, and its changes reviewed.
import { DatabaseSync, type SQLInputValue } from "node:sqlite";

export interface Dump {
  readonly userVersion: number;
  readonly applicationId: number;
  /** Statements that make the tables and indexes. */
  readonly schema: readonly string[];
  /** Rows by table. */
  readonly rows: Readonly<Record<string, readonly Readonly<Record<string, SQLInputValue>>[]>>;
}

/** @param file that nobody has open */
export function dump(file: string): Dump {
  const db = new DatabaseSync(file);
  try {
    const schema = db.prepare(
      "SELECT name, type, sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY type DESC, name",
    );
    const entries = schema.all() as { name: string; type: string; sql: string }[];
    const tables = entries.filter(({ type }) => type === "table").map(({ name }) => name);
    const rowsOf = (table: string) => db.prepare(`SELECT * FROM ${table}`).all() as Record<string, SQLInputValue>[];
    return {
      userVersion: pragma(db, "user_version"),
      applicationId: pragma(db, "application_id"),
      schema: entries.map(({ sql }) => sql.replace(/\s+/g, " ")),
      rows: Object.fromEntries(tables.map((table) => [table, rowsOf(table)])),
    };
  } finally {
    db.close();
  }
}

export function restore(file: string, { userVersion, applicationId, schema, rows }: Dump): void {
  const db = new DatabaseSync(file);
  try {
    for (const sql of schema) db.exec(sql);
    for (const [table, all] of Object.entries(rows)) {
      for (const row of all) {
        const names = Object.keys(row);
        const values = names.map(() => "?").join(", ");
        db.prepare(`INSERT INTO ${table} (${names.join(", ")}) VALUES (${values})`).run(...Object.values(row));
      }
    }
    db.exec(`PRAGMA application_id = ${applicationId}; PRAGMA user_version = ${userVersion}`);
  } finally {
    db.close();
  }
}

function pragma(db: DatabaseSync, name: string): number {
  return Number(db.prepare(`PRAGMA ${name}`).get()?.[name]);
}
