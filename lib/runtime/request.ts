/** What callers send, checked: everything that is wrong is told with what is allowed, before anything is stored. */
import { createHash } from "node:crypto";
import type * as z from "zod";
import { flowKeyOf } from "../definition/flow.ts";
import { instantForm, parseInstant } from "../definition/instant.ts";
import { canonicalJson, depthFault, deserialize, serialize } from "../definition/json.ts";
import { limits } from "../definition/limits.ts";
import type { Workflow } from "../definition/workflow.ts";
import { PawlError } from "./errors.ts";

export interface StartRequest {
  readonly input?: unknown;
  /** The same id and input start one run, however often it is asked for. @default a random one */
  readonly runId?: string;
  /** Up to 10 short texts to find the run by. */
  readonly tags?: Readonly<Record<string, string>>;
  /** Steps do not begin before this time (ISO 8601 or Date), at most 366 days ahead. @default now */
  readonly startAt?: string | Date;
}

/** What follows the workflow of a typed start: its input, unless it takes none. */
export type StartArguments<Input> = undefined extends Input
  ? [request?: Omit<StartRequest, "input"> & { readonly input?: Input }]
  : [request: Omit<StartRequest, "input"> & { readonly input: Input }];

interface PayloadWords {
  readonly code: "invalid_input" | "invalid_payload";
  readonly what: string;
  readonly name: string;
  /** Said of a value where there is no schema. */
  readonly none: string;
}

/** The payload as its schema makes it, as JSON. @throws {PawlError} with the words' code, or payload_too_large */
export async function parsePayload(
  schema: z.ZodType | undefined,
  value: unknown,
  words: PayloadWords,
): Promise<string> {
  const serialized = serialize(await checkPayload(schema, value, words), `The ${words.what}`);
  if (serialized.ok) return serialized.json;
  throw new PawlError(serialized.code === "too_large" ? "payload_too_large" : words.code, serialized.message);
}

/** The payload as its schema makes it. @throws {PawlError} with the words' code */
export async function checkPayload(
  schema: z.ZodType | undefined,
  value: unknown,
  words: PayloadWords,
): Promise<unknown> {
  const { code, what, name, none } = words;
  if (schema === undefined) {
    if (value === undefined || value === null) return undefined;
    throw new PawlError(code, none);
  }
  const fault = depthFault(value, `The ${what}`);
  if (fault !== undefined) throw new PawlError(code, fault);
  const parsed = await schema.safeParseAsync(value);
  if (parsed.success) return parsed.data;
  const issues = parsed.error.issues.slice(0, limits.shownIssues);
  const list = issues.map(({ path, message }) => `${path.length === 0 ? what : path.join(".")}: ${message}`).join("; ");
  const others = parsed.error.issues.length - issues.length;
  throw new PawlError(code, `${name} is not valid. ${list}${others > 0 ? `; and ${others} more` : ""}`, { issues });
}

/** Of ids that users give. */
export const runIdPattern = /^[A-Za-z0-9][A-Za-z0-9_.:-]*$/;

/** @param what the caller knows it as */
export function parseRunId(runId: string | undefined, what = "runId"): string | undefined {
  if (runId === undefined) return undefined;
  if (runId.length <= limits.runIdLength && runIdPattern.test(runId)) return runId;
  const form = `a letter or digit, then letters, digits and "_.:-", at most ${limits.runIdLength} in all`;
  throw new PawlError("invalid_request", `${what} is ${JSON.stringify(runId.slice(0, 200))}; allowed is ${form}.`);
}

export function parseStartAt(startAt: string | Date | undefined, nowMs: number): number | undefined {
  if (startAt === undefined) return undefined;
  const startAtMs = parseInstant(startAt);
  if (startAtMs !== undefined && startAtMs - nowMs <= limits.delayMs) return Math.max(startAtMs, 0);
  const form = `${instantForm}, at most ${limits.delayMs / 86_400_000} days ahead`;
  throw new PawlError("invalid_request", `startAt is ${JSON.stringify(startAt)}; allowed is ${form}.`);
}

export function parseTags(tags: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  const entries = Object.entries(tags);
  // HTTP cannot carry this one: zod drops it.
  const isHidden = Object.hasOwn(tags, "__proto__");
  const isShort = (text: unknown): boolean =>
    typeof text === "string" && text !== "" && text.length <= limits.tagLength;
  if (
    !isHidden &&
    entries.length <= limits.tagsPerRun &&
    entries.every(([key, value]) => isShort(key) && isShort(value))
  )
    return tags;
  const form = `up to ${limits.tagsPerRun} texts of 1 to ${limits.tagLength} characters, with keys of the same length, other than "__proto__"`;
  throw new PawlError("invalid_request", `tags are ${JSON.stringify(tags).slice(0, 200)}; allowed are ${form}.`);
}

/** The key that the run shares its slots by; `undefined` when its workflow does not limit how many runs go on. */
export function parseSlotKey({ name, concurrency }: Workflow, inputJson: string): string | undefined {
  if (concurrency === undefined) return undefined;
  const found = flowKeyOf(concurrency.key, { input: deserialize(inputJson) });
  if (found.ok) return found.key;
  throw new PawlError(
    "invalid_input",
    `The concurrency ${found.message} Workflow "${name}" computes it from the input.`,
  );
}

/** Tells the same payload from another, however it was put together. */
export function hashPayload(json: string): string {
  const canonical = json === "" ? "" : canonicalJson(JSON.parse(json));
  return createHash("sha256").update(canonical).digest("base64url").slice(0, 22);
}
