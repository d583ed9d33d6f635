// Hunts differences between blobs in S3 and the contract that all blob stores keep, over the wire (R10).
import type { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import {
  CreateBucketCommand,
  DeleteBucketCommand,
  DeleteObjectsCommand,
  ListObjectsV2Command,
  type S3Client,
} from "@aws-sdk/client-s3";
import { afterAll, beforeAll } from "vitest";
import { createDynamoClient } from "../../lib/aws/clients.ts";
import { createDynamoStore } from "../../lib/aws/dynamo-store.ts";
import { createS3Blobs } from "../../lib/aws/s3-blobs.ts";
import { createS3Client } from "../../lib/aws/s3-client.ts";
import { withBlobs } from "../../lib/runtime/with-blobs.ts";
import { blobContract } from "../contract/blobs.contract.ts";
import { storeContract } from "../contract/store.contract.ts";
import { type Aws, createTable, openAws, type TestTable } from "./aws.ts";

const bucket = `pawl-test-${crypto.randomUUID()}`;
let aws: Aws;
let s3: S3Client;
let dynamo: DynamoDBClient;
let table: TestTable;

beforeAll(async () => {
  aws = await openAws();
  s3 = createS3Client();
  dynamo = createDynamoClient();
  await s3.send(new CreateBucketCommand({ Bucket: bucket }));
  table = await createTable(dynamo);
});
afterAll(async () => {
  await table.delete();
  for (;;) {
    const { Contents = [] } = await s3.send(new ListObjectsV2Command({ Bucket: bucket }));
    if (Contents.length === 0) break;
    const objects = Contents.map(({ Key }) => ({ Key }));
    await s3.send(new DeleteObjectsCommand({ Bucket: bucket, Delete: { Objects: objects } }));
  }
  await s3.send(new DeleteBucketCommand({ Bucket: bucket }));
  s3.destroy();
  dynamo.destroy();
  await aws.stop();
});

const close = async (): Promise<void> => undefined;
blobContract("S3", async () => ({ blobs: createS3Blobs({ client: s3, bucket }), close }));
storeContract("DynamoDB with blobs in S3", async () => ({
  store: withBlobs(createDynamoStore({ client: dynamo, table: table.name }), createS3Blobs({ client: s3, bucket })),
  close,
}));
