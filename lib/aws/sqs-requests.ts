/**
 * What is asked of SQS, as data. `sqs-queue.ts` and `receive.ts` send it.
 *
 * A batch of ten of our messages stays far below the 1 MiB that SQS takes at once: `limits.messageBytes` bounds each.
 */
import type {
  MessageAttributeValue,
  SendMessageBatchCommandInput,
  SendMessageBatchRequestEntry,
  SendMessageCommandInput,
} from "@aws-sdk/client-sqs";
import { limits } from "../definition/limits.ts";
import { keptDelayMs } from "../runtime/delay.ts";
import type { OutgoingMessage } from "../runtime/ports.ts";
import type { QueueAddress, StackAddress } from "./environment.ts";

/** A message that can be sent: its queue is known, its size and delay are within bounds. */
export interface Parcel {
  readonly queue: QueueAddress;
  readonly body: string;
  readonly delayMs: number;
  readonly message: OutgoingMessage["message"];
}

/** @throws {Error} naming what cannot be sent */
export function pack({ taskQueue, message, delayMs }: OutgoingMessage, queues: StackAddress["queues"]): Parcel {
  const queue = Object.hasOwn(queues, taskQueue) ? queues[taskQueue] : undefined;
  if (queue === undefined) throw new UnknownTaskQueueError(taskQueue, Object.keys(queues));
  const body = JSON.stringify(message);
  const bytes = Buffer.byteLength(body);
  if (bytes > limits.messageBytes) {
    throw new RangeError(
      `The ${message.kind} message of run ${message.runId} has ${bytes} bytes; at most ${limits.messageBytes} are allowed (limits.messageBytes).`,
    );
  }
  return { queue, body, delayMs: keptDelayMs(delayMs), message };
}

export class UnknownTaskQueueError extends Error {
  override readonly name = "UnknownTaskQueueError";

  constructor(taskQueue: string, known: readonly string[]) {
    const list = known.map((name) => JSON.stringify(name)).join(", ");
    super(
      `There is no queue for task queue ${JSON.stringify(taskQueue)}; the stack has ${list}. Add it to taskQueues of the Pawl construct and deploy, before runs use it.`,
    );
  }
}

const batchEntries = 10;

/** The fewest requests that send them all: one queue and up to ten messages each. */
export function sendBatches(parcels: readonly Parcel[]): SendMessageBatchCommandInput[] {
  const byUrl = Map.groupBy(parcels, ({ queue }) => queue.url);
  return [...byUrl].flatMap(([QueueUrl, ofQueue]) => {
    const entries = ofQueue.map(({ body, delayMs }, index): SendMessageBatchRequestEntry => {
      return { Id: String(index), MessageBody: body, ...delayed(delayMs) };
    });
    const count = Math.ceil(entries.length / batchEntries);
    return Array.from({ length: count }, (_, batch) => {
      const from = batch * batchEntries;
      return { QueueUrl, Entries: entries.slice(from, from + batchEntries) };
    });
  });
}

/** The message attributes that we write and read. */
export const attributeNames = {
  /** How often the message was given back to be delivered again, which SQS does not see: each time is a new copy. */
  redeliveries: "redeliveries",
  /** Why a message is a dead letter. */
  reason: "reason",
  /** The task queue that a dead letter comes from. */
  taskQueue: "taskQueue",
  /** How often a dead letter was received while it was alive. */
  receiveCount: "receiveCount",
  /** Bytes of a dead letter that was too large to be kept whole; it is cut off. */
  bytes: "bytes",
} as const;

/** Another copy of a message, to be delivered after a delay of at most `limits.queueDelayMs`. */
export function sendCopy(
  queueUrl: string,
  message: { readonly body: string; readonly redeliveries: number },
  delayMs: number,
): SendMessageCommandInput {
  return {
    QueueUrl: queueUrl,
    MessageBody: message.body,
    ...delayed(delayMs),
    MessageAttributes: { [attributeNames.redeliveries]: numberAttribute(message.redeliveries) },
  };
}

export interface DeadMessage {
  readonly body: string;
  readonly reason: string;
  readonly taskQueue: string;
  readonly receiveCount: number;
}

/** SQS takes 1 MiB, attributes included. */
const keptBodyBytes = 1024 * 1024 - 8 * 1024;

/** A dead letter as it is kept: the body as it was, and what is known of it beside it. */
export function sendDeadLetter(queueUrl: string, dead: DeadMessage): SendMessageCommandInput {
  const bytes = Buffer.byteLength(dead.body);
  const isTooLarge = bytes > keptBodyBytes;
  return {
    QueueUrl: queueUrl,
    MessageBody: isTooLarge ? firstBytes(dead.body, keptBodyBytes) : dead.body,
    MessageAttributes: {
      [attributeNames.reason]: textAttribute(dead.reason),
      [attributeNames.taskQueue]: textAttribute(dead.taskQueue),
      [attributeNames.receiveCount]: numberAttribute(dead.receiveCount),
      ...(isTooLarge ? { [attributeNames.bytes]: numberAttribute(bytes) } : {}),
    },
  };
}

/** Whole seconds, never early. */
function delayed(delayMs: number): { readonly DelaySeconds?: number } {
  return delayMs > 0 ? { DelaySeconds: Math.ceil(delayMs / 1000) } : {};
}

function numberAttribute(value: number): MessageAttributeValue {
  return { DataType: "Number", StringValue: String(value) };
}

/** SQS refuses empty values, and characters that XML 1.0 does not have. */
function textAttribute(text: string): MessageAttributeValue {
  const legal = text.toWellFormed().replace(/[^\t\n\r\u0020-\uD7FF\uE000-\uFFFD\u{10000}-\u{10FFFF}]/gu, "\uFFFD");
  return { DataType: "String", StringValue: legal === "" ? "unknown" : legal.slice(0, limits.reasonLength) };
}

function firstBytes(text: string, bytes: number): string {
  // A character that is cut in two becomes a replacement character of three bytes.
  return Buffer.from(text)
    .subarray(0, bytes - 3)
    .toString("utf8");
}
