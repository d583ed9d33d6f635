/**
 * The SDK's clients, to be made once per process: their connections stay open between invocations.
 *
 * To repeat a request is safe everywhere: every write is conditional or idempotent, and the engine recognises its own. But
 * it is bounded, as whoever changes a run from outside must be done before the nudge that it has armed comes, and a
 * worker before its lease ends. What fails at every try is thrown: the message is then delivered again.
 *
 * Region, credentials and another endpoint (AWS_ENDPOINT_URL) come from where the SDK looks for them.
 */
import process from "node:process";
import { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { S3Client } from "@aws-sdk/client-s3";
import { limits } from "../definition/limits.ts";

export function createDynamoClient(): DynamoDBClient {
  return new DynamoDBClient(bounded(limits.requestTries, limits.requestMs));
}

export function createS3Client(): S3Client {
  return new S3Client({
    ...bounded(limits.blobTries, limits.blobRequestMs),
    // An endpoint of one's own, as an emulator's, has no host name for each bucket.
    forcePathStyle: [process.env.AWS_ENDPOINT_URL, process.env.AWS_ENDPOINT_URL_S3].some((url) => url !== undefined),
  });
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
