/** Ends the steps of messages that failed at every delivery, so that no run hangs, and keeps the messages. */
import { SendMessageCommand, type SQSClient } from "@aws-sdk/client-sqs";
import type { Context, SQSBatchResponse } from "aws-lambda";
import { bodyOf, countOf, parseSqsEvent, type SqsRecord, textOf } from "../lib/aws/sqs-record.ts";
import { sendDeadLetter } from "../lib/aws/sqs-requests.ts";
import { settleAll } from "../lib/runtime/settle-all.ts";
import type { Worker } from "../lib/runtime/worker.ts";
import type { FunctionLogger } from "./logger.ts";
import type { StackMetrics } from "./metrics.ts";

export interface DeadLettersParts {
  readonly sqs: SQSClient;
  readonly worker: Pick<Worker, "deadLetter">;
  readonly archiveUrl: string;
  readonly logger: FunctionLogger;
  readonly metrics: StackMetrics;
}

export type DeadLettersHandler = (event: unknown, context: Context) => Promise<SQSBatchResponse>;

export function deadLettersHandler(parts: () => DeadLettersParts): DeadLettersHandler {
  return async (event, context) => {
    const { logger, metrics, ...rest } = parts();
    logger.begin(context);
    const records = parseSqsEvent(event);
    const isKept = await settleAll(
      records.map(async (record) => {
        try {
          await bury(record, rest);
          return true;
        } catch (error) {
          logger.error("a dead letter could not be handled; it comes again", { error, messageId: record.messageId });
          return false;
        }
      }),
    );
    const failed = records.filter((_, index) => isKept[index] !== true);
    const kept = records.length - failed.length;
    if (kept > 0) metrics.count({ DeadLetters: kept });
    return { batchItemFailures: failed.map(({ messageId }) => ({ itemIdentifier: messageId })) };
  };
}

async function bury(
  record: SqsRecord,
  { sqs, worker, archiveUrl }: Pick<DeadLettersParts, "sqs" | "worker" | "archiveUrl">,
): Promise<void> {
  const receiveCount = Math.max(countOf(record, "receiveCount"), record.attributes.ApproximateReceiveCount);
  // SQS itself moves what was received too often, and gives no reason.
  const reason =
    textOf(record, "reason") ??
    `Handling failed at each of its deliveries (${receiveCount}). The worker's log has the causes.`;
  await worker.deadLetter(bodyOf(record), reason);
  const taskQueue = textOf(record, "taskQueue") ?? record.eventSourceARN.split(":").at(-1) ?? "";
  await sqs.send(
    new SendMessageCommand(sendDeadLetter(archiveUrl, { body: record.body, reason, taskQueue, receiveCount })),
  );
}
