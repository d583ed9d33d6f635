// Hunts: a run that is there and not found, one that is found as what it no longer is, and statistics that miss some.
import { describe, expect, test } from "vitest";
import * as z from "zod";
import { FatalError, workflow } from "../../lib/index.ts";
import type { RunQuery } from "../../lib/runtime/queries.ts";
import { withSmallShards } from "../engine/small-shards.ts";
import { gate, type Harness, harness } from "./harness.ts";

async function ids({ engine }: Harness, query: RunQuery): Promise<string[]> {
  return (await engine.queries.list({ ...query, limit: 1_000 })).runs.map(({ runId }) => runId);
}

const quick = workflow("quick", {}, (w) => w.step("only", { run: () => "done" }));

/** Fails unless it is told otherwise. */
function fragile(name: string, isMended: () => boolean) {
  return workflow(name, {}, (w) =>
    w.step("charge", {
      run: () => {
        if (isMended()) return "paid";
        throw new FatalError("Card was refused");
      },
    }),
  );
}

describe("a list", () => {
  test("has a run as soon as its start was answered, and tells what it is then and later", async () => {
    const held = gate();
    const slow = workflow("slow", {}, (w) => w.step("wait", { run: () => held.promise }));
    const world = await harness([slow, quick]);
    const { engine, pass } = world;
    const { runId } = await engine.start(slow, { tags: { customer: "c-1" } });
    const at = "2026-01-01T00:00:00.000Z";
    const summary = {
      runId,
      workflow: "slow",
      status: "running",
      tags: { customer: "c-1" },
      redrives: 0,
      createdAt: at,
    };
    expect(await engine.queries.list()).toEqual({ runs: [summary] });
    await pass(1_000);
    held.open();
    await pass(0);
    const { runs } = await engine.queries.list({ status: "succeeded" });
    expect(runs).toMatchObject([{ ...summary, status: "succeeded", endedAt: "2026-01-01T00:00:01.000Z" }]);
    expect(await ids(world, { status: ["running", "paused"] })).toEqual([]);
  });

  test("has the newest first, and is turned page by page", async () => {
    const world = await harness([quick]);
    const { engine, pass } = world;
    const started: string[] = [];
    for (let at = 0; at < 7; at += 1) {
      started.unshift((await engine.start(quick)).runId);
      await pass(10);
    }
    const first = await engine.queries.list({ limit: 3 });
    const { cursor = "" } = first;
    // Whatever is started meanwhile comes before the first page, and moves nothing.
    await engine.start(quick);
    const second = await engine.queries.list({ limit: 3, cursor });
    const third = await engine.queries.list({ limit: 3, cursor: second.cursor ?? "" });
    expect([...first.runs, ...second.runs, ...third.runs].map(({ runId }) => runId)).toEqual(started);
    expect(third.cursor).toBeUndefined();
  });

  test("by workflow, time and tag", async () => {
    const other = workflow("other", {}, (w) => w.step("only", { run: () => 1 }));
    const world = await harness([quick, other]);
    const { engine, pass } = world;
    const early = (await engine.start(quick, { tags: { customer: "c-1", region: "eu" } })).runId;
    await pass(60_000);
    const late = (await engine.start(quick, { tags: { customer: "c-1" } })).runId;
    const another = (await engine.start(other, { tags: { customer: "c-2" } })).runId;
    await pass(0);
    expect((await ids(world, { workflow: "quick" })).sort()).toEqual([early, late].sort());
    expect(await ids(world, { workflow: "other" })).toEqual([another]);
    expect(await ids(world, { workflow: "quick", from: "2026-01-01T00:01:00Z" })).toEqual([late]);
    expect(await ids(world, { to: new Date(Date.UTC(2026, 0, 1, 0, 1)) })).toEqual([early]);
    expect(await ids(world, { tag: { key: "customer", value: "c-1" } })).toEqual([late, early]);
    expect(await ids(world, { tag: { key: "region", value: "eu" }, status: "succeeded" })).toEqual([early]);
    expect(await ids(world, { tag: { key: "customer", value: "c-3" } })).toEqual([]);
  });

  test("of what a run has started: its children, and the runs of the items of its maps, but no parts of maps", async () => {
    const line = workflow("line", { input: z.number() }, (w) => w.step("only", { run: ({ input }) => input * 2 }));
    const sum = workflow("sum", {}, (w) => {
      const head = w.child("head", { workflow: line, input: () => 100 });
      const lines = w.map("lines", {
        after: [head],
        items: () => Array.from({ length: 9 }, (_, at) => at),
        each: line,
      });
      return w.step("all", { after: [lines], run: () => "done" });
    });
    const small = withSmallShards(sum);
    const world = await harness([small, line]);
    const { runId } = await world.run(small, undefined);
    expect(await world.show(runId)).toMatchObject({ status: "succeeded" });
    const { runs } = await world.engine.queries.list({ parent: runId });
    expect(runs).toHaveLength(10);
    expect(runs.map(({ parent }) => parent?.runId)).toEqual(Array(10).fill(runId));
    expect(runs.map(({ parent }) => parent?.step).sort()).toEqual(["head", ...Array<string>(9).fill("lines")]);
    expect(await ids(world, { parent: runId, workflow: "sum" })).toEqual([]);
    expect(await ids(world, {})).toHaveLength(11);
    const stats = await world.engine.queries.stats();
    expect(stats).toMatchObject({ runs: 11, byStatus: { succeeded: 11 } });
    expect(stats.workflows.map(({ workflow: name, runs: count }) => [name, count])).toEqual([
      ["line", 10],
      ["sum", 1],
    ]);
  });

  test("of a stopped engine is refused like everything else", async () => {
    const { engine } = await harness([quick]);
    await engine.stop({ graceMs: 0 });
    await expect(engine.queries.list()).rejects.toMatchObject({ name: "PawlError", code: "unavailable" });
    await expect(engine.queries.stats()).rejects.toMatchObject({ code: "unavailable" });
    await expect(engine.queries.failures()).rejects.toMatchObject({ code: "unavailable" });
  });
});

describe("failures", () => {
  test("are grouped by what failed where; a redrive takes a run out of its group, and another failure puts it back", async () => {
    let isMended = false;
    const pay = fragile("pay", () => isMended);
    const send = fragile("send", () => false);
    const world = await harness([pay, send]);
    const { engine, pass } = world;
    const failed: string[] = [];
    for (const one of [pay, pay, pay, send]) {
      failed.push((await engine.start(one)).runId);
      await pass(1_000);
    }
    const groups = await engine.queries.failures();
    expect(groups).toMatchObject([
      { workflow: "send", count: 1, step: "charge", example: failed[3] },
      {
        workflow: "pay",
        count: 3,
        name: "FatalError",
        message: "Card was refused",
        example: failed[2],
        firstSeenAt: "2026-01-01T00:00:00.000Z",
        lastSeenAt: "2026-01-01T00:00:02.000Z",
      },
    ]);
    const fingerprint = groups[1]?.fingerprint ?? "";
    expect(await engine.queries.failures({ workflow: "pay" })).toEqual([groups[1]]);
    expect(await ids(world, { fingerprint })).toEqual([failed[2], failed[1], failed[0]]);

    // It fails again, in the same way.
    await engine.commands.redrive(failed[0] ?? "");
    expect(await engine.queries.failures({ workflow: "pay" })).toMatchObject([{ fingerprint, count: 2 }]);
    await pass(0);
    expect(await engine.queries.failures({ workflow: "pay" })).toMatchObject([{ fingerprint, count: 3 }]);

    isMended = true;
    for (const runId of failed.slice(0, 3)) await engine.commands.redrive(runId);
    await pass(0);
    expect(await engine.queries.failures({ workflow: "pay" })).toEqual([]);
    expect(await ids(world, { fingerprint })).toEqual([]);
    expect(await ids(world, { workflow: "pay", status: "succeeded" })).toHaveLength(3);
  });
});

describe("statistics", () => {
  test("count runs by workflow, day and status, tell how long they took, and how old the oldest is", async () => {
    const timed = workflow("timed", { input: z.string() }, (w) => w.sleep("nap", { until: ({ input }) => input }));
    const pay = fragile("pay", () => false);
    const world = await harness([timed, pay]);
    const { engine, pass } = world;
    for (const second of ["00.100", "00.100", "00.100", "10.000"]) {
      await engine.start(timed, { input: `2026-01-01T00:00:${second}Z` });
    }
    await pass(86_400_000);
    await engine.start(pay);
    await engine.start(timed, { input: "2026-01-03" });
    await pass(0);
    const stats = await engine.queries.stats();
    expect(stats).toMatchObject({
      from: "2025-12-27",
      to: "2026-01-02",
      runs: 6,
      byStatus: { succeeded: 4, failed: 1, running: 1 },
      storage: { oldestRun: "2026-01-01" },
    });
    const [failing, sleeping] = stats.workflows;
    expect(failing).toMatchObject({ workflow: "pay", runs: 1, byStatus: { failed: 1 } });
    expect(sleeping?.days).toMatchObject([
      { day: "2026-01-02", runs: 1, byStatus: { running: 1 } },
      { day: "2026-01-01", runs: 4, byStatus: { succeeded: 4 } },
    ]);
    expect(sleeping?.days[0]).not.toHaveProperty("p50Ms");
    expect(Math.abs((sleeping?.p50Ms ?? 0) - 100)).toBeLessThanOrEqual(9);
    expect(Math.abs((sleeping?.p95Ms ?? 0) - 10_000)).toBeLessThanOrEqual(900);
    expect(await engine.queries.stats({ days: 1 })).toMatchObject({ from: "2026-01-02", to: "2026-01-02", runs: 2 });
    expect((await engine.queries.stats({ workflow: "pay" })).runs).toBe(1);
    expect(await engine.queries.stats({ workflow: "none" })).toMatchObject({ runs: 0, byStatus: {}, workflows: [] });
  });
});
