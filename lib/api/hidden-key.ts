import { PawlError } from "../runtime/errors.ts";

/** Fields that are records, in whatever request. Payloads are no such fields: they keep every key that they have. */
const records = ["tags", "set"];

/**
 * zod leaves the key `__proto__` out of a record, and says nothing: half of what was asked for would be done.
 *
 * @throws {PawlError} invalid_request
 */
export function assertNoHiddenKey(request: unknown, what: string): void {
  if (typeof request !== "object" || request === null) return;
  const found = Object.entries(request).find(
    ([name, part]) => records.includes(name) && Object.hasOwn(Object(part) as object, "__proto__"),
  );
  if (found === undefined) return;
  const message = `${what} is not valid. ${found[0]} has the key "__proto__", which is not taken; choose another.`;
  throw new PawlError("invalid_request", message);
}
