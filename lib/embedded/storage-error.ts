/** What went wrong with the storage. */
export type StorageErrorCode =
  /** Another process has the file open. */
  | "file_in_use"
  /** The file is not a SQLite database, or a damaged one. */
  | "file_damaged"
  /** The file is the database of another application. */
  | "file_foreign"
  /** The file was written by a newer version. */
  | "file_too_new"
  /** The file or its folder cannot be created, read or written. */
  | "file_unusable"
  | "disk_full"
  /** Asked for something after `close()`. */
  | "closed"
  /** Anything else; `cause` tells. */
  | "operation_failed";

/** Thrown by the embedded backends when the storage itself fails. A refused transition is no error but an answer. */
export class StorageError extends Error {
  override readonly name = "StorageError";
  readonly code: StorageErrorCode;

  constructor(code: StorageErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
