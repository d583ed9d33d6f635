// The AWS that a suite speaks to: the emulator, or what PAWL_AWS_ENDPOINT names.
import process from "node:process";
import {
  CreateTableCommand,
  DeleteTableCommand,
  type DynamoDBClient,
  waitUntilTableExists,
} from "@aws-sdk/client-dynamodb";
import { tableSchema } from "../../lib/aws/table.ts";
import { startEmulator } from "./emulator.ts";

export interface Aws {
  stop(): Promise<void>;
}

/**
 * Points the SDK of this process there. `PAWL_AWS_ENDPOINT` is the URL of another emulator (DynamoDB Local, for the
 * suites that need nothing else), or `aws` for the account that the environment names; both with PAWL_TEST_NETWORK=1
 * unless they are on this machine.
 */
export async function openAws(): Promise<Aws> {
  const endpoint = process.env.PAWL_AWS_ENDPOINT;
  if (endpoint === "aws") return { stop: async () => undefined };
  if (endpoint === undefined) {
    const emulator = await startEmulator();
    Object.assign(process.env, emulator.environment);
    return emulator;
  }
  process.env.AWS_ENDPOINT_URL = endpoint;
  process.env.AWS_REGION ??= "us-east-1";
  process.env.AWS_ACCESS_KEY_ID ??= "test";
  process.env.AWS_SECRET_ACCESS_KEY ??= "test";
  return { stop: async () => undefined };
}

export interface TestTable {
  readonly name: string;
  delete(): Promise<void>;
}

/** The table as the constructs make it, under a name that nobody has. */
export async function createTable(client: DynamoDBClient): Promise<TestTable> {
  const name = `pawl-test-${crypto.randomUUID()}`;
  const { partitionKey, sortKey, statusIndex } = tableSchema;
  const keys = (hash: string, range: string) => [
    { AttributeName: hash, KeyType: "HASH" as const },
    { AttributeName: range, KeyType: "RANGE" as const },
  ];
  const names = [partitionKey, sortKey, statusIndex.partitionKey, statusIndex.sortKey];
  await client.send(
    new CreateTableCommand({
      TableName: name,
      BillingMode: "PAY_PER_REQUEST",
      KeySchema: keys(partitionKey, sortKey),
      AttributeDefinitions: names.map((attribute) => ({ AttributeName: attribute, AttributeType: "S" as const })),
      GlobalSecondaryIndexes: [
        {
          IndexName: statusIndex.name,
          KeySchema: keys(statusIndex.partitionKey, statusIndex.sortKey),
          Projection: { ProjectionType: "KEYS_ONLY" },
        },
      ],
    }),
  );
  await waitUntilTableExists({ client, maxWaitTime: 120, minDelay: 0.1, maxDelay: 2 }, { TableName: name });
  return {
    name,
    delete: async () => {
      await client.send(new DeleteTableCommand({ TableName: name }));
    },
  };
}
