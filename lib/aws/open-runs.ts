/** Runs that have not ended, from the index of the table: one partition after the other, a page at a time. */
import { type DynamoDBClient, QueryCommand } from "@aws-sdk/client-dynamodb";
import * as z from "zod/mini";
import { limits } from "../definition/limits.ts";
import { isTerminal, runStatuses } from "../engine/run-state.ts";
import type { OpenRuns } from "../runtime/ports.ts";
import { check } from "../runtime/small-schema.ts";
import { statusRequest } from "./dynamo-requests.ts";
import { runIdAt, statusPartition, statusShards } from "./table.ts";

const partitions = runStatuses
  .filter((status) => !isTerminal(status))
  .flatMap((status) => Array.from({ length: statusShards }, (_, shard) => statusPartition(status, shard)));

export function createOpenRuns(client: DynamoDBClient, table: string): OpenRuns {
  return {
    async page(cursor) {
      let at: Cursor = cursor === undefined ? { partition: 0 } : parseCursor(cursor);
      // Most partitions are empty: the page is the first that is not.
      for (;;) {
        const partition = partitions[at.partition];
        if (partition === undefined) return { runIds: [], cursor: undefined };
        const answer = await client.send(new QueryCommand(statusRequest(table, partition, limits.pageRuns, keyOf(at))));
        const runIds = (answer.Items ?? []).flatMap((item) => runIdAt(item.pk?.S ?? "") ?? []);
        at = nextCursor(at, answer.LastEvaluatedKey);
        if (runIds.length > 0) return { runIds, cursor: at.partition < partitions.length ? write(at) : undefined };
      }
    },
  };
}

const Cursor = z.strictObject({
  partition: z.int().check(z.gte(0)),
  /** Key of the last run of the page before, when there are more of its partition. */
  after: z.optional(z.record(z.string(), z.string())),
});
type Cursor = z.output<typeof Cursor>;

function nextCursor(
  { partition }: Cursor,
  last: Readonly<Record<string, { S?: string | undefined }>> | undefined,
): Cursor {
  if (last === undefined) return { partition: partition + 1 };
  return { partition, after: Object.fromEntries(Object.entries(last).map(([name, { S = "" }]) => [name, S])) };
}

function keyOf({ after }: Cursor): Record<string, { S: string }> | undefined {
  return after && Object.fromEntries(Object.entries(after).map(([name, text]) => [name, { S: text }]));
}

function write(cursor: Cursor): string {
  return Buffer.from(JSON.stringify(cursor)).toString("base64url");
}

function parseCursor(text: string): Cursor {
  try {
    const parsed = check(Cursor, JSON.parse(Buffer.from(text, "base64url").toString()));
    if (parsed.success) return parsed.data;
    throw parsed.error;
  } catch (cause) {
    throw new Error(`${JSON.stringify(text)} is no cursor of open runs. Begin without one.`, { cause });
  }
}
