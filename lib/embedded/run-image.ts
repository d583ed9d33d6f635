import { field } from "../engine/codec.ts";
import { StoredRunError, shown } from "../engine/field-reader.ts";
import { applyTransition, type Fields, type Transition } from "../engine/transition.ts";

/**
 * The run after the transition, frozen, or `undefined` when its guard refuses.
 * Frozen, because stores hand the same object to every reader instead of a copy to each.
 */
export function nextImage(transition: Transition, current: Fields | undefined): Fields | undefined {
  const after = applyTransition(transition, current);
  if (after === undefined) return undefined;
  assertStorable(after, transition.set);
  if (transition.add !== undefined) assertStorable(after, transition.add);
  return Object.freeze(after);
}

/** JSON would store other numbers as null, and the run would read differently after a restart. */
function assertStorable(after: Fields, changed: Fields): void {
  for (const name in changed) {
    const value = after[name];
    if (typeof value !== "number" || Number.isFinite(value)) continue;
    throw new RangeError(
      `Field ${name} would become ${value}. Fields hold text or finite numbers; fix the transition.`,
    );
  }
}

/** @throws {StoredRunError} for a text that holds no fields */
export function parseFields(runId: string, json: string): Fields {
  let fields: unknown;
  try {
    fields = JSON.parse(json);
  } catch {
    fields = undefined;
  }
  if (isFields(fields)) return fields;
  throw new StoredRunError(runId, `it is stored as ${shown(json)}`);
}

function isFields(value: unknown): value is Fields {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
  return Object.values(value).every((one) => typeof one === "string" || typeof one === "number");
}

/** For those who read many runs: one that is damaged reads as an open one of which nothing is known, so that the audit tells of it. */
export function parseFieldsOrNone(runId: string, json: string): Fields {
  try {
    return parseFields(runId, json);
  } catch (error) {
    if (error instanceof StoredRunError) return { [field.status]: "running" };
    throw error;
  }
}
