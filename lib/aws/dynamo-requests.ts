/** Every request that the store makes, as data. What sends them is `dynamo-store.ts`, `dynamo-texts.ts`, `open-runs.ts`. */
import type {
  AttributeValue,
  BatchGetItemCommandInput,
  BatchWriteItemCommandInput,
  DeleteItemCommandInput,
  GetItemCommandInput,
  PutItemCommandInput,
  QueryCommandInput,
  UpdateItemCommandInput,
} from "@aws-sdk/client-dynamodb";
import { isBarred, noRun, runIn } from "../engine/barred.ts";
import { field } from "../engine/codec.ts";
import { StoredShapeError } from "../engine/field-reader.ts";
import { isRunId } from "../engine/record-id.ts";
import { isTerminal, type RunStatus } from "../engine/run-state.ts";
import type { Condition, Fields, Transition } from "../engine/transition.ts";
import { attributeValue, conditionExpression, fitsExpression, Placeholders, updateExpression } from "./expression.ts";
import {
  attributeOf,
  fieldOf,
  type ItemKey,
  itemKey,
  shardOf,
  shownRange,
  statusPartition,
  statusSortKey,
  tableSchema,
} from "./table.ts";

type Item = Readonly<Record<string, AttributeValue>>;

const { partitionKey, sortKey, statusIndex } = tableSchema;

/** The transition as one conditional write that brings the item as it is then (R1). */
export function updateRequest(table: string, id: string, transition: Transition): UpdateItemCommandInput {
  const placeholders = new Placeholders();
  const condition = conditionExpression(transition.guard, placeholders);
  const update = updateExpression(transition, indexAttributes(id, transition.set), placeholders);
  return {
    TableName: table,
    Key: keyAttributes(itemKey.run(id)),
    ...(condition === undefined ? {} : { ConditionExpression: condition }),
    ...(update === undefined ? {} : { UpdateExpression: update }),
    ...placeholders.toRequest(),
    ReturnValues: "ALL_NEW",
    // A refusal brings the item too, for nothing: DynamoDB bills no read.
    ReturnValuesOnConditionCheckFailure: "ALL_OLD",
  };
}

/** Whether DynamoDB takes so much in one write. */
export function isAllowed({ ConditionExpression, UpdateExpression }: UpdateItemCommandInput): boolean {
  return fitsExpression(ConditionExpression) && fitsExpression(UpdateExpression);
}

/**
 * The same transition as a write of the whole item, for one with more fields than an expression can name. It is the same
 * as long as nothing but this write can change the item between `before` and then: when there is none, or only what bars
 * the id, and when the run has ended, as then only a redrive changes it (R2), which its status and epoch tell.
 *
 * @param before the item as it was read, and `after` what the transition makes of it
 * @returns `undefined` when the item can change otherwise
 */
export function replaceRequest(
  table: string,
  id: string,
  before: Fields | undefined,
  after: Fields,
): PutItemCommandInput | undefined {
  if (runIn(before) !== undefined && !isTerminal(before?.[field.status] as RunStatus)) return undefined;
  const placeholders = new Placeholders();
  const isUnchanged =
    before === undefined
      ? `attribute_not_exists(${placeholders.name(partitionKey)})`
      : conditionExpression(isBarred(before) ? asBarred(before) : asEnded(before), placeholders);
  return {
    TableName: table,
    Item: recordItem(id, after),
    ConditionExpression: isUnchanged,
    ...placeholders.toRequest(),
    ReturnValuesOnConditionCheckFailure: "ALL_OLD",
  };
}

/** The item of a run, or of a record that runs share, with what the index finds it by. */
export function recordItem(id: string, fields: Fields): Record<string, AttributeValue> {
  const named = Object.fromEntries(Object.entries(fields).map(([name, value]) => [attributeOf(name), value]));
  return { ...keyAttributes(itemKey.run(id)), ...attributeValues({ ...named, ...indexAttributes(id, fields) }) };
}

function asEnded(before: Fields): readonly Condition[] {
  return [field.status, field.epoch].map((name) => ({ field: name, is: "equal", value: before[name] ?? "" }));
}

function asBarred(before: Fields): readonly Condition[] {
  return [noRun, { field: field.barred, is: "equal", value: before[field.barred] ?? "" }];
}

/** Where the index finds a run of this status, and of this start. Records that runs share are not in it. */
function indexAttributes(id: string, set: Fields): Record<string, string> {
  const {
    [field.status]: status,
    [field.workflow]: workflow,
    [field.fingerprint]: fingerprint,
    [field.createdAt]: createdAtMs,
  } = set;
  if (!isRunId(id) || status === undefined) return {};
  const partition = { [statusIndex.partitionKey]: statusPartition(status as RunStatus, shardOf(id)) };
  if (workflow === undefined || fingerprint === undefined || createdAtMs === undefined) return partition;
  const at = statusSortKey(String(workflow), String(fingerprint), Number(createdAtMs), id);
  return { ...partition, [statusIndex.sortKey]: at };
}

/** Only a run that is there is deleted: the answer tells whether it was. */
export function deleteRequest(table: string, id: string, guard: readonly Condition[]): DeleteItemCommandInput {
  const placeholders = new Placeholders();
  const isThere = `attribute_exists(${placeholders.name(partitionKey)})`;
  const holds = conditionExpression(guard, placeholders);
  return {
    TableName: table,
    Key: keyAttributes(itemKey.run(id)),
    ConditionExpression: holds === undefined ? isThere : `${isThere} AND ${holds}`,
    ...placeholders.toRequest(),
  };
}

/** Keys of a run and of all that is beside it, parts of large texts included. */
export function keysRequest(table: string, id: string, after: Item | undefined): QueryCommandInput {
  return {
    TableName: table,
    KeyConditionExpression: "#pk=:pk",
    ProjectionExpression: "#pk,#sk",
    ExpressionAttributeNames: { "#pk": partitionKey, "#sk": sortKey },
    ExpressionAttributeValues: { ":pk": { S: itemKey.run(id).pk } },
    ConsistentRead: true,
    ...(after === undefined ? {} : { ExclusiveStartKey: { ...after } }),
  };
}

/** @param keys at most `limits.batchDeletes`, all different */
export function batchDeleteRequest(table: string, keys: readonly Item[]): BatchWriteItemCommandInput {
  return { RequestItems: { [table]: keys.map((key) => ({ DeleteRequest: { Key: { ...key } } })) } };
}

export function getRequest(table: string, id: string): GetItemCommandInput {
  return { TableName: table, Key: keyAttributes(itemKey.run(id)), ConsistentRead: true };
}

/**
 * A run and what is beside it. Backwards, so that the run comes first: what it refers to was stored before it, and is
 * there when a later page is read.
 */
export function loadRequest(table: string, id: string, after: Item | undefined): QueryCommandInput {
  return {
    TableName: table,
    KeyConditionExpression: "#pk=:pk AND #sk BETWEEN :from AND :to",
    ExpressionAttributeNames: { "#pk": partitionKey, "#sk": sortKey },
    ExpressionAttributeValues: {
      ":pk": { S: itemKey.run(id).pk },
      ":from": { S: shownRange.from },
      ":to": { S: shownRange.to },
    },
    ScanIndexForward: false,
    ConsistentRead: true,
    ...(after === undefined ? {} : { ExclusiveStartKey: { ...after } }),
  };
}

/** The first to write an item counts: all others are refused. */
export function putOnceRequest(
  table: string,
  key: ItemKey,
  attributes: Readonly<Record<string, string | number>>,
): PutItemCommandInput {
  return {
    TableName: table,
    Item: { ...keyAttributes(key), ...attributeValues(attributes) },
    ConditionExpression: "attribute_not_exists(#pk)",
    ExpressionAttributeNames: { "#pk": partitionKey },
  };
}

/**
 * @param keys at most `limits.batchKeys`, all different: DynamoDB refuses others
 * @param isConsistent as of the last write; costs twice as much
 */
export function batchGetRequest(table: string, keys: readonly Item[], isConsistent = true): BatchGetItemCommandInput {
  return { RequestItems: { [table]: { Keys: keys.map((key) => ({ ...key })), ConsistentRead: isConsistent } } };
}

/** Run ids by status. Of an index no consistent read is possible. */
export function statusRequest(
  table: string,
  partition: string,
  limit: number,
  after: Item | undefined,
): QueryCommandInput {
  return {
    TableName: table,
    IndexName: statusIndex.name,
    KeyConditionExpression: "#ip=:ip",
    ExpressionAttributeNames: { "#ip": statusIndex.partitionKey },
    ExpressionAttributeValues: { ":ip": { S: partition } },
    Limit: limit,
    ...(after === undefined ? {} : { ExclusiveStartKey: { ...after } }),
  };
}

export function keyAttributes({ pk, sk }: ItemKey): Record<string, AttributeValue> {
  return { [partitionKey]: { S: pk }, [sortKey]: { S: sk } };
}

export function attributeValues(values: Fields): Record<string, AttributeValue> {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, attributeValue(value)] as const));
}

/**
 * The fields of a run's item.
 *
 * @param isShown a damaged item must not hide others: it lacks its version then, so that whoever decodes it refuses it
 * @throws {StoredShapeError} otherwise, for an attribute that no field has
 */
export function readFields(item: Item, isShown = false): Fields {
  const fields: Record<string, string | number> = {};
  let isWhole = true;
  for (const [attribute, value] of Object.entries(item)) {
    const name = fieldOf(attribute);
    if (name === undefined) continue;
    if (value.S !== undefined) fields[name] = value.S;
    else if (value.N !== undefined) fields[name] = Number(value.N);
    else if (isShown) isWhole = false;
    else throw new StoredShapeError(`Item ${item[partitionKey]?.S}`, `${attribute} is neither text nor a number`);
  }
  if (!isWhole) delete fields[field.schema];
  return fields;
}
