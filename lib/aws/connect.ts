/** The runtime's ports on a deployed stack. */
import type { SQSClient } from "@aws-sdk/client-sqs";
import type { Logger, OpenRuns, Ports } from "../runtime/ports.ts";
import { systemClock, systemRandomness } from "../runtime/system.ts";
import { withBlobs } from "../runtime/with-blobs.ts";
import { createDynamoClient, createS3Client, createSchedulerClient, createSqsClient } from "./clients.ts";
import { createDynamoStore } from "./dynamo-store.ts";
import type { StackAddress } from "./environment.ts";
import { createS3Blobs } from "./s3-blobs.ts";
import { createSqsQueue } from "./sqs-queue.ts";

export interface Connection {
  readonly ports: Ports;
  readonly openRuns: OpenRuns;
  readonly sqs: SQSClient;
}

/** Makes clients of its own, and calls nobody yet. */
export function connect(address: StackAddress, logger: Logger): Connection {
  const clock = systemClock();
  const random = systemRandomness;
  const sqs = createSqsClient();
  const runs = createDynamoStore({ client: createDynamoClient(), table: address.table });
  const store = withBlobs(runs, createS3Blobs({ client: createS3Client(), bucket: address.blobs }));
  const queue = createSqsQueue({ sqs, scheduler: createSchedulerClient(), address, clock, random });
  return { ports: { store, queue, clock, random, logger }, openRuns: runs, sqs };
}
