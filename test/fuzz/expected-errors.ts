// What may come of something damaged: an error that says what and where, never one from the inside.
import { StoredShapeError } from "../../lib/engine/field-reader.ts";
import { PawlError } from "../../lib/runtime/errors.ts";

const fromTheInside = [TypeError, RangeError, SyntaxError, ReferenceError, EvalError, URIError];

export function isExpected(error: unknown): boolean {
  if (error instanceof PawlError || error instanceof StoredShapeError) return true;
  return error instanceof Error && error.message !== "" && !fromTheInside.some((kind) => error instanceof kind);
}
