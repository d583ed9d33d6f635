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
 * | name of a workflow | `w` | `<workflow>` | |
 * | run in a list | `l#<entry>` | `<position>` | `id` of a run whose id is cut off in its position |
 * | counts of runs | `s` | `<day>#<workflow>` | by `CountName` |
 * | runs that expire | `e` | `<day>` | `expires` |
 * | failures alike | `f` | `<fingerprint>` | `count`, and what `FailureGroup` says |
 * | changes that are counted | `c#<second>` | `counted` | `ids`, `ttl` |
 *
 * Everything about one run has one partition key: it is read in one query and deleted with it. Sort keys are chosen for
 * that query: from `run` down to `p#` it meets the run first, and no part of a large text. What lists and statistics keep
 * follows from the runs: see `projection-writes.ts`.
 */
import { createHash } from "node:crypto";
import { parseShardFingerprint } from "../definition/shards.ts";
import { field } from "../engine/codec.ts";
import { type Entry, entryKey } from "../engine/projection.ts";
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
  workflow: (name: string): ItemKey => ({ pk: listPartition.workflows, sk: name }),
  entry: (entry: Entry, position: string): ItemKey => ({ pk: listPartition.entry(entry), sk: position }),
  counts: (day: string, workflow: string): ItemKey => ({ pk: listPartition.counts, sk: `${day}#${workflow}` }),
  expiries: (day: string): ItemKey => ({ pk: listPartition.expiries, sk: day }),
  failures: (fingerprint: string): ItemKey => ({ pk: listPartition.failures, sk: fingerprint }),
  /** @param second since 1970, in which the stream saw the changes */
  counted: (second: number): ItemKey => ({ pk: `c#${second}`, sk: "counted" }),
} as const;

/** Partitions that hold one list each. */
export const listPartition = {
  workflows: "w",
  counts: "s",
  expiries: "e",
  failures: "f",
  entry: (entry: Entry): string => `l#${entryKey(entry)}`,
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

/** Shards of each status in the index. One takes 1,000 status changes per second: four are more than a new table takes. */
export const statusShards = 4;

/** Partition of the index. It changes with the run's status, and with nothing else. */
export function statusPartition(status: RunStatus, shard: number): string {
  return `${status}#${shard}`;
}

/** The same for a run as long as it lives. */
export function shardOf(runId: string): number {
  return createHash("sha256").update(runId).digest().readUInt32BE() % statusShards;
}

/** Sort key in the index, set when the run is made: by workflow, then as in lists. Runs of map shards stay among themselves. */
export function statusSortKey(workflow: string, fingerprint: string, createdAtMs: number, runId: string): string {
  const isOfShard = parseShardFingerprint(fingerprint) !== undefined;
  return `${statusSortPrefix(workflow, isOfShard)}${listPosition(createdAtMs, runId)}`;
}

export function statusSortPrefix(workflow: string, isOfShard = false): string {
  return `${isOfShard ? "." : ""}${workflow}#`;
}

/** DynamoDB takes 1,024 bytes as a sort key: a workflow's name and a time take 80 of them. */
const positionIdLength = 900;

/**
 * Where a run stands in lists, as text in their order: `<time>#<run id>`. An id that is too long for a key, as runs many
 * levels deep have, is cut off and ends in a hash of all of it: among runs of the same millisecond whose ids begin with the
 * same 800 characters, that is the order.
 */
export function listPosition(createdAtMs: number, runId: string): string {
  return `${positionTime(createdAtMs)}#${isCutOff(runId) ? cutOff(runId) : runId}`;
}

/** Before it come all positions of earlier times, behind it those of this time and later. */
export function positionTime(createdAtMs: number): string {
  return String(Math.min(Math.max(Math.trunc(createdAtMs), 0), latestMs)).padStart(timeDigits, "0");
}

const timeDigits = 13;
const latestMs = 10 ** timeDigits - 1;

export function createdAtOf(position: string): number {
  return Number(position.slice(0, timeDigits));
}

/** The id in a position, unless it is cut off. */
export function runIdOf(position: string): string {
  return position.slice(timeDigits + 1);
}

/** Whether a position has only a part of the id. */
export function isCutOff(runId: string): boolean {
  return runId.length > positionIdLength;
}

function cutOff(runId: string): string {
  return `${runId.slice(0, 800)}=${createHash("sha256").update(runId).digest("base64url")}`;
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
