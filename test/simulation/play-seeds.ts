// Deals seeds out to threads, and adds up what came of them.
import { Worker } from "node:worker_threads";
import { type Faults, noFaults } from "../../lib/testing/simulator/faults.ts";
import type { Options } from "./options.ts";
import type { Part, PartPlayed } from "./sim-worker.ts";
import { createStates } from "./states.ts";

export interface Tally {
  seeds: number;
  writes: number;
  states: number;
  readonly faults: Faults;
  readonly kinds: Record<string, number>;
  /** In the order of the seeds. */
  failures: PartPlayed["failures"];
}

/** Small enough that no thread is busy for long when the others have nothing left to do. */
const partSeeds = 50;
const progressMs = 5_000;
/** Seeds that fail are told of at once; when there are many, the others at the end. */
const toldMost = 10;

export async function playSeeds(
  { from, seeds, workers, seconds }: Pick<Options, "from" | "seeds" | "workers" | "seconds">,
  progress: (line: string) => void,
): Promise<Tally> {
  const tally: Tally = { seeds: 0, writes: 0, states: 0, faults: { ...noFaults }, kinds: {}, failures: [] };
  const startedMs = performance.now();
  let next = from;
  let toldMs = startedMs;
  const deal = (): Part | undefined => {
    const count = Math.min(partSeeds, from + seeds - next);
    if (count <= 0 || performance.now() - startedMs >= seconds * 1_000) return undefined;
    next += count;
    return { from: next - count, count };
  };
  const take = (played: PartPlayed): void => {
    for (const { seed, message } of played.failures.slice(0, Math.max(0, toldMost - tally.failures.length)))
      progress(`seed ${seed} fails: ${message}`);
    add(tally, played);
    if (performance.now() - toldMs < progressMs) return;
    toldMs = performance.now();
    const perSecond = Math.round((1_000 * tally.seeds) / (toldMs - startedMs));
    progress(`${tally.seeds} of ${seeds} seeds, ${perSecond} a second, ${tally.failures.length} failed`);
  };
  const states = createStates();
  const count = Math.min(workers, Math.ceil(seeds / partSeeds));
  await Promise.all(Array.from({ length: count }, () => work(states, deal, take)));
  tally.failures = tally.failures.toSorted((a, b) => a.seed - b.seed);
  return tally;
}

/** One thread, until nothing is left to be dealt. */
function work(
  states: SharedArrayBuffer,
  deal: () => Part | undefined,
  take: (played: PartPlayed) => void,
): Promise<void> {
  const worker = new Worker(new URL("sim-worker.ts", import.meta.url), { workerData: states });
  return new Promise<void>((resolve, reject) => {
    const goOn = (): void => {
      const part = deal();
      if (part === undefined) worker.terminate().then(() => resolve(), reject);
      else worker.postMessage(part);
    };
    worker.on("message", (played: PartPlayed) => {
      take(played);
      goOn();
    });
    worker.on("error", reject);
    goOn();
  });
}

function add(tally: Tally, { count, writes, states, faults, kinds, failures }: PartPlayed): void {
  tally.seeds += count;
  tally.writes += writes;
  tally.states += states;
  tally.failures = [...tally.failures, ...failures];
  for (const kind of Object.keys(noFaults) as (keyof Faults)[]) {
    if (kind !== "skewMs") tally.faults[kind] += faults[kind];
  }
  for (const [kind, played] of Object.entries(kinds)) tally.kinds[kind] = (tally.kinds[kind] ?? 0) + played;
}
