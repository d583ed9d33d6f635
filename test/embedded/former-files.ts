import { DatabaseSync } from "node:sqlite";

const laterTables = ["run_open", "run_index", "run_entry", "run_count", "run_failure", "run_expiry", "removal"];

/** Makes the file what the version of Pawl left that had no lists, and no runs that expire. */
export function asVersion1(file: string): void {
  const db = new DatabaseSync(file);
  for (const table of laterTables) db.exec(`DROP TABLE ${table}`);
  db.exec("CREATE INDEX run_open ON run (id) WHERE json_extract(fields, '$.st') IN ('running', 'paused', 'unwinding')");
  db.exec("PRAGMA user_version = 1");
  db.close();
}
