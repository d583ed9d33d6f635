// Hunts: JSON that does not come back as it was, and values that slip through deep inside it.
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { canonicalJson, deserialize, serialize, utf8Bytes } from "../../lib/definition/json.ts";

/** JSON has no negative zero: it is stored as 0. */
const plainZero = (value: unknown): unknown =>
  JSON.parse(JSON.stringify(value), (_key, part: unknown) => (part === 0 ? 0 : part)) as unknown;

const jsonValue = fc.jsonValue({ maxDepth: 6 }).map(plainZero);

test("any JSON value comes back as it was", () => {
  fc.assert(
    fc.property(jsonValue, (value) => {
      const result = serialize(value, "It");
      if (!result.ok) throw new Error(result.message);
      expect(deserialize(result.json)).toEqual(value);
      expect(result.json).toBe(JSON.stringify(value));
    }),
    { numRuns: 500 },
  );
});

test("a value that is not JSON is found wherever it stands, and its place is named", () => {
  const bad = fc.constantFrom<unknown>(
    Number.NaN,
    Infinity,
    5n,
    () => 1,
    Symbol("s"),
    new Date(0),
    new Map(),
    new Error("no JSON"),
  );
  const path = fc.array(fc.oneof(fc.nat(3), fc.stringMatching(/^[a-z_]{1,8}$/)), { maxLength: 8 });
  fc.assert(
    fc.property(bad, path, jsonValue, (bad, path, sibling) => {
      const value = path.reduceRight<unknown>((inner, part) => {
        if (typeof part === "string") return { before: sibling, [part]: inner };
        return [...Array.from({ length: part }, () => sibling), inner];
      }, bad);
      const place = path.map((part) => (typeof part === "string" ? `.${part}` : `[${part}]`)).join("");
      const result = serialize(value, "It");
      if (result.ok) throw new Error(`taken as ${result.json}`);
      expect(result.code).toBe("not_json");
      expect(result.message.startsWith(`It${place} is `)).toBe(true);
    }),
    { numRuns: 300 },
  );
});

test("canonical JSON is the same value, and the same text for every order of keys", () => {
  const shuffled = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(shuffled);
    if (value === null || typeof value !== "object") return value;
    return Object.fromEntries(
      Object.entries(value)
        .reverse()
        .map(([key, part]) => [key, shuffled(part)]),
    );
  };
  fc.assert(
    fc.property(jsonValue, (value) => {
      const text = canonicalJson(value);
      expect(canonicalJson(shuffled(value))).toBe(text);
      expect(JSON.parse(text)).toEqual(value);
    }),
    { numRuns: 500 },
  );
});

test("bytes are those of the UTF-8 encoder, also of lone surrogates", () => {
  const unit = fc.oneof(fc.nat(0xffff), fc.integer({ min: 0xd7fe, max: 0xe001 }), fc.nat(0x7f));
  const text = fc.array(unit, { maxLength: 40 }).map((units) => String.fromCharCode(...units));
  fc.assert(
    fc.property(text, (text) => {
      expect(utf8Bytes(text)).toBe(Buffer.byteLength(text));
    }),
    { numRuns: 2_000 },
  );
});
