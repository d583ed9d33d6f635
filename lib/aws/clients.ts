/**
 * The SDK's clients, to be made once per process: their connections stay open between invocations.
 *
 * To repeat a request is safe everywhere: every write is conditional or idempotent, and the engine recognises its own. But
 * it is bounded, as whoever changes a run from outside must be done before the nudge that it has armed comes, and a
 * worker before its lease ends. What fails at every try is thrown: the message is then delivered again.
 *
 * That of S3 has a file of its own (`s3-client.ts`). Region, credentials and another endpoint (AWS_ENDPOINT_URL) come from where the SDK looks for them.
 */
import { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { EventBridgeClient } from "@aws-sdk/client-eventbridge";
import { SchedulerClient } from "@aws-sdk/client-scheduler";
import { SQSClient } from "@aws-sdk/client-sqs";
import { limits } from "../definition/limits.ts";

export function createDynamoClient(): DynamoDBClient {
  return new DynamoDBClient(bounded(limits.requestTries, limits.requestMs));
}

export function createSqsClient(): SQSClient {
  return new SQSClient({
    ...bounded(limits.requestTries, limits.requestMs),
    // Otherwise the host of a queue's URL counts for more than an endpoint that was configured, as that of a VPC.
    useQueueUrlAsEndpoint: false,
  });
}

export function createSchedulerClient(): SchedulerClient {
  return new SchedulerClient(bounded(limits.requestTries, limits.requestMs));
}

export function createEventBridgeClient(): EventBridgeClient {
  return new EventBridgeClient(bounded(limits.requestTries, limits.requestMs));
}

/**
 * `standard` pauses for up to 1, 2, 4 s when throttled and for a tenth of a second otherwise, and stops repeating when most
 * requests fail. (`adaptive` would hold back all runs of a process because one partition is hot.)
 */
export function bounded(maxAttempts: number, requestMs: number) {
  return {
    retryMode: "standard",
    maxAttempts,
    // Without these, the SDK waits for ever for an answer that does not come, and the invocation with it. There is no
    // limit for connecting alone: the SDK would count the time in which a request waits for one of the open connections.
    requestHandler: {
      requestTimeout: requestMs,
      socketTimeout: requestMs,
      throwOnRequestTimeout: true,
    },
  } as const;
}
