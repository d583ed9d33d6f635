// Hunts: an output in an archive that is not found, is another's, or is asked for once for each.
import { expect, test } from "vitest";
import type { RunStore } from "../../lib/runtime/ports.ts";
import { withArchives } from "../../lib/runtime/with-archives.ts";

const stored = new Map([
  ["arc#abcdefghij", '1="one"\n11={"a":"1=2"}\n2='],
  ["in#hash", '"input"'],
]);
const asked: (readonly string[])[] = [];
const store = withArchives({
  getPayloads: async (_runId: string, keys: readonly string[]) => {
    asked.push(keys);
    return new Map([...stored].filter(([key]) => keys.includes(key)));
  },
  load: async () => ({ fields: {}, payloads: stored, larger: new Map([["out#3#0.1", 70_000]]) }),
} as unknown as RunStore);

test("outputs are found by keys of their own, and an archive is asked for once", async () => {
  const keys = ["arc#abcdefghij/1", "arc#abcdefghij/11", "arc#abcdefghij/2", "in#hash"];
  expect([...(await store.getPayloads("run", keys))]).toEqual([
    ["arc#abcdefghij/1", '"one"'],
    ["arc#abcdefghij/11", '{"a":"1=2"}'],
    ["arc#abcdefghij/2", ""],
    ["in#hash", '"input"'],
  ]);
  expect(asked).toEqual([["arc#abcdefghij", "in#hash"]]);
});

test("what is not there is missing, as everywhere", async () => {
  const keys = ["arc#abcdefghij/3", "arc#other/1", "in#other"];
  expect([...(await store.getPayloads("run", keys))]).toEqual([]);
});

test("whoever loads the run has them one by one", async () => {
  const loaded = await store.load("run");
  expect([...(loaded?.payloads ?? [])]).toEqual([
    ["arc#abcdefghij/1", '"one"'],
    ["arc#abcdefghij/11", '{"a":"1=2"}'],
    ["arc#abcdefghij/2", ""],
    ["in#hash", '"input"'],
  ]);
  expect(loaded?.larger.get("out#3#0.1")).toBe(70_000);
});
