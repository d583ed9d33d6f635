// Hunts: something in a world that its seed does not decide, so that what failed once cannot be looked at again.
import { expect, test } from "vitest";
import { recordingChooser, replayingChooser } from "../../lib/testing/simulator/chooser.ts";
import { check, seedOf } from "./check-seed.ts";

test("what was chosen is the whole schedule: it makes the same world again", async () => {
  for (let seed = 1; seed <= 15; seed++) {
    const { plan, chooser } = seedOf(seed);
    const chosen: number[] = [];
    const world = await check(plan, recordingChooser(chooser(), chosen), { isTraced: true });
    const again = await check(plan, chooser(), { isTraced: true });
    const repeated = await check(plan, replayingChooser(chosen), { isTraced: true });
    expect(again.trace).toEqual(world.trace);
    expect(repeated.trace).toEqual(world.trace);
    expect(repeated.machinery.store.runs).toEqual(world.machinery.store.runs);
  }
}, 60_000);
