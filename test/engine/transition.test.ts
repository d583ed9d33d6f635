// Hunts: a store's meaning of a transition that is not the one decisions were made for (R1, R10).
import { describe, expect, test } from "vitest";
import { applyTransition, type Condition, type Fields, type Transition } from "../../lib/engine/transition.ts";

const fields: Fields = { st: "running", e: 2, s0: "r1.a.b.me", empty: "", zero: 0 };
const set = { x: "changed" };
const isApplied = (condition: Condition, current: Fields | undefined): boolean =>
  applyTransition({ guard: [condition], set }, current) !== undefined;

describe("conditions", () => {
  test.each<readonly [Condition, boolean]>([
    [{ field: "gone", is: "absent" }, true],
    [{ field: "st", is: "absent" }, false],
    [{ field: "empty", is: "absent" }, false],
    [{ field: "zero", is: "absent" }, false],
    [{ field: "st", is: "equal", value: "running" }, true],
    [{ field: "st", is: "equal", value: "paused" }, false],
    [{ field: "st", is: "equal", value: "runnin" }, false],
    [{ field: "e", is: "equal", value: 2 }, true],
    [{ field: "e", is: "equal", value: 3 }, false],
    [{ field: "e", is: "equal", value: "2" }, false],
    [{ field: "empty", is: "equal", value: "" }, true],
    [{ field: "zero", is: "equal", value: 0 }, true],
    [{ field: "gone", is: "equal", value: "" }, false],
    [{ field: "gone", is: "equal", value: 0 }, false],
    [{ field: "st", is: "oneOf", values: ["paused", "running"] }, true],
    [{ field: "st", is: "oneOf", values: ["paused"] }, false],
    [{ field: "st", is: "oneOf", values: [] }, false],
    [{ field: "e", is: "oneOf", values: [1, 2] }, true],
    [{ field: "e", is: "oneOf", values: ["2"] }, false],
    [{ field: "gone", is: "oneOf", values: ["", 0] }, false],
    [{ field: "e", is: "below", value: 3 }, true],
    [{ field: "e", is: "below", value: 2 }, false],
    [{ field: "zero", is: "below", value: 1 }, true],
    [{ field: "gone", is: "below", value: 0 }, true],
    [{ field: "st", is: "below", value: 100 }, false],
    [{ field: "empty", is: "below", value: 100 }, false],
  ])("%j: %s", (condition, holds) => {
    expect(isApplied(condition, fields)).toBe(holds);
  });

  test("an absent run has no fields", () => {
    expect(isApplied({ field: "st", is: "absent" }, undefined)).toBe(true);
    expect(isApplied({ field: "st", is: "equal", value: "running" }, undefined)).toBe(false);
    expect(isApplied({ field: "st", is: "oneOf", values: ["running"] }, undefined)).toBe(false);
  });

  test("all of a guard's conditions must hold, in any order", () => {
    const yes: Condition = { field: "e", is: "equal", value: 2 };
    const no: Condition = { field: "e", is: "equal", value: 3 };
    const apply = (...guard: Condition[]): Fields | undefined => applyTransition({ guard, set }, fields);
    expect(apply()).toBeDefined();
    expect(apply(yes, yes)).toBeDefined();
    expect(apply(yes, no)).toBeUndefined();
    expect(apply(no, yes)).toBeUndefined();
    expect(apply(no, no)).toBeUndefined();
  });
});

describe("changes", () => {
  const apply = (change: Partial<Transition>): Fields | undefined =>
    applyTransition({ guard: [], set: {}, ...change }, fields);
  const make = (change: Partial<Transition>): Fields | undefined =>
    applyTransition({ guard: [], set: {}, ...change }, undefined);

  test("fields that are set replace, others stay", () => {
    expect(apply({ set: { st: "paused", new: 1 } })).toEqual({ ...fields, st: "paused", new: 1 });
    expect(make({ set: { st: "running" } })).toEqual({ st: "running" });
  });

  test("fields that are removed are gone, also when they are not there", () => {
    const { s0: _s0, ...others } = fields;
    expect(apply({ remove: ["s0", "gone"] })).toStrictEqual(others);
  });

  test("numbers are added to what is stored; an absent one counts as 0", () => {
    expect(apply({ add: { e: 3 } })).toMatchObject({ e: 5 });
    expect(apply({ add: { n: 1 } })).toMatchObject({ n: 1 });
    expect(apply({ add: { zero: -2 } })).toMatchObject({ zero: -2 });
    expect(make({ add: { n: 1 } })).toEqual({ n: 1 });
  });

  test("adding to text is a fault of the engine, not a number", () => {
    expect(() => apply({ add: { st: 1 } })).toThrow("Field st holds text and cannot be added to");
  });
});

test("a refused transition and an applied one leave the run that they were given as it was", () => {
  const current = Object.freeze({ ...fields });
  const guard: Condition[] = [{ field: "e", is: "equal", value: 2 }];
  const change = { set: { st: "paused" }, remove: ["s0"], add: { e: 1 } };
  expect(applyTransition({ guard: [{ field: "e", is: "equal", value: 3 }], ...change }, current)).toBeUndefined();
  expect(current).toEqual(fields);
  const next = applyTransition({ guard, ...change }, current);
  expect(current).toEqual(fields);
  expect(next).not.toBe(current);
});

test("the same transition again is refused by its own guard (R7)", () => {
  const transition: Transition = { guard: [{ field: "s1", is: "absent" }], set: { s1: "r1.a.b.me" }, add: { n: 1 } };
  const once = applyTransition(transition, fields);
  expect(once).toMatchObject({ s1: "r1.a.b.me", n: 1 });
  expect(applyTransition(transition, once)).toBeUndefined();
});
