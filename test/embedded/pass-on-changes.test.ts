// Hunts: a kept status change that is dropped before it was passed on, passed on for ever, or forgotten by the next process.
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { limits } from "../../lib/definition/limits.ts";
import type { EmbeddedBackend } from "../../lib/embedded/backend.ts";
import { createMemoryBackend } from "../../lib/embedded/memory-backend.ts";
import { passOnChanges } from "../../lib/embedded/pass-on-changes.ts";
import { openSqliteBackend } from "../../lib/embedded/sqlite-backend.ts";
import { field } from "../../lib/engine/codec.ts";
import type { RunStatusChange } from "../../lib/engine/lifecycle.ts";
import { create } from "../../lib/engine/start.ts";
import { VirtualClock } from "../../lib/testing/virtual-clock.ts";
import { createRecordingLogger } from "../contract/recording-logger.ts";
import { runOf } from "../engine/sample-run.ts";
import { scratchDirectory } from "./scratch-directory.ts";

interface Scene {
  readonly backend: EmbeddedBackend;
  readonly clock: VirtualClock;
  readonly logger: ReturnType<typeof createRecordingLogger>;
}

function inMemory(): Scene {
  const clock = new VirtualClock();
  const logger = createRecordingLogger();
  return { backend: createMemoryBackend({ clock, logger }), clock, logger };
}

function inFile(file: string): Scene {
  const clock = new VirtualClock(undefined, 120);
  const logger = createRecordingLogger();
  return { backend: openSqliteBackend({ file, clock, logger }), clock, logger };
}

function passOn(
  { backend, clock, logger }: Scene,
  tell: (change: RunStatusChange) => Promise<void>,
  isTold: (change: RunStatusChange) => boolean = () => true,
): () => Promise<void> {
  return passOnChanges({ backend, tell, isTold, clock, logger });
}

async function start({ backend }: Scene, runId: string, fingerprint = "abc"): Promise<void> {
  await backend.update(runId, create(runOf({ runId, fingerprint, changes: 1 })));
}

async function succeed({ backend }: Scene, runId: string): Promise<void> {
  const guard = [{ field: field.status, is: "equal", value: "running" }] as const;
  await backend.update(runId, { guard, set: { [field.status]: "succeeded" }, add: { [field.changes]: 1 } });
}

describe.each([
  ["in memory", inMemory],
  ["in a file", () => inFile(join(scratchDirectory(), "pawl.db"))],
])("%s", (_, open) => {
  test("each change is passed on once, and nothing else", async () => {
    const at = open();
    const told: string[] = [];
    const stop = passOn(
      at,
      async ({ id }) => void told.push(id),
      ({ runId }) => runId !== "untold",
    );
    await start(at, "one");
    await start(at, "untold");
    await start(at, "one~each", "abc.0.0.16.1.0");
    await at.backend.update("gate#x#", { guard: [], set: { any: "record" } });
    await at.backend.update("one", { guard: [], set: { i: "another write" } });
    await at.clock.advance(0);
    await succeed(at, "one");
    await at.clock.advance(limits.keptChangeRetryMs);
    expect(told).toEqual(["one:1", "one:2"]);
    expect(await at.backend.keptChanges.oldest(10)).toEqual([]);
    await stop();
    await at.backend.close();
  });

  test("what cannot be passed on is tried again, and stays kept until then", async () => {
    const at = open();
    const told: string[] = [];
    let isOut = true;
    const stop = passOn(at, async ({ id }) => {
      if (isOut && id === "b:1") throw new Error("out of reach");
      told.push(id);
    });
    for (const runId of ["a", "b", "c"]) await start(at, runId);
    await at.clock.advance(1_000);
    expect(told).not.toContain("b:1");
    expect((await at.backend.keptChanges.oldest(10)).map(({ json }) => JSON.parse(json).id)).toContain("b:1");
    expect(at.logger.lines.some(({ message }) => message.includes("tried again"))).toBe(true);
    isOut = false;
    await at.clock.advance(limits.keptChangeRetryMs);
    expect(new Set(told)).toEqual(new Set(["a:1", "b:1", "c:1"]));
    expect(await at.backend.keptChanges.oldest(10)).toEqual([]);
    await stop();
    await at.backend.close();
  });

  test("many are passed on by the page", async () => {
    const at = open();
    const told: string[] = [];
    const stop = passOn(at, async ({ id }) => void told.push(id));
    await Promise.all(Array.from({ length: 3 * limits.keptChanges }, (_, index) => start(at, `run-${index}`)));
    await at.clock.advance(1_000);
    expect(told).toHaveLength(3 * limits.keptChanges);
    await stop();
    await at.backend.close();
  });
});

test("what a process has left behind, the next one passes on", async () => {
  const file = join(scratchDirectory(), "pawl.db");
  const first = inFile(file);
  void passOn(first, () => new Promise(() => undefined));
  await start(first, "one");
  await first.clock.advance(0);
  await first.backend.close();
  const second = inFile(file);
  const told: RunStatusChange[] = [];
  const stop = passOn(second, async (change) => void told.push(change));
  await second.clock.advance(0);
  expect(told).toMatchObject([{ id: "one:1", runId: "one", status: "running", time: "2026-01-01T00:00:00.000Z" }]);
  await stop();
  await second.backend.close();
});

test("a change is kept with the write that makes it, or not at all", async () => {
  const at = inFile(join(scratchDirectory(), "pawl.db"));
  at.backend.keptChanges.keep((runId) => {
    if (runId === "bad") throw new Error("as planned");
    return JSON.stringify(runId);
  });
  const writes = ["good", "bad", "fine"].map((runId) => start(at, runId));
  expect((await Promise.allSettled(writes)).map(({ status }) => status)).toEqual([
    "fulfilled",
    "rejected",
    "fulfilled",
  ]);
  const kept = await at.backend.keptChanges.oldest(10);
  expect(kept.map(({ json }) => JSON.parse(json))).toEqual(["good", "fine"]);
  expect(await at.backend.get("bad")).toBeUndefined();
  await at.backend.close();
});

test("a change that comes while a round is just ending is passed on, too", async () => {
  for (let ticks = 0; ticks < 40; ticks++) {
    const at = inMemory();
    const told: string[] = [];
    const stop = passOn(at, async ({ runId }) => void told.push(runId));
    await start(at, "first");
    for (let tick = 0; tick < ticks; tick++) await Promise.resolve();
    await start(at, "second");
    await at.clock.advance(0);
    expect(told, `after ${ticks} ticks`).toEqual(["first", "second"]);
    await stop();
  }
});
