/** Every request that lists and statistics are read with, as data. What sends them is `dynamo-run-index.ts`. */
import type { AttributeValue, QueryCommandInput } from "@aws-sdk/client-dynamodb";
import type { RunStatus } from "../engine/run-state.ts";
import { listPartition, listPosition, positionTime, statusPartition, statusSortPrefix, tableSchema } from "./table.ts";

type Item = Readonly<Record<string, AttributeValue>>;

/** Positions of a list, those that are asked for: see `listPosition`. */
export interface PositionRange {
  /** Included. */
  readonly from: string;
  /** Included, as DynamoDB's ranges are. */
  readonly to: string;
}

export interface Times {
  readonly fromMs?: number | undefined;
  readonly toMs?: number | undefined;
}

/** @param before where the page before ended: its run is read once more */
export function positionRange(
  { fromMs, toMs }: Times,
  before: { readonly createdAtMs: number; readonly runId: string } | undefined,
): PositionRange {
  // Digits end before ":", and positions of a time begin with it and "#".
  const until = toMs === undefined ? ":" : positionTime(Math.ceil(toMs));
  const last = before === undefined ? until : listPosition(before.createdAtMs, before.runId);
  return { from: fromMs === undefined ? "" : positionTime(fromMs), to: last < until ? last : until };
}

/** Whether nothing can be in it. DynamoDB refuses such a range. */
export function isEmptyRange({ from, to }: PositionRange): boolean {
  return from > to;
}

/** Runs of one workflow, status and shard, newest first. Of an index no consistent read is possible. */
export function runsRequest(
  table: string,
  { workflow, status, shard }: { readonly workflow: string; readonly status: RunStatus; readonly shard: number },
  { from, to }: PositionRange,
  limit: number,
): QueryCommandInput {
  const { name, partitionKey, sortKey } = tableSchema.statusIndex;
  const prefix = statusSortPrefix(workflow);
  return {
    TableName: table,
    IndexName: name,
    ...between(partitionKey, statusPartition(status, shard), sortKey, { from: prefix + from, to: prefix + to }),
    ScanIndexForward: false,
    Limit: limit,
  };
}

/** Runs that have an entry, newest first. `from` must not be empty: it is a part of a key. */
export function entriesRequest(table: string, pk: string, range: PositionRange, limit: number): QueryCommandInput {
  const from = range.from === "" ? "0" : range.from;
  return {
    TableName: table,
    ...between(tableSchema.partitionKey, pk, tableSchema.sortKey, { from, to: range.to }),
    ScanIndexForward: false,
    Limit: limit,
  };
}

/** All rows of these days. */
export function countsRequest(
  table: string,
  { from, to }: { readonly from: string; readonly to: string },
  after: Item | undefined,
): QueryCommandInput {
  // "$" comes right after "#", which stands behind the day.
  const days = { from: `${from}#`, to: `${to}$` };
  return {
    TableName: table,
    ...between(tableSchema.partitionKey, listPartition.counts, tableSchema.sortKey, days),
    ...startAfter(after),
  };
}

/** All of a partition, from its beginning. */
export function partitionRequest(
  table: string,
  pk: string,
  { limit, after }: { readonly limit?: number; readonly after?: Item | undefined } = {},
): QueryCommandInput {
  return {
    TableName: table,
    KeyConditionExpression: "#pk=:pk",
    ExpressionAttributeNames: { "#pk": tableSchema.partitionKey },
    ExpressionAttributeValues: { ":pk": { S: pk } },
    ...(limit === undefined ? {} : { Limit: limit }),
    ...startAfter(after),
  };
}

function between(partitionKey: string, partition: string, sortKey: string, { from, to }: PositionRange) {
  return {
    KeyConditionExpression: "#p=:p AND #s BETWEEN :from AND :to",
    ExpressionAttributeNames: { "#p": partitionKey, "#s": sortKey },
    ExpressionAttributeValues: { ":p": { S: partition }, ":from": { S: from }, ":to": { S: to } },
  };
}

function startAfter(after: Item | undefined) {
  return after === undefined ? {} : { ExclusiveStartKey: { ...after } };
}
