import {
  ConditionalCheckFailedException,
  type DynamoDBClient,
  GetItemCommand,
  PutItemCommand,
} from "@aws-sdk/client-dynamodb";
import type { Randomness } from "../runtime/ports.ts";
import { itemKey, tableSchema } from "./table.ts";

/**
 * The secret that the HTTP API signs cursors with: an item of the table, made by whoever asks first and the same for all
 * from then on. Read once per process. Needs GetItem and PutItem on the table.
 */
export function createCursorKey(client: DynamoDBClient, table: string, random: Randomness): () => Promise<string> {
  let reading: Promise<string> | undefined;
  return async () => {
    reading ??= readOrMake(client, table, random.secret());
    try {
      return await reading;
    } catch (error) {
      // The next request tries again.
      reading = undefined;
      throw error;
    }
  };
}

async function readOrMake(client: DynamoDBClient, table: string, proposal: string): Promise<string> {
  const { pk, sk } = itemKey.cursorKey;
  const Key = { [tableSchema.partitionKey]: { S: pk }, [tableSchema.sortKey]: { S: sk } };
  const { Item } = await client.send(new GetItemCommand({ TableName: table, Key, ConsistentRead: true }));
  if (Item?.secret?.S !== undefined) return Item.secret.S;
  try {
    await client.send(
      new PutItemCommand({
        TableName: table,
        Item: { ...Key, secret: { S: proposal } },
        ConditionExpression: `attribute_not_exists(${tableSchema.partitionKey})`,
        ReturnValuesOnConditionCheckFailure: "ALL_OLD",
      }),
    );
    return proposal;
  } catch (error) {
    // Another process was faster; or our own request, whose answer was lost.
    const kept = error instanceof ConditionalCheckFailedException ? error.Item?.secret?.S : undefined;
    if (kept === undefined) throw error;
    return kept;
  }
}
