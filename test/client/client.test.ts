// Hunts a client that writes before it has armed a message, checks nothing before it sends, or finds no stack and says nothing.
import {
  DynamoDBClient,
  GetItemCommand,
  PutItemCommand,
  UpdateItemCommand,
  type UpdateItemCommandInput,
} from "@aws-sdk/client-dynamodb";
import { SendMessageBatchCommand, type SendMessageBatchCommandInput, SQSClient } from "@aws-sdk/client-sqs";
import { mockClient } from "aws-sdk-client-mock";
import { beforeEach, describe, expect, test, vi } from "vitest";
import * as z from "zod";
import { writeStackAddress } from "../../lib/aws/environment.ts";
import { attributeValue } from "../../lib/aws/expression.ts";
import { createClient } from "../../lib/client/index.ts";
import { workflow } from "../../lib/definition/workflow.ts";

const order = workflow("order", { input: z.object({ id: z.string() }) }, (w) =>
  w.step("ship", { run: ({ input }) => input.id }),
);
const hello = workflow("hello", {}, (w) => w.step("greet", { run: () => "hello" }));

const stack = {
  table: "table",
  blobs: "blobs",
  queues: { default: { url: "https://sqs.us-east-1.amazonaws.com/0/default", arn: "arn:aws:sqs:us-east-1:0:default" } },
  scheduleGroup: "group",
  scheduleRole: "arn:aws:iam::0:role/schedules",
  replies: { prefix: "replies-" },
};

const dynamo = mockClient(DynamoDBClient);
const sqs = mockClient(SQSClient);
let calls: string[];

beforeEach(() => {
  vi.stubEnv("AWS_REGION", "us-east-1");
  calls = [];
  dynamo.reset();
  sqs.reset();
  dynamo.on(GetItemCommand).resolves({});
  dynamo.on(PutItemCommand).callsFake(() => (calls.push("put"), {}));
  dynamo.on(UpdateItemCommand).callsFake(({ ExpressionAttributeNames = {} }: UpdateItemCommandInput) => {
    calls.push("update");
    expect(Object.keys(ExpressionAttributeNames).length).toBeGreaterThan(3);
    const fields = { v: 1, w: "order", f: order.fingerprint, st: "running", n: 1, e: 0, c: 1, h: "hash", i: "" };
    return {
      Attributes: Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, attributeValue(value)])),
    };
  });
  sqs.on(SendMessageBatchCommand).callsFake(({ Entries = [] }: SendMessageBatchCommandInput) => {
    calls.push("send");
    return { Successful: Entries.map(({ Id }) => ({ Id })) };
  });
});

describe("a start", () => {
  test("keeps the graph, arms a message, then writes the run", async () => {
    const client = createClient({ workflows: [order], stack });
    expect(await client.start(order, { input: { id: "A-1" }, runId: "order-1" })).toEqual({
      runId: "order-1",
      status: "running",
      created: true,
    });
    // The graph, and that there is such a workflow.
    expect(calls).toEqual(["put", "put", "send", "update"]);
    await client.start(order, { input: { id: "A-2" } });
    // They are kept once.
    expect(calls).toEqual(["put", "put", "send", "update", "send", "update"]);
  });

  test("with an input that is wrong asks nobody", async () => {
    const client = createClient({ workflows: [order], stack });
    // @ts-expect-error the input's type is the workflow's
    await expect(client.start(order, { input: { id: 1 } })).rejects.toMatchObject({ code: "invalid_input" });
    // @ts-expect-error it has one
    await expect(client.start(order)).rejects.toMatchObject({ code: "invalid_input" });
    expect(calls).toEqual([]);
  });

  test("of a workflow that the client was not given is refused", async () => {
    const client = createClient({ workflows: [order], stack });
    await expect(client.start(hello)).rejects.toMatchObject({ code: "workflow_not_found" });
  });

  test("that the queue does not take writes no run", async () => {
    sqs.on(SendMessageBatchCommand).rejects(new Error("access denied"));
    const client = createClient({ workflows: [order], stack });
    await expect(client.start(order, { input: { id: "A-1" } })).rejects.toThrow("access denied");
    expect(calls).toEqual(["put", "put"]);
  });
});

describe("the stack", () => {
  test("is the one of the environment unless another is named", async () => {
    for (const [name, value] of Object.entries(writeStackAddress({ ...stack, table: "elsewhere" })))
      vi.stubEnv(name, value);
    await createClient({ workflows: [order] }).start(order, { input: { id: "A-1" } });
    expect(dynamo.commandCalls(UpdateItemCommand)[0]!.args[0].input.TableName).toBe("elsewhere");
    await createClient({ workflows: [order], stack }).start(order, { input: { id: "A-1" } });
    expect(dynamo.commandCalls(UpdateItemCommand)[1]!.args[0].input.TableName).toBe("table");
  });

  test("that nobody names is an error that says how it is named", () => {
    expect(() => createClient({ workflows: [order] })).toThrow(/PAWL_TABLE is not set.*grantStart/);
  });
});
