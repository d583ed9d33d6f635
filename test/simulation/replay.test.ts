// Hunts: something in a world that its seed does not decide, so that what failed once cannot be looked at again.
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { recordingChooser, replayingChooser } from "../../lib/testing/simulator/chooser.ts";
import { check, seedOf } from "./check-seed.ts";

const main = fileURLToPath(new URL("main.ts", import.meta.url));

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

test("one command replays a seed, each time with the same schedule", async () => {
  const replay = () => promisify(execFile)(process.execPath, [main, "--seed", "5"]);
  const [first, second] = await Promise.all([replay(), replay()]);
  expect(first.stdout).toBe('{"seeds":1,"violations":0,"stuck":0}\n');
  expect(first.stderr).toContain("scenario: ");
  expect(first.stderr).toContain("receives");
  expect(second).toEqual(first);
}, 60_000);
