/** The engine in one process: how fast, how large, and what it waits for. */
import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type { Disk, Idle } from "./embedded/disk.ts";
import type { Growth } from "./embedded/growth.ts";
import type { Throughput } from "./embedded/throughput.ts";
import type { Figure, Measured } from "./report.ts";
import { rounded } from "./statistics.ts";

interface OfStore {
  readonly one: Throughput;
  readonly fifty: Throughput;
  readonly growth: Growth;
}

/** @param tell is called with what is about to be measured */
export async function measureEmbedded(tell: (what: string) => void): Promise<Measured> {
  const of = async (store: "memory" | "sqlite"): Promise<OfStore> => {
    const measure = <Found>(name: string): Promise<Found> => {
      tell(`embedded, ${store}: ${name}`);
      return inProcess<Found>(name, store);
    };
    return { one: await measure("one"), fifty: await measure("fifty"), growth: await measure("growth") };
  };
  const memory = await of("memory");
  const sqlite = await of("sqlite");
  tell("embedded, sqlite: disk, idle");
  const disk = await inProcess<Disk>("disk", "sqlite");
  const idle = await inProcess<Idle>("idle", "sqlite");
  return {
    title: "The embedded engine: chains of ten steps that do nothing",
    notes: [
      "Each store and each number of runs at a time in a process of its own; medians of five rounds behind one that warms up.",
      "A gap is the time from the end of one step's code to the begin of the next one's. Processor time and memory are the whole process'.",
      "On SQLite the disk is synchronised before a step's code begins: a gap is never shorter than the syncs between two steps take.",
    ],
    figures: [
      ...throughputFigures("memory", memory, { stepsPerSecond: 20_000, gapMs: 0.1 }),
      ...throughputFigures("SQLite", sqlite, { stepsPerSecond: 10_000, gapMs: 0.4, cpuSeconds: 0.1 }),
      ...growthFigures("memory", memory.growth),
      ...growthFigures("SQLite", sqlite.growth),
      { name: "SQLite: syncs of a step, one run at a time", value: rounded(disk.syncsPerStep) },
      { name: "SQLite: a commit and its sync, with nothing around them", value: rounded(disk.commitMs), unit: "ms" },
      { name: "SQLite: gap explained by them", value: rounded(disk.syncsPerStep * disk.commitMs), unit: "ms" },
      { name: `idle for ${idle.seconds} s: commits`, value: idle.commits, target: { atMost: 0 } },
      { name: `idle for ${idle.seconds} s: processor time`, value: rounded(idle.cpuMs), unit: "ms" },
    ],
    details: { memory, sqlite, disk, idle },
  };
}

function throughputFigures(
  store: string,
  { one, fifty }: OfStore,
  targets: { readonly stepsPerSecond: number; readonly gapMs: number; readonly cpuSeconds?: number },
): Figure[] {
  const { cpuSeconds } = targets;
  return [
    {
      name: `${store}, 50 runs at a time`,
      value: Math.round(fifty.stepsPerSecond),
      unit: "steps/s",
      target: { atLeast: targets.stepsPerSecond },
    },
    {
      name: `${store}, 50 at a time: processor time of 1,000 steps`,
      value: rounded(fifty.cpuSecondsPer1000Steps),
      unit: "s",
      ...(cpuSeconds === undefined ? {} : { target: { atMost: cpuSeconds } }),
    },
    {
      name: `${store}, 50 at a time: peak memory of ${fifty.runs.toLocaleString("en-US")} runs`,
      value: Math.round(fifty.peakMiB),
      unit: "MiB",
      target: { atMost: 150 },
    },
    { name: `${store}: memory before the first run`, value: Math.round(fifty.startMiB), unit: "MiB" },
    { name: `${store}, 50 at a time: gap, p50`, value: rounded(fifty.gapMs.p50), unit: "ms" },
    { name: `${store}, 50 at a time: gap, p99`, value: rounded(fifty.gapMs.p99), unit: "ms" },
    {
      name: `${store}, one at a time: gap, p50`,
      value: rounded(one.gapMs.p50),
      unit: "ms",
      target: { atMost: targets.gapMs },
    },
    { name: `${store}, one at a time: gap, p99`, value: rounded(one.gapMs.p99), unit: "ms" },
    { name: `${store}, one at a time`, value: Math.round(one.stepsPerSecond), unit: "steps/s" },
  ];
}

function growthFigures(store: string, { chain, map }: Growth): Figure[] {
  return [
    {
      name: `${store}: last 20 steps of a chain of 200 against the first 20, in time`,
      value: rounded(chain, 3),
      target: { atMost: 1.2 },
    },
    { name: `${store}: last 1,000 items of a map of 10,000 against the first 1,000, in time`, value: rounded(map, 3) },
  ];
}

const script = fileURLToPath(new URL("embedded/process.ts", import.meta.url));

/** @throws {Error} with what the process said, when it fails */
async function inProcess<Found>(measurement: string, store: "memory" | "sqlite"): Promise<Found> {
  const folder = await mkdtemp(join(tmpdir(), "pawl-bench-"));
  try {
    const args = store === "memory" ? [] : [folder];
    const { stdout } = await promisify(execFile)(process.execPath, [script, measurement, ...args]);
    return JSON.parse(stdout) as Found;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
