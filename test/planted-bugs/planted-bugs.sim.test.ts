// Hunts: a simulator that does not see what it is there for: each mistake of the list must make it fail, soon enough.
import { execFile } from "node:child_process";
import { availableParallelism } from "node:os";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, describe, expect, test } from "vitest";
import { check, seedOf } from "../simulation/check-seed.ts";
import { bugsOfSchedules } from "./bugs-of-schedules.ts";
import { type PlantedBug, staleEdits } from "./planted-bug.ts";
import { plantedBugs } from "./planted-bugs.ts";
import type { UntilFailure } from "./until-failure.ts";

const plant = fileURLToPath(new URL("plant.ts", import.meta.url));
const explore = fileURLToPath(new URL("../exhaustive/main.ts", import.meta.url));
const untilFailure = fileURLToPath(new URL("until-failure.ts", import.meta.url));
const run = promisify(execFile);

/** The budgets hold wherever the seeds begin; the test begins here. */
const from = Number(process.env.PAWL_BUGS_FROM ?? 1);
const caughtAfter = new Map<PlantedBug, number>();

/** Calls wait for a core of their own: each plays in a process of its own. */
const lanes = Array.from({ length: availableParallelism() }, () => Promise.resolve<unknown>(undefined));
let laneAt = 0;
function inLane<T>(work: () => Promise<T>): Promise<T> {
  const at = laneAt++ % lanes.length;
  const done = (lanes[at] ?? Promise.resolve()).then(work);
  lanes[at] = done.catch(() => undefined);
  return done;
}

async function playWith(bug: PlantedBug): Promise<UntilFailure> {
  const args = ["--import", plant, untilFailure, String(from), String(bug.seeds)];
  const env = { ...process.env, PAWL_PLANTED_BUG: bug.name };
  const { stdout } = await run(process.execPath, args, { env });
  return JSON.parse(stdout) as UntilFailure;
}

test("the list is not stale", () => {
  const all = [...plantedBugs, ...bugsOfSchedules];
  expect(all.flatMap(staleEdits)).toEqual([]);
  expect(new Set(all.map(({ name }) => name)).size).toBe(all.length);
});

describe.concurrent("the simulator sees that", () => {
  for (const bug of plantedBugs) {
    test(bug.name, { timeout: 600_000 }, async () => {
      const { seeds, failure } = await inLane(() => playWith(bug));
      if (failure === undefined) throw new Error(`Nothing was seen in ${seeds} seeds from ${from} on (${bug.breaks}).`);
      expect(failure).toMatchObject({ isViolation: true });
      // The bug was seen, and nothing else.
      const { plan, chooser } = seedOf(failure.seed);
      await check(plan, chooser());
      caughtAfter.set(bug, seeds);
    });
  }
});

describe.concurrent("the exploration of all schedules sees that", () => {
  for (const { name, explored } of bugsOfSchedules) {
    test(name, { timeout: 600_000 }, async () => {
      const { graph, faults } = explored;
      const args = ["--import", plant, explore, "--graph", graph, "--faults", faults, "--workers", "1"];
      const env = { ...process.env, PAWL_PLANTED_BUG: name };
      const seen = await inLane(() => run(process.execPath, args, { env }).catch((error: unknown) => error));
      // It says so, and ends with 1.
      expect(seen).toMatchObject({ code: 1, stdout: expect.stringMatching(/"violations":[1-9]/) });
    });
  }
});

afterAll(() => {
  const rows = [...caughtAfter].map(
    ([{ name, breaks, seeds }, after]) => `| ${name} | ${breaks} | ${after} of ${seeds} |`,
  );
  process.stdout.write(`\n| planted bug | breaks | seen after seeds |\n|---|---|---|\n${rows.join("\n")}\n`);
});
