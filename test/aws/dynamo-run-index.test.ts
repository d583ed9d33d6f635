// Hunts a list that shows what is not there, skips what is, or asks without end, when index and table differ or answers are cut.
import {
  type AttributeValue,
  BatchGetItemCommand,
  type BatchGetItemCommandInput,
  DescribeTableCommand,
  DynamoDBClient,
  QueryCommand,
  type QueryCommandInput,
} from "@aws-sdk/client-dynamodb";
import { mockClient } from "aws-sdk-client-mock";
import { beforeEach, describe, expect, test } from "vitest";
import { attributeValues, keyAttributes, replaceRequest } from "../../lib/aws/dynamo-requests.ts";
import { createDynamoRunIndex } from "../../lib/aws/dynamo-run-index.ts";
import { projectChange, writeRequest } from "../../lib/aws/projection-writes.ts";
import { itemKey, statusPartition } from "../../lib/aws/table.ts";
import { limits } from "../../lib/definition/limits.ts";
import { encodeRun } from "../../lib/engine/codec.ts";
import type { RunState } from "../../lib/engine/run-state.ts";
import type { RunIndex } from "../../lib/runtime/run-index.ts";
import { VirtualClock } from "../../lib/testing/virtual-clock.ts";
import { nowMs, runOf } from "../engine/sample-run.ts";

type Item = Record<string, AttributeValue>;

const client = new DynamoDBClient({ region: "us-east-1" });
const mock = mockClient(client);
let clock: VirtualClock;
let index: RunIndex;
/** Runs as the table has them, by partition key. */
let table: Map<string, Item>;
/** Items of each partition, of the table or the index, in the order of their sort keys. */
let partitions: Map<string, Item[]>;
/** Items that one answer to a query has at most, whatever was asked for. */
let most: number;

beforeEach(() => {
  mock.reset();
  clock = new VirtualClock();
  index = createDynamoRunIndex({ client, table: "table", clock });
  table = new Map();
  partitions = new Map();
  most = 1_000_000;
  mock.on(QueryCommand).callsFake(query);
  mock.on(BatchGetItemCommand).callsFake(({ RequestItems }: BatchGetItemCommandInput) => ({
    Responses: {
      table: RequestItems!.table!.Keys!.map(({ pk }) => table.get(pk!.S!)).filter((item) => item !== undefined),
    },
  }));
});

/** As DynamoDB answers, as far as lists ask. */
function query({
  IndexName: name,
  ExpressionAttributeValues: values,
  ScanIndexForward: isForward = true,
  Limit: limit = 1_000_000,
  ExclusiveStartKey: after,
}: QueryCommandInput) {
  const { ":p": partition, ":pk": whole, ":from": from, ":to": to } = values!;
  const sortKey = name === undefined ? "sk" : "is";
  const isIn = (item: Item): boolean =>
    from === undefined || (item[sortKey]!.S! >= from.S! && item[sortKey]!.S! <= to!.S!);
  const all = (partitions.get((partition ?? whole)!.S!) ?? []).filter(isIn);
  const ordered = isForward ? all : all.toReversed();
  const rest = ordered.slice(after === undefined ? 0 : ordered.findIndex(({ sk }) => sk!.S === after.sk!.S) + 1);
  const Items = rest.slice(0, Math.min(limit, most));
  return { Items, ...(Items.length < rest.length ? { LastEvaluatedKey: Items.at(-1) } : {}) };
}

function put(key: string, item: Item, sortKey = "sk"): void {
  const items = [...(partitions.get(key) ?? []), item];
  partitions.set(
    key,
    items.toSorted((a, b) => (a[sortKey]!.S! < b[sortKey]!.S! ? -1 : 1)),
  );
}

function store(run: RunState): void {
  const item = replaceRequest("table", run.runId, undefined, encodeRun(run))!.Item!;
  table.set(item.pk!.S!, item);
  put(item.ip!.S!, item, "is");
}

const runs = (count: number, change: (n: number) => Partial<RunState> = () => ({})): RunState[] =>
  Array.from({ length: count }, (_, n) => runOf({ runId: `run-${n}`, createdAtMs: nowMs + n, ...change(n) }));

async function pages(request: Parameters<RunIndex["list"]>[0]): Promise<string[][]> {
  const all: string[][] = [];
  let cursor: string | undefined;
  do {
    const page = await index.list({ ...request, ...(cursor === undefined ? {} : { cursor }) });
    all.push(page.runs.map(({ runId }) => runId));
    cursor = page.cursor;
  } while (cursor !== undefined);
  return all;
}

const ofSample = { workflow: "sample", statuses: ["running"] } as const;

describe("a page of the index", () => {
  test("leaves out runs that are gone, or have changed since, and goes on behind them", async () => {
    const all = runs(6);
    for (const run of all) store(run);
    table.delete("r#run-4");
    table.set("r#run-2", { ...table.get("r#run-2"), st: { S: "failed" } });
    // Removed, and begun again under the same id: it has another place, which the index does not know yet.
    table.set("r#run-1", { ...table.get("r#run-1"), c: { N: String(nowMs + 60_000) } });
    expect(await pages({ filter: ofSample, limit: 2 })).toEqual([["run-5"], ["run-3"], ["run-0"]]);
  });

  test("has a run once that is in two partitions while its status changes", async () => {
    const [run] = runs(1);
    store(run!);
    put(statusPartition("failed", 3), table.get("r#run-0")!, "is");
    expect(await pages({ filter: { workflow: "sample" }, limit: 10 })).toEqual([["run-0"]]);
  });

  test("ends where an answer was cut off, and the next goes on there: none is skipped", async () => {
    for (const run of runs(40)) store(run);
    most = 3;
    const found = await pages({ filter: ofSample, limit: 20 });
    expect(found.flat()).toEqual(
      runs(40)
        .map(({ runId }) => runId)
        .toReversed(),
    );
    expect(found.length).toBeGreaterThan(2);
  });

  test("asks again for runs that DynamoDB has not read", async () => {
    for (const run of runs(2)) store(run);
    const keys = { table: { Keys: [{ pk: { S: "r#run-0" }, sk: { S: "run" } }] } };
    mock
      .on(BatchGetItemCommand)
      .resolvesOnce({ Responses: { table: [table.get("r#run-1")!] }, UnprocessedKeys: keys })
      .resolvesOnce({ Responses: { table: [table.get("r#run-0")!] } });
    expect(await pages({ filter: ofSample, limit: 5 })).toEqual([["run-1", "run-0"]]);
  });

  test("of a time that is over before it begins asks nobody", async () => {
    expect(await index.list({ filter: { fromMs: 2, toMs: 1 }, limit: 5 })).toEqual({ runs: [] });
    expect(mock.calls()).toHaveLength(0);
  });

  test("of more workflows than are asked for is refused, and says what to do", async () => {
    const names = Array.from({ length: limits.listedWorkflows + 1 }, (_, n) => itemKey.workflow(`w${n}`));
    for (const key of names) put("w", keyAttributes(key));
    await expect(index.list({ filter: {}, limit: 5 })).rejects.toMatchObject({
      code: "invalid_request",
      message: expect.stringContaining("Name the workflow"),
    });
  });

  test("passes on runs that cannot be read, for whoever shows them to tell", async () => {
    const [run] = runs(1);
    store(run!);
    table.set("r#run-0", { ...table.get("r#run-0"), v: { N: "99" } });
    expect(await pages({ filter: ofSample, limit: 5 })).toEqual([["run-0"]]);
  });
});

describe("a page of entries", () => {
  const filter = { tag: { key: "a", value: "b" } };
  const tags = { a: "b" };
  const tagged = (run: RunState): void => {
    store(run);
    for (const write of projectChange({ second: 0, before: undefined, after: run })!.entries) {
      put(write.key.pk, writeRequest(write).PutRequest!.Item!);
    }
  };

  test("checks each on the run: what it cannot read, or what is not so any more, is left out", async () => {
    for (const run of runs(5, () => ({ tags }))) tagged(run);
    table.delete("r#run-4");
    table.set("r#run-3", { ...table.get("r#run-3"), v: { N: "99" } });
    table.set("r#run-2", { ...table.get("r#run-2"), g: { S: "{}" } });
    expect(await pages({ filter, limit: 2 })).toEqual([[], ["run-1"], ["run-0"]]);
  });

  test("ends after so many entries, whatever was found, and the next goes on", async () => {
    const many = limits.listReads * 2 + 10;
    for (const run of runs(many, (n) => ({ tags, workflow: n === 3 ? "rare" : "sample" }))) tagged(run);
    const asked = () => mock.commandCalls(QueryCommand).length;
    expect(await pages({ filter: { ...filter, workflow: "rare" }, limit: 5 })).toEqual([[], [], ["run-3"]]);
    expect(asked()).toBe(5 + 5 + 1);
    mock.resetHistory();
    expect((await pages({ filter: { ...filter, workflow: "sample" }, limit: 5 }))[0]).toEqual(
      [1, 2, 3, 4, 5].map((back) => `run-${many - back}`),
    );
  });

  test("ends where an answer was cut off, within its reads", async () => {
    for (const run of runs(30, () => ({ tags }))) tagged(run);
    most = 4;
    expect((await pages({ filter, limit: 10 })).flat()).toEqual(
      runs(30)
        .map(({ runId }) => runId)
        .toReversed(),
    );
  });

  test("knows ids that are too long for a key", async () => {
    const long = (n: number): string => `${"x".repeat(1_000)}${n}`;
    for (const run of runs(3, (n) => ({ tags, runId: long(n) }))) tagged(run);
    expect(await pages({ filter, limit: 2 })).toEqual([[long(2), long(1)], [long(0)]]);
    expect(await pages({ filter: ofSample, limit: 2 })).toEqual([[long(2), long(1)], [long(0)]]);
    for (const item of [...partitions.values()].flat()) {
      expect(Math.max((item.sk?.S ?? "").length, (item.is?.S ?? "").length)).toBeLessThanOrEqual(1_024);
    }
  });
});

describe("numbers", () => {
  test("come on as many pages as there are, and not below zero", async () => {
    const row = (workflow: string, counts: object): void =>
      put("s", { ...keyAttributes(itemKey.counts("2026-11-21", workflow)), ...attributeValues({ ...counts }) });
    row("a", { running: 2, failed: 0 });
    row("b", { running: -1, succeeded: 1 });
    row("c", {});
    most = 1;
    const day = "2026-11-21";
    expect(await index.counts({ from: day, to: day })).toEqual([
      { day, workflow: "a", counts: { running: 2 } },
      { day, workflow: "b", counts: { succeeded: 1 } },
      { day, workflow: "c", counts: {} },
    ]);
    expect(await index.counts({ from: "2026-11-22", to: "2026-11-30" })).toEqual([]);
  });

  test("of too many days and workflows are refused, not cut off", async () => {
    const rows = Array.from({ length: 1_000 }, () => ({ sk: { S: "2026-11-21#a" } }));
    mock.on(QueryCommand).resolves({ Items: rows, LastEvaluatedKey: { pk: { S: "s" } } });
    await expect(index.counts({ from: "2026-01-01", to: "2026-11-21" })).rejects.toMatchObject({
      code: "invalid_request",
      message: expect.stringContaining("Ask for fewer days"),
    });
    expect(mock.commandCalls(QueryCommand)).toHaveLength(limits.countRows / 1_000);
  });

  test("of bytes are asked for once a minute, and again when that failed", async () => {
    mock
      .on(DescribeTableCommand)
      .rejectsOnce(new Error("throttled"))
      .resolves({ Table: { TableSizeBytes: 7 } });
    await expect(index.extent()).rejects.toThrow("throttled");
    expect(await index.extent()).toEqual({ bytes: 7 });
    await clock.advance(59_000);
    await index.extent();
    expect(mock.commandCalls(DescribeTableCommand)).toHaveLength(2);
    await clock.advance(1_000);
    await index.extent();
    expect(mock.commandCalls(DescribeTableCommand)).toHaveLength(3);
  });
});
