// One of the threads that play seeds: takes a part, says what came of it, and takes the next.
import { parentPort, workerData } from "node:worker_threads";
import { type Faults, noFaults } from "../../lib/testing/simulator/faults.ts";
import { check, seedOf } from "./check-seed.ts";
import { PlayError } from "./playing.ts";
import { States } from "./states.ts";

/** Seeds from this one on, so many. */
export interface Part {
  readonly from: number;
  readonly count: number;
}

export interface PartPlayed extends Part {
  readonly kinds: Readonly<Record<string, number>>;
  /** How many have struck, by kind. */
  readonly faults: Faults;
  readonly writes: number;
  /** States that nobody has seen before. */
  readonly states: number;
  readonly failures: readonly { readonly seed: number; readonly message: string; readonly isStuck: boolean }[];
}

// Errors are part of what is played, and nobody reads their stacks here: they cost a tenth of the time.
Error.stackTraceLimit = 0;

const states = new States(workerData as SharedArrayBuffer);

async function playPart({ from, count }: Part): Promise<PartPlayed> {
  const kinds: Record<string, number> = {};
  const faults = { ...noFaults };
  const failures: { seed: number; message: string; isStuck: boolean }[] = [];
  let writes = 0;
  states.found = 0;
  for (let seed = from; seed < from + count; seed++) {
    const { plan, chooser } = seedOf(seed);
    kinds[plan.kind] = (kinds[plan.kind] ?? 0) + 1;
    const world = await check(plan, chooser(), { onChange: states.watch() }).catch((error: unknown) => {
      if (!(error instanceof PlayError)) throw error;
      failures.push({ seed, message: error.message, isStuck: error.isStuck });
      return error.world;
    });
    writes += world.machinery.store.writes;
    for (const kind of Object.keys(world.struck) as (keyof typeof world.struck)[]) faults[kind] += world.struck[kind];
  }
  return { from, count, kinds, faults, writes, states: states.found, failures };
}

parentPort?.on("message", (part: Part) => {
  playPart(part).then(
    (played) => parentPort?.postMessage(played),
    // To the thread that waits for the answer, as its `error`.
    (error: unknown) =>
      setImmediate(() => {
        throw error;
      }),
  );
});
