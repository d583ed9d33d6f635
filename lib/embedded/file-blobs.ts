/**
 * Blobs as files of one folder. Like SQLite, it works synchronously: one process owns the folder, and its writes are few.
 *
 * Invariants:
 * 1. A file under a blob's name is whole: it is written under another name, synced, and only then renamed.
 * 2. What `put` has acknowledged survives a power cut: the folder is synced after the rename.
 * 3. Each run has a folder of its own, which goes with it.
 */
import { createHash } from "node:crypto";
import { closeSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import process from "node:process";
import type { BlobStore } from "../runtime/ports.ts";
import { runOf } from "./memory-blobs.ts";
import { StorageError } from "./storage-error.ts";

/** @param folder is created when it is not there; one process at a time may use it @throws {StorageError} */
export function openFileBlobs(folder: string): BlobStore {
  const unfinished = join(folder, "unfinished");
  attempt(folder, () => {
    // What a process that died was writing.
    rmSync(unfinished, { recursive: true, force: true });
    mkdirSync(unfinished, { recursive: true });
    syncFolder(dirname(folder));
  });
  let written = 0;

  return {
    async put(key, text) {
      attempt(folder, () => {
        const draft = join(unfinished, String(written++));
        const own = join(folder, fileName(runOf(key)));
        writeFileSync(draft, text, { flush: true });
        if (mkdirSync(own, { recursive: true }) !== undefined) syncFolder(folder);
        renameSync(draft, join(own, fileName(key)));
        syncFolder(own);
      });
    },
    async get(key) {
      return attempt(folder, () => {
        // Former versions had all of them in one folder.
        return read(join(folder, fileName(runOf(key)), fileName(key))) ?? read(join(folder, fileName(key)));
      });
    },
    async removeAll(runId) {
      attempt(folder, () => {
        rmSync(join(folder, fileName(runId)), { recursive: true, force: true });
        syncFolder(folder);
      });
    },
  };
}

function read(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    if (["ENOENT", "EISDIR"].includes((error as NodeJS.ErrnoException).code ?? "")) return undefined;
    throw error;
  }
}

/** Keys may hold anything, and some file systems do not tell "a" from "A". */
function fileName(key: string): string {
  return createHash("sha256").update(key).digest("hex");
}

function syncFolder(folder: string): void {
  // Windows does not open folders; its renames are journaled.
  if (process.platform === "win32") return;
  const descriptor = openSync(folder, "r");
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

function attempt<T>(folder: string, work: () => T): T {
  try {
    return work();
  } catch (cause) {
    const said = cause instanceof Error ? cause.message : String(cause);
    const isFull = cause instanceof Error && "code" in cause && cause.code === "ENOSPC";
    const remedy = isFull ? "Free some space." : "It must be readable and writable by this user.";
    const message = `The folder of large payloads, ${folder}, cannot be read or written (${said}). ${remedy}`;
    throw new StorageError(isFull ? "disk_full" : "file_unusable", message, { cause });
  }
}
