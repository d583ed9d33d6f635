/** Parts of route descriptions. */
import type { z } from "@hono/zod-openapi";
import { type ApiErrorCode, statusOf } from "./api-error.ts";
import { ErrorAnswer } from "./schemas.ts";

export function json<Schema extends z.ZodType>(
  schema: Schema,
  description: string,
): { description: string; content: { "application/json": { schema: Schema } } } {
  return { description, content: { "application/json": { schema } } };
}

type ErrorDescription = ReturnType<typeof json<typeof ErrorAnswer>>;

/** The failures of a route, by status. Errors are thrown, so the types of handlers do not name them. */
export function failures(...codes: ApiErrorCode[]): object {
  const byStatus: Record<number, ErrorDescription> = {};
  for (const code of codes) {
    const status = statusOf[code];
    const others = codes.filter((other) => statusOf[other] === status);
    byStatus[status] = json(ErrorAnswer, others.map((other) => `\`${other}\``).join(", "));
  }
  return byStatus;
}
