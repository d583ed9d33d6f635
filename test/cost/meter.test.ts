// Hunts: requests that AWS would bill and the meter does not count, counts twice, or counts for the wrong reason; and a
// cost per step that creeps up.
import { describe, expect, test } from "vitest";
import * as z from "zod";
import { usualAssumptions } from "../../lib/cost/assumptions.ts";
import { bill, byService, total } from "../../lib/cost/bill.ts";
import type { Part } from "../../lib/cost/meter.ts";
import { type PlayedRun, type PlayOptions, playMetered } from "../../lib/cost/play.ts";
import { prices } from "../../lib/cost/prices.ts";
import type { Usage } from "../../lib/cost/usage.ts";
import { limits } from "../../lib/definition/limits.ts";
import type { Workflow } from "../../lib/definition/workflow.ts";
import { FatalError, workflow } from "../../lib/index.ts";
import { chain } from "./chain.ts";

const assumptions = { ...usualAssumptions, memoryMb: 128 };
const usEast1 = prices["us-east-1"]!;

function play(of: Workflow, options: Omit<PlayOptions, "assumptions"> = {}): Promise<PlayedRun> {
  return playMetered(of, { ...options, assumptions });
}

function used(run: PlayedRun, part: Part): Partial<Usage> {
  return Object.fromEntries(Object.entries(run.byPart.get(part) ?? {}).filter(([, units]) => units !== 0));
}

describe("a chain of ten", () => {
  test("is billed two writes and one message a step, one write a run, and the index for its status", async () => {
    const run = await play(chain(10, 20));
    expect(run).toMatchObject({ status: "succeeded", work: { attempts: 10, maps: 0, children: 0, payloadBytes: 200 } });
    expect(used(run, "start")).toEqual({ tableWrites: 1, indexWrites: 1 });
    expect(used(run, "claim")).toEqual({ tableWrites: 10 });
    expect(used(run, "commit")).toEqual({ tableWrites: 10, indexWrites: 2 });
    expect(used(run, "messages")).toEqual({ sqsRequests: 30 });
    expect(used(run, "workers")).toEqual({ lambdaRequests: 10, lambdaGbSeconds: expect.closeTo(0.0625, 6) });
    expect(used(run, "events")).toMatchObject({ events: 2 });
    for (const part of ["other writes", "refused writes", "payloads", "reads"] as const) {
      expect(used(run, part)).toEqual({});
    }
  });

  test.each([
    [20, 2.15],
    [900, 3.2],
  ])("with outputs of %i bytes takes at most %d write units of the table a step", async (bytes, most) => {
    const { usage } = await play(chain(10, bytes));
    expect(usage.tableWrites / 10).toBeLessThanOrEqual(most);
    expect(usage.indexWrites / 10).toBeLessThanOrEqual(0.3);
  });

  test("of idempotent steps takes one write and one read a step", async () => {
    const run = await play(chain(10, 20, true));
    expect(run).toMatchObject({ status: "succeeded", work: { attempts: 10, payloadBytes: 200 } });
    expect(used(run, "claim")).toEqual({});
    expect(used(run, "commit")).toEqual({ tableWrites: 10, indexWrites: 2 });
    expect(used(run, "reads")).toEqual({ reads: 10 });
    expect(run.usage.tableWrites / 10).toBeLessThanOrEqual(1.2);
    expect(total(bill(run.usage, usEast1)) * 100_000).toBeCloseTo(2.723, 3);
  });

  test("costs what its lines say, by service", async () => {
    const { usage } = await play(chain(10, 20));
    const lines = bill(usage, usEast1);
    expect(total(lines)).toBeCloseTo(
      byService(lines).reduce((sum, [, dollars]) => sum + dollars, 0),
      12,
    );
    // A million steps.
    expect(total(lines) * 100_000).toBeCloseTo(3.223, 3);
  });
});

test.each([
  ["numbers", 2.5, (index: number): unknown => index],
  // Sixteen of them take two write units as they are.
  ["100 bytes each", 2.7, (index: number): unknown => ({ index, text: "x".repeat(80) })],
])("a map of a thousand, of %s, takes at most %d write units an item", async (_, most, itemOf) => {
  const wide = workflow("wide", {}, (w) =>
    w.map("items", {
      items: () => Array.from({ length: 1_000 }, (_, index) => itemOf(index)),
      run: ({ index }) => String(index).padStart(18, "0"),
    }),
  );
  const { usage, work } = await play(wide);
  expect(usage.tableWrites / 1_000).toBeLessThanOrEqual(most);
  // The map itself, and its items; that it is made of parts is nobody's business.
  expect(work).toMatchObject({ attempts: 1_001, maps: 1, children: 0 });
});

test("attempts that fail are billed, each with its message, and its error that is kept", async () => {
  let left = 2;
  const flaky = workflow("flaky", {}, (w) =>
    w.step("only", {
      run: () => {
        if (left-- > 0) throw new Error("not yet");
        return 1;
      },
    }),
  );
  const run = await play(flaky);
  expect(run).toMatchObject({ status: "succeeded", work: { attempts: 3 } });
  expect(used(run, "claim")).toEqual({ tableWrites: 3 });
  expect(used(run, "payloads")).toEqual({ tableWrites: 2 });
  expect(used(run, "messages")).toEqual({ sqsRequests: 9 });
});

test("a large payload is billed by its size, and one above the limit of items as a blob", async () => {
  const item = await play(chain(1, 100 * 1024));
  // Its parts, and the item that tells of them.
  expect(used(item, "payloads")).toEqual({ tableWrites: 101 });
  const blob = await play(chain(1, limits.itemPayloadBytes + 1));
  expect(used(blob, "payloads")).toEqual({ tableWrites: 1, s3Puts: 1 });
});

test("a wait of days is a schedule; a short one is a message", async () => {
  const naps = (duration: "1m" | "2d") => workflow("naps", {}, (w) => w.sleep("nap", { duration }));
  expect(used(await play(naps("1m")), "messages")).toEqual({ sqsRequests: 6 });
  expect(used(await play(naps("2d")), "messages")).toMatchObject({ schedules: 1 });
});

test("a child is a run of its own, and billed with its parent", async () => {
  const inner = workflow("inner", { input: z.number() }, (w) => w.step("only", { run: ({ input }) => input + 1 }));
  const outer = workflow("outer", {}, (w) => w.child("one", { workflow: inner, input: () => 1 }));
  const run = await play(outer);
  expect(run).toMatchObject({ status: "succeeded", work: { attempts: 2, children: 1 } });
  expect(used(run, "start")).toEqual({ tableWrites: 2, indexWrites: 2 });
  expect(used(run, "events")).toMatchObject({ events: 4 });
});

test("a run that waits for somebody is billed up to there, and told how to go on; a signal lets it", async () => {
  const asks = workflow("asks", {}, (w) => {
    const approval = w.signal("approval", { payload: z.object({ ok: z.boolean() }) });
    return w.step("ship", { after: [approval], run: ({ outputs }) => outputs.approval.ok });
  });
  const waiting = await play(asks);
  expect(waiting).toMatchObject({ status: "running", waitsFor: expect.stringContaining("approval") });
  expect(waiting.usage.tableWrites).toBeGreaterThan(0);
  const ended = await play(asks, { signals: { approval: { ok: true } } });
  expect(ended).toMatchObject({ status: "succeeded" });
  expect(ended).not.toHaveProperty("waitsFor");
  expect(ended.usage.tableWrites).toBeGreaterThan(waiting.usage.tableWrites);
});

test("a failed run is billed, with the group of failures that it is counted in", async () => {
  const breaks = workflow("breaks", {}, (w) =>
    w.step("only", {
      run: () => {
        throw new FatalError("no");
      },
    }),
  );
  const run = await play(breaks);
  expect(run.status).toBe("failed");
  // Its entry in the list of such failures, the group (in a transaction), and its share of counts.
  expect(used(run, "lists and counts").tableWrites).toBeGreaterThan(3);
});
