/** The server's log: everything as JSON lines in a file, and what a person should see also on the terminal. */
import { renameSync, statSync } from "node:fs";
import { join } from "node:path";
import { destination } from "pino";
import { jsonLogger } from "../embedded/logger.ts";
import type { Logger } from "../runtime/ports.ts";
import { PlainError } from "./plain-error.ts";
import { userLogField } from "./user-logs.ts";

export type LogLevel = keyof Logger;

export interface LogEntry {
  readonly level: LogLevel;
  readonly message: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

export interface ServerLog extends Logger {
  readonly file: string;
}

/** A file of this size is set aside (`pawl.log.1`) when the server starts. */
const rotatedBytes = 20 * 1024 * 1024;

/**
 * @param show is told of warnings, of errors however grave, and of what steps log themselves (`debug` stays in the file)
 * @throws {PlainError} when the file cannot be opened
 */
export function openServerLog(dataDir: string, show: (entry: LogEntry) => void): ServerLog {
  const file = join(dataDir, "pawl.log");
  const stream = openFile(file);
  let failed = false;
  stream.on("error", (error: Error) => {
    if (!failed) show({ level: "error", message: `${file} cannot be written; logs are lost`, fields: { error } });
    failed = true;
  });
  const toFile = jsonLogger(stream, "debug");
  const at =
    (level: LogLevel) =>
    (message: string, fields: Readonly<Record<string, unknown>> = {}): void => {
      toFile[level](message, fields);
      const isUsers = fields.source === userLogField.source && level !== "debug";
      if (isUsers || level === "warn" || level === "error" || (level === "info" && "error" in fields)) {
        show({ level, message, fields });
      }
    };
  return { file, debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") };
}

function openFile(file: string): ReturnType<typeof destination> {
  try {
    if ((statSync(file, { throwIfNoEntry: false })?.size ?? 0) > rotatedBytes) renameSync(file, `${file}.1`);
    // Written at once: what a killed process did last is what one wants to read.
    return destination({ dest: file, sync: true, mkdir: true });
  } catch (error) {
    const remedy =
      "This user must be able to write it: change its permissions, or choose another folder with --data-dir.";
    throw new PlainError(`The log ${file} cannot be opened: ${(error as Error).message}. ${remedy}`, { cause: error });
  }
}
