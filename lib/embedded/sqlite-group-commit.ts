import type { DatabaseSync, StatementSync } from "node:sqlite";
import { StoredShapeError } from "../engine/field-reader.ts";
import { sqliteErrorCode, storageError } from "./sqlite-file.ts";
import { StorageError } from "./storage-error.ts";

interface Operation {
  /** Runs inside the transaction, perhaps twice. Returns what is to happen once it is committed. */
  readonly work: () => Committed;
  readonly reject: (error: unknown) => void;
}

interface Committed {
  readonly now?: () => void;
  readonly onceSafe?: Held;
}

interface Held {
  readonly settle: () => void;
  readonly reject?: (error: unknown) => void;
}

/**
 * Runs all operations of one turn of the event loop in one transaction. What is committed survives the end of this
 * process, and is safe from a power cut when the disk has been synced after it: fifty workers share a sync, and so do
 * writes of several turns of which only the last is told to anybody.
 *
 * Invariants:
 * 1. All or nothing holds for the group: when SQLite fails in any of it, all of it is rolled back and rejected. An
 *    operation that throws an error of its own fails alone; the others are run again without it.
 * 2. The promise of `write`, and of a `read`, resolves when all that it tells of is safe; that of `writeSoon` before.
 * 3. A power cut leaves a beginning of the commits, in their order: what one relies on is there if it is.
 * 4. As soon as a turn asks for nothing, all that is committed is made safe.
 * 5. Once a sync has failed nobody knows what the disk has, and another would not tell: everything is refused from then on.
 */
export class GroupCommit {
  readonly #file: string;
  readonly #db: DatabaseSync;
  readonly #onRollback: () => void;
  readonly #beforeCommit: () => void;
  readonly #sync: (() => void) | undefined;
  readonly #begin: StatementSync;
  readonly #commit: StatementSync;
  #group: Operation[] = [];
  #isFlushPlanned = false;
  /** Committed, and told when it is safe. */
  #held: Held[] = [];
  /** Something is committed that may not be safe. */
  #isBehind = false;
  /** Why everything is refused. */
  #refusal: StorageError | undefined;

  /**
   * @param beforeCommit writes what the operations of a group have left to be written once
   * @param sync makes all safe that is committed. @default each commit does by itself
   */
  constructor(
    file: string,
    db: DatabaseSync,
    onRollback: () => void,
    beforeCommit: () => void = () => undefined,
    sync?: () => void,
  ) {
    this.#file = file;
    this.#db = db;
    this.#onRollback = onRollback;
    this.#beforeCommit = beforeCommit;
    this.#sync = sync;
    this.#begin = db.prepare("BEGIN IMMEDIATE");
    this.#commit = db.prepare("COMMIT");
  }

  /** `onceSafe` runs before the promise resolves, in the order of the operations. */
  write<T>(work: () => T, onceSafe?: (result: T) => void): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#add(reject, () => {
        const result = work();
        const settle = (): void => {
          onceSafe?.(result);
          resolve(result);
        };
        return { onceSafe: { settle, reject } };
      });
    });
  }

  /**
   * For whoever does nothing because of it that a power cut could not take back, too, nor tells anybody outside before
   * another write has.
   *
   * @param afterCommit runs before the promise resolves and before the next group
   * @param onceSafe runs later, in the order of the operations
   */
  writeSoon<T>(work: () => T, afterCommit?: (result: T) => void, onceSafe?: (result: T) => void): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#add(reject, () => {
        const result = work();
        const now = (): void => {
          afterCommit?.(result);
          resolve(result);
        };
        return { now, ...(onceSafe === undefined ? {} : { onceSafe: { settle: () => onceSafe(result) } }) };
      });
    });
  }

  /** Reads at once: between two groups, what is committed is all there is. */
  async read<T>(work: () => T): Promise<T> {
    const result = await this.peek(work);
    // Whoever asks may tell somebody.
    this.#makeSafe();
    this.assertOpen();
    return result;
  }

  /** The same of what is read only because of something that is safe, and was written before it. */
  async peek<T>(work: () => T): Promise<T> {
    this.assertOpen();
    try {
      return work();
    } catch (error) {
      // What is damaged is one record: the file is fine.
      throw error instanceof StoredShapeError ? error : storageError(this.#file, error);
    }
  }

  assertOpen(): void {
    if (this.#refusal !== undefined) throw this.#refusal;
  }

  /** Writes what is waiting; refuses everything after it. */
  close(): void {
    this.#flush();
    this.#makeSafe();
    this.#refusal ??= new StorageError(
      "closed",
      `The data file ${this.#file} has been closed. Nothing can be asked of it after close().`,
    );
  }

  #add(reject: Operation["reject"], work: Operation["work"]): void {
    this.assertOpen();
    this.#flushAfterTurn();
    this.#group.push({ reject, work });
  }

  /** At the end of this turn, when every worker that can go on has asked for its write. */
  #flushAfterTurn(): void {
    if (this.#isFlushPlanned) return;
    this.#isFlushPlanned = true;
    // eslint-disable-next-line no-restricted-globals -- whoever writes waits for it, and close() writes at once what is left
    setImmediate(() => {
      this.#isFlushPlanned = false;
      this.#flush();
    });
  }

  #flush(): void {
    let group = this.#group;
    this.#group = [];
    if (group.length === 0) this.#makeSafe();
    while (group.length > 0) {
      const failed = this.#run(group);
      group = failed === undefined ? [] : group.filter((operation) => operation !== failed);
    }
    if (this.#isBehind) this.#flushAfterTurn();
  }

  /** Commits the group, or rejects it; or rejects and returns the operation that it has to be run again without. */
  #run(group: readonly Operation[]): Operation | undefined {
    if (this.#refusal !== undefined) {
      for (const { reject } of group) reject(this.#refusal);
      return undefined;
    }
    const committed: Committed[] = [];
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
    this.#isBehind = true;
    let isWaitedFor = false;
    for (const { now, onceSafe } of committed) {
      now?.();
      if (onceSafe === undefined) continue;
      this.#held.push(onceSafe);
      isWaitedFor ||= onceSafe.reject !== undefined;
    }
    if (isWaitedFor) this.#makeSafe();
    return undefined;
  }

  #makeSafe(): void {
    if (!this.#isBehind) return;
    const held = this.#held;
    this.#held = [];
    this.#isBehind = false;
    try {
      this.#sync?.();
    } catch (error) {
      this.#refusal = unsynced(this.#file, error);
      for (const { reject } of held) reject?.(this.#refusal);
      return;
    }
    for (const { settle } of held) settle();
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

function unsynced(file: string, cause: unknown): StorageError {
  const said = cause instanceof Error ? cause.message : String(cause);
  const message = `The disk did not confirm the last writes to the data file ${file} (${said}), and nobody knows which of them it has: nothing more is kept or read. Look after the disk, then start this process again.`;
  return new StorageError("file_unusable", message, { cause });
}
