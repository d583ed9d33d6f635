import { readFile } from "node:fs/promises";
import process from "node:process";
import { chainOf } from "../chain.ts";
import { median, percentile } from "../statistics.ts";
import { type DataDir, finish, openEngine } from "./run-chains.ts";

const stepsPerRun = 10;
const rounds = 5;

/** Of chains of ten steps. */
export interface Throughput {
  readonly stepsPerSecond: number;
  /** Of the whole process. */
  readonly cpuSecondsPer1000Steps: number;
  readonly gapMs: { readonly p50: number; readonly p99: number };
  /** Of memory, that the process has before its first run. */
  readonly startMiB: number;
  /** Of memory, that the process ever had. */
  readonly peakMiB: number;
  /** That the process has run. */
  readonly runs: number;
}

export async function measureThroughput(dataDir: DataDir, runsAtATime: number): Promise<Throughput> {
  const gaps = new Gaps();
  const chain = chainOf(stepsPerRun, gaps.run);
  const engine = await openEngine(chain, dataDir);
  const startMiB = process.memoryUsage.rss() / 1024 ** 2;
  const runs = runsAtATime === 1 ? 150 : 1_000;
  const samples: Pick<Throughput, "stepsPerSecond" | "cpuSecondsPer1000Steps" | "gapMs">[] = [];
  for (let round = 0; round <= rounds; round++) {
    gaps.ms = [];
    const cpu = process.cpuUsage();
    const begunAtMs = performance.now();
    let left = runs;
    await Promise.all(
      Array.from({ length: runsAtATime }, async () => {
        while (left-- > 0) await finish(engine, chain);
      }),
    );
    const ms = performance.now() - begunAtMs;
    const { user, system } = process.cpuUsage(cpu);
    // The first one is compiled while it runs.
    if (round === 0) continue;
    const steps = runs * stepsPerRun;
    samples.push({
      stepsPerSecond: (steps / ms) * 1_000,
      cpuSecondsPer1000Steps: (user + system) / 1e6 / (steps / 1_000),
      gapMs: { p50: median(gaps.ms), p99: percentile(gaps.ms, 0.99) },
    });
  }
  await engine.stop();
  const middle = (of: (sample: (typeof samples)[number]) => number): number => median(samples.map(of));
  return {
    stepsPerSecond: middle((sample) => sample.stepsPerSecond),
    cpuSecondsPer1000Steps: middle((sample) => sample.cpuSecondsPer1000Steps),
    gapMs: { p50: middle(({ gapMs }) => gapMs.p50), p99: middle(({ gapMs }) => gapMs.p99) },
    startMiB,
    peakMiB: await peakMiB(),
    runs: runs * (rounds + 1),
  };
}

/**
 * Of memory that this process has had of its own. The system tells that of whoever started the process, too, where that was
 * larger: only Linux can tell them apart.
 */
async function peakMiB(): Promise<number> {
  const told = await readFile("/proc/self/status", "utf8").catch(() => "");
  const ownKiB = /^VmHWM:\s+(\d+) kB$/m.exec(told)?.[1];
  return Number(ownKiB ?? process.resourceUsage().maxRSS) / 1_024;
}

/** Times of the steps' code, by run, and from the end of one's to the begin of the next's. */
class Gaps {
  readonly #endedAtMs = new Map<string, number>();
  ms: number[] = [];

  /** The code of a step that does nothing. */
  readonly run = ({ runId }: { readonly runId: string }, index: number): number => {
    const endedAtMs = this.#endedAtMs.get(runId);
    if (endedAtMs !== undefined) this.ms.push(performance.now() - endedAtMs);
    if (index + 1 < stepsPerRun) this.#endedAtMs.set(runId, performance.now());
    else this.#endedAtMs.delete(runId);
    return index;
  };
}
