// Hunts: a place in malformed JSON that is not where it breaks, or a text that the search hangs or crashes on.
import fc from "fast-check";
import { expect, test } from "vitest";
import { findJsonFault } from "../../lib/api/json-fault.ts";

function parseMessage(text: string): string | undefined {
  try {
    JSON.parse(text);
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}

/** JSON with one character changed, left out or put in. */
const nearlyJson = fc
  .tuple(fc.json({ maxDepth: 4 }), fc.nat(), fc.constantFrom(...Array.from('{}[]",:\\ 0-9.eEtn\n\u0001é')), fc.nat(2))
  .map(([json, where, character, how]) => {
    const at = where % (json.length + 1);
    return json.slice(0, at) + (how === 0 ? "" : character) + json.slice(how === 2 ? at : at + 1);
  });

test("agrees with JSON.parse wherever that tells the place", () => {
  let compared = 0;
  fc.assert(
    fc.property(nearlyJson, (text) => {
      const message = parseMessage(text);
      if (message === undefined) return;
      const { position, line, column } = findJsonFault(text);
      const lines = text.slice(0, position).split("\n");
      expect([line, column]).toEqual([lines.length, lines.at(-1)!.length + 1]);
      // In words, numbers and escapes it means the first character that does not fit, and not where they begin.
      if (/[tfn-]/.test(text[position] ?? "")) return;
      const told = /^(?!Bad|.*(?:number|fraction|exponent|[Uu]nicode)).* at position (\d+)/i.exec(message)?.[1];
      if (told === undefined) return;
      compared++;
      expect({ text, position }).toEqual({ text, position: Number(told) });
    }),
    { numRuns: 20_000 },
  );
  expect(compared).toBeGreaterThan(1_000);
});

test("what stands before the fault could still have become JSON", () => {
  fc.assert(
    fc.property(nearlyJson, (text) => {
      if (parseMessage(text) === undefined) return;
      const before = text.slice(0, findJsonFault(text).position);
      const faultOfStart = parseMessage(before) === undefined ? before.length : findJsonFault(before).position;
      expect(faultOfStart).toBe(before.length);
    }),
    { numRuns: 5_000 },
  );
});

test.each([
  ["", 0, "the text ends too early"],
  ["nul", 0, 'unexpected "n"'],
  ["[1,]", 3, 'unexpected "]"'],
  ['{"a":1,}', 7, 'unexpected "}"'],
  ['{"a" 1}', 5, 'unexpected "1"'],
  ["[1}", 2, 'unexpected "}"'],
  ["]", 0, 'unexpected "]"'],
  ["1 2", 2, 'unexpected "2"'],
  ['"a\nb"', 2, 'unexpected "\\n"'],
  ['"\\x"', 1, 'unexpected "\\\\"'],
  ["[01]", 2, 'unexpected "1"'],
  ["'a'", 0, 'unexpected "\'"'],
  ["😀", 0, 'unexpected "😀"'],
])("%s", (text, position, found) => {
  expect(findJsonFault(text)).toMatchObject({ position, found });
});

test("nesting deeper than the stack, and long texts, are no trouble", () => {
  expect(findJsonFault("[".repeat(500_000)).position).toBe(500_000);
  const long = `[${"1,".repeat(300_000)}]`;
  expect(findJsonFault(long).position).toBe(600_001);
});
