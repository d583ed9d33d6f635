/** What steps have done, as they wrote it down themselves: one line each, appended, so that no kill loses one. */
import { existsSync, readFileSync } from "node:fs";

/** One execution of a step's code, or of its compensation, that has begun. */
export interface Deed {
  readonly what: "do" | "undo";
  readonly runId: string;
  /** Of an item of a map: `<step>:<index>`. */
  readonly stepId: string;
  readonly attempt: number;
  readonly key: string;
  /** Of this execution alone. */
  readonly token: string;
  /** Tokens of the results that it was given, by step. */
  readonly saw: Readonly<Record<string, string>>;
  readonly atMs: number;
}

/** In the order in which they were written. */
export function readJournal(file: string): readonly Deed[] {
  if (!existsSync(file)) return [];
  const lines = readFileSync(file, "utf8").split("\n");
  return lines.filter((line) => line !== "").map((line) => JSON.parse(line) as Deed);
}
