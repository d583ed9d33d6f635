/**
 * One delivery of one message from SQS, from the record to what becomes of it.
 *
 * Invariants:
 * 1. A message may be deleted only when the worker is done with it, or when another copy of it is safely in a queue (R5).
 *    Whoever dies in between leaves two copies, and the claim is their fence.
 * 2. SQS counts how often it is received: failures, crashes and throttled deliveries, and nothing else. Being asked to
 *    come again is a new copy with a count of its own.
 */
import { ChangeMessageVisibilityCommand, SendMessageCommand, type SQSClient } from "@aws-sdk/client-sqs";
import { limits } from "../definition/limits.ts";
import type { Message } from "../engine/message.ts";
import type { Clock, Delivery, Disposition, Logger, MessageQueue } from "../runtime/ports.ts";
import { bodyOf, countOf, type SqsRecord } from "./sqs-record.ts";
import { sendCopy, sendDeadLetter } from "./sqs-requests.ts";

export interface Receiver {
  readonly sqs: SQSClient;
  /** Takes what is to come again later than SQS can wait. */
  readonly queue: MessageQueue;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly handle: (delivery: Delivery) => Promise<Disposition>;
  readonly taskQueue: string;
  readonly queueUrl: string;
  readonly deadLetterQueueUrl: string;
}

/**
 * Handles the record.
 *
 * @param endsAtMs when Lambda ends this process, by `receiver.clock`
 * @returns whether SQS may delete it; otherwise it comes again after a pause
 */
export async function receive(record: SqsRecord, endsAtMs: number, receiver: Receiver): Promise<boolean> {
  const { clock, logger, handle } = receiver;
  const delivery: Delivery = {
    body: bodyOf(record),
    receiveCount: record.attributes.ApproximateReceiveCount + countOf(record, "redeliveries"),
    remainingMs: () => endsAtMs - clock.now(),
    extend: (visibleInMs) => hide(record, visibleInMs, receiver),
  };
  const shortened = shortenVisibility(record, endsAtMs, receiver);
  try {
    await react(await handle(delivery), record, receiver);
    return true;
  } catch (error) {
    const { ApproximateReceiveCount: receiveCount } = record.attributes;
    logger.warn("handling a message failed; it is delivered again", {
      error,
      receiveCount,
      messageId: record.messageId,
    });
    await shortened;
    await hide(record, pauseMs(receiveCount), receiver).catch((failure: unknown) => {
      logger.warn("the pause before the next delivery could not be set", { error: failure });
    });
    return false;
  } finally {
    await shortened;
  }
}

/** So long a message that failed stays invisible: from a second, doubled each time, up to `limits.redeliveryMs`. */
export function pauseMs(receiveCount: number): number {
  return Math.min(1_000 * 2 ** Math.max(0, receiveCount - 1), limits.redeliveryMs);
}

async function react(disposition: Disposition, record: SqsRecord, receiver: Receiver): Promise<void> {
  const { sqs, queue, queueUrl, taskQueue } = receiver;
  switch (disposition.kind) {
    case "acknowledge":
      return;
    case "redeliver": {
      const { delayMs } = disposition;
      if (delayMs <= limits.queueDelayMs) {
        const copy = { body: record.body, redeliveries: countOf(record, "redeliveries") + 1 };
        await sqs.send(new SendMessageCommand(sendCopy(queueUrl, copy, delayMs)));
      } else {
        // The worker has parsed it: what is no message is never told to come again.
        await queue.send([{ taskQueue, message: bodyOf(record) as Message, delayMs }]);
      }
      return;
    }
    case "deadLetter": {
      const { body, attributes } = record;
      const { reason } = disposition;
      const dead = { body, reason, taskQueue, receiveCount: attributes.ApproximateReceiveCount };
      await sqs.send(new SendMessageCommand(sendDeadLetter(receiver.deadLetterQueueUrl, dead)));
      return;
    }
  }
}

/**
 * A queue hides its messages for as long as its function may run, up to a quarter of an hour; the message of a worker
 * that crashed should be back when its lease ends.
 */
async function shortenVisibility(record: SqsRecord, endsAtMs: number, receiver: Receiver): Promise<void> {
  if (endsAtMs - receiver.clock.now() <= limits.queueVisibilityMs) return;
  try {
    await hide(record, limits.visibilityMs, receiver);
  } catch (error) {
    receiver.logger.warn("the visibility of a message could not be shortened", { error });
  }
}

/** SQS counts whole seconds, up to 12 h. */
async function hide({ receiptHandle }: SqsRecord, forMs: number, { sqs, queueUrl }: Receiver): Promise<void> {
  await sqs.send(
    new ChangeMessageVisibilityCommand({
      QueueUrl: queueUrl,
      ReceiptHandle: receiptHandle,
      VisibilityTimeout: Math.ceil(forMs / 1000),
    }),
  );
}
