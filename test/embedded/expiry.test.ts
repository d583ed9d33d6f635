// Hunts: what a process that was down, died half-way, or had another clock leaves behind of expired runs.
import { cpSync, existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { expect, onTestFinished, test, vi } from "vitest";
import { limits } from "../../lib/definition/limits.ts";
import { workflow } from "../../lib/definition/workflow.ts";
import type { RunChange } from "../../lib/embedded/backend.ts";
import { startEngine } from "../../lib/embedded/engine.ts";
import { startExpiry } from "../../lib/embedded/expiry.ts";
import { openFileBlobs } from "../../lib/embedded/file-blobs.ts";
import { createMemoryBackend } from "../../lib/embedded/memory-backend.ts";
import { createMemoryBlobs } from "../../lib/embedded/memory-blobs.ts";
import { openSqliteBackend } from "../../lib/embedded/sqlite-backend.ts";
import { encodeRun } from "../../lib/engine/codec.ts";
import { asItIs, endOf } from "../../lib/engine/end.ts";
import type { RunState } from "../../lib/engine/run-state.ts";
import type { RunStore } from "../../lib/runtime/ports.ts";
import { createRemoval } from "../../lib/runtime/removal.ts";
import { withBlobs } from "../../lib/runtime/with-blobs.ts";
import { VirtualClock } from "../../lib/testing/virtual-clock.ts";
import { harness, recordingLogger, temporaryFolder, virtualClock } from "../behaviour/harness.ts";
import { runOf } from "../engine/sample-run.ts";
import { withSmallShards } from "../engine/small-shards.ts";

const hour = 3_600_000;
const day = 24 * hour;
const year = 365 * day;

const child = workflow("child", {}, (w) => w.step("work", { run: () => "x".repeat(400_000) }));
const of = withSmallShards(
  workflow("of", { retention: "1h", tags: undefined } as { retention: "1h" }, (w) => {
    const one = w.child("one", { workflow: child });
    return w.map("twice", { after: [one], items: () => [1, 2, 3], run: ({ item }) => item * 2 });
  }),
);

/** A folder with a run that has ended, at this time. */
async function folderWithRun(
  atMs?: number,
): Promise<{ readonly dataDir: string; readonly runId: string; readonly nowMs: number; readonly expiresAtMs: number }> {
  const dataDir = await temporaryFolder();
  // Blobs are synced, which takes as long as it takes.
  const clock = new VirtualClock(atMs, 300);
  const { run, engine, pass, show } = await harness([of], { dataDir, clock });
  const { runId } = await run(of, undefined, 1_000);
  await vi.waitFor(async () => {
    await pass(1);
    expect((await show(runId)).status).toBe("succeeded");
  });
  const expiresAtMs = Date.parse((await show(runId)).expiresAt ?? "");
  await engine.stop();
  return { dataDir, runId, nowMs: clock.now(), expiresAtMs };
}

/** Rows of each table, but those of graphs, and blobs. */
function leftIn(dataDir: string): Record<string, number> {
  const db = new DatabaseSync(join(dataDir, "pawl.db"));
  const tables = [
    "run",
    "payload",
    "run_index",
    "run_entry",
    "run_count",
    "run_failure",
    "run_expiry",
    "removal",
    "message",
  ];
  const rows = tables.map(
    (table) => [table, Number(db.prepare(`SELECT count(*) AS n FROM ${table}`).get()?.n)] as const,
  );
  db.close();
  return Object.fromEntries([...rows, ["blobs", readdirSync(join(dataDir, "blobs")).length - 1]]);
}

const nothing = {
  run: 0,
  payload: 0,
  run_index: 0,
  run_entry: 0,
  run_count: 0,
  run_failure: 0,
  run_expiry: 0,
  removal: 0,
  message: 0,
  blobs: 0,
};

/** Starts an engine on the folder, lets it do what it does at its start, and stops it. */
async function openAt(dataDir: string, nowMs: number, passMs = 1): Promise<void> {
  const clock = new VirtualClock(nowMs, 300);
  const { engine, pass } = await harness([of], { dataDir, clock });
  await pass(passMs);
  await engine.stop();
}

test("a run that expired while no engine was up goes at the next start, with everything that is its", async () => {
  const { dataDir, expiresAtMs } = await folderWithRun();
  expect(leftIn(dataDir)).toMatchObject({ run: 5, blobs: 2, run_expiry: 1 });
  await openAt(dataDir, expiresAtMs - 10);
  expect(leftIn(dataDir)).toMatchObject({ run: 5, blobs: 2 });
  await openAt(dataDir, expiresAtMs);
  expect(leftIn(dataDir)).toEqual(nothing);
});

test("a run whose end was written by a clock far ahead is kept for its retention from the next start on", async () => {
  const { dataDir, nowMs } = await folderWithRun(Date.UTC(2050, 0, 1));
  const backMs = Date.UTC(2026, 0, 1);
  await openAt(dataDir, backMs);
  expect(leftIn(dataDir)).toMatchObject({ run: 5 });
  const { show, engine } = await harness([of], { dataDir, clock: virtualClock(backMs) });
  const { runs } = await engine.queries.list({ status: "succeeded", workflow: "of" });
  expect(runs.map(({ expiresAt }) => expiresAt)).toEqual([new Date(backMs + hour).toISOString()]);
  expect((await show(runs[0]?.runId ?? "")).expiresAt).toBe(runs[0]?.expiresAt);
  expect((await engine.queries.stats()).storage.nextExpiry).toBe("2026-01-01");
  await engine.stop();
  await openAt(dataDir, backMs + hour + 1_000);
  expect(leftIn(dataDir)).toEqual(nothing);
  expect(nowMs).toBeGreaterThan(backMs + year);
});

test("a clock that was set back by less than clocks may differ corrects nothing", async () => {
  const { dataDir, nowMs, runId } = await folderWithRun();
  await openAt(dataDir, nowMs - limits.clockSkewMs / 2);
  const { show } = await harness([of], { dataDir, clock: virtualClock(nowMs) });
  expect(Date.parse((await show(runId)).expiresAt ?? "")).toBeLessThanOrEqual(nowMs + hour + 1_000);
  expect(Date.parse((await show(runId)).expiresAt ?? "")).toBeGreaterThan(nowMs + hour - 3_000);
});

test("a removal that ended with its process after any of its steps is finished by the next", async () => {
  let moments = 0;
  const { dataDir: original, runId, nowMs } = await folderWithRun();
  for (let fatal = 1; fatal <= moments + 1; fatal++) {
    const dataDir = join(await temporaryFolder(), "copy");
    cpSync(original, dataDir, { recursive: true });
    const backend = openSqliteBackend({
      file: join(dataDir, "pawl.db"),
      clock: virtualClock(nowMs),
      logger: recordingLogger([]),
    });
    const store = withBlobs(backend, openFileBlobs(join(dataDir, "blobs")));
    let calls = 0;
    const died = new Promise<void>((resolve) => {
      const mortal =
        <Args extends unknown[], T>(call: (...args: Args) => Promise<T>) =>
        async (...args: Args): Promise<T> => {
          if (++calls === fatal) resolve();
          return calls >= fatal ? new Promise<never>(() => undefined) : call(...args);
        };
      const ports = {
        store: { ...store, remove: mortal(store.remove), removeRest: mortal(store.removeRest), get: mortal(store.get) },
        logger: recordingLogger([]),
      };
      const removal = createRemoval({ workflows: [of], ports });
      void backend.get(runId).then(async (fields = {}) => {
        const { imageOf } = await import("../../lib/runtime/image.ts");
        await removal.remove(imageOf(runId, fields));
        resolve();
      });
    });
    await died;
    moments = Math.max(moments, calls);
    await backend.close();
    if (fatal > calls) continue;
    await openAt(dataDir, nowMs, fatal === 1 ? hour + 2 * limits.expiryPauseMs : 1);
    expect([fatal, leftIn(dataDir)]).toEqual([fatal, nothing]);
  }
  expect(moments).toBeGreaterThan(10);
}, 60_000);

function sample(id: number, change: Partial<RunState> = {}): RunState {
  const run = runOf({ runId: `run-${id}`, retentionMs: hour, createdAtMs: Date.UTC(2026, 0, 1), ...change });
  return { ...run, ...endOf(run, "failed", run.createdAtMs + id * 1_000) };
}

/** So many ended runs in memory, and the job that removes them. */
async function jobOver(count: number, disturb: (store: RunStore) => RunStore = (store) => store) {
  const logs: Parameters<typeof recordingLogger>[0] = [];
  const clock = new VirtualClock(Date.UTC(2026, 0, 1), 100);
  const logger = recordingLogger(logs);
  const backend = createMemoryBackend({ clock, logger });
  const changes: RunChange[] = [];
  for (let id = 0; id < count; id++) await backend.update(`run-${id}`, { guard: [], set: encodeRun(sample(id)) });
  const store = disturb(withBlobs(backend, createMemoryBlobs()));
  const removal = createRemoval({ workflows: [], ports: { store, logger } });
  const job = startExpiry({ backend, store, removal, clock, logger });
  onTestFinished(() => job.stop());
  const left = async (): Promise<number> => (await backend.expiry.expired(Number.MAX_SAFE_INTEGER, 1e6)).length;
  return { backend, store, clock, logs, changes, job, left };
}

test("hundreds are removed in small batches, each as it expires, with a pause in between", async () => {
  const { clock, left } = await jobOver(500);
  const wakeUps: number[] = [];
  await clock.advance(0);
  expect(await left()).toBe(500);
  for (let at = clock.nextTimerAtMs(); at !== undefined; at = clock.nextTimerAtMs()) {
    wakeUps.push(at);
    await clock.advance(at - clock.now());
  }
  expect(await left()).toBe(0);
  expect(wakeUps[0]).toBe(Date.UTC(2026, 0, 1) + hour);
  expect(wakeUps.length).toBeLessThanOrEqual(Math.ceil(500_000 / limits.expiryPauseMs) + 2);
});

test("with nothing to expire there is no timer, and one is set when a run ends", async () => {
  const { backend, clock } = await jobOver(0);
  await clock.advance(day);
  expect(clock.nextTimerAtMs()).toBeUndefined();
  await backend.update("run-1", { guard: [], set: encodeRun(sample(1, { createdAtMs: clock.now() })) });
  expect(clock.nextTimerAtMs()).toBe(clock.now() + hour + 1_000);
  // A later one does not put it off, and a sooner one comes first.
  await backend.update("run-2", {
    guard: [],
    set: encodeRun(sample(2, { createdAtMs: clock.now(), retentionMs: day })),
  });
  expect(clock.nextTimerAtMs()).toBe(clock.now() + hour + 1_000);
  await backend.update("run-3", {
    guard: [],
    set: encodeRun(sample(3, { createdAtMs: clock.now(), retentionMs: hour / 2 })),
  });
  expect(clock.nextTimerAtMs()).toBe(clock.now() + hour / 2 + 3_000);
});

test("a run that ends while a round is just ending is not forgotten", async () => {
  for (let ticks = 0; ticks < 60; ticks++) {
    const { backend, clock, left } = await jobOver(0);
    for (let tick = 0; tick < ticks; tick++) await Promise.resolve();
    await backend.update("run-1", { guard: [], set: encodeRun(sample(1, { createdAtMs: clock.now() })) });
    await clock.advance(2 * hour);
    expect(await left(), `after ${ticks} ticks`).toBe(0);
  }
});

test("a storage that fails is said, and tried again after a pause; nothing is lost", async () => {
  let isBroken = true;
  const { clock, left, logs } = await jobOver(3, (store) => ({
    ...store,
    remove: async (...args) => {
      if (isBroken) throw new Error("the disk is full");
      return store.remove(...args);
    },
  }));
  await clock.advance(hour + 3_000);
  expect(await left()).toBe(3);
  expect(logs.filter(({ level }) => level === "error").length).toBeGreaterThan(0);
  isBroken = false;
  await clock.advance(2 * limits.expiryPauseMs);
  expect(await left()).toBe(0);
});

test("a run that is redriven at the last moment stays", async () => {
  const { backend, clock, left } = await jobOver(1, (store) => ({
    ...store,
    remove: async (runId, guard) => {
      await store.update(runId, { guard: asItIs(sample(0)), set: { st: "running", e: 1 }, remove: ["ttl", "z"] });
      return store.remove(runId, guard);
    },
  }));
  await clock.advance(hour + 1_000);
  expect(await backend.get("run-0")).toMatchObject({ st: "running" });
  expect(await left()).toBe(0);
});

test("once it is stopped nothing is removed any more", async () => {
  const { clock, left, job } = await jobOver(2);
  await clock.advance(1);
  await job.stop();
  await clock.advance(day);
  expect(await left()).toBe(2);
  expect(clock.nextTimerAtMs()).toBeUndefined();
});

test("each question is answered by an index: no scan", async () => {
  const dataDir = await temporaryFolder();
  await openSqliteBackend({
    file: join(dataDir, "pawl.db"),
    clock: virtualClock(),
    logger: recordingLogger([]),
  }).close();
  expect(existsSync(join(dataDir, "pawl.db"))).toBe(true);
  const db = new DatabaseSync(join(dataDir, "pawl.db"));
  const { expiryReads } = await import("../../lib/embedded/sqlite-expiry.ts");
  for (const [name, sql] of Object.entries(expiryReads)) {
    const plan = db.prepare(`EXPLAIN QUERY PLAN ${sql}`).all(...(sql.match(/\?/g) ?? []).map(() => 1));
    const details = plan.map(({ detail }) => String(detail));
    // The first rows of a table in the order of its key are no scan of it.
    expect([name, details.filter((one) => one.includes("SCAN") && !/SCAN removal|USING.*INDEX/.test(one))]).toEqual([
      name,
      [],
    ]);
    expect([name, details.filter((one) => one.includes("TEMP B-TREE"))]).toEqual([name, []]);
  }
  db.close();
});

test.each(["purge", "bulk operation"])("a %s that fails half-way is finished after a pause", async (how) => {
  const clock = virtualClock();
  const logger = recordingLogger([]);
  const backend = createMemoryBackend({ clock, logger });
  let failures = 1;
  const blobs = createMemoryBlobs();
  const removeAll = async (runId: string): Promise<void> => {
    if (failures-- > 0) throw new Error("the disk fails");
    await blobs.removeAll(runId);
  };
  const engine = await startEngine({ workflows: [of], clock, logger }, backend, () => ({ ...blobs, removeAll }));
  await engine.commands.start("of", { runId: "a" });
  await clock.advance(1_000);
  if (how === "purge") await expect(engine.commands.purge("a")).rejects.toThrow("the disk fails");
  else await engine.operations.begin({ action: "purge", filter: { workflow: "of" } });
  await clock.advance(1_000);
  expect(await backend.expiry.removals(10)).not.toEqual([]);
  await clock.advance(2 * limits.expiryPauseMs);
  expect(await backend.expiry.removals(10)).toEqual([]);
  const stopped = engine.stop({ graceMs: 0 });
  await clock.advance(1);
  await stopped;
});
