// Hunts: a token that is read as another one, does not survive a URL or a command line, or tells its secret.
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { limits } from "../../lib/definition/limits.ts";
import { systemRandomness } from "../../lib/runtime/system.ts";
import { formatToken, hashSecret, isSameHash, parseToken, withoutToken } from "../../lib/runtime/task-token.ts";

const token = fc.record({
  runId: fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9_.:-]{0,127}$/),
  step: fc.nat(limits.stepsPerWorkflow - 1),
  epoch: fc.nat(limits.redrives),
  attempt: fc.integer({ min: 1, max: 999_999_999 }),
  secret: fc.uint8Array({ minLength: 32, maxLength: 32 }).map((bytes) => Buffer.from(bytes).toString("base64url")),
});

test("a token is read as it was made, and is one word that starts with a letter", () => {
  fc.assert(
    fc.property(token, (made) => {
      const text = formatToken(made);
      expect(text).toMatch(/^[A-Za-z][\w-]*$/);
      expect(text.length).toBeLessThanOrEqual(limits.tokenLength);
      expect(parseToken(text)).toEqual(made);
      expect(withoutToken(`http://host/base/callbacks/${text}/fail`)).toBe("http://host/base/callbacks/…/fail");
    }),
  );
});

test("anything else is no token", () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.base64String(), fc.string({ minLength: 600, maxLength: 700 })), (text) => {
      const parsed = parseToken(text);
      if (parsed !== undefined) expect(formatToken(parsed)).toBe(text);
    }),
  );
});

test("secrets have 256 random bits, hashes at least 128, and one fits no other", () => {
  const secrets = Array.from({ length: 1_000 }, () => systemRandomness.secret());
  for (const secret of secrets) expect(Buffer.from(secret, "base64url")).toHaveLength(32);
  const hashes = secrets.map(hashSecret);
  expect(new Set(hashes).size).toBe(1_000);
  for (const [index, hash] of hashes.entries()) {
    expect(Buffer.from(hash, "base64url").length).toBeGreaterThanOrEqual(16);
    expect(isSameHash(hash, hash)).toBe(true);
    expect(isSameHash(hashes[index + 1], hash)).toBe(false);
    // What an answer leaves in its place, and what a step without a token has.
    for (const other of [undefined, "", "k7f3q9x2mz"]) expect(isSameHash(other, hash)).toBe(false);
  }
});
