// Hunts a text that comes back from its parts with other characters than it had.
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { splitText } from "../../lib/aws/dynamo-texts.ts";

test("parts of a text are small enough, hold whole characters, and make up the text again", () => {
  const character = fc.constantFrom("a", "ü", "世", "👍", "\u0000", '"');
  fc.assert(
    fc.property(fc.array(character, { maxLength: 60 }), fc.integer({ min: 4, max: 20 }), (characters, partBytes) => {
      const text = characters.join("");
      const parts = splitText(Buffer.from(text), partBytes);
      for (const part of parts) expect(Buffer.byteLength(part)).toBeLessThanOrEqual(partBytes);
      expect(parts.every((part) => part.isWellFormed() && part !== "")).toBe(true);
      expect(parts.join("")).toBe(text);
    }),
  );
});
