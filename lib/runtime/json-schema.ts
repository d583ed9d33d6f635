/** Schemas as JSON Schema: what is to be sent, for those who have no part of the code. */
import type * as z from "zod";
import { toJSONSchema } from "zod/v4/core";

/** What is to be sent, as JSON Schema; `null` when nothing is, or when JSON Schema cannot tell it. */
export function jsonSchemaOf(schema: z.ZodType | undefined): Record<string, unknown> | null {
  if (schema === undefined) return null;
  try {
    return toJSONSchema(schema, { io: "input" });
  } catch {
    // JSON Schema cannot say everything that zod can: dates, custom types.
    return null;
  }
}
