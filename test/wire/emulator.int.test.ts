// Hunts an emulator that does not start, keeps what another start stored, or outlives its suite.
import { CreateTableCommand, DynamoDBClient, ListTablesCommand } from "@aws-sdk/client-dynamodb";
import { expect, test } from "vitest";
import { startEmulator } from "./emulator.ts";

test("each start is an AWS of its own, and ends", async () => {
  const tables: (readonly string[] | undefined)[] = [];
  for (let round = 0; round < 2; round++) {
    const { endpoint, stop } = await startEmulator();
    const credentials = { accessKeyId: "test", secretAccessKey: "test" };
    const client = new DynamoDBClient({ endpoint, region: "us-east-1", credentials });
    await client.send(
      new CreateTableCommand({
        TableName: `table-${round}`,
        KeySchema: [{ AttributeName: "pk", KeyType: "HASH" }],
        AttributeDefinitions: [{ AttributeName: "pk", AttributeType: "S" }],
        BillingMode: "PAY_PER_REQUEST",
      }),
    );
    tables.push((await client.send(new ListTablesCommand({}))).TableNames);
    client.destroy();
    await stop();
    await expect(fetch(endpoint)).rejects.toThrow();
  }
  expect(tables).toEqual([["table-0"], ["table-1"]]);
});
