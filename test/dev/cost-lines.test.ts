// Hunts: lines that come before all is counted, that drown what they are about, and that fail with the server.
import { expect, test } from "vitest";
import type { RunCost } from "../../lib/cost/run-meter.ts";
import { costLine, createCostLines } from "../../lib/dev/cost-lines.ts";
import type { NamedUpdate } from "../../lib/dev/run-feed.ts";
import type { RunState } from "../../lib/engine/run-state.ts";
import { UnderWay } from "../../lib/runtime/under-way.ts";
import { silent } from "../../lib/testing/silent.ts";
import { VirtualClock } from "../../lib/testing/virtual-clock.ts";
import { runOf } from "../engine/sample-run.ts";

const cost: RunCost = {
  runId: "r",
  runs: 1,
  attempts: 10,
  isWhole: true,
  dollars: 32.2,
  dollarsPerMillionAttempts: 3.22,
  services: { DynamoDB: 20.2, SQS: 12 },
  lines: [],
  region: "us-east-1",
  pricesOf: "2026-11-20",
  assumptions: { memoryMb: 256, changesAtOnce: 20 },
};

function ending(runId: string, change: Partial<RunState> = {}): NamedUpdate {
  const before = { ...runOf(), runId, ...change, status: "running" } as RunState;
  return { before, after: { ...before, status: "succeeded" }, stepIds: [], stepKinds: [], goesOn: false };
}

function lines(
  meter: { costOf?: (runId: string) => Promise<RunCost | undefined>; settled?: () => Promise<void> } = {},
) {
  const printed: string[] = [];
  const clock = new VirtualClock(0);
  const underWay = new UnderWay();
  const take = createCostLines({
    meter: { costOf: async (runId) => ({ ...cost, runId }), settled: async () => undefined, ...meter },
    print: (line) => void printed.push(line),
    clock,
    logger: silent,
    underWay,
  });
  const pass = async (ms: number): Promise<void> => {
    await clock.advance(ms);
    await underWay.ended();
  };
  return { printed, clock, take, pass };
}

test("one short line, by service", () => {
  expect(costLine(cost)).toBe("  on AWS: $32.20 for a million runs like r (DynamoDB $20.20, SQS $12.00)");
  expect(costLine({ ...cost, isWhole: false })).toContain("on AWS: at least $32.20");
});

test("it comes when the run has ended and all of it is counted; of runs that others have started, none", async () => {
  const settling = Promise.withResolvers<void>();
  const { printed, take, clock, pass } = lines({ settled: () => settling.promise });
  const end = ending("r");
  take({ ...end, after: end.before! });
  take(ending("r~child", { parent: {} as NonNullable<RunState["parent"]>, workflow: "child" }));
  take(end);
  await clock.advance(500);
  expect(printed).toEqual([]);
  settling.resolve();
  await pass(100);
  expect(printed).toEqual([costLine(cost)]);
});

test("code that hangs holds it up for a moment only", async () => {
  const { printed, take, pass } = lines({ settled: () => new Promise(() => undefined) });
  take(ending("r"));
  await pass(5_000);
  expect(printed).toHaveLength(1);
});

test("of many runs of one workflow that end at once, one is told of", async () => {
  const { printed, take, pass } = lines();
  for (let at = 0; at < 50; at++) take(ending(`r${at}`));
  take(ending("other", { workflow: "another" }));
  await pass(2_000);
  expect(printed.map((line) => /like (\w+)/.exec(line)?.[1])).toEqual(["r0", "other"]);
  take(ending("later"));
  await pass(100);
  expect(printed).toHaveLength(3);
});

test("a run that is gone, and a store that is closed, have no line", async () => {
  const { printed, take, pass } = lines({ costOf: async () => undefined });
  take(ending("gone"));
  await pass(100);
  const closed = lines({ costOf: () => Promise.reject(new Error("closed")) });
  closed.take(ending("r"));
  await closed.pass(100);
  expect([...printed, ...closed.printed]).toEqual([]);
});
