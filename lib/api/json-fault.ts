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
const openString = /"(?:[^"\\\u0000-\u001f]|\\["\\/bfnrt]|\\u[\da-fA-F]{4})*/y;

type Expected = "value" | "valueOrEnd" | "key" | "keyOrEnd" | "colon" | "commaOrEnd" | "nothing";

/** Keeps the open brackets in a list of its own: the text may be nested deeper than the stack. */
function faultPosition(text: string): number {
  const open: ("[" | "{")[] = [];
  let at = 0;
  let expected: Expected = "value";
  const take = (pattern: RegExp): boolean => {
    pattern.lastIndex = at;
    const match = pattern.exec(text);
    if (match === null) return false;
    at += match[0].length;
    return true;
  };
  const afterValue = (): Expected => (open.length === 0 ? "nothing" : "commaOrEnd");

  for (;;) {
    take(space);
    const character = text[at];
    if (character === undefined || expected === "nothing") return at;
    const closes = character === (open.at(-1) === "[" ? "]" : "}") && open.length > 0;
    if (closes && (expected === "valueOrEnd" || expected === "keyOrEnd" || expected === "commaOrEnd")) {
      open.pop();
      at++;
      expected = afterValue();
    } else if (expected === "commaOrEnd") {
      if (character !== ",") return at;
      at++;
      expected = open.at(-1) === "[" ? "value" : "key";
    } else if (expected === "colon") {
      if (character !== ":") return at;
      at++;
      expected = "value";
    } else if (character === '"') {
      take(openString);
      if (text[at] !== '"') return at;
      at++;
      expected = expected === "key" || expected === "keyOrEnd" ? "colon" : afterValue();
    } else if (expected === "key" || expected === "keyOrEnd") {
      return at;
    } else if (character === "[" || character === "{") {
      open.push(character);
      at++;
      expected = character === "[" ? "valueOrEnd" : "keyOrEnd";
    } else {
      if (!take(literal)) return at;
      expected = afterValue();
    }
  }
}
