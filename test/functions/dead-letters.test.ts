// Hunts dead letters that are dropped because something else failed, or lose what was known of them.
import { SendMessageCommand, SQSClient } from "@aws-sdk/client-sqs";
import { mockClient } from "aws-sdk-client-mock";
import { beforeEach, expect, test } from "vitest";
import { deadLettersHandler } from "../../functions/dead-letters.ts";
import type { Counts } from "../../functions/metrics.ts";
import { createRecordingLogger } from "../contract/recording-logger.ts";
import { lambdaContext } from "./lambda-context.ts";

const sqs = new SQSClient({ region: "us-east-1" });
const mock = mockClient(sqs);
let told: [unknown, string][];
let counted: Counts[];

beforeEach(() => {
  mock.reset();
  mock.on(SendMessageCommand).resolves({ MessageId: "m" });
  told = [];
  counted = [];
});

async function handle(...records: readonly unknown[]): Promise<unknown> {
  const handler = deadLettersHandler(() => ({
    sqs,
    archiveUrl: "https://sqs/archive",
    logger: { ...createRecordingLogger(), begin: () => undefined },
    metrics: { count: (counts) => void counted.push(counts) },
    worker: {
      deadLetter: async (body, reason) => {
        told.push([body, reason]);
        if (body === "poison") throw new Error("the table is gone");
      },
    },
  }));
  return handler({ Records: records }, lambdaContext);
}

/** @param attributes what the worker wrote; none when SQS moved the message by itself */
function record(
  messageId: string,
  body: string,
  attributes: Readonly<Record<string, string>> = {},
  receives = "21",
): unknown {
  return {
    messageId,
    receiptHandle: "receipt",
    body,
    attributes: { ApproximateReceiveCount: receives },
    messageAttributes: Object.fromEntries(
      Object.entries(attributes).map(([name, stringValue]) => [name, { stringValue, dataType: "String" }]),
    ),
    eventSource: "aws:sqs",
    eventSourceARN: "arn:aws:sqs:us-east-1:0:Orders-inventory-dead",
  };
}

const archived = (): unknown[] =>
  mock.commandCalls(SendMessageCommand).map(({ args: [{ input }] }) => ({
    url: input.QueueUrl,
    body: input.MessageBody,
    ...Object.fromEntries(
      Object.entries(input.MessageAttributes!).map(([name, { StringValue }]) => [name, StringValue]),
    ),
  }));

test("what the worker knew of it is passed on", async () => {
  const attributes = { reason: "no such step", taskQueue: "inventory", receiveCount: "7" };
  expect(await handle(record("m1", '{"a":1}', attributes, "1"))).toEqual({ batchItemFailures: [] });
  expect(told).toEqual([[{ a: 1 }, "no such step"]]);
  expect(archived()).toEqual([{ url: "https://sqs/archive", body: '{"a":1}', ...attributes }]);
  expect(counted).toEqual([{ DeadLetters: 1 }]);
});

test("what SQS moved by itself gets a reason, and the name of the queue that it lay in", async () => {
  await handle(record("m1", "{}"));
  const reason = expect.stringContaining("failed at each of its deliveries (21)");
  expect(told).toEqual([[{}, reason]]);
  expect(archived()).toMatchObject([{ reason, taskQueue: "Orders-inventory-dead", receiveCount: "21" }]);
});

test("one that cannot be handled now comes again, and the others are kept", async () => {
  expect(await handle(record("m1", "poison"), record("m2", "{}"))).toEqual({
    batchItemFailures: [{ itemIdentifier: "m1" }],
  });
  expect(archived()).toMatchObject([{ body: "{}" }]);
  expect(counted).toEqual([{ DeadLetters: 1 }]);
});

test("one that cannot be kept comes again", async () => {
  mock.on(SendMessageCommand).rejects(new Error("throttled"));
  expect(await handle(record("m1", "{}"))).toEqual({ batchItemFailures: [{ itemIdentifier: "m1" }] });
  expect(counted).toEqual([]);
});
