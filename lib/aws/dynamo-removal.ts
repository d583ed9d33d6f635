/** What lies beside a run that is gone: found by its partition, and deleted a batch at a time. */
import { setTimeout as sleep } from "node:timers/promises";
import {
  type AttributeValue,
  BatchWriteItemCommand,
  type DynamoDBClient,
  QueryCommand,
} from "@aws-sdk/client-dynamodb";
import { limits } from "../definition/limits.ts";
import { batchDeleteRequest, keysRequest } from "./dynamo-requests.ts";
import { itemKey } from "./table.ts";

type Key = Readonly<Record<string, AttributeValue>>;

/**
 * A page is read before the run is looked for: what a new run of that id has stored since is not on it.
 *
 * @param isGone whether there is no run of that id, as of now
 */
export async function removeBeside(
  client: DynamoDBClient,
  table: string,
  runId: string,
  isGone: () => Promise<boolean>,
): Promise<void> {
  let after: Record<string, AttributeValue> | undefined;
  do {
    const page = await client.send(new QueryCommand(keysRequest(table, runId, after)));
    const keys = (page.Items ?? []).filter(({ sk }) => sk?.S !== itemKey.run(runId).sk);
    after = page.LastEvaluatedKey;
    if (keys.length === 0) continue;
    if (!(await isGone())) return;
    for (let at = 0; at < keys.length; at += limits.batchDeletes) {
      await deleteBatch(client, table, keys.slice(at, at + limits.batchDeletes));
    }
  } while (after !== undefined);
}

/** DynamoDB takes what its throughput allows, and names the rest. */
async function deleteBatch(client: DynamoDBClient, table: string, keys: readonly Key[]): Promise<void> {
  let left: readonly Key[] = keys;
  for (let inVain = 0; left.length > 0; ) {
    const asked = left.length;
    const answer = await client.send(new BatchWriteItemCommand(batchDeleteRequest(table, left)));
    left = (answer.UnprocessedItems?.[table] ?? []).flatMap(({ DeleteRequest }) => {
      return DeleteRequest?.Key === undefined ? [] : [DeleteRequest.Key];
    });
    if (left.length === 0) return;
    inVain = left.length < asked ? 0 : inVain + 1;
    if (inVain === limits.batchTries) {
      throw new Error(
        `DynamoDB has not deleted ${left.length} items of ${keys[0]?.pk?.S} in ${limits.batchTries} tries: table ${table} is throttled.`,
      );
    }
    await sleep(Math.random() * batchPauseMs * 2 ** inVain);
  }
}

/** Doubled after each request that deleted nothing: some 3 s in all. */
const batchPauseMs = 50;
