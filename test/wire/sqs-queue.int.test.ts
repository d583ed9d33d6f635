// Hunts differences between the queue on SQS and the contract that every queue keeps, over the wire (R5, R7, R10).
import { CreateQueueCommand, DeleteQueueCommand, ReceiveMessageCommand, type SQSClient } from "@aws-sdk/client-sqs";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createSqsClient } from "../../lib/aws/clients.ts";
import { createSchedule, createSchedulerClient } from "../../lib/aws/scheduler.ts";
import { createSqsQueue } from "../../lib/aws/sqs-queue.ts";
import type { Clock } from "../../lib/runtime/ports.ts";
import { systemClock, systemRandomness } from "../../lib/runtime/system.ts";
import { queueContract } from "../contract/queue.contract.ts";
import { createRecordingLogger } from "../contract/recording-logger.ts";
import { type Aws, openAws } from "./aws.ts";
import { createSqsSource } from "./sqs-source.ts";

let aws: Aws;
let sqs: SQSClient;
const clock: Clock = systemClock();

beforeAll(async () => {
  aws = await openAws();
  sqs = createSqsClient();
});
afterAll(async () => {
  sqs.destroy();
  await aws.stop();
});

async function createQueue(): Promise<string> {
  const { QueueUrl } = await sqs.send(new CreateQueueCommand({ QueueName: `pawl-test-${crypto.randomUUID()}` }));
  return QueueUrl!;
}

async function open() {
  const [url, deadLetterQueueUrl] = await Promise.all([createQueue(), createQueue()]);
  const queue = createSqsQueue({
    sqs,
    createSchedule: async (schedule) => createSchedule(createSchedulerClient(), schedule),
    address: {
      queues: { default: { url, arn: "arn:aws:sqs:us-east-1:000000000000:default" } },
      scheduleGroup: "none",
      scheduleRole: "arn:aws:iam::000000000000:role/none",
    },
    clock,
    random: systemRandomness,
  });
  const logger = createRecordingLogger();
  const source = createSqsSource(sqs, {
    sqs,
    queue,
    clock,
    logger,
    taskQueue: "default",
    queueUrl: url,
    deadLetterQueueUrl,
  });
  const close = async (): Promise<void> => {
    for (const QueueUrl of [url, deadLetterQueueUrl]) await sqs.send(new DeleteQueueCommand({ QueueUrl }));
  };
  return { queue, source, url, deadLetterQueueUrl, close };
}

/** The service counts whole seconds from when it was asked. */
const laterMs = 100;

queueContract(
  "SQS",
  async () => {
    const { queue, source, close } = await open();
    return {
      queue: { ...source, send: (messages) => queue.send(messages) },
      clock: {
        now: () => clock.now(),
        advance: (ms) => new Promise((resolve) => void setTimeout(resolve, ms + laterMs)),
      },
      close,
    };
  },
  {
    yearsPass: "time is real here; what waits longer than 15 minutes is a schedule, tested as data and by its own test",
    saysStale: "SQS takes a stale receipt without a word, and deletes the message if nobody has received it since",
    ordered: "a standard queue has no order",
    fullBatches: "SQS hands out at most 10 messages at once",
    countsFailures: "SQS counts receives; being told to come again is a new copy, so they are the failures",
    reasons: "a dead-letter queue is no list; the reason is an attribute of its message, tested below",
  },
);

test("a dead letter keeps its body as it was, and its reason beside it", async () => {
  const { queue, source, deadLetterQueueUrl, close } = await open();
  const message = {
    v: 1,
    kind: "nudge",
    runId: "r-1",
    workflow: "order",
    fingerprint: "f",
    epoch: 0,
    sentAtMs: 1,
  } as const;
  await queue.send([{ taskQueue: "default", message, delayMs: 0 }]);
  const [received] = await source.receive(1, 30_000);
  await source.deadLetter(received!.receipt, "No such step: \u0000 \uFFFE, Grüße");
  const { Messages = [] } = await sqs.send(
    new ReceiveMessageCommand({ QueueUrl: deadLetterQueueUrl, MessageAttributeNames: ["All"] }),
  );
  expect(Messages).toHaveLength(1);
  expect(JSON.parse(Messages[0]!.Body!)).toEqual(message);
  expect(Messages[0]!.MessageAttributes).toMatchObject({
    reason: { StringValue: "No such step: \uFFFD \uFFFD, Grüße", DataType: "String" },
    taskQueue: { StringValue: "default" },
    receiveCount: { StringValue: "1", DataType: "Number" },
  });
  await close();
});
