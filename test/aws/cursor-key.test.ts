// Hunts: two processes that sign cursors with different keys, and a key that is read for each request, or never again.
import {
  ConditionalCheckFailedException,
  DynamoDBClient,
  GetItemCommand,
  PutItemCommand,
} from "@aws-sdk/client-dynamodb";
import { mockClient } from "aws-sdk-client-mock";
import { expect, test } from "vitest";
import { createCursorKey } from "../../lib/aws/cursor-key.ts";

/** A table of one item, with as much of DynamoDB's conditions as one item needs. */
function oneItem(): { readonly client: DynamoDBClient; readonly reads: () => number } {
  const client = new DynamoDBClient({ region: "us-east-1" });
  const mock = mockClient(client);
  let kept: PutItemCommand["input"]["Item"];
  mock.on(GetItemCommand).callsFake(async () => (kept === undefined ? {} : { Item: kept }));
  mock.on(PutItemCommand).callsFake(async ({ Item, ConditionExpression }: PutItemCommand["input"]) => {
    expect(ConditionExpression).toBe("attribute_not_exists(pk)");
    if (kept !== undefined) {
      throw new ConditionalCheckFailedException({ message: "there", $metadata: {}, Item: kept });
    }
    kept = Item;
    return {};
  });
  return { client, reads: () => mock.commandCalls(GetItemCommand).length };
}

let ids = 0;
const random = { fraction: () => 0, id: () => "id", secret: () => `secret-${++ids}` };

test("processes that ask at once, and later ones, have one key, each after one read", async () => {
  const { client, reads } = oneItem();
  const processes = Array.from({ length: 5 }, () => createCursorKey(client, "table", random));
  const keys = await Promise.all(processes.flatMap((key) => [key(), key()]));
  expect(new Set(keys).size).toBe(1);
  expect(await createCursorKey(client, "table", random)()).toBe(keys[0]);
  expect(reads()).toBe(6);
});

test("a read that failed is tried again by the next request", async () => {
  const client = new DynamoDBClient({ region: "us-east-1" });
  const mock = mockClient(client);
  mock
    .on(GetItemCommand)
    .rejectsOnce(new Error("busy"))
    .resolves({ Item: { secret: { S: "kept" } } });
  const key = createCursorKey(client, "table", random);
  await expect(key()).rejects.toThrow("busy");
  expect(await key()).toBe("kept");
});
