import { type Workflow, workflow } from "../../lib/definition/workflow.ts";
import { chainOf } from "../chain.ts";
import { median } from "../statistics.ts";
import { type DataDir, finish, openEngine } from "./run-chains.ts";

/** What the last of many take against the first, in time. */
export interface Growth {
  /** The last 20 steps of a chain of 200 against its first 20. */
  readonly chain: number;
  /** The last 1,000 items of a map of 10,000 against its first 1,000, as they end. */
  readonly map: number;
}

export async function measureGrowth(dataDir: DataDir): Promise<Growth> {
  return { chain: await chainGrowth(dataDir), map: await mapGrowth(dataDir) };
}

async function chainGrowth(dataDir: DataDir): Promise<number> {
  const steps = 200;
  const part = 20;
  let atMs: number[] = [];
  const chain = chainOf(steps, (_context, index) => {
    atMs.push(performance.now());
    return index;
  });
  return growthOf(
    chain,
    dataDir,
    { warmUps: 20, runs: 40 },
    {
      begin: () => (atMs = []),
      ratio: () => between(atMs, steps - part - 1, steps - 1) / between(atMs, 0, part),
    },
  );
}

async function mapGrowth(dataDir: DataDir): Promise<number> {
  const items = 10_000;
  const part = 1_000;
  let atMs: number[] = [];
  const wide = workflow("wide", {}, (w) =>
    w.map("items", {
      items: () => Array.from({ length: items }, (_, index) => index),
      run: () => {
        atMs.push(performance.now());
        return "x".repeat(18);
      },
    }),
  );
  return growthOf(
    wide,
    dataDir,
    { warmUps: 1, runs: 3 },
    {
      begin: () => (atMs = []),
      ratio: () => between(atMs, items - part, items - 1) / between(atMs, 0, part - 1),
    },
  );
}

/** The median of runs, one at a time; what is compiled while it runs does not count. */
async function growthOf(
  of: Workflow,
  dataDir: DataDir,
  { warmUps, runs }: { readonly warmUps: number; readonly runs: number },
  { begin, ratio }: { readonly begin: () => void; readonly ratio: () => number },
): Promise<number> {
  const engine = await openEngine(of, dataDir);
  const ratios: number[] = [];
  for (let run = 0; run < warmUps + runs; run++) {
    begin();
    await finish(engine, of);
    if (run >= warmUps) ratios.push(ratio());
  }
  await engine.stop();
  return median(ratios);
}

/** From one time to another. */
function between(timesMs: readonly number[], from: number, to: number): number {
  return (timesMs[to] ?? Number.NaN) - (timesMs[from] ?? Number.NaN);
}
