import type { DatabaseSync, StatementSync } from "node:sqlite";
import { StoredShapeError } from "../engine/field-reader.ts";
import { sqliteErrorCode, storageError } from "./sqlite-file.ts";
import { StorageError } from "./storage-error.ts";

interface Operation {
  /** Runs inside the transaction, perhaps twice. Returns what is to happen once it is committed. */
  readonly work: () => () => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Runs all operations of one turn of the event loop in one transaction: a commit costs a sync of the disk, and fifty
 * workers share it. Their promises resolve after the commit.
 *
 * All or nothing holds for the group: when SQLite fails in any of it, all of it is rolled back and rejected. An
 * operation that throws an error of its own fails alone; the others are run again without it.
 */
export class GroupCommit {
  readonly #file: string;
  readonly #db: DatabaseSync;
  readonly #onRollback: () => void;
  readonly #beforeCommit: () => void;
  readonly #begin: StatementSync;
  readonly #commit: StatementSync;
  #group: Operation[] = [];
  #open = true;

  /** @param beforeCommit writes what the operations of a group have left to be written once */
  constructor(file: string, db: DatabaseSync, onRollback: () => void, beforeCommit: () => void = () => undefined) {
    this.#file = file;
    this.#db = db;
    this.#onRollback = onRollback;
    this.#beforeCommit = beforeCommit;
    this.#begin = db.prepare("BEGIN IMMEDIATE");
    this.#commit = db.prepare("COMMIT");
  }

  /** `afterCommit` runs before the promise resolves and before the next group, in the order of the operations. */
  write<T>(work: () => T, afterCommit?: (result: T) => void): Promise<T> {
    return new Promise((resolve, reject) => {
      this.assertOpen();
      // At the end of this turn, when every worker that can go on has asked for its write.
      // eslint-disable-next-line no-restricted-globals -- whoever writes waits for it, and close() writes at once what is left
      if (this.#group.length === 0) setImmediate(() => this.#flush());
      this.#group.push({
        reject,
        work: () => {
          const result = work();
          return () => {
            afterCommit?.(result);
            resolve(result);
          };
        },
      });
    });
  }

  /** Reads at once: between two groups, what is committed is all there is. */
  async read<T>(work: () => T): Promise<T> {
    this.assertOpen();
    try {
      return work();
    } catch (error) {
      // What is damaged is one record: the file is fine.
      throw error instanceof StoredShapeError ? error : storageError(this.#file, error);
    }
  }

  assertOpen(): void {
    if (!this.#open) {
      throw new StorageError(
        "closed",
        `The data file ${this.#file} has been closed. Nothing can be asked of it after close().`,
      );
    }
  }

  /** Writes what is waiting; refuses everything after it. */
  close(): void {
    this.#flush();
    this.#open = false;
  }

  #flush(): void {
    let group = this.#group;
    this.#group = [];
    while (group.length > 0) {
      const failed = this.#run(group);
      group = failed === undefined ? [] : group.filter((operation) => operation !== failed);
    }
  }

  /** Commits the group, or rejects it; or rejects and returns the operation that it has to be run again without. */
  #run(group: readonly Operation[]): Operation | undefined {
    const committed: (() => void)[] = [];
    let current: Operation | undefined;
    try {
      this.#begin.run();
      for (current of group) committed.push(current.work());
      current = undefined;
      this.#beforeCommit();
      this.#commit.run();
    } catch (error) {
      this.#rollBack();
      if (current !== undefined && sqliteErrorCode(error) === undefined) {
        current.reject(error);
        return current;
      }
      const failure = storageError(this.#file, error);
      for (const { reject } of group) reject(failure);
      return undefined;
    }
    for (const settle of committed) settle();
    return undefined;
  }

  #rollBack(): void {
    try {
      this.#db.exec("ROLLBACK");
    } catch {
      // SQLite has rolled back by itself, as it does on a full disk. There is nothing left to undo.
    }
    this.#onRollback();
  }
}
