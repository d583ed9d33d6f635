/**
 * Reply queues, as data: one for each process that waits for runs, made by itself and named so that everybody knows where
 * it is, whose it is and how old it is: `<prefix><created, seconds in base 36>-<random>`.
 *
 * Its messages live for five minutes: whoever waits asks all the time, and one that was suspended for longer looks at its
 * runs when its wait is over. What was received and not deleted comes again after seconds, so that an answer which was cut off
 * on its way costs little.
 */
import type { CreateQueueCommandInput, ReceiveMessageCommandInput } from "@aws-sdk/client-sqs";
import { limits } from "../definition/limits.ts";
import type { ReplyAddress, StackAddress } from "./environment.ts";

/** Where an id leads to. */
export type ReplyPlaces = Pick<StackAddress, "queues" | "replies">;

/** SQS may not know a queue yet for so long after it was made. */
export const settlesMs = 60_000;

const retentionSeconds = 300;
const visibilitySeconds = 2;

export function replyQueueId(nowMs: number, random: string): string {
  return `${Math.floor(nowMs / 1000).toString(36)}-${random.slice(0, 12)}`;
}

const idForm = /^([0-9a-z]{1,8})-[0-9a-z]{1,12}$/;

/** `undefined` for what is no such id. */
export function madeAtMs(id: string): number | undefined {
  const seconds = idForm.exec(id)?.[1];
  return seconds === undefined ? undefined : Number.parseInt(seconds, 36) * 1000;
}

/** All queues of a stack have the same URL but for their name. */
export function replyQueueUrl({ queues, replies }: ReplyPlaces, id: string): string {
  const [known] = Object.values(queues);
  if (known === undefined) throw new Error("The stack has no task queue, so nobody knows where its reply queues are.");
  return new URL(`${replies.prefix}${id}`, known.url).href;
}

export function createReplyQueueRequest({ prefix, key }: ReplyAddress, id: string): CreateQueueCommandInput {
  return {
    QueueName: `${prefix}${id}`,
    Attributes: {
      MessageRetentionPeriod: String(retentionSeconds),
      VisibilityTimeout: String(visibilitySeconds),
      ...(key === undefined ? { SqsManagedSseEnabled: "true" } : { KmsMasterKeyId: key }),
    },
  };
}

export function receiveNotices(url: string, atMostMs: number): ReceiveMessageCommandInput {
  const seconds = Math.floor(Math.min(atMostMs, limits.replyPollMs) / 1000);
  return { QueueUrl: url, MaxNumberOfMessages: 10, WaitTimeSeconds: Math.max(1, seconds) };
}

/** Whether the queue belongs to nobody any more. What is not named as ours is left alone. */
export function isOrphan({ prefix }: ReplyAddress, url: string, nowMs: number): boolean {
  const name = url.slice(url.lastIndexOf("/") + 1);
  if (!name.startsWith(prefix)) return false;
  const sinceMs = madeAtMs(name.slice(prefix.length));
  return sinceMs !== undefined && nowMs - sinceMs > limits.replyOrphanMs;
}
