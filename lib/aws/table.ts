/**
 * The one table: its keys and index, what lies under which key, and how the fields of a run become attributes.
 *
 * | item | `pk` | `sk` | attributes |
 * |---|---|---|---|
 * | run | `r#<run id>` | `run` | its fields, `ip`, `is` |
 * | record that runs share | `x#<record id>` | `record` | its fields |
 * | payload | that of its run or record | `p#<key>` | `text`; or `bytes`, `hash` and `parts` of a large one |
 * | graph | `g#<workflow>#<fingerprint>` | `graph` | as of a payload |
 * | key of cursors | `k` | `cursor` | `secret` |
 * | part of a large text | that of the text | `b#<hash of the text>#<number>` | `text` |
 *
 * Everything about one run has one partition key: it is read in one query and deleted with it. Sort keys are chosen for
 * that query: from `run` down to `p#` it meets the run first, and no part of a large text.
 */
import { createHash } from "node:crypto";
import { field } from "../engine/codec.ts";
import { isRunId } from "../engine/record-id.ts";
import type { RunStatus } from "../engine/run-state.ts";

/** Attribute names that are the table's own; constructs make the table of them. */
export const tableSchema = {
  partitionKey: "pk",
  sortKey: "sk",
  /** Seconds since 1970 after which DynamoDB may delete the item. */
  expiry: field.expiresAt,
  /**
   * Runs by status and time, keys only. A write that does not change the status changes nothing here and costs nothing
   * more. Its partitions are shards, or all running runs would share the throughput of one.
   */
  statusIndex: { name: "status", partitionKey: "ip", sortKey: "is" },
} as const;

export interface ItemKey {
  readonly pk: string;
  readonly sk: string;
}

export const itemKey = {
  run: (id: string): ItemKey => ({ pk: partitionOf(id), sk: isRunId(id) ? "run" : "record" }),
  payload: (id: string, key: string): ItemKey => ({ pk: partitionOf(id), sk: `${payloadPrefix}${key}` }),
  graph: (workflow: string, fingerprint: string): ItemKey => ({ pk: `g#${workflow}#${fingerprint}`, sk: "graph" }),
  cursorKey: { pk: "k", sk: "cursor" },
  part: ({ pk }: ItemKey, hash: string, number: number): ItemKey => ({ pk, sk: `b#${hash}#${number}` }),
} as const;

const payloadPrefix = "p#";

/** Between these, both included, lie a run and its payloads. */
export const shownRange = { from: payloadPrefix, to: "run" } as const;

function partitionOf(id: string): string {
  return isRunId(id) ? `r#${id}` : `x#${id}`;
}

/** The key of the payload that lies at this sort key; `undefined` for every other item. */
export function payloadKeyAt(sk: string): string | undefined {
  return sk.startsWith(payloadPrefix) ? sk.slice(payloadPrefix.length) : undefined;
}

/** The run whose item has this partition key; `undefined` for what is no run's. */
export function runIdAt(pk: string): string | undefined {
  return pk.startsWith("r#") ? pk.slice(2) : undefined;
}

/** Shards of each status in the index. One takes 1,000 status changes per second. */
export const statusShards = 8;

/** Partition of the index. It changes with the run's status, and with nothing else. */
export function statusPartition(status: RunStatus, shard: number): string {
  return `${status}#${shard}`;
}

/** The same for a run as long as it lives. */
export function shardOf(runId: string): number {
  return createHash("sha256").update(runId).digest().readUInt32BE() % statusShards;
}

/** Sort key in the index, set when the run is made: by workflow and time. Runs of map shards stay among themselves. */
export function statusSortKey(workflow: string, fingerprint: string, createdAtMs: number): string {
  const isOfShard = fingerprint.includes(".");
  return `${isOfShard ? "." : ""}${workflow}#${String(createdAtMs).padStart(13, "0")}`;
}

const own: ReadonlySet<string> = new Set([
  tableSchema.partitionKey,
  tableSchema.sortKey,
  tableSchema.statusIndex.partitionKey,
  tableSchema.statusIndex.sortKey,
]);

/** A field's attribute has the same name. Those that are the table's own, or begin with `_`, have one more `_` in front. */
export function attributeOf(field: string): string {
  return own.has(field) || field.startsWith("_") ? `_${field}` : field;
}

/** The inverse; `undefined` for the table's own. */
export function fieldOf(attribute: string): string | undefined {
  if (own.has(attribute)) return undefined;
  return attribute.startsWith("_") ? attribute.slice(1) : attribute;
}
