/** What holds the state: the table with its index and stream, and the bucket of large payloads. */
import { Duration, RemovalPolicy } from "aws-cdk-lib";
import * as dynamodb from "aws-cdk-lib/aws-dynamodb";
import type * as kms from "aws-cdk-lib/aws-kms";
import * as s3 from "aws-cdk-lib/aws-s3";
import type { Construct } from "constructs";

const tableKeys = { partition: "pk", sort: "sk", expiry: "ttl" };
const statusIndex = { name: "status", partition: "ip", sort: "is" };
export const statusIndexName = statusIndex.name;

export interface StorageOptions {
  readonly key?: kms.IKey | undefined;
  readonly removalPolicy: RemovalPolicy;
}

export function createTable(scope: Construct, { key, removalPolicy }: StorageOptions): dynamodb.Table {
  const text = (name: string): dynamodb.Attribute => ({ name, type: dynamodb.AttributeType.STRING });
  const table = new dynamodb.Table(scope, "Table", {
    partitionKey: text(tableKeys.partition),
    sortKey: text(tableKeys.sort),
    billingMode: dynamodb.BillingMode.PAY_PER_REQUEST,
    pointInTimeRecoverySpecification: { pointInTimeRecoveryEnabled: true },
    stream: dynamodb.StreamViewType.NEW_AND_OLD_IMAGES,
    timeToLiveAttribute: tableKeys.expiry,
    removalPolicy,
    ...(key === undefined ? {} : { encryption: dynamodb.TableEncryption.CUSTOMER_MANAGED, encryptionKey: key }),
  });
  table.addGlobalSecondaryIndex({
    indexName: statusIndex.name,
    partitionKey: text(statusIndex.partition),
    sortKey: text(statusIndex.sort),
    projectionType: dynamodb.ProjectionType.KEYS_ONLY,
  });
  return table;
}

export function createBlobs(scope: Construct, { key, removalPolicy }: StorageOptions): s3.Bucket {
  return new s3.Bucket(scope, "Blobs", {
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
}
