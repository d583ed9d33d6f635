/** Small pieces of text for terminals. */
import { inspect } from "node:util";
import type { LogEntry } from "./server-log.ts";

/** `0.4s`, `12.0s`, `3m 05s`, `2h 10m`, `3d 4h`. */
export function formatElapsed(elapsedMs: number): string {
  const tenths = Math.max(0, Math.round(elapsedMs / 100));
  if (tenths < 600) return `${(tenths / 10).toFixed(1)}s`;
  const seconds = Math.round(tenths / 10);
  const pad = (amount: number): string => String(amount).padStart(2, "0");
  if (seconds < 3_600) return `${Math.floor(seconds / 60)}m ${pad(seconds % 60)}s`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3_600)}h ${pad(Math.floor((seconds % 3_600) / 60))}m`;
  return `${Math.floor(seconds / 86_400)}d ${Math.floor((seconds % 86_400) / 3_600)}h`;
}

/** Local time of day; with the date when that could be taken for today's. */
export function formatTime(atMs: number, nowMs: number): string {
  const at = new Date(atMs);
  const pad = (amount: number, length = 2): string => String(amount).padStart(length, "0");
  const time = `${pad(at.getHours())}:${pad(at.getMinutes())}:${pad(at.getSeconds())}.${pad(at.getMilliseconds(), 3)}`;
  if (Math.abs(atMs - nowMs) < 43_200_000) return time;
  return `${at.getFullYear()}-${pad(at.getMonth() + 1)}-${pad(at.getDate())} ${time}`;
}

/** To the second: for times that nobody compares with another line. */
export function formatSecond(atMs: number, nowMs: number): string {
  return formatTime(atMs, nowMs).slice(0, -".000".length);
}

/** `12,345`, whatever the machine's locale. */
export function formatCount(count: number): string {
  return String(count).replaceAll(/\B(?=(\d{3})+$)/g, ",");
}

/** `$0.0042`, `$3.22`, `$1,234`. */
export function formatDollars(dollars: number): string {
  if (dollars !== 0 && dollars < 0.01) return `$${dollars.toFixed(4)}`;
  if (dollars < 1_000) return `$${dollars.toFixed(2)}`;
  return `$${formatCount(Math.round(dollars))}`;
}

/**
 * What moves the cursor, begins a command of the terminal (also with one of the 32 characters from U+0080 on), or turns
 * the reading direction, so that a line shows another order than it has.
 */
const unprintable = /[\p{Cc}\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]/gu;
const unprintableOrSpace = new RegExp(`[\\s${unprintable.source.slice(1)}+`, "gu");

/**
 * Whole commands of the terminal. `stripVTControlCharacters` of Node.js knows more of them, and takes quadratic time for
 * those that never end; here, none reaches beyond the next one.
 */
const terminalCommand = new RegExp(
  [
    String.raw`\u001b\][^\u0007\u001b\u009c]*(?:\u0007|\u001b\\|\u009c)`,
    String.raw`(?:\u001b\[|\u009b)[0-?]*[ -/]*[@-~]`,
  ].join("|"),
  "g",
);

/** One line that cannot move the cursor: texts of users may hold anything. */
export function oneLine(text: string): string {
  return text
    .replaceAll(terminalCommand, "")
    .replaceAll(unprintableOrSpace, (gap) => (gap.search(unprintable) === -1 ? gap : " "))
    .trim();
}

/** The same for a text of several lines: what is left of it are its lines. */
export function printable(text: string): string {
  return text
    .replaceAll(terminalCommand, "")
    .replaceAll(unprintable, (character) => ("\n\t".includes(character) ? character : ""));
}

/** The same value as JSON, with escapes where a terminal would do something: `JSON.stringify` leaves most of them as they are. */
export function printableJson(value: unknown, indent?: number): string {
  return JSON.stringify(value, undefined, indent).replaceAll(unprintable, (character) =>
    character === "\n" ? character : `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

/** Fields that the line tells in other ways. */
const known = new Set(["runId", "workflow", "step", "attempt", "source", "undo"]);

/** Message and fields of a log entry; errors as `name: message`. What undoes a step says so. */
export function formatLogEntry({ message, fields }: LogEntry): string {
  const rest = Object.entries(fields).filter(([key, value]) => !known.has(key) && value !== undefined);
  const parts = rest.map(([key, value]) => (isErrorLike(value) ? formatError(value) : `${key}=${formatValue(value)}`));
  return oneLine([fields.undo === true ? `undoing: ${message}` : message, ...parts].join("  "));
}

/** What is told of a run's undoing beside how it ended. */
export function formatCompensation(progress: "running" | "complete" | "incomplete" | undefined): string {
  if (progress === "complete") return ", everything undone";
  return progress === "incomplete" ? ", not everything undone" : "";
}

export function formatError({ name, message }: { readonly name: string; readonly message: string }): string {
  return message === "" ? name : `${name}: ${message}`;
}

export function isErrorLike(value: unknown): value is { readonly name: string; readonly message: string } {
  if (typeof value !== "object" || value === null || !("name" in value) || !("message" in value)) return false;
  return typeof value.name === "string" && typeof value.message === "string";
}

function formatValue(value: unknown): string {
  if (typeof value === "string") return /^[\w.:/@-]+$/.test(value) ? value : JSON.stringify(value);
  return inspect(value, { breakLength: Infinity, depth: 3, maxArrayLength: 20, maxStringLength: 200 });
}
