// Hunts differences between the store on DynamoDB and the contract that every store keeps, over the wire (R10).
import type { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { afterAll, beforeAll } from "vitest";
import { createDynamoClient } from "../../lib/aws/clients.ts";
import { createDynamoStore } from "../../lib/aws/dynamo-store.ts";
import { openRunsContract } from "../contract/open-runs.contract.ts";
import { storeContract } from "../contract/store.contract.ts";
import { type Aws, createTable, openAws, type TestTable } from "./aws.ts";

let aws: Aws;
let client: DynamoDBClient;
let table: TestTable;

beforeAll(async () => {
  aws = await openAws();
  client = createDynamoClient();
  table = await createTable(client);
});
afterAll(async () => {
  await table.delete();
  client.destroy();
  await aws.stop();
});

openRunsContract("DynamoDB", async () => {
  const own = await createTable(client);
  const store = createDynamoStore({ client, table: own.name });
  return { store, openRuns: store, close: () => own.delete() };
});
storeContract("DynamoDB", async () => ({
  store: createDynamoStore({ client, table: table.name }),
  close: async () => undefined,
}));
