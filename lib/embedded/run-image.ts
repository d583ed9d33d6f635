import { applyTransition, type Fields, type Transition } from "../engine/transition.ts";

/**
 * The run after the transition, frozen, or `undefined` when its guard refuses.
 * Frozen, because stores hand the same object to every reader instead of a copy to each.
 */
export function nextImage(transition: Transition, current: Fields | undefined): Fields | undefined {
  const after = applyTransition(transition, current);
  if (after === undefined) return undefined;
  for (const field of [...Object.keys(transition.set), ...Object.keys(transition.add ?? {})]) {
    const value = after[field];
    // JSON would store them as null, and the run would read differently after a restart.
    if (typeof value === "number" && !Number.isFinite(value)) {
      throw new RangeError(
        `Field ${field} would become ${value}. Fields hold text or finite numbers; fix the transition.`,
      );
    }
  }
  return Object.freeze(after);
}
