// Hunts a notice that is lost because SQS is slow to know a queue, one that is sent elsewhere, and a deleted queue that is not an orphan.
import {
  CreateQueueCommand,
  DeleteMessageBatchCommand,
  DeleteQueueCommand,
  ListQueuesCommand,
  QueueDoesNotExist,
  ReceiveMessageCommand,
  SendMessageCommand,
  SQSClient,
} from "@aws-sdk/client-sqs";
import { mockClient } from "aws-sdk-client-mock";
import { beforeEach, describe, expect, test } from "vitest";
import {
  createReplyQueueRequest,
  isOrphan,
  madeAtMs,
  replyQueueId,
  replyQueueUrl,
} from "../../lib/aws/reply-queues.ts";
import { createSqsReplies } from "../../lib/aws/sqs-replies.ts";
import { createSqsReplyQueues, removeOrphans } from "../../lib/aws/sqs-reply-queue.ts";
import { limits } from "../../lib/definition/limits.ts";
import type { Replies } from "../../lib/runtime/ports.ts";
import { VirtualClock } from "../../lib/testing/virtual-clock.ts";
import { nowMs } from "./sample-message.ts";

const places = {
  queues: { default: { url: "https://sqs.us-east-1.amazonaws.com/123/orders-default", arn: "arn:aws:sqs:x" } },
  replies: { prefix: "Shop-replies-" },
};
const gone = new QueueDoesNotExist({ message: "The specified queue does not exist.", $metadata: {} });
const notice = { v: 1, runId: "r", status: "failed", epoch: 0 } as const;
const sqs = new SQSClient({ region: "us-east-1" });
const mock = mockClient(sqs);
const signal = new AbortController().signal;
let clock: VirtualClock;
let replies: Replies;

beforeEach(() => {
  mock.reset();
  clock = new VirtualClock(nowMs);
  replies = createSqsReplies({ sqs, places, clock });
});

describe("the name of a reply queue", () => {
  test("tells its age, and leads to it", () => {
    const id = replyQueueId(nowMs + 999, "0123456789abcdefghij");
    expect(id).toMatch(/^[0-9a-z]{6}-0123456789ab$/);
    expect(madeAtMs(id)).toBe(nowMs);
    expect(replyQueueUrl(places, id)).toBe(`https://sqs.us-east-1.amazonaws.com/123/Shop-replies-${id}`);
    // Until the year 2038 and after it.
    expect(madeAtMs(replyQueueId(Date.UTC(2060, 0), "a"))).toBe(Date.UTC(2060, 0));
  });

  test.each(["", "x", "a-", "-a", "../default", "a-b/c", "a-B", "123456789-a"])("%j is none", (id) => {
    expect(madeAtMs(id)).toBeUndefined();
  });

  test("is an orphan's when it is a day old and ours", () => {
    const url = (prefix: string, atMs: number): string => `https://sqs/123/${prefix}${replyQueueId(atMs, "a")}`;
    const oldMs = nowMs - limits.replyOrphanMs - 1_000;
    expect(isOrphan(places.replies, url("Shop-replies-", oldMs), nowMs)).toBe(true);
    expect(isOrphan(places.replies, url("Shop-replies-", oldMs + 2_000), nowMs)).toBe(false);
    expect(isOrphan(places.replies, url("Shop-replies-more-", oldMs), nowMs)).toBe(false);
    expect(isOrphan(places.replies, url("Shop-", oldMs), nowMs)).toBe(false);
  });

  test("comes with encryption: by SQS, or by the customer's key", () => {
    expect(createReplyQueueRequest({ prefix: "p-" }, "id").Attributes).toMatchObject({ SqsManagedSseEnabled: "true" });
    expect(createReplyQueueRequest({ prefix: "p-", key: "arn:key" }, "id")).toMatchObject({
      QueueName: "p-id",
      Attributes: { KmsMasterKeyId: "arn:key" },
    });
  });
});

describe("a notice", () => {
  const old = replyQueueId(nowMs - 3_600_000, "old");
  const young = replyQueueId(nowMs - 1_000, "young");

  test("to a queue that is gone is sent once", async () => {
    mock.on(SendMessageCommand).rejects(gone);
    await replies.send([{ replyTo: old, notice }]);
    expect(mock.commandCalls(SendMessageCommand)).toHaveLength(1);
  });

  test("to a queue that SQS does not know yet is sent again", async () => {
    mock.on(SendMessageCommand).rejectsOnce(gone).resolves({});
    const sending = replies.send([{ replyTo: young, notice }]);
    await clock.advance(2_000);
    await sending;
    const bodies = mock.commandCalls(SendMessageCommand).map(({ args: [{ input }] }) => input.MessageBody);
    expect(bodies).toEqual([JSON.stringify(notice), JSON.stringify(notice)]);
  });

  test("that SQS does not take is not lost in silence, and the others are sent", async () => {
    mock.on(SendMessageCommand).rejectsOnce(new Error("throttled")).resolves({});
    await expect(replies.send([old, young].map((replyTo) => ({ replyTo, notice })))).rejects.toThrow("throttled");
    expect(mock.commandCalls(SendMessageCommand)).toHaveLength(2);
  });

  test("goes to nothing but reply queues", async () => {
    await replies.send([{ replyTo: "../orders-default", notice }]);
    expect(mock.commandCalls(SendMessageCommand)).toEqual([]);
  });
});

describe("who waits", () => {
  const create = () =>
    createSqsReplyQueues({
      createClient: () => sqs,
      places,
      clock,
      random: { fraction: () => 0, id: () => "random", secret: () => "" },
    })();

  test("asks for as long as somebody waits, within what SQS allows, and deletes what came", async () => {
    mock
      .on(ReceiveMessageCommand)
      .resolves({ Messages: [{ Body: JSON.stringify(notice), ReceiptHandle: "h" }, { Body: "x" }] });
    mock.on(DeleteMessageBatchCommand).rejects(new Error("throttled"));
    const queue = await create();
    expect(await queue.receive(90_000, signal)).toEqual([notice, "x"]);
    await queue.receive(7_900, signal);
    await queue.receive(100, signal);
    const waits = mock.commandCalls(ReceiveMessageCommand).map(({ args: [{ input }] }) => input.WaitTimeSeconds);
    expect(waits).toEqual([20, 7, 1]);
    expect(mock.commandCalls(DeleteMessageBatchCommand)).toHaveLength(3);
  });

  test("is patient with a queue that is new, and told when an old one is gone", async () => {
    mock
      .on(CreateQueueCommand)
      .resolves({})
      .on(ReceiveMessageCommand)
      .rejects(gone)
      .on(DeleteQueueCommand)
      .rejects(gone);
    const queue = await create();
    await expect(queue.receive(1_000, signal)).rejects.toBe(gone);
    await clock.advance(60_000);
    expect(await queue.receive(1_000, signal)).toBeUndefined();
    await queue.remove();
  });
});

test("orphans are looked for on every page, and so many are deleted at most", async () => {
  const old = (n: number): string =>
    `https://sqs/123/Shop-replies-${replyQueueId(nowMs - 2 * limits.replyOrphanMs, `a${n}`)}`;
  const young = `https://sqs/123/Shop-replies-${replyQueueId(nowMs, "young")}`;
  const page = (from: number, count: number) => Array.from({ length: count }, (_, n) => old(from + n));
  mock
    .on(ListQueuesCommand, { QueueNamePrefix: "Shop-replies-", MaxResults: 1_000 })
    .resolves({ QueueUrls: [young, ...page(0, 150)], NextToken: "next" })
    .on(ListQueuesCommand, { NextToken: "next" })
    .resolves({ QueueUrls: page(150, 150), NextToken: "more" });
  mock
    .on(DeleteQueueCommand)
    .resolves({})
    .on(DeleteQueueCommand, { QueueUrl: old(1) })
    .rejects(gone);
  expect(await removeOrphans(sqs, places.replies, nowMs)).toBe(limits.replyOrphans);
  const deleted = mock.commandCalls(DeleteQueueCommand).map(({ args: [{ input }] }) => input.QueueUrl);
  expect(deleted).toEqual(page(0, limits.replyOrphans));
});
