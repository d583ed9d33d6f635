// Hunts a blob store that mixes up keys, changes a text, or shows one that is not whole (R10).
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { limits } from "../../lib/definition/limits.ts";
import type { BlobStore } from "../../lib/runtime/ports.ts";

export interface BlobHarness {
  readonly blobs: BlobStore;
  close(): Promise<void>;
}

/** Runs the suite on what `makeHarness` opens, once per test. Keys are unique, so a shared bucket will do. */
export function blobContract(name: string, makeHarness: () => Promise<BlobHarness>): void {
  describe(`${name}: blob contract`, () => {
    let harness: BlobHarness;
    let blobs: BlobStore;
    let key: string;

    beforeEach(async () => {
      harness = await makeHarness();
      blobs = harness.blobs;
      key = `run-${crypto.randomUUID()}/hash`;
    });
    afterEach(() => harness.close());

    test("what was put is there, and nothing else", async () => {
      await blobs.put(key, `{"a":1}`);
      expect(await blobs.get(key)).toBe(`{"a":1}`);
      expect(await blobs.get(`${key}x`)).toBeUndefined();
      expect(await blobs.get("never-there")).toBeUndefined();
    });

    test("a repeat changes nothing", async () => {
      await blobs.put(key, "[1]");
      await blobs.put(key, "[1]");
      await Promise.all(Array.from({ length: 20 }, () => blobs.put(key, "[1]")));
      expect(await blobs.get(key)).toBe("[1]");
    });

    test.each([
      ["the largest payload", "x".repeat(limits.payloadBytes)],
      ["unicode", "ö世👍".repeat(60_000)],
      ["control characters and line ends", '\u0000\u2028\r\n\t\\"'],
      ["a byte order mark", "\uFEFF[]"],
    ])("%s survives", async (_what, text) => {
      await blobs.put(key, text);
      expect((await blobs.get(key)) === text).toBe(true);
    });

    test("keys may hold anything, and each is its own", async () => {
      const forms = ["a/b", "a:b", "a~b", "a.b", "A/B", "../../b", "..", "a b", "ü", "%2e%2e/b", "x".repeat(500)];
      const keys = forms.map((form) => `${key}/${form}`);
      await Promise.all(keys.map((each, n) => blobs.put(each, String(n))));
      expect(await Promise.all(keys.map((each) => blobs.get(each)))).toEqual(keys.map((_, n) => String(n)));
    });

    test("those of a run are removed together, and of no other", async () => {
      const run = key.slice(0, key.indexOf("/"));
      const long = `${run}${"~x".repeat(500)}`;
      const own = [`${run}/a`, `${run}/b`, `${run}/B/c`];
      const others = [`${run}x/a`, `${run}~step/a`, `${long}~a/a`, `${long}~b/a`];
      for (const each of [...own, ...others]) await blobs.put(each, each);
      await blobs.removeAll(run);
      expect(await Promise.all(own.map((each) => blobs.get(each)))).toEqual(own.map(() => undefined));
      expect(await Promise.all(others.map((each) => blobs.get(each)))).toEqual(others);
      await blobs.removeAll(`${long}~a`);
      expect(await Promise.all(others.map((each) => blobs.get(each)))).toEqual([
        ...others.slice(0, 2),
        undefined,
        others.at(-1),
      ]);
    });

    test("removing what is not there changes nothing, and what was removed can be put again", async () => {
      await blobs.removeAll(`${key}-never`);
      await blobs.put(key, "[1]");
      await blobs.removeAll(key.slice(0, key.indexOf("/")));
      await blobs.removeAll(key.slice(0, key.indexOf("/")));
      await blobs.put(key, "[1]");
      expect(await blobs.get(key)).toBe("[1]");
    });

    test("many at a time do not meet", async () => {
      const keys = Array.from({ length: 50 }, (_, n) => `${key}-${n}`);
      await Promise.all(keys.map((each, n) => blobs.put(each, "x".repeat(n))));
      expect(await Promise.all(keys.map((each) => blobs.get(each)))).toEqual(keys.map((_, n) => "x".repeat(n)));
    });
  });
}
