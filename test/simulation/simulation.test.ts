// Hunts: schedules of faults and operations that lose, double or strand a step, leave a run stuck, or whoever waits for it
// without an answer (R1 to R9). Many more are played by `npm run test:sim`.
import { describe, expect, test } from "vitest";
import { type FaultKind, faultKinds } from "../../lib/testing/simulator/faults.ts";
import { check, seedOf } from "./check-seed.ts";
import { kinds } from "./plan.ts";
import { PlayError } from "./playing.ts";
import { replayCommand } from "./report.ts";

const seeds = 300;
const partSeeds = 50;

const played = new Set<string>();
const struck = new Set<FaultKind>();
const purged = { gone: 0, left: 0 };

async function playOne(seed: number): Promise<void> {
  const { plan, chooser } = seedOf(seed);
  const world = await check(plan, chooser()).catch((error: unknown) => {
    if (!(error instanceof PlayError)) throw error;
    throw new Error(`Seed ${seed}: ${error.message}. For the schedule: ${replayCommand(seed)}`, { cause: error });
  });
  played.add(plan.kind);
  for (const kind of faultKinds) if (world.struck[kind] > 0) struck.add(kind);
  if (plan.kind === "purged") purged[world.seen.run("run") === undefined ? "gone" : "left"]++;
}

describe("random graphs under random faults and operations", () => {
  test.each(Array.from({ length: seeds / partSeeds }, (_, part) => 1 + part * partSeeds))(
    "seeds from %i on",
    async (from) => {
      for (let seed = from; seed < from + partSeeds; seed++) await playOne(seed);
    },
    60_000,
  );

  test("every kind of scenario and of fault is among them, and of a purge and a redrive either may win", () => {
    expect([...played].toSorted()).toEqual(kinds.toSorted());
    expect([...struck].toSorted()).toEqual(faultKinds.toSorted());
    expect(purged.gone).toBeGreaterThan(0);
    expect(purged.left).toBeGreaterThan(0);
  });
});
