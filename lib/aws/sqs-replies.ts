/** Notices on SQS: who sends them, who waits for them, and who deletes the queues of those that died. */
import {
  CreateQueueCommand,
  DeleteMessageBatchCommand,
  DeleteQueueCommand,
  ListQueuesCommand,
  type Message,
  ReceiveMessageCommand,
  SendMessageCommand,
  type SQSClient,
} from "@aws-sdk/client-sqs";
import { limits } from "../definition/limits.ts";
import type { Clock, CreateReplyQueue, Randomness, Replies, Reply } from "../runtime/ports.ts";
import type { ReplyAddress } from "./environment.ts";
import {
  createReplyQueueRequest,
  isOrphan,
  madeAtMs,
  type ReplyPlaces,
  receiveNotices,
  replyQueueId,
  replyQueueUrl,
} from "./reply-queues.ts";
import { settleAll } from "./settle-all.ts";

/** SQS may not know a queue yet, or still know it, for so long after it was asked to. */
const settlesMs = 60_000;

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
  return { send: (replies) => settleAll(replies.map(tell)) };
}

export function createSqsReplyQueues({
  createClient,
  places,
  clock,
  random,
}: {
  /** Of the waiting alone: its requests take longer than others. */
  readonly createClient: () => SQSClient;
  readonly places: ReplyPlaces;
  readonly clock: Clock;
  readonly random: Randomness;
}): CreateReplyQueue {
  return async () => {
    const sqs = createClient();
    const madeMs = clock.now();
    const id = replyQueueId(madeMs, random.id());
    const url = replyQueueUrl(places, id);
    try {
      await sqs.send(new CreateQueueCommand(createReplyQueueRequest(places.replies, id)));
    } catch (error) {
      sqs.destroy();
      throw error;
    }
    return {
      id,
      async receive(atMostMs, signal) {
        try {
          const { Messages = [] } = await sqs.send(new ReceiveMessageCommand(receiveNotices(url, atMostMs)), {
            abortSignal: signal,
          });
          await forget(sqs, url, Messages);
          return Messages.map(({ Body = "" }) => parseBody(Body));
        } catch (error) {
          if (isGone(error) && clock.now() - madeMs >= settlesMs) return undefined;
          throw error;
        }
      },
      async remove() {
        try {
          await sqs.send(new DeleteQueueCommand({ QueueUrl: url }));
        } catch (error) {
          if (!isGone(error)) throw error;
        } finally {
          sqs.destroy();
        }
      },
    };
  };
}

/** What cannot be deleted comes again, and is not heard a second time. */
async function forget(sqs: SQSClient, url: string, messages: readonly Message[]): Promise<void> {
  if (messages.length === 0) return;
  const entries = messages.map(({ ReceiptHandle }, index) => ({ Id: String(index), ReceiptHandle }));
  await sqs.send(new DeleteMessageBatchCommand({ QueueUrl: url, Entries: entries })).catch(() => undefined);
}

function parseBody(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text;
  }
}

/**
 * Deletes the queues of processes that died before they could: up to `limits.replyOrphans` of them.
 *
 * @returns how many
 */
export async function removeOrphans(sqs: SQSClient, replies: ReplyAddress, nowMs: number): Promise<number> {
  let removed = 0;
  let cursor: string | undefined;
  do {
    const { QueueUrls = [], NextToken } = await sqs.send(
      new ListQueuesCommand({
        QueueNamePrefix: replies.prefix,
        MaxResults: 1_000,
        ...(cursor === undefined ? {} : { NextToken: cursor }),
      }),
    );
    cursor = NextToken;
    const orphans = QueueUrls.filter((url) => isOrphan(replies, url, nowMs)).slice(0, limits.replyOrphans - removed);
    for (const QueueUrl of orphans) {
      await sqs.send(new DeleteQueueCommand({ QueueUrl })).catch((error: unknown) => {
        if (!isGone(error)) throw error;
      });
      removed++;
    }
  } while (cursor !== undefined && removed < limits.replyOrphans);
  return removed;
}

/** By the names of both protocols that SQS speaks. */
function isGone(error: unknown): boolean {
  return error instanceof Error && /^(QueueDoesNotExist|AWS\.SimpleQueueService\.NonExistentQueue)$/.test(error.name);
}

async function pause(clock: Clock, ms: number): Promise<void> {
  await new Promise<void>((resolve) => {
    clock.after(ms, resolve);
  });
}
