/** Values in a URL: each is text there, and is told with what is allowed when it is no such value. */
import { z } from "@hono/zod-openapi";
import { durationForm, parseDuration } from "../definition/duration.ts";
import { parseInstant } from "../definition/instant.ts";
import { limits } from "../definition/limits.ts";
import { type RunStatus, runStatuses } from "../engine/run-state.ts";

/** The longest `?wait=`. API Gateway ends a request after 30 s. */
const longestWaitMs = 25_000;

/** In ms. */
export const waitText = textOf(
  (text) => {
    const waitMs = parseDuration(text);
    return waitMs === undefined || waitMs > longestWaitMs ? undefined : waitMs;
  },
  `${durationForm}, up to ${longestWaitMs / 1000}s. To wait longer, ask again`,
)
  .optional()
  .openapi({
    type: "string",
    // Not all that is taken has this form, but all that has it is taken.
    pattern: String.raw`^(\d{1,4}ms|(\d|1\d|2[0-4])(\.\d{1,3})?s|25s)$`,
    description: "Answer when the run has ended, or after this time with the run as it is then: up to 25s.",
    example: "25s",
  });

export const statusesText = textOf(
  (text): readonly RunStatus[] | undefined => {
    const statuses = [...new Set(text.split(","))];
    const isStatus = (one: string): one is RunStatus => (runStatuses as readonly string[]).includes(one);
    return statuses.every(isStatus) ? statuses : undefined;
  },
  `one or more of ${runStatuses.join(", ")}, separated by commas`,
)
  .optional()
  .openapi({
    type: "array",
    items: { type: "string", enum: [...runStatuses] },
    minItems: 1,
    param: { style: "form", explode: false },
    description: "One of these, separated by commas. Default: any.",
    example: ["failed", "timed_out"],
  });

/** Of the text of a time; not all that has this form is one. */
export const instantPattern = String.raw`^\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:\d{2}))?$`;

/** As ISO 8601 text in UTC. */
export function instantText(description: string) {
  return textOf((text) => {
    const ms = parseInstant(text);
    return ms === undefined ? undefined : new Date(ms).toISOString();
  }, 'ISO 8601 text with its offset, such as "2027-01-31T08:00:00Z" or "2027-01-31"')
    .optional()
    .openapi({
      type: "string",
      pattern: instantPattern,
      description,
      example: "2027-01-31T08:00:00Z",
    });
}

export const tagText = textOf((text) => {
  const colon = text.indexOf(":");
  const key = text.slice(0, Math.max(colon, 0));
  const value = text.slice(colon + 1);
  const isShort = (part: string): boolean => part !== "" && part.length <= limits.tagLength;
  return isShort(key) && isShort(value) ? { key, value } : undefined;
}, `a tag's key and value with ":" between them, each of 1 to ${limits.tagLength} characters`)
  .optional()
  .openapi({
    type: "string",
    pattern: String.raw`^[^:]{1,${limits.tagLength}}:[\s\S]{1,${limits.tagLength}}$`,
    description: "Key and value of a tag; the first `:` separates them.",
    example: "customer:c-1042",
  });

export function wholeNumberText(least: number, most: number, description: string) {
  return textOf((text) => {
    const number = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
    return number >= least && number <= most ? number : undefined;
  }, `a whole number from ${least} to ${most}`)
    .optional()
    .openapi({ type: "integer", minimum: least, maximum: most, description });
}

/** @param parse answers `undefined` to what is not allowed */
function textOf<T>(parse: (text: string) => T | undefined, allowed: string): z.ZodType<T, string> {
  return z.string().transform((text, context) => {
    const value = parse(text);
    if (value !== undefined) return value;
    context.addIssue({ code: "custom", message: `is ${JSON.stringify(text.slice(0, 100))}; allowed is ${allowed}` });
    return z.NEVER;
  });
}
