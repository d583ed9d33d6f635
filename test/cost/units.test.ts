// Hunts: units that are rounded, or measured, otherwise than AWS does.
import { describe, expect, test } from "vitest";
import { chunks, indexWriteUnits, itemBytes, readUnits, writeUnits } from "../../lib/cost/units.ts";

describe("the size of an item", () => {
  test.each([
    ["names and texts, in UTF-8", { pk: { S: "run" }, é: { S: "ü€" } }, 2 + 3 + 2 + 5],
    ["an empty text", { a: { S: "" } }, 1],
    ["a set of texts", { ids: { SS: ["ab", "c"] } }, 3 + 3],
    // Two digits are a byte, and there is one more.
    ["a number of one digit", { n: { N: "7" } }, 1 + 2],
    ["a number of three digits", { n: { N: "123" } }, 1 + 3],
    ["a negative number", { n: { N: "-123" } }, 1 + 4],
    ["zeros at the end of a number", { n: { N: "1200" } }, 1 + 2],
    // 1|20: the pairs begin at the decimal point.
    ["two digits of two pairs", { n: { N: "120" } }, 1 + 3],
    ["a time in ms", { c: { N: "1767225600123" } }, 1 + 8],
    ["a time in ms that is a whole second", { c: { N: "1767225600000" } }, 1 + 6],
    ["zero", { n: { N: "0" } }, 1 + 1],
    ["a fraction", { n: { N: "0.25" } }, 1 + 2],
    ["a number with an exponent", { n: { N: "1.5e3" } }, 1 + 2],
  ])("counts %s", (_, item, bytes) => {
    expect(itemBytes(item)).toBe(bytes);
  });

  test("of a kind that Pawl does not store is an error, not a guess", () => {
    expect(() => itemBytes({ m: { M: {} } })).toThrow(/nobody here knows the size/);
  });
});

test.each([
  [0, 1],
  [1, 1],
  [1024, 1],
  [1025, 2],
  [400 * 1024, 400],
])("a write of %i bytes takes %i units", (bytes, units) => {
  expect(writeUnits(bytes)).toBe(units);
});

test.each([
  [0, true, 1],
  [4096, true, 1],
  [4097, true, 2],
  [4096, false, 0.5],
  [4097, false, 1],
])("a read of %i bytes, consistent %s, takes %d units", (bytes, isConsistent, units) => {
  expect(readUnits(bytes, isConsistent)).toBe(units);
});

test.each([
  [0, 1],
  [64 * 1024, 1],
  [64 * 1024 + 1, 2],
])("a message of %i bytes is %i requests", (bytes, requests) => {
  expect(chunks(bytes)).toBe(requests);
});

describe("an index", () => {
  const at = (ip: string, more = {}) => ({ pk: { S: "r" }, ip: { S: ip }, ...more });
  const units = (before: ReturnType<typeof at> | undefined, after: ReturnType<typeof at> | undefined): number =>
    indexWriteUnits(before, after, ["ip"]);

  test.each([
    ["of an entry that stays as it is: nothing", at("a"), at("a"), 0],
    ["of no entry, before and after: nothing", undefined, undefined, 0],
    ["of a new entry: one", undefined, at("a"), 1],
    ["of one that goes: one", at("a"), undefined, 1],
    ["of one that moves: two", at("a"), at("b"), 2],
    ["of one that changes in place: one", at("a"), at("a", { x: { S: "y" } }), 1],
    ["of a large one that moves: both of its sizes", at("a", { x: { S: "y".repeat(2_000) } }), at("b"), 3],
  ])("is billed %s", (_, before, after, expected) => {
    expect(units(before, after)).toBe(expected);
  });
});
