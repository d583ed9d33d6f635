// Hunts: a payload that is stored as something else than what the user returned, or that breaks or blocks its worker.
import { runInNewContext } from "node:vm";
import { describe, expect, test } from "vitest";
import { canonicalJson, deserialize, serialize, utf8Bytes } from "../../lib/definition/json.ts";
import { limits } from "../../lib/definition/limits.ts";

const messageOf = (value: unknown): string => {
  const result = serialize(value, "The output");
  if (result.ok) throw new Error(`taken as ${result.json}`);
  expect(result.code).toBe("not_json");
  return result.message;
};
const jsonOf = (value: unknown): string => {
  const result = serialize(value, "The output");
  if (!result.ok) throw new Error(result.message);
  return result.json;
};
function nested(levels: number): unknown {
  let value: unknown = 1;
  for (let level = 0; level < levels; level++) value = level % 2 === 0 ? [value] : { in: value };
  return value;
}

describe("what is taken", () => {
  test.each([
    [null, "null"],
    [false, "false"],
    [0, "0"],
    ["", '""'],
    [[], "[]"],
    [{}, "{}"],
    [Number.MAX_VALUE, "1.7976931348623157e+308"],
    ["\ud800", '"\\ud800"'],
    [{ a: [1, { b: null }] }, '{"a":[1,{"b":null}]}'],
  ])("%j", (value, json) => {
    expect(jsonOf(value)).toBe(json);
    expect(deserialize(json)).toEqual(value);
  });

  test("nothing at all is not null: it is the empty text", () => {
    expect(jsonOf(undefined)).toBe("");
    expect(deserialize("")).toBeUndefined();
    expect(deserialize("null")).toBeNull();
  });

  test("properties that are undefined are left out, as JSON does", () => {
    expect(jsonOf({ a: undefined, b: 1, c: { d: undefined } })).toBe('{"b":1,"c":{}}');
  });

  test("an object without a prototype is an object", () => {
    expect(jsonOf(Object.assign(Object.create(null) as object, { a: 1 }))).toBe('{"a":1}');
  });

  test("the same value twice is not a cycle", () => {
    const shared = { a: 1 };
    expect(jsonOf({ x: shared, y: [shared, shared] })).toBe('{"x":{"a":1},"y":[{"a":1},{"a":1}]}');
  });

  test("a path ends where its value does: siblings are not parents", () => {
    expect(jsonOf([nested(50), nested(50)])).toHaveLength(2 * JSON.stringify(nested(50)).length + 3);
  });

  test.each(["__proto__", "constructor", "prototype", "toString", "hasOwnProperty"])(
    "a key named %s is data, and pollutes nothing",
    (key) => {
      const value: unknown = JSON.parse(`{"${key}":{"polluted":true}}`);
      const json = jsonOf(value);
      expect(json).toBe(`{"${key}":{"polluted":true}}`);
      const read = deserialize(json) as object;
      expect(Object.keys(read)).toEqual([key]);
      expect(Object.getPrototypeOf(read)).toBe(Object.prototype);
      expect(({} as { polluted?: boolean }).polluted).toBeUndefined();
    },
  );
});

describe("what is refused, with the place it stands at", () => {
  class Money {
    readonly cents = 5;
  }
  const cycle: Record<string, unknown> = { name: "loop" };
  cycle.self = { again: cycle };
  const ring: unknown[] = [];
  ring.push(ring);
  const onlyJson = "only JSON values can be stored.";
  const plain = "Return a plain object or array.";

  test.each<readonly [string, unknown, string]>([
    ["NaN", Number.NaN, " is NaN; JSON has only finite numbers. Use null or a string."],
    ["Infinity", { a: Infinity }, ".a is Infinity; JSON has only finite numbers. Use null or a string."],
    ["-Infinity", [1, -Infinity], "[1] is -Infinity; JSON has only finite numbers. Use null or a string."],
    ["a bigint", { a: [5n] }, ".a[0] is a bigint; JSON has none. Convert it with String(value)."],
    ["a function", { a: { b: () => 1 } }, `.a.b is a function; ${onlyJson}`],
    ["a method", { at: { toJSON: () => 1 } }, ".at.toJSON is a function; only JSON values can be stored."],
    ["a symbol", [Symbol("s")], `[0] is a symbol; ${onlyJson}`],
    ["a Date", { at: new Date(0) }, `.at is a Date; ${onlyJson} Use toISOString().`],
    ["a Map", new Map(), ` is a Map; ${onlyJson} ${plain}`],
    ["a Set", { a: new Set([1]) }, `.a is a Set; ${onlyJson} ${plain}`],
    ["a RegExp", /x/, ` is a RegExp; ${onlyJson} ${plain}`],
    ["an Error", new TypeError("x"), ` is a Error; ${onlyJson} ${plain}`],
    ["bytes", new Uint8Array(2), ` is a Uint8Array; ${onlyJson} ${plain}`],
    ["a boxed string", new String("x"), ` is a String; ${onlyJson} ${plain}`],
    ["a promise", Promise.resolve(1), ` is a Promise; ${onlyJson} ${plain}`],
    ["an instance of a class", { price: new Money() }, `.price is a Money; ${onlyJson} ${plain}`],
    ["a cycle", cycle, ".self.again refers back to itself; JSON has no cycles."],
    ["an array in itself", ring, "[0] refers back to itself; JSON has no cycles."],
    ["undefined in an array", [1, undefined], "[1] is undefined inside an array; use null."],
    [
      "a hole in an array",
      { a: Object.assign(Array(3), { 0: 1, 2: 3 }) },
      ".a[1] is undefined inside an array; use null.",
    ],
    ["a long hole", new Array(2 ** 32 - 1), "[0] is undefined inside an array; use null."],
    ["an array in an array", [[undefined]], "[0][0] is undefined inside an array; use null."],
  ])("%s", (_what, value, fault) => {
    expect(messageOf(value)).toBe(`The output${fault}`);
  });

  test("plain objects of another realm, which nobody can tell from class instances", () => {
    expect(messageOf(runInNewContext("({ a: 1 })"))).toContain(onlyJson);
  });

  test("nesting beyond the limit, before anything recursive meets it", () => {
    expect(jsonOf(nested(limits.payloadDepth + 1))).toContain("1");
    expect(messageOf(nested(limits.payloadDepth + 2))).toBe("The output is nested deeper than 100 levels; flatten it.");
    expect(messageOf(nested(1_000_000))).toContain("nested deeper");
  });
});

describe("what is refused although JSON.stringify takes it, because it would be changed silently", () => {
  test("a key that ends in a bracket is no array element", () => {
    expect(jsonOf({ "a]": undefined })).toBe("{}");
  });

  test("an object whose prototype has no constructor is refused, not thrown at", () => {
    expect(messageOf(Object.create(Object.create(null) as object))).toContain("only JSON values can be stored");
  });

  test("a property under a symbol", () => {
    expect(messageOf({ [Symbol("s")]: 1 })).toBe("The output has a symbol as a key, Symbol(s); JSON has only text.");
  });

  test("a property of an array", () => {
    expect(messageOf(/b/.exec("abc"))).toBe('The output is an array with a property "index"; JSON has only elements.');
  });

  test("properties of an array that are under no text at all", () => {
    expect(messageOf(Object.assign([1], { [Symbol("s")]: 1 }))).toContain("has a symbol as a key, Symbol(s)");
    expect(messageOf([[Object.assign([], { "-1": 1 })]])).toContain('[0][0] is an array with a property "-1"');
  });

  test("a hidden toJSON", () => {
    expect(messageOf(Object.defineProperty({ a: 1 }, "toJSON", { value: () => "other" }))).toContain(
      ".toJSON is a function",
    );
  });

  test("a property that throws when it is read", () => {
    const value = {
      get a(): number {
        throw new Error("not now");
      },
    };
    expect(messageOf(value)).toBe("The output cannot be read: not now");
  });
});

test("a value that refers to one part from everywhere is refused before its size is written out", () => {
  let value: unknown = 1;
  for (let level = 0; level < 60; level++) value = [value, value];
  expect(serialize(value, "The output")).toMatchObject({ ok: false, code: "too_large" });
});

describe("size", () => {
  const most = limits.payloadBytes;

  test("is the JSON's bytes, up to the limit and no further", () => {
    expect(serialize("x".repeat(most - 2), "The input").ok).toBe(true);
    expect(serialize("x".repeat(most - 1), "The input")).toEqual({
      ok: false,
      code: "too_large",
      message: `The input is ${most + 1} bytes as JSON; at most ${most} are allowed. Store large data elsewhere and pass a reference.`,
    });
  });

  test.each([
    ["é", 2],
    ["€", 3],
    ["😀", 4],
    // Escaped by JSON.
    ["\ud800", 6],
    ["\n", 2],
  ])("counts bytes, not characters: %j takes %d", (character, bytes) => {
    const fits = Math.floor((most - 2) / bytes);
    expect(serialize(character.repeat(fits), "x").ok).toBe(true);
    expect(serialize(character.repeat(fits + 1), "x")).toMatchObject({ ok: false, code: "too_large" });
  });
});

describe("canonical JSON", () => {
  test("is the same for equal values, however they were put together", () => {
    expect(canonicalJson({ b: 1, a: { d: [2, { f: 1, e: 2 }], c: 3 } })).toBe(
      '{"a":{"c":3,"d":[2,{"e":2,"f":1}]},"b":1}',
    );
    expect(canonicalJson({ a: { c: 3, d: [2, { e: 2, f: 1 }] }, b: 1 })).toBe(
      '{"a":{"c":3,"d":[2,{"e":2,"f":1}]},"b":1}',
    );
  });

  test("sorts by code units, the same on every machine", () => {
    expect(canonicalJson({ ä: 1, z: 2, Z: 3, "": 4 })).toBe('{"":4,"Z":3,"z":2,"ä":1}');
  });

  test("keeps the order of lists", () => {
    expect(canonicalJson([3, 1, 2])).not.toBe(canonicalJson([1, 2, 3]));
  });

  test("keeps a key named __proto__", () => {
    expect(canonicalJson(JSON.parse('{"b":1,"__proto__":2}'))).toBe('{"__proto__":2,"b":1}');
  });

  test("leaves out what is undefined", () => {
    expect(canonicalJson({ b: undefined, a: 1 })).toBe('{"a":1}');
  });
});

describe("bytes", () => {
  test.each([
    ["", 0],
    ["a", 1],
    ["\u007f", 1],
    ["\u0080", 2],
    ["\u07ff", 2],
    ["\u0800", 3],
    ["\uffff", 3],
    ["😀", 4],
    ["\ud800", 3],
    ["\udc00", 3],
    ["\udc00\ud800", 6],
    ["\ud800\ud800\udc00", 7],
    ["a\ud83d", 4],
  ])("%j takes %d", (text, bytes) => {
    expect(utf8Bytes(text)).toBe(bytes);
    expect(Buffer.byteLength(text)).toBe(bytes);
  });
});
