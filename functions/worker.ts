/** Handles messages of one task queue. All records of a batch are worked on at the same time. */
import type { Context, SQSBatchResponse } from "aws-lambda";
import { type Receiver, receive } from "../lib/aws/receive.ts";
import { parseSqsEvent } from "../lib/aws/sqs-record.ts";
import { settleAll } from "../lib/runtime/settle-all.ts";
import type { FunctionLogger } from "./logger.ts";

export interface WorkerParts extends Receiver {
  readonly logger: FunctionLogger;
}

export type WorkerHandler = (event: unknown, context: Context) => Promise<SQSBatchResponse>;

export function workerHandler(parts: () => WorkerParts): WorkerHandler {
  return async (event, context) => {
    const receiver = parts();
    receiver.logger.begin(context);
    const endsAtMs = receiver.clock.now() + context.getRemainingTimeInMillis();
    const records = parseSqsEvent(event);
    const mayDelete = await settleAll(records.map((record) => receive(record, endsAtMs, receiver)));
    const failed = records.filter((_, index) => mayDelete[index] !== true);
    return { batchItemFailures: failed.map(({ messageId }) => ({ itemIdentifier: messageId })) };
  };
}
