import { closeSync, mkdirSync, openSync, readSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { parseFieldsOrNone } from "./run-image.ts";
import { ExpiryRows, expirySchema } from "./sqlite-expiry.ts";
import { RunIndexRows, runIndexSchema } from "./sqlite-run-index.ts";
import { StorageError, type StorageErrorCode } from "./storage-error.ts";

/**
 * Opens the database file for this process alone, and creates it when there is none.
 *
 * @throws StorageError when the file is in use, damaged, not ours, too new, or cannot be opened.
 */
export function openSqliteFile(file: string): DatabaseSync {
  let db: DatabaseSync | undefined;
  try {
    mkdirSync(dirname(file), { recursive: true });
    assertWhole(file);
    db = new DatabaseSync(file);
    // Before anything else is read: from the first read on, no other process gets in.
    db.exec("PRAGMA locking_mode = EXCLUSIVE");
    assertOurs(db, file);
    db.exec("PRAGMA journal_mode = WAL");
    // What it is made of must survive a power cut; `wal-sync.ts` then says when the rest does.
    db.exec("PRAGMA synchronous = FULL");
    db.exec("BEGIN EXCLUSIVE");
    for (const [version, migrate] of migrations.entries()) if (version >= userVersion(db)) migrate(db);
    db.exec(`PRAGMA user_version = ${migrations.length}`);
    db.exec("COMMIT");
    return db;
  } catch (error) {
    db?.close();
    throw storageError(file, error);
  }
}

/** What SQLite or the file system said, as an error that names the file and the remedy. */
export function storageError(file: string, cause: unknown): StorageError {
  if (cause instanceof StorageError) return cause;
  const said = cause instanceof Error ? cause.message : String(cause);
  const [code, message] = explain(file, said, cause);
  return new StorageError(code, message, { cause });
}

/** SQLite's primary result code, or `undefined` for an error that is not SQLite's. */
export function sqliteErrorCode(error: unknown): number | undefined {
  if (!(error instanceof Error) || !("code" in error) || error.code !== "ERR_SQLITE_ERROR") return undefined;
  return "errcode" in error && typeof error.errcode === "number" ? error.errcode & 0xff : 1;
}

const restore = "Restore it from a backup, or move it and its -wal file away to begin with an empty one.";

/** "Pawl" in ASCII, in the file's header. */
const applicationId = 0x5061776c;

/** Each makes a file of its version, from 0 for an empty one, one of the next: new files take the same way as old ones. */
const migrations: readonly ((db: DatabaseSync) => void)[] = [createTables, indexRuns, indexExpiry];

/**
 * Run and payload rows are about 1 KB: ordinary tables keep runs that are active together on the same few pages, where
 * WITHOUT ROWID would write a page per run. Only messages due later than soon are in the partial index.
 */
const schema = `
  CREATE TABLE run (id TEXT PRIMARY KEY, fields TEXT NOT NULL) STRICT;
  CREATE TABLE payload (run_id TEXT NOT NULL, key TEXT NOT NULL, json TEXT NOT NULL, PRIMARY KEY (run_id, key)) STRICT;
  CREATE TABLE graph (workflow TEXT NOT NULL, fingerprint TEXT NOT NULL, json TEXT NOT NULL, PRIMARY KEY (workflow, fingerprint)) STRICT;
  CREATE TABLE message (
    id INTEGER PRIMARY KEY,
    task_queue TEXT NOT NULL,
    json TEXT NOT NULL,
    scheduled_at_ms INTEGER NOT NULL,
    due_at_ms INTEGER NOT NULL,
    receive_count INTEGER NOT NULL,
    failures INTEGER NOT NULL,
    parked INTEGER NOT NULL
  ) STRICT;
  CREATE INDEX message_parked ON message (due_at_ms) WHERE parked = 1;
  CREATE TABLE dead_letter (
    id INTEGER PRIMARY KEY,
    task_queue TEXT NOT NULL,
    json TEXT NOT NULL,
    reason TEXT NOT NULL,
    receive_count INTEGER NOT NULL,
    dead_at_ms INTEGER NOT NULL
  ) STRICT;
  PRAGMA application_id = ${applicationId};
`;

function createTables(db: DatabaseSync): void {
  db.exec(schema);
}

/** Of the runs that are there. */
function indexExpiry(db: DatabaseSync): void {
  db.exec(expirySchema);
  const rows = new ExpiryRows(db);
  for (const { id, fields } of db.prepare("SELECT id, fields FROM run").iterate()) {
    rows.change(id as string, undefined, parseFieldsOrNone(id as string, fields as string));
  }
}

/** Lists and statistics, of the runs that are there. */
function indexRuns(db: DatabaseSync): void {
  db.exec(`DROP INDEX IF EXISTS run_open; ${runIndexSchema}`);
  const rows = new RunIndexRows(db);
  for (const { id, fields } of db.prepare("SELECT id, fields FROM run").iterate()) {
    rows.change(id as string, undefined, parseFieldsOrNone(id as string, fields as string));
  }
  rows.complete();
}

/**
 * SQLite notices a missing end only when it reads there, and a page that is cut off not at all. As long as there is a
 * write-ahead log, the file may be shorter than it says: the log has the rest.
 */
function assertWhole(file: string): void {
  const size = sizeOf(file);
  if (size < headerBytes || sizeOf(`${file}-wal`) > 0) return;
  const descriptor = openSync(file, "r");
  const header = Buffer.alloc(headerBytes);
  try {
    readSync(descriptor, header, 0, headerBytes, 0);
  } finally {
    closeSync(descriptor);
  }
  // https://sqlite.org/fileformat.html: the number of pages counts when the two change counters agree.
  if (!header.toString("latin1").startsWith("SQLite format 3\0")) return;
  if (header.readUInt32BE(24) !== header.readUInt32BE(92)) return;
  const bytes = header.readUInt32BE(28) * pageBytes(header.readUInt16BE(16));
  if (size >= bytes) return;
  const message = `The data file ${file} is damaged: it has ${size} bytes and should have ${bytes}; its end is cut off. ${restore}`;
  throw new StorageError("file_damaged", message);
}

const headerBytes = 100;

/** 65,536 does not fit into the header's two bytes, and is written as 1. */
function pageBytes(written: number): number {
  return written === 1 ? 65_536 : written;
}

function sizeOf(file: string): number {
  return statSync(file, { throwIfNoEntry: false })?.size ?? 0;
}

function assertOurs(db: DatabaseSync, file: string): void {
  const tables = Number(db.prepare("SELECT count(*) AS n FROM sqlite_schema").get()?.n);
  if (tables === 0) return;
  if (Number(db.prepare("PRAGMA application_id").get()?.application_id) !== applicationId) {
    throw new StorageError(
      "file_foreign",
      `The file ${file} is the SQLite database of another application and was left as it is. Give Pawl a data file of its own.`,
    );
  }
  const version = userVersion(db);
  if (version > migrations.length) {
    throw new StorageError(
      "file_too_new",
      `The data file ${file} has schema version ${version}; this version of Pawl knows versions up to ${migrations.length}. Use the version of Pawl that wrote it, or a newer one.`,
    );
  }
}

function userVersion(db: DatabaseSync): number {
  return Number(db.prepare("PRAGMA user_version").get()?.user_version);
}

function explain(file: string, said: string, cause: unknown): [StorageErrorCode, string] {
  const code = sqliteErrorCode(cause);
  if (code === sqlite.busy || code === sqlite.locked) {
    const remedy =
      "One process at a time may use a data file: stop the other one, or give this one another data directory.";
    return ["file_in_use", `The data file ${file} is in use: another Pawl process has it open (${said}). ${remedy}`];
  }
  if (code === sqlite.corrupt || code === sqlite.notADatabase) {
    return ["file_damaged", `The data file ${file} is damaged or not a SQLite database (${said}). ${restore}`];
  }
  if (code === sqlite.full) {
    const remedy = "Nothing of this write was kept. Free some space; the next writes work again.";
    return ["disk_full", `The disk that holds the data file ${file} is full (${said}). ${remedy}`];
  }
  if (isFileProblem(code, cause)) {
    const remedy = "The file and its folder must be readable and writable by this user; a missing folder is created.";
    return ["file_unusable", `The data file ${file} cannot be opened, read or written (${said}). ${remedy}`];
  }
  return ["operation_failed", `An operation on the data file ${file} failed (${said}). Nothing of it was kept.`];
}

function isFileProblem(code: number | undefined, cause: unknown): boolean {
  if (code !== undefined) return fileProblems.includes(code);
  return cause instanceof Error && "syscall" in cause;
}

/** SQLite's result codes, https://sqlite.org/rescode.html */
const sqlite = { busy: 5, locked: 6, corrupt: 11, full: 13, notADatabase: 26 };
/** PERM, READONLY, IOERR, CANTOPEN */
const fileProblems = [3, 8, 10, 14];
