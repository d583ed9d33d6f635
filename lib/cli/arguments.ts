/** What is typed on the command line, checked. Commander reports what these throw and exits with 2. */
import { readFileSync } from "node:fs";
import process from "node:process";
import { InvalidArgumentError } from "commander";
import { durationForm, parseDuration } from "../definition/duration.ts";
import { PlainError } from "../dev/plain-error.ts";

export function parsePort(text: string): number {
  const port = Number(text);
  if (/^\d+$/.test(text) && port <= 65_535) return port;
  throw new InvalidArgumentError("Allowed are 0 (any free one) to 65535.");
}

/** @param least and what is allowed at most */
export function parseCount(least: number, most: number): (text: string) => number {
  return (text) => {
    const count = Number(text);
    if (/^\d+$/.test(text) && count >= least && count <= most) return count;
    throw new InvalidArgumentError(`Allowed are ${least} to ${most}.`);
  };
}

export function parseWaitMs(text: string): number {
  const waitMs = parseDuration(text);
  if (waitMs !== undefined) return waitMs;
  throw new InvalidArgumentError(`Allowed is ${durationForm}.`);
}

/** For options that may be repeated. */
export function parseTag(text: string, before: Readonly<Record<string, string>> = {}): Record<string, string> {
  const at = text.indexOf("=");
  if (at < 1 || at === text.length - 1) throw new InvalidArgumentError("Allowed is key=value.");
  return { ...before, [text.slice(0, at)]: text.slice(at + 1) };
}

/** `step=json`, for options that may be repeated. */
export function parseSet(text: string, before: Readonly<Record<string, unknown>> = {}): Record<string, unknown> {
  const at = text.indexOf("=");
  if (at < 1) throw new InvalidArgumentError("Allowed is step=json.");
  return { ...before, [text.slice(0, at)]: parseData(text.slice(at + 1)) };
}

/** For options that may be repeated. */
export function parseList(text: string, before: readonly string[] = []): string[] {
  return [...before, text];
}

/** The text as one argument of a shell's command line. */
export function quote(text: string): string {
  return /^[\w.,:=@/+-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

/** JSON that is an argument itself. */
export function parseData(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    throw new InvalidArgumentError(`It is not JSON: ${(error as Error).message}. Texts need quotes too: '"text"'.`);
  }
}

/** JSON from a file, or from standard input for "-". @param what it is, for messages */
export function readJson(from: string, what: "input" | "payload"): unknown {
  const name = from === "-" ? "standard input" : from;
  let text: string;
  try {
    text = readFileSync(from === "-" ? process.stdin.fd : from, "utf8");
  } catch (error) {
    throw new PlainError(`The ${what} cannot be read from ${name}: ${(error as Error).message}.`, {
      exitCode: 2,
      cause: error,
    });
  }
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    throw new PlainError(`The ${what} from ${name} is not JSON: ${(error as Error).message}.`, {
      exitCode: 2,
      cause: error,
    });
  }
}
