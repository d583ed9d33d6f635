/**
 * The SDK's clients, made once per process: connections are kept alive between invocations.
 *
 * Repeating is safe everywhere: every write is conditional or idempotent, and the engine recognises its own writes. It is
 * bounded, because whoever changes a run from outside must be done before the nudge that it has armed
 * (`limits.nudgeDelayMs`), and a worker before its lease ends: 4 tries of 3 s, and up to 4 s of pauses when throttled.
 * What still fails is thrown: the message is delivered again, or the caller told so.
 *
 * Region, credentials and another endpoint (AWS_ENDPOINT_URL) come from where the SDK looks for them.
 */
import process from "node:process";
import { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { EventBridgeClient } from "@aws-sdk/client-eventbridge";
import { S3Client } from "@aws-sdk/client-s3";
import { SchedulerClient } from "@aws-sdk/client-scheduler";
import { SQSClient } from "@aws-sdk/client-sqs";

const retries = {
  retryMode: "standard",
  maxAttempts: 4,
} as const;

/** Without these, the SDK waits for ever for an answer that does not come, and the invocation with it. */
const timeouts = {
  connectionTimeout: 1_000,
  requestTimeout: 3_000,
  socketTimeout: 3_000,
  throwOnRequestTimeout: true,
} as const;

export function createDynamoClient(): DynamoDBClient {
  return new DynamoDBClient({ ...retries, requestHandler: timeouts });
}

/** Blobs are up to `limits.payloadBytes` large: they take their time on a small function. */
const blobTimeouts = { ...timeouts, requestTimeout: 10_000 } as const;

export function createS3Client(): S3Client {
  return new S3Client({
    ...retries,
    requestHandler: blobTimeouts,
    // An endpoint of one's own, as an emulator's, has no host name for each bucket.
    forcePathStyle: [process.env.AWS_ENDPOINT_URL, process.env.AWS_ENDPOINT_URL_S3].some((url) => url !== undefined),
  });
}

export function createSqsClient(): SQSClient {
  // Otherwise the host of a queue's URL counts for more than an endpoint that was configured, as that of a VPC.
  return new SQSClient({ ...retries, requestHandler: timeouts, useQueueUrlAsEndpoint: false });
}

export function createSchedulerClient(): SchedulerClient {
  return new SchedulerClient({ ...retries, requestHandler: timeouts });
}

export function createEventBridgeClient(): EventBridgeClient {
  return new EventBridgeClient({ ...retries, requestHandler: timeouts });
}
