// Hunts status changes that the lifecycle function drops, holds up, or counts twice (R9).
import { EventBridgeClient, PutEventsCommand, type PutEventsCommandInput } from "@aws-sdk/client-eventbridge";
import { mockClient } from "aws-sdk-client-mock";
import { beforeEach, expect, test } from "vitest";
import { type LifecycleHandler, lifecycleHandler } from "../../functions/lifecycle.ts";
import type { Counts } from "../../functions/metrics.ts";
import { attributeValue } from "../../lib/aws/expression.ts";
import { VirtualClock } from "../../lib/testing/virtual-clock.ts";
import { createRecordingLogger } from "../contract/recording-logger.ts";
import { lambdaContext } from "./lambda-context.ts";

const eventBridge = new EventBridgeClient({ region: "us-east-1" });
const mock = mockClient(eventBridge);
let clock: VirtualClock;
let counted: [Counts, string | undefined][];
let logger: ReturnType<typeof createRecordingLogger>;
let lifecycle: LifecycleHandler;

beforeEach(() => {
  mock.reset();
  refuse(() => false);
  clock = new VirtualClock();
  counted = [];
  logger = createRecordingLogger();
  lifecycle = lifecycleHandler(() => ({
    eventBridge,
    eventBus: "bus",
    clock,
    random: { fraction: () => 0.5, id: () => "", secret: () => "" },
    logger: { ...logger, begin: () => undefined },
    metrics: { count: (counts, workflow) => void counted.push([counts, workflow]) },
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
  readonly from?: string;
  readonly to: string;
  readonly workflow?: string;
  readonly fingerprint?: string;
  /** Fields of the run that are missing. */
  readonly without?: string;
}

function record({ runId, from, to, workflow = "order", fingerprint = "abc", without }: Write, index: number): unknown {
  const image = (st: string): object => {
    const fields = { w: workflow, f: fingerprint, n: 1, st, s0: "r1" };
    return Object.fromEntries(
      Object.entries(fields)
        .filter(([name]) => name !== without)
        .map(([name, value]) => [name, attributeValue(value)]),
    );
  };
  return {
    dynamodb: {
      SequenceNumber: String(100 + index),
      ApproximateCreationDateTime: 1_795_262_400,
      Keys: { pk: { S: `r#${runId}` }, sk: { S: "run" } },
      NewImage: image(to),
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
  const writes = [
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
  expect(logger.lines).toMatchObject([{ level: "error", fields: { runId: "b" } }]);
});

test("a run that cannot be read holds up nobody", async () => {
  expect(await handle({ runId: "broken", to: "running", without: "n" }, { runId: "a", to: "running" })).toEqual({
    batchItemFailures: [],
  });
  expect(published()).toEqual(["a"]);
  expect(logger.lines).toMatchObject([{ level: "error", fields: { keys: { pk: "r#broken" } } }]);
});
