// Hunts: a cursor that is taken although somebody has changed it, cut it off, or brings it to another list.
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { ApiError } from "../../lib/api/api-error.ts";
import { openCursor, sealCursor } from "../../lib/api/cursor.ts";
import { limits } from "../../lib/definition/limits.ts";
import type { RunQuery } from "../../lib/runtime/queries.ts";

const key = fc.string({ minLength: 1 });
const text = fc.string({ minLength: 1, maxLength: 20, unit: "binary" });
const query: fc.Arbitrary<RunQuery> = fc.record(
  {
    workflow: text,
    status: fc.subarray(["failed", "running", "cancelled"] as const, { minLength: 1 }),
    from: fc.constantFrom("2026-01-01T00:00:00.000Z", "2027-01-01T00:00:00.000Z"),
    tag: fc.record({ key: text, value: text }, { noNullPrototype: true }),
    parent: text,
  },
  { requiredKeys: [], noNullPrototype: true },
);
const position = fc.string({ minLength: 1, maxLength: 200, unit: "grapheme" });

/** Whether it is taken; whatever else than `invalid_cursor` is thrown fails the test. */
function isTaken(...[secret, cursor, asked]: Parameters<typeof openCursor>): boolean {
  try {
    openCursor(secret, cursor, asked);
    return true;
  } catch (error) {
    expect(error).toBeInstanceOf(ApiError);
    expect(error).toMatchObject({ code: "invalid_cursor" });
    return false;
  }
}

test("the cursor of a query is its position, in whatever order the criteria come", () => {
  fc.assert(
    fc.property(key, position, query, (secret, at, asked) => {
      const reversed = Object.fromEntries(Object.entries(asked).toReversed());
      expect(openCursor(secret, sealCursor(secret, at, asked), reversed)).toBe(at);
    }),
  );
});

test("every change of one character is refused, and every cut", () => {
  const letters = Array.from("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_");
  const others = [...letters, "+", "/", "=", " ", "é", "\0"];
  fc.assert(
    fc.property(key, position, query, (secret, at, asked) => {
      const cursor = sealCursor(secret, at, asked);
      for (let place = 0; place <= cursor.length; place++) {
        const before = cursor.slice(0, place);
        for (const other of place < 30 || place > cursor.length - 3 ? others : others.slice(0, 4)) {
          if (other !== cursor[place])
            expect(isTaken(secret, before + other + cursor.slice(place + 1), asked)).toBe(false);
          expect(isTaken(secret, before + other + cursor.slice(place), asked)).toBe(false);
        }
        if (place < cursor.length) {
          expect(isTaken(secret, before, asked)).toBe(false);
          expect(isTaken(secret, before + cursor.slice(place + 1), asked)).toBe(false);
        }
      }
    }),
    { numRuns: 5 },
  );
});

test("cursors of other queries and of other data are refused", () => {
  fc.assert(
    fc.property(key, key, position, query, query, (secret, otherSecret, at, asked, otherAsked) => {
      const cursor = sealCursor(secret, at, asked);
      expect(isTaken(otherSecret, cursor, asked)).toBe(otherSecret === secret);
      const same = (one: RunQuery): string => JSON.stringify(Object.entries(one).toSorted());
      expect(isTaken(secret, cursor, otherAsked)).toBe(same(asked) === same(otherAsked));
    }),
  );
});

test("whatever is no cursor is refused", () => {
  fc.assert(
    fc.property(key, fc.string({ unit: "binary" }), query, (...given) => {
      expect(isTaken(...given)).toBe(false);
    }),
  );
  expect(isTaken("secret", "A".repeat(limits.cursorLength + 4), {})).toBe(false);
});
