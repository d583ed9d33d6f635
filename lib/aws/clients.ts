/**
 * The SDK's clients, to be made once per process: their connections stay open between invocations.
 *
 * To repeat a request is safe everywhere: every write is conditional or idempotent, and the engine recognises its own. But
 * it is bounded, as whoever changes a run from outside must be done before the nudge that it has armed comes, and a
 * worker before its lease ends. What fails at every try is thrown: the message is then delivered again.
 *
 * Those of S3, EventBridge and Scheduler have files of their own, as few processes need them. Region, credentials and another endpoint (AWS_ENDPOINT_URL) come from where the SDK looks for them.
 */
import { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { SQSClient } from "@aws-sdk/client-sqs";
import { limits } from "../definition/limits.ts";
import { bounded } from "./bounded.ts";

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

/** For requests that wait for messages. */
export function createPollingClient(): SQSClient {
  return new SQSClient({
    ...bounded(limits.requestTries, limits.replyPollMs + limits.requestMs),
    useQueueUrlAsEndpoint: false,
  });
}
