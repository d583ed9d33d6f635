/** Reads items by key, many at once. */
import { setTimeout as sleep } from "node:timers/promises";
import { type AttributeValue, BatchGetItemCommand, type DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { limits } from "../definition/limits.ts";
import { batchGetRequest, keyAttributes } from "./dynamo-requests.ts";
import type { ItemKey } from "./table.ts";

type Item = Readonly<Record<string, AttributeValue>>;

export interface BatchGetOptions {
  /** As of the last write. It costs twice as much. @default true */
  readonly isConsistent?: boolean;
}

/**
 * The items found, in no particular order; one request for each `limits.batchKeys`, one after the other.
 *
 * @param keys all different
 * @throws {Error} when the table stays throttled
 */
export async function batchGet(
  client: DynamoDBClient,
  table: string,
  keys: readonly ItemKey[],
  { isConsistent = true }: BatchGetOptions = {},
): Promise<readonly Item[]> {
  const items: Item[] = [];
  for (let at = 0; at < keys.length; at += limits.batchKeys) {
    items.push(...(await readBatch(client, table, keys.slice(at, at + limits.batchKeys), isConsistent)));
  }
  return items;
}

/** DynamoDB answers with what fits 16 MB and its throughput, and names the rest. */
async function readBatch(
  client: DynamoDBClient,
  table: string,
  keys: readonly ItemKey[],
  isConsistent: boolean,
): Promise<readonly Item[]> {
  const items: Item[] = [];
  let left: readonly Item[] = keys.map(keyAttributes);
  for (let inVain = 0; left.length > 0; ) {
    const asked = left.length;
    const answer = await client.send(new BatchGetItemCommand(batchGetRequest(table, left, isConsistent)));
    items.push(...(answer.Responses?.[table] ?? []));
    left = answer.UnprocessedKeys?.[table]?.Keys ?? [];
    if (left.length === 0) break;
    inVain = left.length < asked ? 0 : inVain + 1;
    if (inVain === limits.batchTries) {
      throw new Error(
        `DynamoDB has not read ${left.length} items of ${keys[0]?.pk} in ${limits.batchTries} tries: table ${table} is throttled.`,
      );
    }
    await sleep(Math.random() * batchPauseMs * 2 ** inVain);
  }
  return items;
}

/** Doubled after each request that brought nothing: some 3 s in all. */
const batchPauseMs = 50;
