/**
 * What is logged of an error: what tells it from others, and nothing that it carries along. Libraries put the request that
 * failed into their errors, with its headers and its body: credentials, and somebody's data.
 */
import { limits } from "../definition/limits.ts";

type Fields = Readonly<Record<string, unknown>>;

/** The fields of a log line, with errors as name, message, stack, code and cause. */
export function loggedFields(fields: Fields): Fields {
  return Object.fromEntries(Object.entries(fields).map(([key, value]) => [key, logged(value, 0)]));
}

/** @param depth in the chain of causes, which may be a circle */
function logged(value: unknown, depth: number): unknown {
  if (!(value instanceof Error)) return value;
  const { name, message, stack, cause } = value;
  const code: unknown = "code" in value ? value.code : undefined;
  return {
    name,
    message,
    stack,
    ...(typeof code === "string" ? { code } : {}),
    ...(cause instanceof Error && depth < limits.errorCauses ? { cause: logged(cause, depth + 1) } : {}),
  };
}
