/** Something to try a workflow with, made up from the JSON Schema of its input or of a signal's payload. */

import type * as z from "zod";
import type { Workflow } from "../definition/workflow.ts";
import { jsonSchemaOf } from "../runtime/json-schema.ts";

type Schema = Readonly<Record<string, unknown>>;

/** `undefined` when nothing short can be made up that the workflow takes. */
export function sampleInput({ inputSchema }: Workflow): { readonly input?: unknown } | undefined {
  if (inputSchema === undefined) return {};
  const input = sampleOf(inputSchema);
  return input === undefined ? undefined : { input };
}

/** `undefined` when nothing short can be made up that the schema takes. */
export function sampleOf(checks: z.ZodType): unknown {
  const schema = jsonSchemaOf(checks);
  if (schema === null) return undefined;
  const made = sample(schema, 0);
  try {
    return checks.safeParse(made).success && JSON.stringify(made).length <= 200 ? made : undefined;
  } catch {
    // A schema that checks asynchronously.
    return undefined;
  }
}

function sample(schema: Schema, depth: number): unknown {
  for (const key of ["const", "default"]) if (key in schema) return schema[key];
  if (depth > 4) return undefined;
  const first = firstOf(schema.examples) ?? firstOf(schema.enum);
  if (first !== undefined) return first;
  const option = firstOf(schema.anyOf) ?? firstOf(schema.oneOf);
  if (option !== undefined) return sample(option as Schema, depth + 1);
  switch (schema.type) {
    case "string":
      return stringOf(schema.format);
    case "integer":
    case "number":
      return Math.max(1, typeof schema.minimum === "number" ? schema.minimum : 1);
    case "boolean":
      return true;
    case "array":
      return [sample((schema.items ?? {}) as Schema, depth + 1)];
    case "object": {
      const properties = (schema.properties ?? {}) as Readonly<Record<string, Schema>>;
      const required = (schema.required ?? []) as readonly string[];
      return Object.fromEntries(required.map((key) => [key, sample(properties[key] ?? {}, depth + 1)]));
    }
    default:
      return null;
  }
}

function firstOf(value: unknown): unknown {
  return Array.isArray(value) ? (value[0] as unknown) : undefined;
}

function stringOf(format: unknown): string {
  if (format === "email") return "ada@example.com";
  if (format === "date-time") return "2027-01-31T08:00:00Z";
  if (format === "uri") return "https://example.com";
  return "Ada";
}
