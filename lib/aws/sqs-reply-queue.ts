/** Reply queues on SQS, for those who wait at them, and for the audit, which deletes those of processes that died. */
import {
  CreateQueueCommand,
  DeleteMessageBatchCommand,
  DeleteQueueCommand,
  ListQueuesCommand,
  type Message,
  ReceiveMessageCommand,
  type SQSClient,
} from "@aws-sdk/client-sqs";
import { limits } from "../definition/limits.ts";
import type { Clock, CreateReplyQueue, Randomness } from "../runtime/ports.ts";
import type { ReplyAddress } from "./environment.ts";
import {
  createReplyQueueRequest,
  isOrphan,
  type ReplyPlaces,
  receiveNotices,
  replyQueueId,
  replyQueueUrl,
  settlesMs,
} from "./reply-queues.ts";
import { isGone } from "./sqs-replies.ts";

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
