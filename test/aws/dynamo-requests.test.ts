// Hunts a request to DynamoDB that means something else than its transition, or that nobody would find again (R1).
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  batchGetRequest,
  getRequest,
  keyAttributes,
  loadRequest,
  putOnceRequest,
  readFields,
  replaceRequest,
  statusRequest,
  updateRequest,
} from "../../lib/aws/dynamo-requests.ts";
import { attributeOf, fieldOf, itemKey, shardOf, statusShards, tableSchema } from "../../lib/aws/table.ts";
import { claim } from "../../lib/engine/claim.ts";
import { encodeRun } from "../../lib/engine/codec.ts";
import { create } from "../../lib/engine/start.ts";
import type { Transition } from "../../lib/engine/transition.ts";
import { claimant, messageFor, nowMs, runOf } from "../engine/sample-run.ts";

const update = (transition: Partial<Transition>, id = "run") =>
  updateRequest("table", id, { guard: [], set: {}, ...transition });

describe("a transition", () => {
  test("of a claim is one conditional write that brings the run, applied or refused", () => {
    const run = runOf();
    expect(updateRequest("table", "run", claim(messageFor(run, 3), claimant({ owner: "w1.d1" })))).toEqual({
      TableName: "table",
      Key: { pk: { S: "r#run" }, sk: { S: "run" } },
      ConditionExpression:
        "#0 IN (:0,:1) AND #1=:2 AND #2=:3 AND #3=:4 AND attribute_not_exists(#4) AND attribute_not_exists(#5)",
      UpdateExpression: "SET #5=:5",
      ExpressionAttributeNames: { "#0": "v", "#1": "st", "#2": "e", "#3": "f", "#4": "k", "#5": "s3" },
      ExpressionAttributeValues: {
        ":0": { N: "1" },
        ":1": { N: "2" },
        ":2": { S: "running" },
        ":3": { N: "0" },
        ":4": { S: "0123456789abcdef" },
        ":5": { S: `r1.${nowMs.toString(36)}.${(nowMs + 30_000).toString(36)}.w1.d1` },
      },
      ReturnValues: "ALL_NEW",
      ReturnValuesOnConditionCheckFailure: "ALL_OLD",
    });
  });

  test("without conditions, changes, names or values leaves out what DynamoDB would refuse when empty", () => {
    expect(update({})).toEqual({
      TableName: "table",
      Key: { pk: { S: "r#run" }, sk: { S: "run" } },
      ReturnValues: "ALL_NEW",
      ReturnValuesOnConditionCheckFailure: "ALL_OLD",
    });
    const looked = update({ guard: [{ field: "st", is: "equal", value: "" }] });
    expect(looked).not.toHaveProperty("UpdateExpression");
    expect(looked.ConditionExpression).toBe("#0=:0");
  });

  test("sets, removes and adds", () => {
    const request = update({ set: { a: "1", b: 1 }, remove: ["c"], add: { d: 2, e: -1 } });
    expect(request.UpdateExpression).toBe("SET #0=:0,#1=:1 REMOVE #2 ADD #3 :2,#4 :3");
    expect(request.ExpressionAttributeValues).toEqual({
      ":0": { S: "1" },
      ":1": { N: "1" },
      ":2": { N: "2" },
      ":3": { N: "-1" },
    });
  });

  test("names a field once that it sets, removes and adds to, as applyTransition would", () => {
    expect(update({ set: { a: 1 }, remove: ["a"] }).UpdateExpression).toBe("REMOVE #0");
    expect(update({ set: { a: 1 }, remove: ["a", "a"], add: { a: 2 } }).UpdateExpression).toBe("ADD #0 :0");
  });

  test("gives equal names and values one placeholder, and tells a number from its text", () => {
    const request = update({ guard: [{ field: "a", is: "oneOf", values: [1, "1", 2] }], set: { a: 1, b: "1" } });
    expect(request.ConditionExpression).toBe("#0 IN (:0,:1,:2)");
    expect(request.UpdateExpression).toBe("SET #0=:0,#1=:1");
  });

  test("asks for one of none in words that never hold", () => {
    expect(update({ guard: [{ field: "a", is: "oneOf", values: [] }] }).ConditionExpression).toBe(
      "attribute_exists(#0) AND attribute_not_exists(#0)",
    );
  });

  test("asks whether a count is below its bound, or absent", () => {
    const { ConditionExpression } = update({
      guard: [
        { field: "n", is: "below", value: 20 },
        { field: "a", is: "absent" },
      ],
    });
    expect(ConditionExpression).toBe("(attribute_not_exists(#0) OR #0<:0) AND attribute_not_exists(#1)");
  });

  test.each([Number.NaN, Number.POSITIVE_INFINITY])("to %s is refused before it is sent", (value) => {
    expect(() => update({ set: { a: value } })).toThrow(RangeError);
    expect(() => update({ add: { a: value } })).toThrow(RangeError);
  });
});

describe("the index of runs by status", () => {
  const shard = shardOf("run");

  test("has a new run, by workflow and time", () => {
    const request = updateRequest("table", "run", create(runOf({ createdAtMs: 1_800_000_000_000 })));
    expect(Object.values(request.ExpressionAttributeNames ?? {})).toEqual(expect.arrayContaining(["ip", "is"]));
    const values = Object.values(request.ExpressionAttributeValues ?? {});
    expect(values).toContainEqual({ S: `running#${shard}` });
    expect(values).toContainEqual({ S: "sample#1800000000000#run" });
  });

  test("keeps runs of a map's shards apart, and times of few digits in order", () => {
    const early = updateRequest("table", "run", create(runOf({ fingerprint: "base.0.0.16.0.0", createdAtMs: 5 })));
    expect(Object.values(early.ExpressionAttributeValues ?? {})).toContainEqual({ S: ".sample#0000000000005#run" });
  });

  test("follows the status, and its place among its kind stays", () => {
    const request = update({ set: { st: "failed", z: 1 } });
    expect(Object.values(request.ExpressionAttributeNames ?? {})).toEqual(["st", "z", "ip"]);
    expect(Object.values(request.ExpressionAttributeValues ?? {})).toContainEqual({ S: `failed#${shard}` });
  });

  test("is not touched by a write that leaves the status, and has no records that runs share", () => {
    expect(Object.values(update({ set: { s0: "x", w: "y" } }).ExpressionAttributeNames ?? {})).toEqual(["s0", "w"]);
    const gate = update({ set: encodeRun(runOf()) }, "gate#sample#");
    expect(Object.values(gate.ExpressionAttributeNames ?? {})).not.toContain("ip");
    expect(gate.Key).toEqual({ pk: { S: "x#gate#sample#" }, sk: { S: "record" } });
  });

  test("is spread over all shards, and a run's never changes", () => {
    const shards = Array.from({ length: 400 }, (_, n) => shardOf(`run-${n}`));
    const counts = Array.from({ length: statusShards }, (_, shard) => shards.filter((one) => one === shard).length);
    expect(Math.min(...counts)).toBeGreaterThan(25);
    // Stored in every table that is in use: another hash would leave runs in two places.
    expect(["run", "order-1", "a"].map(shardOf)).toEqual([1, 1, 2]);
  });

  test("is read by partition, a page at a time, and never consistently: no index can be", () => {
    const after = { pk: { S: "r#a" } };
    expect(statusRequest("table", "running#3", 100, after)).toEqual({
      TableName: "table",
      IndexName: "status",
      KeyConditionExpression: "#ip=:ip",
      ExpressionAttributeNames: { "#ip": "ip" },
      ExpressionAttributeValues: { ":ip": { S: "running#3" } },
      Limit: 100,
      ExclusiveStartKey: after,
    });
  });
});

describe("fields and attributes", () => {
  test("are the same, but for the table's own names", () => {
    expect(["s0", "st", "ttl", "pk", "_pk", "__"].map(attributeOf)).toEqual(["s0", "st", "ttl", "_pk", "__pk", "___"]);
    for (const name of ["pk", "sk", "ip", "is"]) expect(fieldOf(name)).toBeUndefined();
    expect(tableSchema.expiry).toBe("ttl");
  });

  test("lead back to each other, and no field is the table's own attribute", () => {
    const name = fc.oneof(fc.string(), fc.constantFrom("pk", "sk", "ip", "is", "ttl", "_", "_pk", "__sk"));
    fc.assert(
      fc.property(name, name, (field, other) => {
        expect(fieldOf(attributeOf(field))).toBe(field);
        expect(attributeOf(field) === attributeOf(other)).toBe(field === other);
      }),
    );
  });

  test("are read from an item without what is the table's own", () => {
    const item = {
      pk: { S: "r#a" },
      sk: { S: "run" },
      ip: { S: "x" },
      st: { S: "running" },
      n: { N: "0.5" },
      _pk: { S: "" },
    };
    expect(readFields(item)).toEqual({ st: "running", n: 0.5, pk: "" });
    expect(() => readFields({ pk: { S: "r#a" }, odd: { BOOL: true } })).toThrow("Item r#a cannot be read: odd is");
    const damaged = { v: { N: "1" }, st: { S: "running" }, odd: { BOOL: true } };
    expect(readFields(damaged, true)).toEqual({ st: "running" });
  });
});

describe("a whole item", () => {
  const after = { st: "running", e: 1, w: "sample", f: "print", c: 7, n: 2 };

  test("replaces nothing, when there was none", () => {
    const request = replaceRequest("table", "run", undefined, after);
    expect(request?.ConditionExpression).toBe("attribute_not_exists(#0)");
    expect(request?.ExpressionAttributeNames).toEqual({ "#0": "pk" });
    expect(readFields(request?.Item ?? {})).toEqual(after);
    expect(request?.Item).toMatchObject({ pk: { S: "r#run" }, ip: { S: `running#${shardOf("run")}` } });
    expect(request?.Item?.is).toEqual({ S: "sample#0000000000007#run" });
  });

  test("replaces that of a run that has ended, as it was then", () => {
    const request = replaceRequest("table", "run", { st: "failed", e: 0, s0: "x" }, after);
    expect(request).toMatchObject({
      ConditionExpression: "#0=:0 AND #1=:1",
      ExpressionAttributeNames: { "#0": "st", "#1": "e" },
      ExpressionAttributeValues: { ":0": { S: "failed" }, ":1": { N: "0" } },
      ReturnValuesOnConditionCheckFailure: "ALL_OLD",
    });
  });

  test.each(["running", "paused", "unwinding"])("never replaces that of a run that is %s", (st) => {
    expect(replaceRequest("table", "run", { st, e: 0 }, after)).toBeUndefined();
  });
});

describe("reads and payloads", () => {
  test("of a run are consistent", () => {
    expect(getRequest("table", "run")).toEqual({
      TableName: "table",
      Key: { pk: { S: "r#run" }, sk: { S: "run" } },
      ConsistentRead: true,
    });
    expect(batchGetRequest("table", [keyAttributes(itemKey.payload("run", "in"))])).toEqual({
      RequestItems: { table: { Keys: [{ pk: { S: "r#run" }, sk: { S: "p#in" } }], ConsistentRead: true } },
    });
  });

  test("load a run first and its payloads after it, and no part of a large one", () => {
    const request = loadRequest("table", "run", undefined);
    expect(request).toMatchObject({ ScanIndexForward: false, ConsistentRead: true });
    const { ":from": { S: from = "" } = {}, ":to": { S: to = "" } = {} } = request.ExpressionAttributeValues ?? {};
    const isLoaded = (sk: string): boolean => from <= sk && sk <= to;
    expect(isLoaded(itemKey.run("run").sk)).toBe(true);
    expect(isLoaded(itemKey.payload("run", "").sk)).toBe(true);
    expect(isLoaded(itemKey.payload("run", "\uffff").sk)).toBe(true);
    expect(isLoaded(itemKey.part(itemKey.run("run"), "hash", 0).sk)).toBe(false);
    expect(itemKey.run("run").sk > itemKey.payload("run", "\uffff").sk).toBe(true);
  });

  test("of a graph lie apart from every run's", () => {
    expect(itemKey.graph("order", "print")).toEqual({ pk: "g#order#print", sk: "graph" });
    expect(putOnceRequest("table", itemKey.payload("gate#order#", "t#1"), { text: "1.run" })).toEqual({
      TableName: "table",
      Item: { pk: { S: "x#gate#order#" }, sk: { S: "p#t#1" }, text: { S: "1.run" } },
      ConditionExpression: "attribute_not_exists(#pk)",
      ExpressionAttributeNames: { "#pk": "pk" },
    });
  });
});
