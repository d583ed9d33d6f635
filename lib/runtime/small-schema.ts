/**
 * What every function checks when it starts is described by zod's small form (`zod/mini`), in which methods are functions:
 * it adds a millisecond to a worker's start, and the large form ten. Only users' own schemas bring that into a worker.
 *
 * The large form gives all of zod its messages; the small one has none, so they are given with each check.
 */
import { type $ZodType, type output, safeParse, type util } from "zod/v4/core";
import english from "zod/v4/locales/en.js";

const { localeError } = english();

/** As `schema.safeParse(value)` of the large form: the same result, and the same words in its error. */
export function check<Schema extends $ZodType>(schema: Schema, value: unknown): util.SafeParseResult<output<Schema>> {
  return safeParse(schema, value, { error: localeError });
}
