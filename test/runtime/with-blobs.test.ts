// Hunts a large payload that is lost between blob and store, mixed up with another, or read back changed.
import { beforeEach, describe, expect, test } from "vitest";
import { limits } from "../../lib/definition/limits.ts";
import { createMemoryBackend } from "../../lib/embedded/memory-backend.ts";
import type { BlobStore, RunStore } from "../../lib/runtime/ports.ts";
import { withBlobs } from "../../lib/runtime/with-blobs.ts";
import { createManualClock } from "../contract/manual-clock.ts";
import { createRecordingLogger } from "../contract/recording-logger.ts";

const large = (mark: string, bytes: number = limits.itemPayloadBytes + 1): string =>
  `"${mark}${"x".repeat(bytes - 2 - Buffer.byteLength(mark))}"`;

let inner: RunStore;
let kept: Map<string, string>;
let blobs: BlobStore;
let store: RunStore;

beforeEach(() => {
  inner = createMemoryBackend({ clock: createManualClock(), logger: createRecordingLogger() });
  kept = new Map();
  blobs = {
    put: async (key, text) => void kept.set(key, text),
    get: async (key) => kept.get(key),
    removeAll: async (runId) => {
      for (const key of kept.keys()) if (key.startsWith(`${runId}/`)) kept.delete(key);
    },
  };
  store = withBlobs(inner, blobs);
});

const stored = async (key: string): Promise<string | undefined> => (await inner.getPayloads("run", [key])).get(key);
const read = async (key: string): Promise<string | undefined> => (await store.getPayloads("run", [key])).get(key);

test("up to the limit a payload is an item, above it a blob, counted in bytes", async () => {
  await store.putPayload("run", "item", large("", limits.itemPayloadBytes));
  await store.putPayload("run", "blob", large(""));
  await store.putPayload("run", "wide", `"${"é".repeat(limits.itemPayloadBytes / 2)}"`);
  expect(await stored("item")).toBe(large("", limits.itemPayloadBytes));
  expect(await stored("blob")).toMatch(/^@blob:307201:[\w-]{43}$/);
  expect(await stored("wide")).toMatch(/^@blob:307202:/);
  expect(kept.size).toBe(2);
});

test("a text of a user's that looks like a marker is a text", async () => {
  await store.putPayload("run", "blob", large(""));
  const marker = (await stored("blob")) ?? "";
  for (const [key, value] of Object.entries({ same: marker, other: "@blob:1:x" })) {
    await store.putPayload("run", key, JSON.stringify(value));
    expect(await read(key)).toBe(JSON.stringify(value));
  }
  await inner.update("run", { guard: [], set: { status: "running" } });
  expect([...((await store.load("run"))?.larger ?? [])]).toEqual([["blob", limits.itemPayloadBytes + 1]]);
});

test("a load reads no blob", async () => {
  await inner.update("run", { guard: [], set: { status: "running" } });
  await store.putPayload("run", "blob", large(""));
  kept.clear();
  expect((await store.load("run"))?.larger.get("blob")).toBe(limits.itemPayloadBytes + 1);
});

test("who dies between blob and marker leaves nothing that is referred to, and a repeat goes on", async () => {
  const dies = withBlobs({ ...inner, putPayload: () => Promise.reject(new Error("the process died")) }, blobs);
  await expect(dies.putPayload("run", "out", large("a"))).rejects.toThrow("died");
  expect(await read("out")).toBeUndefined();
  await store.putPayload("run", "out", large("a"));
  expect(await read("out")).toBe(large("a"));
  expect(kept.size).toBe(1);
});

test("nothing refers to a blob that could not be stored", async () => {
  const full = withBlobs(inner, { ...blobs, put: () => Promise.reject(new Error("disk full")) });
  await expect(full.putPayload("run", "out", large("a"))).rejects.toThrow("disk full");
  expect(await stored("out")).toBeUndefined();
});

test("of two contents for one key the first counts, and stays readable", async () => {
  await store.putPayload("run", "out", large("first"));
  await store.putPayload("run", "out", large("second"));
  expect(await read("out")).toBe(large("first"));
  await store.putPayload("run", "small", "1");
  await store.putPayload("run", "small", large("late"));
  expect(await read("small")).toBe("1");
});

test("the same content in two runs is two blobs: each run's can be deleted with it", async () => {
  await store.putPayload("run", "out", large("same"));
  await store.putPayload("other", "out", large("same"));
  expect([...kept.keys()].map((key) => key.split("/")[0])).toEqual(["run", "other"]);
});

describe("a blob that is not what was stored is a clear error", () => {
  test.each([
    ["cut off", (text: string) => text.slice(0, -1)],
    ["empty", () => ""],
    ["changed in one letter", (text: string) => text.replace("x", "y")],
  ])("%s", async (_what, damage) => {
    await store.putPayload("run", "out#0", large(""));
    for (const [key, text] of kept) kept.set(key, damage(text));
    await expect(read("out#0")).rejects.toThrow(
      /^The blob of payload out#0 of run run is damaged \(@blob:307201:.*\)\. /,
    );
  });

  test("missing", async () => {
    await store.putPayload("run", "out#0", large(""));
    kept.clear();
    const message =
      "The blob of payload out#0 of run run is missing. Restore the blobs from the backup that belongs to the runs, then redrive the run.";
    await expect(read("out#0")).rejects.toThrow(message);
  });
});
