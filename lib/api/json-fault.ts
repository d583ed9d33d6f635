/** Where a text stops being JSON. `JSON.parse` says that for some faults only, and in words of its own. */
export interface JsonFault {
  /** From 0, in UTF-16 units. */
  readonly position: number;
  /** From 1. */
  readonly line: number;
  readonly column: number;
  /** What stands there, for a message. */
  readonly found: string;
}

/** @param text something that `JSON.parse` refuses */
export function findJsonFault(text: string): JsonFault {
  const position = faultPosition(text);
  const before = text.slice(0, position).split("\n");
  const character = String.fromCodePoint(text.codePointAt(position) ?? 0);
  return {
    position,
    line: before.length,
    column: (before.at(-1)?.length ?? 0) + 1,
    found: position >= text.length ? "the text ends too early" : `unexpected ${JSON.stringify(character)}`,
  };
}

const space = /[ \t\n\r]*/y;
const literal = /true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
/** A string up to its end, or up to the character that must not be in it. */
// eslint-disable-next-line no-control-regex -- JSON forbids control characters inside strings
const openString = /"(?:[^"\\\u0000-\u001f]|\\["\\/bfnrt]|\\u[\da-fA-F]{4})*/y;

type Expected = "value" | "valueOrEnd" | "key" | "keyOrEnd" | "colon" | "commaOrEnd" | "nothing";

/** Keeps the open brackets in a list of its own: the text may be nested deeper than the stack. */
function faultPosition(text: string): number {
  const open: ("[" | "{")[] = [];
  let expected: Expected = "value";
  let at = lengthOf(space, text, 0);
  while (at < text.length) {
    const next = step(text, at, expected, open);
    if ("faultAt" in next) return next.faultAt;
    expected = next.expected;
    at = next.at + lengthOf(space, text, next.at);
  }
  return at;
}

type Step = { readonly at: number; readonly expected: Expected } | { readonly faultAt: number };

function step(text: string, at: number, expected: Expected, open: ("[" | "{")[]): Step {
  const character = text[at];
  const isKey = expected === "key" || expected === "keyOrEnd";
  if (expected.endsWith("OrEnd") && character === (open.at(-1) === "[" ? "]" : "}")) {
    open.pop();
    return { at: at + 1, expected: afterValue(open) };
  }
  switch (expected) {
    case "nothing":
      return { faultAt: at };
    case "colon":
      return character === ":" ? { at: at + 1, expected: "value" } : { faultAt: at };
    case "commaOrEnd":
      if (character !== ",") return { faultAt: at };
      return { at: at + 1, expected: open.at(-1) === "[" ? "value" : "key" };
    case "key":
    case "keyOrEnd":
    case "value":
    case "valueOrEnd":
      break;
  }
  if (character === '"') {
    const end = at + lengthOf(openString, text, at);
    return text[end] === '"' ? { at: end + 1, expected: isKey ? "colon" : afterValue(open) } : { faultAt: end };
  }
  if (isKey) return { faultAt: at };
  if (character === "[" || character === "{") {
    open.push(character);
    return { at: at + 1, expected: character === "[" ? "valueOrEnd" : "keyOrEnd" };
  }
  const length = lengthOf(literal, text, at);
  return length === 0 ? { faultAt: at } : { at: at + length, expected: afterValue(open) };
}

function afterValue(open: readonly string[]): Expected {
  return open.length === 0 ? "nothing" : "commaOrEnd";
}

function lengthOf(pattern: RegExp, text: string, at: number): number {
  pattern.lastIndex = at;
  return pattern.exec(text)?.[0].length ?? 0;
}
