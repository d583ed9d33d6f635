// Hunts a query that is understood as another one than was meant, and figures that do not add up.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { limits } from "../../lib/definition/limits.ts";
import { encodeRun } from "../../lib/engine/codec.ts";
import { durationBucket } from "../../lib/engine/projection.ts";
import { runStatuses } from "../../lib/engine/run-state.ts";
import { createQueries, type ListRequest, type StatsRequest } from "../../lib/runtime/queries.ts";
import type { CountRow, FailureGroup, FoundRun, RunIndex, RunListRequest } from "../../lib/runtime/run-index.ts";
import { createRecordingLogger } from "../contract/recording-logger.ts";
import { runOf } from "../engine/sample-run.ts";

const nowMs = Date.UTC(2026, 10, 21, 12);

interface Stored {
  readonly runs?: readonly FoundRun[];
  readonly rows?: readonly CountRow[];
  readonly groups?: readonly FailureGroup[];
}

/** An index that answers what it is given, and keeps what it was asked. */
function queriesOn({ runs = [], rows = [], groups = [] }: Stored = {}) {
  const asked: unknown[] = [];
  const logger = createRecordingLogger();
  const index: RunIndex = {
    async list(request) {
      asked.push(request);
      return { runs };
    },
    async counts(days) {
      asked.push(days);
      return rows.filter(({ day }) => day >= days.from && day <= days.to);
    },
    failures: async () => groups,
    extent: async () => ({ bytes: 5_000, oldestDay: "2026-01-02", nextExpiryDay: "2026-12-24" }),
  };
  return { queries: createQueries({ index, clock: { now: () => nowMs }, logger }), asked, logger };
}

async function requestOf(request: ListRequest): Promise<RunListRequest> {
  const { queries, asked } = queriesOn();
  await queries.list(request);
  return asked[0] as RunListRequest;
}

describe("a list", () => {
  test("of everything asks for 50 runs", async () => {
    const { queries, asked } = queriesOn();
    expect(await queries.list()).toEqual({ runs: [] });
    expect(asked).toEqual([{ filter: {}, limit: 50 }]);
  });

  test("passes each criterion on, times in ms and one status as a list", async () => {
    const query: ListRequest = {
      workflow: "order",
      status: "failed",
      from: "2026-11-21",
      to: new Date(nowMs),
      tag: { key: "customer", value: "c:1" },
      parent: "p",
      fingerprint: "abc",
      limit: 1_000,
      cursor: "x",
    };
    expect(await requestOf(query)).toEqual({
      filter: {
        workflow: "order",
        statuses: ["failed"],
        fromMs: Date.UTC(2026, 10, 21),
        toMs: nowMs,
        tag: { key: "customer", value: "c:1" },
        parent: "p",
        fingerprint: "abc",
      },
      limit: 1_000,
      cursor: "x",
    });
  });

  test("asks for a status once, and leaves out what is undefined", async () => {
    const request: unknown = { status: ["failed", "failed", "running"], workflow: undefined, cursor: undefined };
    expect(await requestOf(request as ListRequest)).toEqual({ filter: { statuses: ["failed", "running"] }, limit: 50 });
  });

  test.each<[unknown, RegExp]>([
    [{ status: "done" }, /^status is "done"; allowed is one or more of running, paused, .*timed_out\.$/],
    [{ status: [] }, /^status is \[\]; allowed is one or more of/],
    [{ status: ["failed", 7] }, /^status is \["failed",7\]/],
    [{ limit: 0 }, /^limit is 0; allowed is a whole number from 1 to 1000\.$/],
    [{ limit: 1_001 }, /^limit is 1001/],
    [{ limit: 1.5 }, /^limit is 1\.5/],
    [{ limit: "7" }, /^limit is "7"/],
    [{ from: "yesterday" }, /^from is "yesterday"; allowed is a Date, or ISO 8601/],
    [{ to: "2026-11-21T10:00" }, /^to is "2026-11-21T10:00"/],
    [{ to: new Date(Number.NaN) }, /^to is null/],
    [
      { from: "2026-11-21", to: "2026-11-21" },
      /^to is "2026-11-21"; allowed is a time after from, which is "2026-11-21"/,
    ],
    [{ workflow: "" }, /^workflow is ""; allowed is a text of 1 to 64 characters/],
    [{ workflow: 7 }, /^workflow is 7/],
    [{ parent: "x".repeat(limits.derivedRunIdLength + 1) }, /^parent is "xxx/],
    [{ fingerprint: {} }, /^fingerprint is \{\}/],
    [{ cursor: "" }, /^cursor is ""/],
    [{ tag: "customer:1" }, /^tag is "customer:1"; allowed is \{ key, value \}, both texts of 1 to 128 characters/],
    [{ tag: { key: "customer" } }, /^tag is \{"key":"customer"\}/],
    [{ tag: null }, /^tag is null/],
    [{ tag: { key: "k", value: "x".repeat(limits.tagLength + 1) } }, /^tag is/],
    [
      { statuses: ["failed"] },
      /^"statuses" is not known here; allowed are workflow, status, from, to, tag, parent, fingerprint/,
    ],
  ])("%j is refused, with what is allowed", async (request, message) => {
    const { queries, asked } = queriesOn();
    const refused = expect.objectContaining({ name: "PawlError", code: "invalid_request" }) as Error;
    await expect(queries.list(request as ListRequest)).rejects.toThrow(refused);
    await expect(queries.list(request as ListRequest)).rejects.toThrow(message);
    expect(asked).toEqual([]);
  });

  test("what JSON has no words for is told by its type", async () => {
    const request: unknown = { workflow: 7n };
    await expect(queriesOn().queries.list(request as ListRequest)).rejects.toThrow(/^workflow is a bigint; allowed is/);
  });

  test("whatever comes in: it is a list, or an invalid request", async () => {
    const names = ["workflow", "status", "from", "to", "tag", "parent", "fingerprint", "limit", "cursor", "other"];
    const hostile = fc.dictionary(fc.constantFrom(...names), fc.anything({ withBigInt: true, withDate: true }));
    await fc.assert(
      fc.asyncProperty(hostile, async (request) => {
        const { queries } = queriesOn();
        await queries.list(request).catch((error: unknown) => {
          expect(error).toMatchObject({ name: "PawlError", code: "invalid_request" });
        });
      }),
    );
  });

  test("tells of a run all but its steps and payloads", async () => {
    const run = runOf({
      runId: "r1~charge",
      status: "failed",
      epoch: 2,
      createdAtMs: nowMs,
      startAtMs: nowMs + 1_000,
      endedAtMs: nowMs + 2_000,
      expiresAtMs: nowMs + 3_000,
      error: { name: "E", message: "no", step: "charge", fingerprint: "abc" },
      tags: { customer: "c-1" },
      parent: { workflow: "w", fingerprint: "f", step: 0, taskQueue: "default", epoch: 0, attempt: 1 },
    });
    const { queries } = queriesOn({ runs: [{ runId: run.runId, fields: encodeRun(run) }] });
    expect(await queries.list()).toEqual({
      runs: [
        {
          runId: "r1~charge",
          workflow: "sample",
          status: "failed",
          error: { name: "E", message: "no", step: "charge", fingerprint: "abc" },
          tags: { customer: "c-1" },
          parent: { runId: "r1", step: "charge" },
          redrives: 2,
          createdAt: "2026-11-21T12:00:00.000Z",
          startAt: "2026-11-21T12:00:01.000Z",
          endedAt: "2026-11-21T12:00:02.000Z",
          expiresAt: "2026-11-21T12:00:03.000Z",
        },
      ],
    });
  });

  test("leaves out what it cannot read, says so once, and has the others", async () => {
    const good = { runId: "good", fields: encodeRun(runOf({ runId: "good" })) };
    const newer = { runId: "newer", fields: { ...good.fields, v: 99 } };
    const timeless = { runId: "timeless", fields: { ...good.fields, c: 9e15 } };
    const { queries, logger } = queriesOn({ runs: [newer, good, timeless] });
    expect((await queries.list()).runs.map(({ runId }) => runId)).toEqual(["good"]);
    expect(logger.lines.map(({ level, fields }) => [level, fields?.runId])).toEqual([
      ["warn", "newer"],
      ["warn", "timeless"],
    ]);
  });
});

describe("statistics", () => {
  const row = (day: string, workflow: string, counts: Record<string, number>): CountRow => ({ day, workflow, counts });

  test("are of a week, today included, and of up to a leap year", async () => {
    const { queries, asked } = queriesOn();
    expect(await queries.stats()).toEqual({
      from: "2026-11-15",
      to: "2026-11-21",
      runs: 0,
      byStatus: {},
      workflows: [],
      storage: { bytes: 5_000, bytesAt: "2026-11-21T12:00:00.000Z", oldestRun: "2026-01-02", nextExpiry: "2026-12-24" },
    });
    await queries.stats({ days: 366 });
    await queries.stats({ days: 1 });
    expect(asked.slice(1)).toEqual([
      { from: "2025-11-21", to: "2026-11-21" },
      { from: "2026-11-21", to: "2026-11-21" },
    ]);
  });

  test("add up by workflow, day and status; days newest first, workflows by name", async () => {
    const { queries } = queriesOn({
      rows: [
        row("2026-11-19", "order", { succeeded: 3, took40: 3 }),
        row("2026-11-21", "order", { succeeded: 1, failed: 1, took40: 1, took80: 1 }),
        row("2026-11-21", "import", { running: 2 }),
        // Nothing of it is left, or is there yet: where counts lag.
        row("2026-11-20", "order", { succeeded: 0, running: -1 }),
        row("2026-11-20", "gone", { failed: 0 }),
      ],
    });
    const stats = await queries.stats();
    expect(stats).toMatchObject({ runs: 7, byStatus: { succeeded: 4, failed: 1, running: 2 } });
    expect(
      stats.workflows.map((one) => [one.workflow, one.runs, one.days.map(({ day, runs }) => [day, runs])]),
    ).toEqual([
      ["import", 2, [["2026-11-21", 2]]],
      [
        "order",
        5,
        [
          ["2026-11-21", 2],
          ["2026-11-19", 3],
        ],
      ],
    ]);
    const [, order] = stats.workflows;
    expect(order?.p50Ms).toBe(order?.days[1]?.p50Ms);
    expect(order?.p95Ms).toBe(order?.days[0]?.p95Ms);
    expect((await queries.stats({ workflow: "import" })).runs).toBe(2);
  });

  test("of durations are within 9 % of the real ones", () => {
    const took = fc.array(fc.integer({ min: 20, max: 30 * 86_400_000 }), { minLength: 1, maxLength: 60 });
    return fc.assert(
      fc.asyncProperty(took, async (times) => {
        const counts: Record<string, number> = { succeeded: times.length };
        for (const ms of times) counts[durationBucket(ms)] = (counts[durationBucket(ms)] ?? 0) + 1;
        const { queries } = queriesOn({ rows: [row("2026-11-21", "order", counts)] });
        const [stats] = (await queries.stats()).workflows;
        const sorted = times.toSorted((a, b) => a - b);
        const real = (part: number): number => sorted[Math.ceil(part * sorted.length) - 1] ?? 0;
        for (const [told = 0, part] of [
          [stats?.p50Ms, 0.5],
          [stats?.p95Ms, 0.95],
        ] as const) {
          // And half a ms, to which they are rounded.
          expect(Math.abs(told - real(part))).toBeLessThanOrEqual(0.091 * (real(part) + 1) + 0.5);
        }
      }),
    );
  });

  test.each<[unknown, RegExp]>([
    [{ days: 0 }, /^days is 0; allowed is a whole number from 1 to 366\.$/],
    [{ days: 367 }, /^days is 367/],
    [{ workflow: "" }, /^workflow is ""/],
    [{ from: "2026-11-21" }, /^"from" is not known here; allowed are days, workflow/],
  ])("%j is refused", async (request, message) => {
    await expect(queriesOn().queries.stats(request as StatsRequest)).rejects.toThrow(message);
  });
});

describe("failures", () => {
  const group = (fingerprint: string, atMs: number, rest: Partial<FailureGroup> = {}): FailureGroup => ({
    fingerprint,
    workflow: "order",
    step: "charge",
    name: "E",
    message: "no",
    runId: "r1",
    count: 2,
    firstAtMs: nowMs,
    atMs,
    ...rest,
  });

  test("have the most recent first, those of one moment by fingerprint, and leave out what is none any more", async () => {
    const { step: _step, ...whole } = group("d", nowMs);
    const { queries } = queriesOn({
      groups: [group("b", nowMs), group("a", nowMs), group("c", nowMs + 1_000), group("z", nowMs, { count: 0 }), whole],
    });
    const failures = await queries.failures();
    expect(failures.map(({ fingerprint }) => fingerprint)).toEqual(["c", "a", "b", "d"]);
    expect(failures[0]).toEqual({
      fingerprint: "c",
      workflow: "order",
      step: "charge",
      name: "E",
      message: "no",
      example: "r1",
      count: 2,
      firstSeenAt: "2026-11-21T12:00:00.000Z",
      lastSeenAt: "2026-11-21T12:00:01.000Z",
    });
    expect(failures[3]).not.toHaveProperty("step");
  });

  test("of one workflow, and never more than are told apart", async () => {
    const groups = Array.from({ length: limits.failureGroups + 5 }, (_, at) =>
      group(`f${at}`, nowMs + at, { workflow: at % 2 === 0 ? "order" : "import" }),
    );
    const { queries } = queriesOn({ groups });
    expect(await queries.failures()).toHaveLength(limits.failureGroups);
    const imports = await queries.failures({ workflow: "import" });
    expect(imports.every(({ workflow }) => workflow === "import")).toBe(true);
    await expect(queries.failures({ status: "failed" } as object)).rejects.toThrow(/^"status" is not known here/);
  });
});

test("a status that runs may have is one that lists and statistics know", async () => {
  for (const status of runStatuses) expect((await requestOf({ status })).filter.statuses).toEqual([status]);
});
