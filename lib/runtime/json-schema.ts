/** Schemas as JSON Schema: what is to be sent, for those who have no part of the code. */
import * as z from "zod";

/** What is to be sent, as JSON Schema; `null` when nothing is, or when JSON Schema cannot tell it. */
export function jsonSchemaOf(schema: z.ZodType | undefined): Record<string, unknown> | null {
  if (schema === undefined) return null;
  try {
    return z.toJSONSchema(schema, { io: "input" });
  } catch {
    // JSON Schema cannot say everything that zod can: dates, custom types.
    return null;
  }
}

/** The zod schema that such a JSON Schema stands for; `undefined` when it says what zod cannot check. */
export function zodSchemaOf(jsonSchema: Readonly<Record<string, unknown>> | null): z.ZodType | undefined {
  if (jsonSchema === null) return undefined;
  try {
    return z.fromJSONSchema(jsonSchema);
  } catch {
    return undefined;
  }
}
