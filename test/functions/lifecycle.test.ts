// Hunts status changes that the lifecycle function drops, holds up, or counts twice (R9).
import {
  BatchWriteItemCommand,
  type BatchWriteItemCommandInput,
  DeleteItemCommand,
  DynamoDBClient,
  TransactionCanceledException,
  TransactWriteItemsCommand,
} from "@aws-sdk/client-dynamodb";
import { EventBridgeClient, PutEventsCommand, type PutEventsCommandInput } from "@aws-sdk/client-eventbridge";
import { mockClient } from "aws-sdk-client-mock";
import { beforeEach, describe, expect, test } from "vitest";
import { type LifecycleHandler, lifecycleHandler } from "../../functions/lifecycle.ts";
import type { Counts } from "../../functions/metrics.ts";
import { attributeValue } from "../../lib/aws/expression.ts";
import { createProjections } from "../../lib/aws/projections.ts";
import { limits } from "../../lib/definition/limits.ts";
import { encodeRun } from "../../lib/engine/codec.ts";
import { isTerminal, type RunStatus } from "../../lib/engine/run-state.ts";
import type { Transition } from "../../lib/engine/transition.ts";
import { VirtualClock } from "../../lib/testing/virtual-clock.ts";
import { createRecordingLogger } from "../contract/recording-logger.ts";
import { nowMs, runOf } from "../engine/sample-run.ts";
import { lambdaContext } from "./lambda-context.ts";

const eventBridge = new EventBridgeClient({ region: "us-east-1" });
const mock = mockClient(eventBridge);
const dynamo = new DynamoDBClient({ region: "us-east-1" });
const table = mockClient(dynamo);
const dayMs = 86_400_000;
/** When the stream saw the records. */
const seenAtMs = 1_795_262_400_000;
const random = { fraction: () => 0.5, id: () => "", secret: () => "" };
let removed: string[];
let told: string[];
let corrected: [string, Transition][];
let isUntold: (id: string) => boolean;
let isStuck: boolean;
let clock: VirtualClock;
let counted: [Counts, string | undefined][];
let logger: ReturnType<typeof createRecordingLogger>;
let lifecycle: LifecycleHandler;

beforeEach(() => {
  mock.reset();
  refuse(() => false);
  table.reset();
  table.on(TransactWriteItemsCommand).resolves({});
  table.on(BatchWriteItemCommand).resolves({});
  table.on(DeleteItemCommand).resolves({});
  removed = [];
  told = [];
  corrected = [];
  isUntold = () => false;
  isStuck = false;
  clock = new VirtualClock();
  counted = [];
  logger = createRecordingLogger();
  lifecycle = lifecycleHandler(() => ({
    eventBridge,
    eventBus: "bus",
    clock,
    random,
    logger: { ...logger, begin: () => undefined },
    metrics: { count: (counts, workflow) => void counted.push([counts, workflow]) },
    projections: createProjections({ client: dynamo, table: "table", clock, random }),
    tell: async ({ id }) => {
      if (isUntold(id)) throw new Error("the queue is out of reach");
      told.push(id);
    },
    afterRemoval: async (run) => {
      removed.push(run.runId);
      if (isStuck) throw new Error("the bucket is out of reach");
    },
    store: {
      update: async (runId, transition) => {
        corrected.push([runId, transition]);
        return { applied: true, fields: {} };
      },
    },
  }));
});

function refuse(isRefused: (runId: string) => boolean): void {
  mock.on(PutEventsCommand).callsFake(({ Entries = [] }: PutEventsCommandInput) => ({
    Entries: Entries.map(({ Detail }) =>
      isRefused(JSON.parse(Detail!).runId) ? { ErrorCode: "InternalFailure" } : { EventId: "e" },
    ),
  }));
}

interface Write {
  readonly runId: string;
  readonly from?: RunStatus;
  /** Absent: the run is removed. */
  readonly to?: RunStatus;
  readonly workflow?: string;
  readonly fingerprint?: string;
  readonly tags?: Readonly<Record<string, string>>;
  /** Fields of the run that are missing. */
  readonly without?: string;
  /** When it expires, once it has ended. */
  readonly expiresAtMs?: number;
}

function record(
  { runId, from, to, workflow = "order", fingerprint = "abc", tags, without, expiresAtMs }: Write,
  index: number,
): unknown {
  const image = (st: RunStatus): object => {
    const run = runOf({ runId, workflow, fingerprint, status: st, ...(tags && { tags }) });
    const expiry = expiresAtMs === undefined ? {} : { retentionMs: dayMs, expiresAtMs };
    const fields = encodeRun(isTerminal(st) ? { ...run, ...expiry, changes: 2, endedAtMs: nowMs } : run);
    return Object.fromEntries(
      Object.entries(fields)
        .filter(([name]) => name !== without)
        .map(([name, value]) => [name, attributeValue(value)]),
    );
  };
  return {
    dynamodb: {
      SequenceNumber: String(100 + index),
      ApproximateCreationDateTime: seenAtMs / 1000,
      Keys: { pk: { S: `r#${runId}` }, sk: { S: "run" } },
      ...(to === undefined ? {} : { NewImage: image(to) }),
      ...(from === undefined ? {} : { OldImage: image(from) }),
    },
  };
}

async function handle(...writes: readonly Write[]): Promise<unknown> {
  const handling = lifecycle({ Records: writes.map(record) }, lambdaContext);
  await clock.advance(60_000);
  return handling;
}

const published = (): string[] =>
  mock
    .commandCalls(PutEventsCommand)
    .flatMap(({ args: [{ input }] }) => input.Entries!.map(({ Detail }) => JSON.parse(Detail!).runId));

test("publishes changes of status, and nothing for other writes", async () => {
  const writes: Write[] = [
    { runId: "a", to: "running" },
    { runId: "a", from: "running", to: "running" },
    { runId: "a", from: "running", to: "succeeded" },
  ];
  expect(await handle(...writes)).toEqual({ batchItemFailures: [] });
  expect(published()).toEqual(["a", "a"]);
});

test("counts by workflow; parts of maps and what is not an end are not counted", async () => {
  await handle(
    { runId: "a", to: "running" },
    { runId: "b", to: "running" },
    { runId: "c", to: "running", workflow: "report" },
    { runId: "c~each", to: "running", fingerprint: "abc.0.0.16.1.0" },
    { runId: "a", from: "running", to: "unwinding" },
    { runId: "a", from: "unwinding", to: "failed" },
    { runId: "b", from: "running", to: "cancelled" },
    { runId: "d", from: "running", to: "timed_out" },
    { runId: "e", from: "failed", to: "running" },
    { runId: "f", from: "running", to: "paused", workflow: "paused" },
  );
  expect(counted).toEqual([
    [{ RunsStarted: 2, RunsFailed: 1, RunsCancelled: 1, RunsTimedOut: 1 }, "order"],
    [{ RunsStarted: 1 }, "report"],
    [{}, "paused"],
  ]);
  expect(published()).toHaveLength(10);
});

test("the stream repeats from the first that was not published, and only those before are counted", async () => {
  refuse((runId) => runId === "b");
  const result = await handle(
    { runId: "x", from: "running", to: "running" },
    { runId: "a", to: "running" },
    { runId: "b", to: "running" },
    { runId: "c", to: "running" },
  );
  expect(result).toEqual({ batchItemFailures: [{ itemIdentifier: "102" }] });
  expect(counted).toEqual([[{ RunsStarted: 1 }, "order"]]);
  expect(logger.lines).toMatchObject([{ level: "error", fields: { keys: { pk: "r#b" }, left: 2 } }]);
});

test("a run that cannot be read holds up nobody", async () => {
  expect(await handle({ runId: "broken", to: "running", without: "n" }, { runId: "a", to: "running" })).toEqual({
    batchItemFailures: [],
  });
  expect(published()).toEqual(["a"]);
  const line = { level: "error", fields: { keys: { pk: "r#broken" } } };
  expect(logger.lines).toMatchObject([line, line]);
  expect(transactions()).toEqual([["c#1795262400", "s"]]);
});

describe("lists and statistics", () => {
  test("are kept after the events, and a record is done when both are", async () => {
    table.on(TransactWriteItemsCommand).rejects(new Error("the table is out of reach"));
    const result = await handle(
      { runId: "x", from: "running", to: "running" },
      { runId: "a", to: "running" },
      { runId: "b", to: "running" },
    );
    expect(published()).toEqual(["a", "b"]);
    // What came before the first that was not counted changes nothing.
    expect(result).toEqual({ batchItemFailures: [{ itemIdentifier: "100" }] });
    expect(counted).toEqual([]);
    expect(logger.lines).toMatchObject([{ fields: { error: { message: "the table is out of reach" }, left: 3 } }]);
  });

  test("leave out what was not published: it comes again", async () => {
    refuse((runId) => runId === "b");
    await handle({ runId: "a", to: "running" }, { runId: "b", to: "running", workflow: "report" });
    expect(transactions()).toEqual([["c#1795262400", "s"]]);
    expect(updates()[1]?.Key).toEqual({ pk: { S: "s" }, sk: { S: "2027-01-15#order" } });
  });

  test("write each row once for a batch, with what is left of the changes", async () => {
    await handle(
      { runId: "a", to: "running" },
      { runId: "b", to: "running" },
      { runId: "a", from: "running", to: "succeeded" },
    );
    expect(transactions()).toEqual([["c#1795262400", "s"]]);
    const [remember, row] = updates();
    expect(remember?.ExpressionAttributeValues?.[":ids"]?.SS).toHaveLength(3);
    expect(row).toMatchObject({
      UpdateExpression: "ADD #0 :0,#1 :0,#2 :0",
      ExpressionAttributeNames: { "#0": "running", "#1": "succeeded", "#2": expect.stringMatching(/^took\d+$/) },
      ExpressionAttributeValues: { ":0": { N: "1" } },
    });
  });

  test("count what a refused transaction says is not counted yet", async () => {
    await handle({ runId: "a", to: "running" });
    const [id] = updates()[0]?.ExpressionAttributeValues?.[":ids"]?.SS ?? [];
    table.resetHistory();
    table
      .on(TransactWriteItemsCommand)
      .rejectsOnce(canceled({ Code: "ConditionalCheckFailed", Item: { ids: { SS: [id ?? ""] } } }, { Code: "None" }));
    expect(await handle({ runId: "a", to: "running" }, { runId: "b", to: "running" })).toEqual({
      batchItemFailures: [],
    });
    expect(updates().map(({ ExpressionAttributeValues: values }) => values?.[":ids"]?.SS?.length)).toEqual([
      2,
      undefined,
      1,
      undefined,
    ]);
  });

  test("wait for other transactions, and give up after some tries", async () => {
    const conflict = canceled({ Code: "TransactionConflict" }, { Code: "None" });
    table.on(TransactWriteItemsCommand).rejectsOnce(conflict).rejectsOnce(conflict).resolves({});
    expect(await handle({ runId: "a", to: "running" })).toEqual({ batchItemFailures: [] });
    expect(transactions()).toHaveLength(3);
    table.resetHistory();
    table.on(TransactWriteItemsCommand).rejects(conflict);
    expect(await handle({ runId: "a", to: "running" })).toMatchObject({ batchItemFailures: [{}] });
    expect(transactions()).toHaveLength(limits.batchTries);
  });

  test("of more changes than a transaction takes go in several, and those before one that fails are done", async () => {
    const writes = Array.from(
      { length: 150 },
      (_, n) => ({ runId: `r${n}`, to: "running", workflow: `w${n}` }) as const,
    );
    table.on(TransactWriteItemsCommand).resolvesOnce({}).rejects(new Error("out of reach"));
    // The second one remembers and counts the rest: one item for all, one for each workflow.
    expect(await handle(...writes)).toEqual({ batchItemFailures: [{ itemIdentifier: String(100 + 99) }] });
    expect(transactions().map(({ length }) => length)).toEqual([100, 52]);
  });

  test("send entries again that the table did not take, and fail the first change whose entry it never takes", async () => {
    const tags = { tags: { customer: "7" } };
    table.on(BatchWriteItemCommand).callsFake(({ RequestItems }: BatchWriteItemCommandInput) => ({
      UnprocessedItems: {
        table: (RequestItems?.table ?? []).filter(({ PutRequest }) => PutRequest?.Item?.sk?.S?.endsWith("#b")),
      },
    }));
    const result = await handle(
      { runId: "a", to: "running", ...tags },
      { runId: "b", to: "running", ...tags },
      { runId: "c", to: "running", ...tags },
    );
    expect(result).toEqual({ batchItemFailures: [{ itemIdentifier: "101" }] });
    expect(table.commandCalls(BatchWriteItemCommand)).toHaveLength(limits.batchTries);
    expect(updates()[0]?.ExpressionAttributeValues?.[":ids"]?.SS).toHaveLength(1);
  });
});

describe("webhooks", () => {
  test("are told of changes of runs that users have started", async () => {
    await handle(
      { runId: "a", to: "running" },
      { runId: "a~each", to: "running", fingerprint: "abc.0.0.16.1.0" },
      { runId: "a", from: "running", to: "running" },
      { runId: "b", to: "running" },
    );
    expect(told).toEqual(["a:1", "b:1"]);
  });

  test("that cannot be told now are told when the stream brings the change again; it is not done before", async () => {
    const writes = Array.from({ length: 15 }, (_, index): Write => ({ runId: `run-${index}`, to: "running" }));
    isUntold = (id) => id === "run-12:1";
    expect(await handle(...writes)).toEqual({ batchItemFailures: [{ itemIdentifier: "112" }] });
    expect(published()).toHaveLength(15);
    expect(counted).toEqual([[{ RunsStarted: 12 }, "order"]]);
    isUntold = () => false;
    await handle(...writes.slice(12));
    expect(new Set(told).size).toBe(15);
  });
});

describe("a run that is removed", () => {
  test("is counted no more, its row deleted when it is empty, and what belongs to it is removed", async () => {
    expect(await handle({ runId: "a", from: "failed" })).toEqual({ batchItemFailures: [] });
    expect(published()).toEqual([]);
    expect(updates()[1]?.ExpressionAttributeValues).toEqual({ ":0": { N: "-1" } });
    const [deletion] = table.commandCalls(DeleteItemCommand).map(({ args: [{ input }] }) => input);
    expect(deletion?.Key).toEqual({ pk: { S: "s" }, sk: { S: "2027-01-15#order" } });
    expect(deletion?.ConditionExpression?.split(" AND ")).toHaveLength(7);
    expect(removed).toEqual(["a"]);
  });

  test("comes again when that fails, and those before it do not", async () => {
    isStuck = true;
    expect(await handle({ runId: "a", to: "running" }, { runId: "b", from: "failed" })).toEqual({
      batchItemFailures: [{ itemIdentifier: "101" }],
    });
    expect(counted).toEqual([[{ RunsStarted: 1 }, "order"]]);
  });

  test("is no news to those whose lists never had it: parts of maps", async () => {
    await handle({ runId: "a~each", from: "failed", fingerprint: "abc.0.0.16.1.0" });
    expect(transactions()).toEqual([]);
    expect(removed).toEqual(["a~each"]);
  });
});

function canceled(...reasons: readonly object[]): TransactionCanceledException {
  return new TransactionCanceledException({ message: "no", $metadata: {}, CancellationReasons: [...reasons] });
}

const updates = () =>
  table
    .commandCalls(TransactWriteItemsCommand)
    .flatMap(({ args: [{ input }] }) => input.TransactItems!.map(({ Update }) => Update!));

/** The partitions that each transaction writes to. */
const transactions = () =>
  table
    .commandCalls(TransactWriteItemsCommand)
    .map(({ args: [{ input }] }) => input.TransactItems!.map(({ Update }) => Update!.Key!.pk!.S!));

describe("an expiry", () => {
  const ended = (runId: string, expiresAtMs: number): Write => ({ runId, from: "running", to: "failed", expiresAtMs });

  test("that only a clock far ahead can have set begins to count when the stream sees it", async () => {
    const honest = seenAtMs + dayMs;
    const writes = [ended("r1", honest), ended("r2", honest + 50 * dayMs), ended("r3", honest + limits.clockSkewMs)];
    expect(await lifecycle({ Records: writes.map(record) }, lambdaContext)).toEqual({ batchItemFailures: [] });
    expect(corrected).toMatchObject([["r2", { set: { ttl: honest / 1000 } }]]);
  });
});
