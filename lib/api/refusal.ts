/** What is wrong with a request, with the place, what is allowed, and zod's issues for programs. */
import type { z } from "@hono/zod-openapi";
import { ApiError } from "./api-error.ts";
import { assertNoHiddenKey } from "./hidden-key.ts";

/**
 * @param what begins the sentence about what is wrong
 * @throws {ApiError} invalid_request
 */
export function parseWith<Schema extends z.ZodObject>(schema: Schema, value: unknown, what: string): z.output<Schema> {
  assertNoHiddenKey(value, what);
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw invalidRequest(what, parsed.error.issues, Object.keys(schema.shape));
}

/** @param known the keys that are allowed */
function invalidRequest(what: string, issues: readonly z.core.$ZodIssue[], known: readonly string[]): ApiError {
  const shown = issues.slice(0, shownIssues).map(({ code, path, message }) => ({
    code,
    path: path.slice(0, shownIssues).map((key) => (typeof key === "string" ? key.slice(0, shownText) : key)),
    message: message.slice(0, shownText),
  }));
  const list = shown.map(({ code, path, message }) => {
    const isUnknown = code === "unrecognized_keys" && path.length === 0;
    return `${path.length === 0 ? "" : `${path.join(".")}: `}${message}${isUnknown ? `; ${allowed(known)}` : ""}`;
  });
  const more = issues.length > shown.length ? ` And ${issues.length - shown.length} more.` : "";
  const text = `${what} is not valid. ${list.join(". ")}.${more}`;
  return new ApiError("invalid_request", text, { details: { issues: shown } });
}

/** What is wrong may be as large as a body; what is said of it is not. */
const shownIssues = 20;
const shownText = 300;

function allowed(known: readonly string[]): string {
  const names = known.map((key) => JSON.stringify(key));
  if (names.length < 2) return names.length === 0 ? "none is allowed" : `allowed is ${names[0]}`;
  return `allowed are ${names.slice(0, -1).join(", ")} and ${names.at(-1)}`;
}
