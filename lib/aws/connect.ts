/** The runtime's ports on a deployed stack. */
import type { SQSClient } from "@aws-sdk/client-sqs";
import type { BlobStore, CreateReplyQueue, Logger, OpenRuns, Ports } from "../runtime/ports.ts";
import type { RunIndex } from "../runtime/run-index.ts";
import { settleAll } from "../runtime/settle-all.ts";
import { systemClock, systemRandomness } from "../runtime/system.ts";
import { withArchives } from "../runtime/with-archives.ts";
import { withBlobs } from "../runtime/with-blobs.ts";
import { createDynamoClient, createPollingClient, createSqsClient } from "./clients.ts";
import { createCursorKey } from "./cursor-key.ts";
import { createDynamoRunIndex } from "./dynamo-run-index.ts";
import { createDynamoStore } from "./dynamo-store.ts";
import type { StackAddress } from "./environment.ts";
import { createSqsQueue, type SqsQueueOptions } from "./sqs-queue.ts";
import { createSqsReplies } from "./sqs-replies.ts";

export interface Connection {
  readonly ports: Ports;
  readonly openRuns: OpenRuns;
  /** For this process to wait at. */
  readonly createReplyQueue: CreateReplyQueue;
  /** Deletes reply queues of processes that are gone; how many. */
  readonly removeOrphans: () => Promise<number>;
  readonly runIndex: RunIndex;
  /** Signs the cursors of the HTTP API. */
  readonly cursorKey: () => Promise<string>;
  readonly sqs: SQSClient;
}

/** Makes clients of its own, and calls nobody yet. */
export function connect(address: StackAddress, logger: Logger): Connection {
  const clock = systemClock();
  const random = systemRandomness;
  const sqs = createSqsClient();
  const { table } = address;
  const client = createDynamoClient();
  const runs = createDynamoStore({ client, table });
  const runIndex = createDynamoRunIndex({ client, table, clock });
  const store = withArchives(withBlobs(runs, lazyBlobs(address.blobs)));
  const queue = createSqsQueue({ sqs, createSchedule: lazySchedules(), address, clock, random });
  const replies = createSqsReplies({ sqs, places: address, clock });
  return {
    ports: { store, queue, replies, clock, random, logger },
    openRuns: runs,
    runIndex,
    createReplyQueue: async () => {
      const { createSqsReplyQueues } = await import("./sqs-reply-queue.ts");
      return createSqsReplyQueues({ createClient: createPollingClient, places: address, clock, random })();
    },
    removeOrphans: async () => {
      const { removeOrphans } = await import("./sqs-reply-queue.ts");
      return removeOrphans(sqs, address.replies, clock.now());
    },
    cursorKey: createCursorKey(client, table, random),
    sqs,
  };
}

/** Most processes never meet a payload that is a blob, and a cold start should not wait for the code that reads one. */
function lazyBlobs(bucket: string): BlobStore {
  let loading: Promise<BlobStore> | undefined;
  const load = async (): Promise<BlobStore> => {
    const [{ createS3Client }, { createS3Blobs }] = await settleAll([
      import("./s3-client.ts"),
      import("./s3-blobs.ts"),
    ]);
    return createS3Blobs({ client: createS3Client(), bucket });
  };
  const blobs = (): Promise<BlobStore> => (loading ??= load());
  return {
    put: async (key, text) => (await blobs()).put(key, text),
    get: async (key) => (await blobs()).get(key),
    removeAll: async (runId) => (await blobs()).removeAll(runId),
  };
}

/** Most steps wait for no more than SQS can. */
function lazySchedules(): SqsQueueOptions["createSchedule"] {
  let loading: Promise<SqsQueueOptions["createSchedule"]> | undefined;
  const load = async (): Promise<SqsQueueOptions["createSchedule"]> => {
    const { createSchedule, createSchedulerClient } = await import("./scheduler.ts");
    const client = createSchedulerClient();
    return (schedule) => createSchedule(client, schedule);
  };
  return async (schedule) => (await (loading ??= load()))(schedule);
}
