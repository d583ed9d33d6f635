/** The part of a URL behind the `?`: every parameter is known, given once, and checked by a schema. */
import { z } from "@hono/zod-openapi";
import { ApiError } from "./api-error.ts";
import { parseWith } from "./refusal.ts";

/** @throws {ApiError} invalid_request */
export function readQuery(url: string, schema: z.ZodObject = none): Readonly<Record<string, unknown>> {
  const { searchParams } = new URL(url);
  for (const name of new Set(searchParams.keys())) {
    if (searchParams.getAll(name).length === 1) continue;
    const message = `The query has ${JSON.stringify(name.slice(0, 100))} more than once; give it once. Several statuses are separated by commas.`;
    throw new ApiError("invalid_request", message);
  }
  return parseWith(schema, Object.fromEntries(searchParams), "The query");
}

const none = z.strictObject({});
