// Hunts: a run that lists and counts on the table lose, double or show although it does not match; a page that takes more
// requests the more runs there are; a change that is counted twice or never when the stream repeats it (R10).
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { projectChange, type RunChange } from "../../lib/aws/projection-writes.ts";
import { limits } from "../../lib/definition/limits.ts";
import { type Projection, project } from "../../lib/engine/projection.ts";
import { type RunState, type RunStatus, runStatuses } from "../../lib/engine/run-state.ts";
import type { RunFilter } from "../../lib/runtime/run-index.ts";
import { runIndexContract } from "../contract/run-index.contract.ts";
import { nowMs, runOf } from "../engine/sample-run.ts";
import { type Aws, openAws } from "./aws.ts";
import { StreamedTable } from "./streamed-table.ts";

let aws: Aws;

beforeAll(async () => {
  aws = await openAws();
});
afterAll(() => aws.stop());

runIndexContract(
  "DynamoDB",
  async () => {
    const table = await StreamedTable.create();
    // As whoever starts runs does before.
    await Promise.all(["orders", "mails", "pawl-bulk"].map((workflow) => table.store.putGraph(workflow, "f", "{}")));
    return {
      store: table.store,
      runIndex: table.index,
      remove: (runId) => table.remove(runId),
      settled: () => table.settle(17),
      close: () => table.close(),
    };
  },
  { histories: 8 },
);

async function allPages(table: StreamedTable, filter: RunFilter, limit: number): Promise<string[]> {
  const runIds: string[] = [];
  let cursor: string | undefined;
  do {
    const page = await table.index.list({ filter, limit, ...(cursor === undefined ? {} : { cursor }) });
    runIds.push(...page.runs.map(({ runId }) => runId));
    cursor = page.cursor;
  } while (cursor !== undefined);
  return runIds;
}

describe("10,000 runs", () => {
  const many = 10_000;
  const workflows = ["order", "report", "sync", "loan", "video"];
  let table: StreamedTable;
  let runs: readonly RunState[];

  beforeAll(async () => {
    table = await StreamedTable.create();
    const names = workflows.map((workflow) => table.store.putGraph(workflow, "f", "{}"));
    await Promise.all(names);
    runs = Array.from({ length: many }, (_, n) => sample(n));
    await table.put(runs);
    await table.settle();
  });
  afterAll(() => table.close());

  /** Of five workflows, two hours and all statuses; several in the same ms. */
  function sample(n: number): RunState {
    const status = runStatuses[n % 7] ?? "running";
    const error = { name: "Error", message: "no", step: "charge", fingerprint: `kind${n % 3}` };
    return runOf({
      runId: `run-${String(n).padStart(5, "0")}`,
      workflow: workflows[n % workflows.length] ?? "",
      status,
      changes: 2,
      createdAtMs: nowMs + Math.floor(n / 3) * 2_000,
      tags: { customer: String(n % 100), all: "yes" },
      ...(n % 50 === 1 ? { parent: parent } : {}),
      ...(["running", "paused", "unwinding"].includes(status) ? {} : { endedAtMs: nowMs + n * 2_000 }),
      ...(status === "failed" ? { error } : {}),
    });
  }

  const parent = { workflow: "order", fingerprint: "f", step: 0, taskQueue: "default", epoch: 0, attempt: 1 };

  const expected = (isWanted: (run: RunState, n: number) => boolean): string[] =>
    runs
      .filter(isWanted)
      .toSorted((a, b) => b.createdAtMs - a.createdAtMs || (a.runId < b.runId ? 1 : -1))
      .map(({ runId }) => runId);

  const day = 24 * 3_600_000;
  const from = nowMs + 3_600_000;
  const kinds: readonly (readonly [string, RunFilter, (run: RunState) => boolean, Record<string, number>])[] = [
    ["all", {}, () => true, { Query: 1 + 5 * 28, BatchGetItem: 1 }],
    ["of a workflow", { workflow: "loan" }, ({ workflow }) => workflow === "loan", { Query: 28, BatchGetItem: 1 }],
    [
      "of a workflow and a status",
      { workflow: "loan", statuses: ["failed"] },
      ({ workflow, status }) => workflow === "loan" && status === "failed",
      { Query: 4, BatchGetItem: 1 },
    ],
    [
      "of two statuses and a time",
      { statuses: ["failed", "running"], fromMs: from, toMs: nowMs + day },
      ({ status, createdAtMs }) => ["failed", "running"].includes(status) && createdAtMs >= from,
      { Query: 1 + 5 * 8, BatchGetItem: 1 },
    ],
    [
      "by tag",
      { tag: { key: "customer", value: "7" } },
      ({ tags }) => tags?.customer === "7",
      { Query: 1, BatchGetItem: 1 },
    ],
    [
      "by tag and time",
      { tag: { key: "all", value: "yes" }, toMs: from },
      ({ createdAtMs }) => createdAtMs < from,
      { Query: 1, BatchGetItem: 1 },
    ],
    [
      "by fingerprint",
      { fingerprint: "kind1" },
      ({ error }) => error?.fingerprint === "kind1",
      { Query: 1, BatchGetItem: 1 },
    ],
    [
      "by tag, workflow and status",
      { tag: { key: "all", value: "yes" }, workflow: "loan", statuses: ["failed"] },
      ({ workflow, status }) => workflow === "loan" && status === "failed",
      { Query: 5, BatchGetItem: 5 },
    ],
    [
      "by fingerprint and tag",
      { fingerprint: "kind1", tag: { key: "customer", value: "4" } },
      ({ error, tags }) => error?.fingerprint === "kind1" && tags?.customer === "4",
      { Query: 5, BatchGetItem: 5 },
    ],
  ];

  test.each(kinds)("%s: each page in its number of requests, each run once", async (_what, filter, isWanted, most) => {
    const wanted = expected(isWanted);
    expect(wanted.length).toBeGreaterThan(0);
    const found: string[] = [];
    let cursor: string | undefined;
    // Some pages from the beginning, and one that leads far ahead: all of them would take a while.
    for (let page = 0; page < 3; page++) {
      table.requests.clear();
      const limit = page === 1 ? 100 : 20;
      const answer = await table.index.list({ filter, limit, ...(cursor === undefined ? {} : { cursor }) });
      for (const [operation, count] of table.requests)
        expect(count, operation).toBeLessThanOrEqual(most[operation] ?? 0);
      found.push(...answer.runs.map(({ runId }) => runId));
      cursor = answer.cursor;
      if (cursor === undefined) break;
    }
    expect(found).toEqual(wanted.slice(0, found.length));
    if (cursor === undefined) expect(found).toHaveLength(wanted.length);
  });

  test.each([
    ["all", {}, () => true],
    ["of a status", { statuses: ["failed"] }, ({ status }: RunState) => status === "failed"],
    ["by tag", { tag: { key: "all", value: "yes" } }, () => true],
  ] as const)("%s, page by page to the end", { timeout: 240_000 }, async (_what, filter, isWanted) => {
    expect(await allPages(table, filter, limits.listedRuns)).toEqual(expected(isWanted));
  });

  test("counts, failures and extent, in their number of requests", async () => {
    const days = { from: "2027-01-15", to: "2027-01-16" };
    table.requests.clear();
    const rows = await table.index.counts(days);
    expect(Object.fromEntries(table.requests)).toEqual({ Query: 1 });
    expect(rows.map(({ day, workflow }) => `${day} ${workflow}`).toSorted()).toEqual(
      workflows.map((workflow) => `2027-01-15 ${workflow}`).toSorted(),
    );
    const total = rows.flatMap(({ counts }) => runStatuses.map((status) => counts[status] ?? 0));
    expect(total.reduce((sum, count) => sum + count, 0)).toBe(many);
    table.requests.clear();
    const groups = await table.index.failures();
    expect(Object.fromEntries(table.requests)).toEqual({ Query: 1 });
    expect(groups.reduce((sum, { count }) => sum + count, 0)).toBe(
      runs.filter(({ status }) => status === "failed").length,
    );
    table.requests.clear();
    expect(await table.index.extent()).toMatchObject({ oldestDay: "2027-01-15" });
    await table.index.extent();
    expect(Object.fromEntries(table.requests)).toEqual({ Query: 4, DescribeTable: 1 });
  });

  test("runs that begin, change and go while somebody turns pages move none of the others", async () => {
    const filter = { workflow: "sync", statuses: ["running", "failed"] as RunStatus[] };
    const before = expected(({ workflow, status }) => workflow === "sync" && filter.statuses.includes(status));
    const found: string[] = [];
    let cursor: string | undefined;
    const gone = new Set<string>();
    for (let page = 0; page < 8; page++) {
      const answer = await table.index.list({ filter, limit: 25, ...(cursor === undefined ? {} : { cursor }) });
      found.push(...answer.runs.map(({ runId }) => runId));
      cursor = answer.cursor;
      const next = { workflow: "sync", status: "running", runId: `new-${page}`, createdAtMs: nowMs + day } as const;
      await table.put([runOf(next)]);
      // The run that the page ended with, and one of those to come.
      for (const runId of [found.at(-1) ?? "", before[found.length + 3] ?? ""]) {
        gone.add(runId);
        await table.store.update(runId, { guard: [], set: { st: "succeeded", n: 3 } });
      }
    }
    expect(found).toEqual(before.filter((runId) => !gone.has(runId) || found.includes(runId)).slice(0, found.length));
    expect(new Set(found).size).toBe(found.length);
    table.take();
  });
});

describe("what the stream repeats", () => {
  const statuses: readonly RunStatus[] = ["running", "paused", "succeeded", "failed"];
  const kinds = ["kind0", "kind1"];

  interface Step {
    readonly run: number;
    /** `undefined`: the run is removed. */
    readonly to: RunStatus | undefined;
    readonly kind: number;
  }

  const steps = fc.array(
    fc.record<Step>({
      run: fc.nat(7),
      to: fc.option(fc.constantFrom(...statuses), { nil: undefined, freq: 6 }),
      kind: fc.nat(1),
    }),
    { minLength: 20, maxLength: 60 },
  );

  /** The changes of eight runs as the stream has them, and the runs that are left. */
  function history(taken: readonly Step[], name: string): { changes: RunChange[]; left: RunState[] } {
    const runs = new Map<number, RunState>();
    const lives = new Map<number, number>();
    const changes: RunChange[] = [];
    for (const [index, { run, to, kind }] of taken.entries()) {
      const before = runs.get(run);
      if (before?.status === to) continue;
      const isEnd = to === "succeeded" || to === "failed";
      const error = { name: "Error", message: "no", step: "charge", fingerprint: `${name}-${kinds[kind]}` };
      const after =
        to === undefined
          ? undefined
          : runOf({
              runId: `${name}-${run}`,
              workflow: `${name}-${run % 2}`,
              status: to,
              changes: (before?.changes ?? 0) + 1,
              createdAtMs: before?.createdAtMs ?? nowMs + (lives.get(run) ?? 0) * 24 * 3_600_000,
              ...(isEnd ? { endedAtMs: nowMs + index, expiresAtMs: nowMs + 3_600_000 } : {}),
              ...(to === "failed" ? { error } : {}),
            });
      if (after === undefined) {
        runs.delete(run);
        lives.set(run, (lives.get(run) ?? 0) + 1);
      } else runs.set(run, after);
      changes.push({ second: 1_795_262_400 + Math.floor(index / 5), before, after });
    }
    return { changes, left: [...runs.values()] };
  }

  /** What must be counted, of projections of runs that are there. */
  function recount(runs: readonly RunState[]): Readonly<Record<string, number>> {
    const counts: Record<string, number> = {};
    const add = (key: string): void => void (counts[key] = (counts[key] ?? 0) + 1);
    for (const { counts: own, failure } of runs.map((run): Projection => project(run))) {
      for (const { day, workflow, name } of own) if (name !== "expires") add(`${day} ${workflow} ${name}`);
      if (failure !== undefined) add(failure.fingerprint);
    }
    return counts;
  }

  async function counted(table: StreamedTable, name: string): Promise<Readonly<Record<string, number>>> {
    const rows = await table.index.counts({ from: "2027-01-01", to: "2027-12-31" });
    const groups = (await table.index.failures()).filter(({ fingerprint }) => fingerprint.startsWith(`${name}-`));
    return Object.fromEntries([
      ...rows
        .filter(({ workflow }) => workflow.startsWith(`${name}-`))
        .flatMap(({ day, workflow, counts }) =>
          Object.entries(counts).map(([of, count]) => [`${day} ${workflow} ${of}`, count] as const),
        ),
      ...groups.map(({ fingerprint, count }) => [fingerprint, count] as const),
    ]);
  }

  test("counts once, in whatever parts and beside whatever others it comes again", { timeout: 240_000 }, async () => {
    const table = await StreamedTable.create();
    let names = 0;
    try {
      await fc.assert(
        fc.asyncProperty(steps, fc.array(fc.nat(100), { maxLength: 12 }), fc.nat(2), async (taken, cuts, shards) => {
          const name = `h${names++}`;
          const { changes, left } = history(taken, name);
          // A run's changes are all of one shard of the stream; shards go on beside each other.
          const byShard = Map.groupBy(changes, ({ before, after }) => {
            return Number((after ?? before)?.runId.split("-").at(-1)) % (shards + 1);
          });
          await Promise.all([...byShard.values()].map((shard) => deliver(table, shard, cuts)));
          expect(await counted(table, name)).toEqual(recount(left));
        }),
        { numRuns: 25 },
      );
      expect((await table.index.extent()).nextExpiryDay).toBeDefined();
    } finally {
      await table.close();
    }
  });

  /** In batches of any size; most of them again, whole or in part, as after a crash: from any place that was not told to be done. */
  async function deliver(table: StreamedTable, changes: readonly RunChange[], cuts: readonly number[]): Promise<void> {
    let done = 0;
    for (const cut of [...cuts, 100, 100]) {
      const end = Math.min(changes.length, done + 1 + cut);
      await table.keep(changes.slice(done, end));
      // Only a part of it is known to be done.
      if (cut % 3 !== 0) await table.keep(changes.slice(done, done + Math.ceil((end - done) / 2)));
      done = cut % 2 === 0 ? end : done + Math.floor((end - done) / 2);
    }
    for (; done < changes.length; done += 7) await table.keep(changes.slice(done, done + 7));
  }

  test("and nothing is left when all runs are gone", async () => {
    const table = await StreamedTable.create();
    try {
      const error = { name: "Error", message: "no \ud800", step: "charge", fingerprint: "kind" };
      const ended = { status: "failed", changes: 2, error, endedAtMs: nowMs, expiresAtMs: nowMs + 3_600_000 } as const;
      const runs = Array.from({ length: 30 }, (_, n) => runOf({ runId: `r${n}`, tags: { a: "b" }, ...ended }));
      await table.put(runs);
      await table.settle();
      expect(await table.index.extent()).toMatchObject({ oldestDay: "2027-01-15", nextExpiryDay: "2027-01-15" });
      expect(await table.index.failures()).toMatchObject([{ count: 30, message: "no \ufffd" }]);
      expect(await allPages(table, { tag: { key: "a", value: "b" } }, 7)).toHaveLength(30);
      for (const { runId } of runs) await table.remove(runId);
      const removals = table.take();
      await table.keep(removals);
      await table.keep(removals);
      expect(await table.index.extent()).not.toHaveProperty("oldestDay");
      expect(await table.index.extent()).not.toHaveProperty("nextExpiryDay");
      expect(await table.index.failures()).toEqual([]);
      expect(await table.index.counts({ from: "2027-01-01", to: "2027-12-31" })).toEqual([]);
      expect(await allPages(table, { tag: { key: "a", value: "b" } }, 7)).toEqual([]);
    } finally {
      await table.close();
    }
  });

  test("of an image that is out of date, entries are shown only of runs that have them", async () => {
    const table = await StreamedTable.create();
    try {
      const error = { name: "Error", message: "no", step: "charge", fingerprint: "kind" };
      const failed = runOf({ status: "failed", changes: 2, error, endedAtMs: nowMs });
      const running = runOf({ changes: 3 });
      await table.put([running]);
      const second = 1_795_262_400;
      const late = { second, before: runOf(), after: failed };
      await table.keep([late, { second, before: failed, after: running }]);
      // The first of them once more, long after.
      await table.keep([late]);
      expect(await allPages(table, { fingerprint: "kind" }, 10)).toEqual([]);
      expect(await table.index.failures()).toEqual([]);
    } finally {
      await table.close();
    }
  });
});

test("a change that changes nothing in lists is none", () => {
  expect(projectChange({ second: 1, before: runOf(), after: runOf({ changes: 2 }) })).toBeUndefined();
});
