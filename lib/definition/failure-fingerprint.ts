/**
 * Tells failures apart: the same 12 letters and digits for failures of the same workflow, step and kind of error, thrown at
 * the same place, whatever the run, the attempt, the machine and the input.
 *
 * The place is the names of the functions on top of the stack, and of their files. Line numbers change with every edit, and
 * messages have data in them that nobody can tell from their words: both would split one bug into many groups, and that is
 * worse than two throws of one function in one group, which a class of their own tells apart.
 *
 * - Three frames: with one, everything that a helper such as `assert` throws would be alike; with many, a place would be told
 *   apart by every way that leads there.
 * - Only names that a bundler keeps: `Gateway.charge` becomes `qi.charge`, and a function without a name may get any.
 * - Frames of the user's own code, and those of packages only when there are no others.
 * - Nothing below the call of the step's code: that is the engine.
 * - Without a frame (a timeout, a lost worker, what is thrown and no error) the words of the message stand for the place.
 */
import { createHash } from "node:crypto";
import { limits } from "./limits.ts";

/** What is known of an error. */
export interface ThrownError {
  /** Its class. */
  readonly name: string;
  readonly message: string;
  /** As Node.js and the AWS SDK give one: `ECONNREFUSED`. */
  readonly code?: string;
  readonly stack?: string;
  readonly cause?: ThrownError;
}

export interface FailurePlace {
  readonly workflow: string;
  /** Id of the step; of an item, that of its map. Absent when the run failed as a whole. */
  readonly step?: string;
}

export function failureFingerprint({ workflow, step = "" }: FailurePlace, error: ThrownError): string {
  return hash([workflow, step, ...chain(error).flatMap(signs)]);
}

/** Of a step whose work is another run. @param cause fingerprint of that run's failure, when it has one */
export function childFailureFingerprint({ workflow, step = "" }: FailurePlace, name: string, cause = ""): string {
  return hash([workflow, step, name, cause]);
}

const frames = 3;
/** Lines of a stack that are looked at: Node.js writes ten, unless it is told to write more. */
const stackLines = 100;
const lineLength = 2_000;
const messageLength = 200;

/** Function that calls a step's code: `lib/runtime/attempt.ts`. */
const boundary = "settleCode";

function hash(parts: readonly string[]): string {
  const digest = createHash("sha256").update(JSON.stringify(parts)).digest("hex");
  // 60 of its bits, five for each of the twelve digits 0 to v.
  return BigInt(`0x${digest.slice(0, 15)}`)
    .toString(32)
    .padStart(12, "0");
}

function chain(error: ThrownError): ThrownError[] {
  const errors: ThrownError[] = [];
  for (
    let one: ThrownError | undefined = error;
    one !== undefined && errors.length < limits.errorCauses;
    one = one.cause
  ) {
    errors.push(one);
  }
  return errors;
}

function signs({ name, message, code = "", stack }: ThrownError): string[] {
  const place = stack === undefined ? [] : topFrames(stack, message);
  return [name, /^[A-Z][A-Z0-9_]+$/.test(code) ? code : "", place.length > 0 ? place.join(" < ") : words(message)];
}

interface Frame {
  readonly text: string;
  readonly isOwn: boolean;
}

function topFrames(stack: string, message: string): string[] {
  const all = framesOf(stack, message);
  const own = all.filter(({ isOwn }) => isOwn);
  const counted = own.length > 0 ? own : all;
  // Each once: how deep a recursion went depends on the input.
  return [...new Set(counted.map(({ text }) => text))].slice(0, frames);
}

function framesOf(stack: string, message: string): Frame[] {
  // A message may have lines that look like frames.
  const at = message === "" ? -1 : stack.slice(0, message.length + headerLength).indexOf(message);
  const lines = stack.slice(at === -1 ? 0 : at + message.length).split("\n", stackLines);
  const found: Frame[] = [];
  for (const line of lines) {
    const frame = parseFrame(line);
    if (frame === undefined) continue;
    if (frame.name === boundary) break;
    if (frame.name !== "") found.push({ text: `${frame.name}@${frame.file}`, isOwn: frame.isOwn });
  }
  return found;
}

/** The name of an error, before its message. */
const headerLength = 200;

/** `at <function> (<location>)` or `at <location>`. */
function parseFrame(
  line: string,
): { readonly name: string; readonly file: string; readonly isOwn: boolean } | undefined {
  if (line.length > lineLength || !/^\s+at /.test(line)) return undefined;
  const said = line.trim().replace(/^at (async )?/, "");
  const opens = said.indexOf(" (");
  const location = said.endsWith(")") ? said.slice(said.lastIndexOf(" (") + 2, -1) : said;
  // Node's own, and what has no location: `Array.map (<anonymous>)`, `Promise.all (index 1)`.
  if (!/:\d+$/.test(location) || location.startsWith("node:")) return undefined;
  const path = location.replace(/:\d+(:\d+)?$/, "").replace(/[?#].*$/, "");
  const isOwn = !/[\\/]node_modules[\\/]/.test(path);
  return { name: opens === -1 ? "" : functionName(said.slice(0, opens)), file: fileName(path), isOwn };
}

/** Its last part: what is in front tells the class of `this`, which a bundler renames. */
function functionName(called: string): string {
  const name = called.replace(/ \[as [^\]]*\]$/, "").replace(/^new /, "");
  const last = name.slice(name.lastIndexOf(".") + 1);
  return last === "<anonymous>" ? "" : last.replace(/\d{4,}/g, "#");
}

/** Without its folder, which differs among machines, its extension and the hash that a bundler gave it. */
function fileName(path: string): string {
  const name = path.slice(Math.max(path.lastIndexOf("/"), path.lastIndexOf("\\")) + 1);
  return name
    .replace(/\.[cm]?[jt]sx?$/, "")
    .split(/(?=[-._])/)
    .filter((part) => !isHash(part.slice(1)))
    .join("");
}

/** `4Q7OBFSC`, `5f3e2a1b`, `BQlR6xKz`. */
function isHash(part: string): boolean {
  if (part.length < 6) return false;
  return /\d/.test(part) || (part.length === 8 && /^(?=.*[A-Z].*[A-Z])[A-Za-z]+$/.test(part));
}

/** A message without what differs from one time to the next. */
function words(message: string): string {
  return message
    .slice(0, messageLength * 10)
    .replace(/"[^"]*"|'[^']*'|`[^`]*`|“[^”]*”/g, "#")
    .replace(/\S*[@\d/\\]\S*/g, "#")
    .replace(/#(\s*#)+/g, "#")
    .replace(/\s+/g, " ")
    .trim()
    .slice(0, messageLength);
}
