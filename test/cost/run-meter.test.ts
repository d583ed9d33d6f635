// Hunts: usage that is billed to no run, to two, or to another one; and figures that a killed process leaves wrong.
import { cpSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { describe, expect, onTestFinished, test } from "vitest";
import * as z from "zod";
import night from "../../examples/import.json" with { type: "json" };
import { nightlyImport } from "../../examples/import.ts";
import { usualAssumptions } from "../../lib/cost/assumptions.ts";
import { playMetered } from "../../lib/cost/play.ts";
import { prices } from "../../lib/cost/prices.ts";
import { billed } from "../../lib/cost/report.ts";
import { createRunMeter, type RunCost, type RunMeter } from "../../lib/cost/run-meter.ts";
import type { Workflow } from "../../lib/definition/workflow.ts";
import { createEngineWith } from "../../lib/embedded/engine.ts";
import { decodeRun } from "../../lib/engine/codec.ts";
import { FatalError, workflow } from "../../lib/index.ts";
import { startTestEngine, type TestEngine } from "../../lib/testing/test-engine.ts";
import { TestError } from "../../lib/testing/test-error.ts";
import { temporaryFolder } from "../behaviour/harness.ts";
import { chain } from "./chain.ts";

const usEast1 = { region: "us-east-1", prices: prices["us-east-1"]! };

async function metered(workflows: readonly Workflow[]): Promise<{ engine: TestEngine; meter: RunMeter }> {
  const meter = createRunMeter(usualAssumptions);
  const engine = await startTestEngine({ workflows }, meter.between);
  onTestFinished(() => engine.stop());
  return { engine, meter };
}

/** To its end, or until it waits for somebody. */
async function costOfOne(of: Workflow, input?: unknown): Promise<RunCost> {
  const { engine, meter } = await metered([of]);
  const run = await engine.start(of, { input });
  await run.toEnd().catch((error: unknown) => {
    if (!(error instanceof TestError)) throw error;
  });
  // When all has happened that needs no time.
  await run.show();
  const cost = await meter.costOf(run.runId);
  if (cost === undefined) throw new Error("Nothing was counted");
  return cost;
}

async function playedCost(of: Workflow, input?: unknown): Promise<ReturnType<typeof billed>> {
  const { usage, work } = await playMetered(of, { input, assumptions: usualAssumptions });
  return billed(usage, work.attempts, usEast1);
}

const outer = workflow("outer", {}, (w) => {
  const inner = workflow("inner", { input: z.number() }, (v) => v.step("only", { run: ({ input }) => input + 1 }));
  const one = w.child("one", { workflow: inner, input: () => 1 });
  const many = w.map("many", { after: [one], items: () => [1, 2, 3], each: inner });
  return w.step("sum", { after: [many], run: async ({ outputs }) => (await outputs.many.toArray()).length });
});

describe("the figure of a run, all that it has started in it, is what a played run is billed", () => {
  test.each<[string, Workflow, unknown]>([
    ["a chain", chain(10, 20), undefined],
    ["the import of a night", nightlyImport, night],
    ["large outputs", chain(2, 300_000), undefined],
    ["children, and a map to them", outer, undefined],
    [
      "a map of a thousand",
      workflow("wide", {}, (w) =>
        w.map("items", { items: () => Array.from({ length: 1_000 }, (_, at) => at), run: ({ item }) => item * 2 }),
      ),
      undefined,
    ],
    [
      "turns and rates, which runs share",
      workflow("shared", { concurrency: { limit: 1 } }, (w) =>
        w.step("only", { rateLimit: { limit: 5, per: "1s" }, run: () => 1 }),
      ),
      undefined,
    ],
    [
      "a run that fails, and its retries",
      workflow("fails", {}, (w) =>
        w.step("only", {
          run: ({ attempt }) => {
            throw attempt < 3 ? new Error("not yet") : new FatalError("no");
          },
        }),
      ),
      undefined,
    ],
    [
      "a wait of days, and a signal that never comes",
      workflow("waits", {}, (w) => {
        const nap = w.sleep("nap", { duration: "2d" });
        w.signal("go", { after: [nap] });
      }),
      undefined,
    ],
  ])("%s", async (_, of, input) => {
    const cost = await costOfOne(of, input);
    const played = await playedCost(of, input);
    expect(cost.isWhole).toBe(true);
    expect(cost.attempts).toBe(played.attempts);
    expect(cost.dollars).toBeCloseTo(played.dollars, 6);
    const expected = played.lines.map((line) => ({
      ...line,
      units: expect.closeTo(line.units, 6) as number,
      dollars: expect.closeTo(line.dollars, 6) as number,
    }));
    expect(cost.lines).toEqual(expected);
  });
});

test("children and parts of maps have figures of their own, and are in their parent's once", async () => {
  const { engine, meter } = await metered([outer]);
  const run = await engine.start(outer);
  await run.toEnd();
  const [all, child, map] = await Promise.all(["", "~one", "~many"].map((id) => meter.costOf(`${run.runId}${id}`)));
  // Those of the steps that start runs, too.
  expect(all).toMatchObject({ runs: 6, attempts: 10 });
  expect(child).toMatchObject({ runs: 1, attempts: 1 });
  expect(map!.runs).toBe(4);
  expect(all!.dollars).toBeGreaterThan(child!.dollars + map!.dollars);
});

test("runs side by side have the figures that each has alone, and a purged one has none", async () => {
  const of = chain(5, 20);
  const alone = await costOfOne(of);
  const { engine, meter } = await metered([of]);
  const runs = await Promise.all(Array.from({ length: 20 }, (_, at) => engine.start(of, { runId: `r${at}` })));
  for (const run of runs) await run.toEnd();
  await runs[0]!.show();
  for (const { runId } of runs) {
    expect((await meter.costOf(runId))!.dollars).toBeCloseTo(alone.dollars, 6);
  }
  await engine.commands.purge(runs[0]!.runId);
  expect(await meter.costOf(runs[0]!.runId)).toBeUndefined();
  expect(await meter.costOf(runs[1]!.runId)).toBeDefined();
});

test("invocations are billed for as long as they take here", async () => {
  const slow = workflow("slow", {}, (w) =>
    w.step("only", { run: async () => new Promise((resolve) => void setTimeout(resolve, 300)) }),
  );
  const meter = createRunMeter();
  const engine = await createEngineWith({ workflows: [slow] }, meter.between);
  onTestFinished(() => engine.stop());
  const { runId } = await engine.start(slow);
  await engine.waitForEnd(runId);
  await meter.settled(runId);
  const cost = await meter.costOf(runId);
  const gbSeconds = cost!.lines.find(({ what }) => what === "GB-seconds")!.units;
  // 256 MB for 0.3 s, and a twentieth of the function that follows status changes.
  expect(gbSeconds).toBeGreaterThan(0.075);
  expect(gbSeconds).toBeLessThan(0.75);
  expect(cost!.assumptions).toEqual({ memoryMb: 256, changesAtOnce: 20 });
});

test("whenever the process is killed, what is stored has counted exactly the attempts that the run has; and it goes on from there", async () => {
  const steps = 40;
  const of = chain(steps, 20);
  const dataDir = await temporaryFolder();
  const meter = createRunMeter(usualAssumptions);
  const engine = await createEngineWith({ workflows: [of], dataDir }, meter.between);
  const { runId } = await engine.start(of);
  const killed: string[] = [];
  // Nothing is being written between two turns of the event loop: a copy is what SIGKILL would leave.
  engine.onUpdate(() => {
    if (killed.length < 12) {
      const copy = `${dataDir}-${killed.length}`;
      cpSync(dataDir, copy, { recursive: true });
      killed.push(copy);
    }
  });
  await engine.waitForEnd(runId);
  await meter.settled(runId);
  const whole = (await meter.costOf(runId))!;
  await engine.stop();

  expect(killed.length).toBe(12);
  for (const copy of killed) {
    const db = new DatabaseSync(join(copy, "pawl.db"));
    const { fields } = db.prepare("SELECT fields FROM run WHERE id = ?").get(runId) as { fields: string };
    const { amounts } = db.prepare("SELECT amounts FROM run_tally WHERE run_id = ?").get(runId) as { amounts: string };
    db.close();
    const begun = decodeRun(runId, JSON.parse(fields)).steps.filter((step) => step !== undefined).length;
    expect(JSON.parse(amounts).attempts).toBe(begun);
  }
  const again = createRunMeter(usualAssumptions);
  const next = await createEngineWith({ workflows: [of], dataDir: killed.at(-1)! }, again.between);
  await next.waitForEnd(runId);
  await again.settled(runId);
  const cost = (await again.costOf(runId))!;
  await next.stop();
  expect(cost.isWhole).toBe(true);
  const unitsOf = ({ lines }: RunCost, what: string): number => lines.find((line) => line.what === what)?.units ?? 0;
  // What was in hand is done again: at most the one attempt, and its message.
  const writes = unitsOf(cost, "write units of the table") - unitsOf(whole, "write units of the table");
  expect(writes).toBeGreaterThanOrEqual(0);
  expect(writes).toBeLessThanOrEqual(6);
  expect(Math.abs(unitsOf(cost, "requests") - unitsOf(whole, "requests"))).toBeLessThanOrEqual(6);
});
