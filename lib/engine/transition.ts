/**
 * The write rule (R1). A transition is data: the conditions it relies on and the fields it changes.
 * Stores turn it into one atomic conditional write; nothing else changes a run.
 * `applyTransition` is its meaning, and what the embedded stores run.
 */

/** A run as it is stored: a flat record of short attribute names. Only `codec.ts` knows what they mean. */
export type Fields = Readonly<Record<string, string | number>>;

/** Conditions look at one field each, and all of a guard's conditions must hold. */
export type Condition =
  | { readonly field: string; readonly is: "absent" }
  | { readonly field: string; readonly is: "equal"; readonly value: string | number }
  | { readonly field: string; readonly is: "oneOf"; readonly values: readonly (string | number)[] }
  /** A number below this one, or absent: of a count that is bounded. */
  | { readonly field: string; readonly is: "below"; readonly value: number };

export interface Transition {
  readonly guard: readonly Condition[];
  readonly set: Fields;
  readonly remove?: readonly string[];
  /** Added to the field's number; an absent field counts as 0. */
  readonly add?: Readonly<Record<string, number>>;
}

function holds(condition: Condition, fields: Fields): boolean {
  const value = fields[condition.field];
  switch (condition.is) {
    case "absent":
      return value === undefined;
    case "equal":
      return value === condition.value;
    case "oneOf":
      return value !== undefined && condition.values.includes(value);
    case "below":
      return value === undefined || (typeof value === "number" && value < condition.value);
  }
}

/** The run after the transition, or `undefined` when its guard refuses. An absent run is one without fields. */
export function applyTransition(transition: Transition, current: Fields | undefined): Fields | undefined {
  const before = current ?? {};
  for (const condition of transition.guard) if (!holds(condition, before)) return undefined;
  const after: Record<string, string | number> = { ...before, ...transition.set };
  for (const field of transition.remove ?? []) delete after[field];
  if (transition.add === undefined) return after;
  for (const [field, amount] of Object.entries(transition.add)) {
    const value = before[field] ?? 0;
    if (typeof value !== "number") throw new TypeError(`Field ${field} holds text and cannot be added to`);
    after[field] = value + amount;
  }
  return after;
}
