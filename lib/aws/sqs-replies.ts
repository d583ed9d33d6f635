/** Notices on SQS, for those who send them. Who waits for them is in `sqs-reply-queue.ts`, which few functions load. */
import { SendMessageCommand, type SQSClient } from "@aws-sdk/client-sqs";
import type { Clock, Replies, Reply } from "../runtime/ports.ts";
import { settleAll } from "../runtime/settle-all.ts";
import { madeAtMs, type ReplyPlaces, replyQueueUrl, settlesMs } from "./reply-queues.ts";

/** A notice for a queue that is just being made is tried so often, with these pauses: together longer than SQS says it takes. */
const youngTries = 3;
const youngPauseMs = 700;

export function createSqsReplies({
  sqs,
  places,
  clock,
}: {
  readonly sqs: SQSClient;
  readonly places: ReplyPlaces;
  readonly clock: Clock;
}): Replies {
  async function tell({ replyTo, notice }: Reply): Promise<void> {
    const madeMs = madeAtMs(replyTo);
    // Whatever was written there, nothing else is sent to.
    if (madeMs === undefined) return;
    const command = { QueueUrl: replyQueueUrl(places, replyTo), MessageBody: JSON.stringify(notice) };
    for (let tries = 1; ; tries++) {
      try {
        await sqs.send(new SendMessageCommand(command));
        return;
      } catch (error) {
        if (!isGone(error)) throw error;
        const isYoung = clock.now() - madeMs < settlesMs;
        // Nobody waits there any more.
        if (!isYoung || tries === youngTries) return;
        await pause(clock, youngPauseMs);
      }
    }
  }
  return {
    async send(replies) {
      await settleAll(replies.map(tell));
    },
  };
}

/** By the names of both protocols that SQS speaks. */
export function isGone(error: unknown): boolean {
  return error instanceof Error && /^(QueueDoesNotExist|AWS\.SimpleQueueService\.NonExistentQueue)$/.test(error.name);
}

async function pause(clock: Clock, ms: number): Promise<void> {
  await new Promise<void>((resolve) => {
    clock.after(ms, resolve);
  });
}
