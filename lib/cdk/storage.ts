/** What holds the state: the table with its index and stream, and the bucket of large payloads. */
import { Duration, RemovalPolicy, Validations } from "aws-cdk-lib";
import * as dynamodb from "aws-cdk-lib/aws-dynamodb";
import type * as kms from "aws-cdk-lib/aws-kms";
import * as s3 from "aws-cdk-lib/aws-s3";
import type { Construct } from "constructs";
import { tableSchema } from "../aws/table.ts";

export interface StorageOptions {
  readonly key?: kms.IKey | undefined;
  readonly removalPolicy: RemovalPolicy;
}

export function createTable(scope: Construct, { key, removalPolicy }: StorageOptions): dynamodb.Table {
  const text = (name: string): dynamodb.Attribute => ({ name, type: dynamodb.AttributeType.STRING });
  const { statusIndex } = tableSchema;
  const table = new dynamodb.Table(scope, "Table", {
    partitionKey: text(tableSchema.partitionKey),
    sortKey: text(tableSchema.sortKey),
    billingMode: dynamodb.BillingMode.PAY_PER_REQUEST,
    pointInTimeRecoverySpecification: { pointInTimeRecoveryEnabled: true },
    stream: dynamodb.StreamViewType.NEW_AND_OLD_IMAGES,
    timeToLiveAttribute: tableSchema.expiry,
    removalPolicy,
    ...(key === undefined ? {} : { encryption: dynamodb.TableEncryption.CUSTOMER_MANAGED, encryptionKey: key }),
  });
  table.addGlobalSecondaryIndex({
    indexName: statusIndex.name,
    partitionKey: text(statusIndex.partitionKey),
    sortKey: text(statusIndex.sortKey),
    projectionType: dynamodb.ProjectionType.KEYS_ONLY,
  });
  return table;
}

export function createBlobs(scope: Construct, { key, removalPolicy }: StorageOptions): s3.Bucket {
  const bucket = new s3.Bucket(scope, "Blobs", {
    blockPublicAccess: s3.BlockPublicAccess.BLOCK_ALL,
    objectOwnership: s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
    enforceSSL: true,
    lifecycleRules: [{ abortIncompleteMultipartUploadAfter: Duration.days(7) }],
    removalPolicy,
    // A bucket that still holds something cannot be removed.
    autoDeleteObjects: removalPolicy === RemovalPolicy.DESTROY,
    ...(key === undefined
      ? { encryption: s3.BucketEncryption.S3_MANAGED }
      : { encryption: s3.BucketEncryption.KMS, encryptionKey: key, bucketKeyEnabled: true }),
  });
  Validations.of(bucket).acknowledge({
    id: "AwsSolutions-S1",
    reason: "Only this stack's functions read and write it; a log of their calls would be larger than what it holds",
  });
  return bucket;
}
