// What nobody sends who means well: wrong types, sizes, depths, names, characters and encodings.
import * as fc from "fast-check";

const objectNames = ["__proto__", "constructor", "prototype", "toString", "hasOwnProperty"] as const;

export const hostileText: fc.Arbitrary<string> = fc.oneof(
  fc.constantFrom(
    "",
    " ",
    "\0",
    "a\0b",
    "\ud800",
    "\udfff\ud800",
    "\r\nX-Injected: 1",
    "../../etc/passwd",
    "%00",
    "%2e%2e%2f",
  ),
  fc.constantFrom(
    "null",
    "undefined",
    "NaN",
    "-0",
    "1e999",
    "0x10",
    "true",
    "#",
    "?",
    "&a=b",
    "~",
    ".",
    "..",
    "*",
    "$where",
  ),
  fc.constantFrom(
    "2026-02-30",
    "0000-01-01",
    "9999-12-31T23:59:59.999Z",
    "-271821-04-20",
    "+275760-09-13T00:00:00.001Z",
  ),
  fc.constantFrom("25s", "-1s", "1e3s", "999999999999999999999999d", "0.0000000001ms", "25.1s"),
  fc.constantFrom(...objectNames),
  fc.constant("x".repeat(10 * 1024)),
  fc.constant("ü".repeat(2_000)),
  fc.string({ unit: "binary", maxLength: 50 }),
  fc.string({ unit: "grapheme", maxLength: 50 }),
);

const hostileValue: fc.Arbitrary<unknown> = fc.oneof(
  { depthSize: "small" },
  hostileText,
  fc.constantFrom(null, true, false, 0, -1, 1.5, 1e308, -1e308, Number.MAX_SAFE_INTEGER + 2, [], {}),
  fc.constantFrom(...objectNames).map((name) => JSON.parse(`{"${name}":{"isAdmin":true}}`) as unknown),
  fc.array(hostileText, { maxLength: 4 }),
  fc.dictionary(hostileText, hostileText, { maxKeys: 4 }),
  fc.jsonValue({ maxDepth: 4 }),
  fc.integer({ min: 1, max: 30_000 }).map((length) => Array.from({ length }, () => 0)),
  fc.integer({ min: 50, max: 500 }).map(nested),
);

function nested(depth: number): unknown {
  let value: unknown = 1;
  for (let level = 0; level < depth; level++) value = level % 2 === 0 ? [value] : { a: value };
  return value;
}

/** The value with something hostile in one place of it, or beside. */
export function spoilt(good: fc.Arbitrary<unknown>): fc.Arbitrary<unknown> {
  return fc
    .tuple(good, hostileValue, hostileText, fc.nat())
    .map(([value, bad, name, choice]) => spoil(value, bad, name, choice));
}

function spoil(value: unknown, bad: unknown, name: string, choice: number): unknown {
  if (typeof value !== "object" || value === null) return bad;
  const keys = Object.keys(value);
  const at = choice % (keys.length + 1);
  const below = Math.floor(choice / (keys.length + 1));
  if (Array.isArray(value))
    return value.map((one: unknown, index) => (index === at ? spoil(one, bad, name, below) : one));
  const key = keys[at];
  if (key === undefined) return { ...value, [name]: bad };
  const old = (value as Record<string, unknown>)[key];
  return { ...value, [key]: below % 2 === 0 ? bad : spoil(old, bad, name, below >> 1) };
}

/** Bodies that are no JSON, or none that anybody should take. */
export const hostileBytes: fc.Arbitrary<string | Uint8Array<ArrayBuffer>> = fc.oneof(
  { weight: 20, arbitrary: fc.string({ unit: "binary", maxLength: 100 }) },
  { weight: 20, arbitrary: fc.uint8Array({ maxLength: 100 }).map((bytes) => Uint8Array.from(bytes)) },
  {
    weight: 10,
    arbitrary: fc.constantFrom(
      "",
      " ",
      "{",
      "[",
      '"',
      "{}{}",
      "{'a':1}",
      "{a:1}",
      "[1,]",
      "nul",
      "01",
      "1.",
      "\ufeff",
      "\ufeff{}",
    ),
  },
  {
    weight: 10,
    arbitrary: fc.constantFrom('{"runId":"\\ud800"}', '{"input":"\\u0000"}', '{"tags":{"\\ud800":"\\udc00"}}'),
  },
  {
    weight: 10,
    arbitrary: fc.constantFrom('{"__proto__":{"runId":"r"}}', '{"runId":"r","runId":"s"}', '{"constructor":{}}'),
  },
  { weight: 5, arbitrary: fc.integer({ min: 100, max: 200_000 }).map((depth) => "[".repeat(depth)) },
  {
    weight: 5,
    arbitrary: fc
      .integer({ min: 100, max: 5_000 })
      .map((depth) => `{"input":${"[".repeat(depth)}${"]".repeat(depth)}}`),
  },
  { weight: 5, arbitrary: fc.constant(Uint8Array.from(Buffer.from('{"input":1}', "utf16le"))) },
  { weight: 1, arbitrary: fc.constant("x".repeat(6 * 1024 * 1024)) },
  { weight: 1, arbitrary: fc.constant(`{"input":"${"x".repeat(4 * 1024 * 1024)}"}`) },
);

export const hostileHeaders: fc.Arbitrary<Record<string, string>> = fc.constantFrom<Record<string, string>[]>(
  { "content-type": "text/plain" },
  { "content-type": "application/json; charset=latin1" },
  { "content-type": "application/x-www-form-urlencoded" },
  { "content-type": "multipart/form-data; boundary=x" },
  { "content-type": "application/json, text/html" },
  { "content-type": ";;;" },
  { "content-type": "a".repeat(5_000) },
  { "content-type": "application/json", "content-encoding": "gzip" },
  { "content-type": "application/json", "content-length": "99999999999" },
  { "content-type": "application/json", "content-length": "-1" },
  { "content-type": "application/json", "content-length": "NaN" },
  { "content-type": "application/json", "transfer-encoding": "identity" },
  { "content-type": "application/json", "x-http-method-override": "DELETE" },
  { "content-type": "application/json", accept: "text/html", "accept-language": "*;q=2" },
  { "content-type": "application/json", cookie: "a".repeat(4_000) },
);
