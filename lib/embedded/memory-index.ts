import { DatabaseSync } from "node:sqlite";
import { expirySchema } from "./sqlite-expiry.ts";
import { runIndexSchema } from "./sqlite-run-index.ts";

/** The tables of lists and statistics without a file: the same as in one, so that they mean the same (R10). */
export function openMemoryIndex(): DatabaseSync {
  const db = new DatabaseSync(":memory:");
  // Nothing is ever rolled back.
  db.exec(`PRAGMA journal_mode = OFF; ${runIndexSchema} ${expirySchema}`);
  return db;
}
