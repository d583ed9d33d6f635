/**
 * What lists and statistics keep of runs, as writes: from changes of runs, as the table's stream tells them, to requests.
 * What sends them is `projections.ts`.
 *
 * Invariants:
 * 1. A change is counted exactly once, in whatever company it comes and however often: each is remembered, by the second in
 *    which the stream saw it, in the transaction that counts it. (Lambda repeats batches in parts, and beside others.)
 * 2. Entries follow from the last change of each run; to write them again changes nothing.
 */
import { createHash } from "node:crypto";
import type {
  AttributeValue,
  DeleteItemCommandInput,
  TransactWriteItem,
  TransactWriteItemsCommandInput,
  WriteRequest,
} from "@aws-sdk/client-dynamodb";
import { limits } from "../definition/limits.ts";
import { type Count, countChanges, type FailureSight, type Projection, project } from "../engine/projection.ts";
import { type RunState, runStatuses } from "../engine/run-state.ts";
import { keyAttributes } from "./dynamo-requests.ts";
import { Placeholders } from "./expression.ts";
import { type FailureGroupChange, failureGroupUpdate, seenTimes } from "./failure-group.ts";
import { type ItemKey, isCutOff, itemKey, listPosition, tableSchema } from "./table.ts";

/** A change of a run's status: its start and its removal are changes, too. */
export interface RunChange {
  /** When the stream saw it, in seconds since 1970: the same at each delivery. */
  readonly second: number;
  readonly before: RunState | undefined;
  /** `undefined`: it was removed. */
  readonly after: RunState | undefined;
}

/** What is to be written because of one change. */
export interface ProjectedChange {
  /** The same at each look at the same change, and different for every other. */
  readonly id: string;
  readonly second: number;
  readonly entries: readonly EntryWrite[];
  readonly counts: readonly (Count & { readonly by: number })[];
  readonly gone?: FailureSight;
  readonly seen?: FailureSight;
  /** The run is gone. */
  readonly isRemoval: boolean;
}

export interface EntryWrite {
  readonly key: ItemKey;
  /** Attributes beside the key; `undefined`: it is deleted. */
  readonly put: Readonly<Record<string, AttributeValue>> | undefined;
}

/** `undefined`: nothing changes in lists and statistics. */
export function projectChange({ second, before, after }: RunChange): ProjectedChange | undefined {
  const run = after ?? before;
  if (run === undefined || before?.status === after?.status) return undefined;
  const [former, next] = [project(before), project(after)];
  const counts = countChanges(former, next);
  if (counts.length === 0) return undefined;
  const { failure: gone } = former;
  const { failure: seen } = next;
  return {
    id: changeId(run, after === undefined),
    second,
    isRemoval: after === undefined,
    entries: [...entryWrites(before, former, false), ...entryWrites(after, next, true)],
    counts,
    ...(gone === undefined ? {} : { gone }),
    ...(seen === undefined ? {} : { seen }),
  };
}

/** Sixty bits: among the changes of one second, no two are alike. A run that was removed may begin anew, at another time. */
function changeId({ runId, createdAtMs, changes }: RunState, isRemoval: boolean): string {
  const text = `${runId} ${createdAtMs} ${changes}${isRemoval ? " removed" : ""}`;
  return createHash("sha256").update(text).digest("base64url").slice(0, 10);
}

function entryWrites(run: RunState | undefined, { entries }: Projection, isPut: boolean): EntryWrite[] {
  if (run === undefined) return [];
  const { runId, createdAtMs } = run;
  const put = isPut ? (isCutOff(runId) ? { id: { S: runId } } : {}) : undefined;
  return entries.map((entry) => ({ key: itemKey.entry(entry, listPosition(createdAtMs, runId)), put }));
}

/** The last write of each entry, with the place of the first change that asks for one. */
export function lastEntryWrites(
  changes: readonly (ProjectedChange | undefined)[],
): readonly (EntryWrite & { readonly firstChange: number })[] {
  const byKey = new Map<string, EntryWrite & { readonly firstChange: number }>();
  for (const [index, change] of changes.entries()) {
    for (const write of change?.entries ?? []) {
      const id = keyId(write.key);
      byKey.set(id, { ...write, firstChange: byKey.get(id)?.firstChange ?? index });
    }
  }
  return [...byKey.values()];
}

export function writeRequest({ key, put }: EntryWrite): WriteRequest {
  const Key = keyAttributes(key);
  return put === undefined ? { DeleteRequest: { Key } } : { PutRequest: { Item: { ...Key, ...put } } };
}

/** Tells keys apart. */
export function keyId({ pk, sk }: ItemKey): string {
  return JSON.stringify([pk, sk]);
}

/** Groups of changes that fit into a transaction each, in their order; the end of one is the beginning of the next. */
export function transactionEnds(changes: readonly (ProjectedChange | undefined)[]): readonly number[] {
  const ends: number[] = [];
  let keys = new Set<string>();
  for (const [index, change] of changes.entries()) {
    const own = change === undefined ? [] : keysOf(change).map(keyId);
    if (new Set([...keys, ...own]).size > limits.transactionWrites) {
      ends.push(index);
      keys = new Set();
    }
    for (const key of own) keys.add(key);
  }
  return [...ends, changes.length];
}

function keysOf({ second, counts, gone, seen }: ProjectedChange): ItemKey[] {
  const failures = [gone, seen].flatMap((sight) => (sight === undefined ? [] : itemKey.failures(sight.fingerprint)));
  return [itemKey.counted(second), ...counts.map(countKey), ...failures];
}

function countKey({ name, day, workflow }: Count): ItemKey {
  return name === "expires" ? itemKey.expiries(day) : itemKey.counts(day, workflow);
}

type Item = Readonly<Record<string, AttributeValue>>;

/**
 * Counts the changes, and remembers that they are, in one step: all of it or nothing.
 *
 * @param known groups of failures as a refused transaction has told them, by fingerprint
 */
export function countTransaction(
  table: string,
  changes: readonly ProjectedChange[],
  known: ReadonlyMap<string, Item>,
): TransactWriteItemsCommandInput {
  return {
    TransactItems: [
      ...[...Map.groupBy(changes, ({ second }) => second)].map(([second, all]) => rememberWrite(table, second, all)),
      ...countWrites(table, changes),
      ...failureWrites(table, changes, known),
    ],
  };
}

/** Refused when one of them is remembered already: the refusal tells which. */
function rememberWrite(table: string, second: number, changes: readonly ProjectedChange[]): TransactWriteItem {
  const names = { "#ids": countedIds, "#ttl": tableSchema.expiry };
  const ids = changes.map(({ id }) => id);
  const values = ids.map((id, index) => [`:${index}`, { S: id }] as const);
  return {
    Update: {
      TableName: table,
      Key: keyAttributes(itemKey.counted(second)),
      ConditionExpression: values.map(([name]) => `NOT contains(#ids,${name})`).join(" AND "),
      UpdateExpression: "SET #ttl=:ttl ADD #ids :ids",
      ExpressionAttributeNames: names,
      ExpressionAttributeValues: {
        ...Object.fromEntries(values),
        ":ids": { SS: ids },
        ":ttl": { N: String(second + limits.countedMs / 1000) },
      },
      ReturnValuesOnConditionCheckFailure: "ALL_OLD",
    },
  };
}

const countedIds = "ids";

/** The ids that a refused transaction found to be counted already. */
export function countedIdsOf(item: Item): readonly string[] {
  return item[countedIds]?.SS ?? [];
}

function countWrites(table: string, changes: readonly ProjectedChange[]): TransactWriteItem[] {
  return [...rowsOf(changes).values()].flatMap(({ key, counts }) => {
    const placeholders = new Placeholders();
    // A run that has begun and ended since changes one number, not two.
    const added = [...counts].filter(([, by]) => by !== 0);
    if (added.length === 0) return [];
    const parts = added.map(([name, by]) => `${placeholders.name(name)} ${placeholders.value(by)}`);
    const update = { UpdateExpression: `ADD ${parts.join(",")}`, ...placeholders.toRequest() };
    return [{ Update: { TableName: table, Key: keyAttributes(key), ...update } }];
  });
}

interface Row {
  readonly key: ItemKey;
  /** Changes by name. */
  readonly counts: Map<string, number>;
}

function rowsOf(changes: readonly ProjectedChange[]): ReadonlyMap<string, Row> {
  const rows = new Map<string, Row>();
  for (const count of changes.flatMap(({ counts }) => counts)) {
    const key = countKey(count);
    const row = rows.get(keyId(key)) ?? { key, counts: new Map<string, number>() };
    rows.set(keyId(key), row);
    row.counts.set(count.name, (row.counts.get(count.name) ?? 0) + count.by);
  }
  return rows;
}

function failureWrites(
  table: string,
  changes: readonly ProjectedChange[],
  known: ReadonlyMap<string, Item>,
): TransactWriteItem[] {
  return groupsOf(changes).map((group) => {
    const placeholders = new Placeholders();
    const item = known.get(group.fingerprint);
    const { update, condition } = failureGroupUpdate(group, placeholders, item && seenTimes(item));
    return {
      Update: {
        TableName: table,
        Key: keyAttributes(itemKey.failures(group.fingerprint)),
        UpdateExpression: update,
        ...(condition === undefined ? {} : { ConditionExpression: condition }),
        ...placeholders.toRequest(),
        ReturnValuesOnConditionCheckFailure: "ALL_OLD",
      },
    };
  });
}

function groupsOf(changes: readonly ProjectedChange[]): readonly FailureGroupChange[] {
  const groups = new Map<string, { -readonly [Key in keyof FailureGroupChange]: FailureGroupChange[Key] }>();
  const groupOf = ({ fingerprint }: FailureSight) => {
    const group = groups.get(fingerprint) ?? { fingerprint, by: 0 };
    groups.set(fingerprint, group);
    return group;
  };
  for (const { gone, seen } of changes) {
    if (gone !== undefined) groupOf(gone).by--;
    if (seen === undefined) continue;
    const group = groupOf(seen);
    group.by++;
    if (group.first === undefined || seen.atMs < group.first.atMs) group.first = seen;
    if (group.last === undefined || seen.atMs >= group.last.atMs) group.last = seen;
  }
  return [...groups.values()];
}

/**
 * Deletes rows of which nothing may be left, if that is so: after what has taken from them. It is asked for again when a
 * change comes again, in case that whoever counted it came no further.
 */
export function cleanUps(table: string, changes: readonly ProjectedChange[]): readonly DeleteItemCommandInput[] {
  const requests = new Map<string, DeleteItemCommandInput>();
  const add = (key: ItemKey, names: readonly string[]): void => {
    requests.set(keyId(key), deleteEmpty(table, key, names));
  };
  for (const { counts, gone, isRemoval } of changes) {
    if (gone !== undefined) add(itemKey.failures(gone.fingerprint), ["count"]);
    for (const count of counts.filter(({ by }) => by < 0)) {
      if (count.name === "expires") add(countKey(count), ["expires"]);
      // Each run is counted under one status: without any, there are no runs.
      else if (isRemoval) add(countKey(count), runStatuses);
    }
  }
  return [...requests.values()];
}

function deleteEmpty(table: string, key: ItemKey, names: readonly string[]): DeleteItemCommandInput {
  const placeholders = new Placeholders();
  const isEmpty = names.map((name) => {
    const attribute = placeholders.name(name);
    return `(attribute_not_exists(${attribute}) OR ${attribute}<=${placeholders.value(0)})`;
  });
  return {
    TableName: table,
    Key: keyAttributes(key),
    ConditionExpression: isEmpty.join(" AND "),
    ...placeholders.toRequest(),
  };
}
