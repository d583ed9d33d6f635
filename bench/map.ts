/**
 * What a map takes per item, in time and memory, on both stores. (What AWS would bill: `npm run bench -- --only bill`.)
 *
 *     npm run bench:map
 *
 * Times are of this machine and this moment.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import * as z from "zod";
import { limits } from "../lib/definition/limits.ts";
import { workflow } from "../lib/definition/workflow.ts";
import type { EmbeddedBackend } from "../lib/embedded/backend.ts";
import { startConsumer } from "../lib/embedded/consumer.ts";
import { stderrLogger } from "../lib/embedded/logger.ts";
import { createMemoryBackend } from "../lib/embedded/memory-backend.ts";
import { openSqliteBackend } from "../lib/embedded/sqlite-backend.ts";
import { createCommands } from "../lib/runtime/commands.ts";
import type { Ports } from "../lib/runtime/ports.ts";
import { systemClock, systemRandomness } from "../lib/runtime/system.ts";
import { createWorker } from "../lib/runtime/worker.ts";

const sampleItems = 1_000;
const ends: number[] = [];

const wide = workflow("wide", { input: z.object({ count: z.number() }) }, (w) =>
  w.map("items", {
    items: ({ input }) => Array.from({ length: input.count }, (_, index) => index),
    run: ({ item }) => {
      ends.push(performance.now());
      return `${item}`.padStart(18, "0");
    },
  }),
);

const clock = systemClock();
const logger = stderrLogger();

async function measure(name: string, backend: EmbeddedBackend, count: number): Promise<string> {
  const ports: Ports = { store: backend, queue: backend, clock, random: systemRandomness, logger };
  const worker = createWorker({ workflows: [wide], ports });
  const commands = createCommands({ workflows: [wide], ports });
  const consumer = startConsumer({
    backend,
    handle: (delivery) => worker.handle(delivery),
    onDeadLetter: (body, reason) => worker.deadLetter(body, reason),
    concurrency: 64,
    clock,
    logger,
    visibilityMs: limits.visibilityMs,
  });
  ends.length = 0;
  globalThis.gc?.();
  const heapBefore = process.memoryUsage().heapUsed;
  let peak = heapBefore;
  const sampler = setInterval(() => {
    peak = Math.max(peak, process.memoryUsage().heapUsed);
  }, 20);
  const begun = performance.now();
  const { runId } = await commands.start("wide", { input: { count } });
  for (;;) {
    const { status } = await commands.get(runId);
    if (status === "succeeded") break;
    if (status !== "running") throw new Error(`The run is ${status}`);
    await sleep(20);
  }
  const ms = performance.now() - begun;
  clearInterval(sampler);
  await consumer.stop();
  await backend.close();
  const took = (from: number, to: number): number => (ends[to] ?? 0) - (from === 0 ? begun : (ends[from] ?? 0));
  const mb = (bytes: number): string => (bytes / 1024 / 1024).toFixed(0);
  return [
    name.padEnd(7),
    `${String(count).padStart(6)} items`,
    `${Math.round((count / ms) * 1_000)} items/s`,
    `first ${sampleItems} ${took(0, sampleItems - 1).toFixed(0)} ms, last ${took(count - sampleItems, count - 1).toFixed(0)} ms`,
    `heap ${mb(heapBefore)} to at most ${mb(peak)} MB`,
  ].join("  ");
}

const dataDir = await mkdtemp(join(tmpdir(), "pawl-bench-"));
try {
  for (const count of [1_000, 10_000]) {
    const memory = createMemoryBackend({ clock, logger });
    process.stdout.write(`${await measure("memory", memory, count)}\n`);
    const sqlite = openSqliteBackend({ file: join(dataDir, `${count}.db`), clock, logger });
    process.stdout.write(`${await measure("sqlite", sqlite, count)}\n`);
  }
} finally {
  await rm(dataDir, { recursive: true, force: true });
}
