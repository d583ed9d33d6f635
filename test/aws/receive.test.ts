// Hunts deliveries that are told apart wrongly, and pauses that do not grow or never end.
import { ChangeMessageVisibilityCommand, SendMessageCommand, SQSClient } from "@aws-sdk/client-sqs";
import { mockClient } from "aws-sdk-client-mock";
import { beforeEach, describe, expect, test } from "vitest";
import { pauseMs, type Receiver, receive } from "../../lib/aws/receive.ts";
import { parseSqsEvent, type SqsRecord } from "../../lib/aws/sqs-record.ts";
import { limits } from "../../lib/definition/limits.ts";
import type { Delivery, Disposition, OutgoingMessage } from "../../lib/runtime/ports.ts";
import { VirtualClock } from "../../lib/testing/virtual-clock.ts";
import { createRecordingLogger } from "../contract/recording-logger.ts";
import { outgoing } from "./sample-message.ts";

const sqs = new SQSClient({ region: "us-east-1" });
const mock = mockClient(sqs);
let clock: VirtualClock;
let sentLater: OutgoingMessage[];

beforeEach(() => {
  mock.reset();
  mock.on(SendMessageCommand).resolves({ MessageId: "m" });
  mock.on(ChangeMessageVisibilityCommand).resolves({});
  clock = new VirtualClock();
  sentLater = [];
});

function record(
  body: string = JSON.stringify(outgoing("r").message),
  redeliveries?: string,
  receives = "1",
): SqsRecord {
  const attribute = { stringValue: redeliveries, stringListValues: [], binaryListValues: [], dataType: "Number" };
  const [parsed] = parseSqsEvent({
    Records: [
      {
        messageId: "m-1",
        receiptHandle: "receipt",
        body,
        attributes: { ApproximateReceiveCount: receives, SentTimestamp: "1", SenderId: "x" },
        messageAttributes: redeliveries === undefined ? {} : { redeliveries: attribute },
        eventSource: "aws:sqs",
        eventSourceARN: "arn:aws:sqs:us-east-1:0:default",
        awsRegion: "us-east-1",
      },
    ],
  });
  return parsed!;
}

function receiveWith(
  given: SqsRecord,
  handle: (delivery: Delivery) => Promise<Disposition>,
  remainingMs = 30_000,
): Promise<boolean> {
  const receiver: Receiver = {
    sqs,
    clock,
    handle,
    logger: createRecordingLogger(),
    queue: { send: async (messages) => void sentLater.push(...messages) },
    taskQueue: "default",
    queueUrl: "https://sqs/default",
    deadLetterQueueUrl: "https://sqs/dead",
  };
  return receive(given, clock.now() + remainingMs, receiver);
}

const visibilities = (): unknown[] =>
  mock.commandCalls(ChangeMessageVisibilityCommand).map(({ args: [{ input }] }) => input);

describe("the delivery", () => {
  async function deliveryOf(given: SqsRecord): Promise<Delivery> {
    const taken = Promise.withResolvers<Delivery>();
    await receiveWith(given, async (delivery) => {
      taken.resolve(delivery);
      return { kind: "acknowledge" };
    });
    return taken.promise;
  }

  test("counts this message's receives and those of the copies before it", async () => {
    expect((await deliveryOf(record("{}", "4", "2"))).receiveCount).toBe(6);
    expect((await deliveryOf(record("{}"))).receiveCount).toBe(1);
  });

  test.each(["", "x", "-1", "1.5", "NaN"])(
    "an attribute that is not ours (%j) counts nothing",
    async (redeliveries) => {
      expect((await deliveryOf(record("{}", redeliveries))).receiveCount).toBe(1);
    },
  );

  test("has the body as it is, when it is no JSON", async () => {
    expect((await deliveryOf(record("no json"))).body).toBe("no json");
  });

  test("is extended in whole seconds, and knows how long the function may run", async () => {
    await receiveWith(record(), async (delivery) => {
      await clock.advance(1_000);
      expect(delivery.remainingMs?.()).toBe(29_000);
      await delivery.extend(1_200);
      return { kind: "acknowledge" };
    });
    expect(visibilities()).toEqual([
      { QueueUrl: "https://sqs/default", ReceiptHandle: "receipt", VisibilityTimeout: 2 },
    ]);
  });
});

describe("what becomes of it", () => {
  test("told to come later than SQS can wait, it becomes a timer", async () => {
    const given = record();
    expect(await receiveWith(given, async () => ({ kind: "redeliver", delayMs: limits.queueDelayMs + 1 }))).toBe(true);
    expect(sentLater).toEqual([outgoing("r", limits.queueDelayMs + 1)]);
    expect(mock.commandCalls(SendMessageCommand)).toEqual([]);
  });

  test.each<Disposition>([
    { kind: "redeliver", delayMs: 1_000 },
    { kind: "deadLetter", reason: "never" },
  ])("when SQS does not take it elsewhere ($kind), it is kept here", async (disposition) => {
    mock.on(SendMessageCommand).rejects(new Error("throttled"));
    expect(await receiveWith(record(), async () => disposition)).toBe(false);
    expect(visibilities()).toMatchObject([{ VisibilityTimeout: 1 }]);
  });

  test("a failure keeps it here also when its pause cannot be set", async () => {
    mock.on(ChangeMessageVisibilityCommand).rejects(new Error("throttled"));
    expect(await receiveWith(record(), () => Promise.reject(new Error("store")), 900_000)).toBe(false);
  });

  test("the pause is set after the visibility was shortened, so that it counts", async () => {
    const shortening = Promise.withResolvers<object>();
    mock.on(ChangeMessageVisibilityCommand).callsFakeOnce(() => shortening.promise);
    const received = receiveWith(record(undefined, undefined, "3"), () => Promise.reject(new Error("store")), 900_000);
    await clock.advance(0);
    expect(visibilities()).toHaveLength(1);
    shortening.resolve({});
    await received;
    expect(visibilities()).toMatchObject([{ VisibilityTimeout: limits.visibilityMs / 1000 }, { VisibilityTimeout: 4 }]);
  });

  test("pauses grow from a second to five minutes", () => {
    expect([1, 2, 3, 9, 10, 20].map(pauseMs)).toEqual([1_000, 2_000, 4_000, 256_000, 300_000, 300_000]);
    expect(pauseMs(0)).toBe(1_000);
    expect(pauseMs(10_000)).toBe(limits.redeliveryMs);
  });
});

test("what is no event of SQS is refused with what was expected", () => {
  expect(() => parseSqsEvent({ version: "2.0" })).toThrow(/takes events of SQS/);
});
