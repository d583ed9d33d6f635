// Hunts worker files that connect when they are loaded, and functions whose environment is wrong in silence.
import { BatchGetItemCommand, DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { mockClient } from "aws-sdk-client-mock";
import { beforeEach, describe, expect, test, vi } from "vitest";
import { createHandlers, type Handlers } from "../../functions/index.ts";
import { environmentNames, writeStackAddress } from "../../lib/aws/environment.ts";
import { type Workflow, workflow } from "../../lib/definition/workflow.ts";
import { webhookWorkflow } from "../../lib/system/webhook.ts";
import { lambdaContext } from "./lambda-context.ts";

const hello = workflow("hello", {}, (w) => w.step("greet", { run: () => "hello" }));
const address = {
  table: "table",
  blobs: "blobs",
  queues: { default: { url: "https://sqs.us-east-1.amazonaws.com/0/default", arn: "arn:aws:sqs:us-east-1:0:default" } },
  scheduleGroup: "group",
  scheduleRole: "arn:aws:iam::0:role/schedules",
  replies: { prefix: "replies-" },
};

let handlers: Handlers;
beforeEach(() => {
  handlers = createHandlers({ workflows: [hello] });
});

function setEnvironment(variables: Readonly<Record<string, string>>): void {
  for (const [name, value] of Object.entries(variables)) vi.stubEnv(name, value);
}

const complete = {
  ...writeStackAddress(address),
  AWS_REGION: "us-east-1",
  [environmentNames.stack]: "Orders",
  [environmentNames.taskQueue]: "default",
  [environmentNames.deadLetterQueue]: "https://sqs.us-east-1.amazonaws.com/0/dead",
  [environmentNames.archive]: "https://sqs.us-east-1.amazonaws.com/0/archive",
  [environmentNames.eventBus]: "bus",
};

test("a worker file needs no environment to be loaded", () => {
  expect(Object.keys(handlers).sort()).toEqual(["api", "audit", "deadLetters", "lifecycle", "worker"]);
});

describe("the first event", () => {
  test.each<[keyof Handlers, unknown]>([
    ["worker", { Records: [] }],
    ["api", { action: "get", runId: "r" }],
    ["deadLetters", { Records: [] }],
    ["audit", {}],
    ["lifecycle", { Records: [] }],
  ])("of %s, without an environment, says what is missing", async (name, event) => {
    await expect(handlers[name](event, lambdaContext)).rejects.toThrow("PAWL_STACK is not set");
    setEnvironment({ [environmentNames.stack]: "Orders" });
    // Tried again: a variable that was missing is not missing for ever.
    await expect(handlers[name](event, lambdaContext)).rejects.toThrow(
      name === "lifecycle" ? "PAWL_EVENT_BUS is not set" : "PAWL_TABLE is not set",
    );
  });

  test.each<keyof Handlers>(["worker", "deadLetters", "lifecycle"])("of %s may be empty", async (name) => {
    setEnvironment(complete);
    expect(await handlers[name]({ Records: [] }, lambdaContext)).toEqual({ batchItemFailures: [] });
  });

  test("a worker of a task queue that its stack does not have", async () => {
    setEnvironment({ ...complete, [environmentNames.taskQueue]: "inventory" });
    await expect(handlers.worker({ Records: [] }, lambdaContext)).rejects.toThrow(/"inventory".*"default"/);
  });

  test.each<keyof Handlers>(["worker", "deadLetters", "lifecycle"])(
    "of %s that is another service's is refused",
    async (name) => {
      setEnvironment(complete);
      await expect(handlers[name]({ version: "2.0" }, lambdaContext)).rejects.toThrow(/This handler takes events of/);
    },
  );
});

describe("a message of a run", () => {
  const dynamo = mockClient(DynamoDBClient);
  beforeEach(() => {
    dynamo.reset();
    dynamo.onAnyCommand().resolves({});
    setEnvironment(complete);
  });

  const handle = async ({ name, fingerprint }: Pick<Workflow, "name" | "fingerprint">): Promise<unknown> => {
    const message = { v: 1, kind: "nudge", runId: "run-1", workflow: name, fingerprint, epoch: 0, sentAtMs: 0 };
    return handlers.worker({ Records: [{ ...record, body: JSON.stringify(message) }] }, lambdaContext);
  };
  const record = {
    messageId: "message",
    receiptHandle: "receipt",
    attributes: { ApproximateReceiveCount: "1" },
    eventSourceARN: address.queues.default.arn,
  };
  const clock = { now: () => 0 };
  const ofPawl = webhookWorkflow({
    webhooks: new Map(),
    post: () => Promise.reject(new Error("not asked for")),
    clock,
  });

  test.each([
    ["of the user's", hello],
    ["of Pawl's own", ofPawl],
  ])("%s finds its workflow in the code", async (_, workflow) => {
    await handle(workflow);
    // The run itself; its graph would be asked for by BatchGetItem.
    expect(dynamo.calls().length).toBeGreaterThan(0);
    expect(dynamo.commandCalls(BatchGetItemCommand)).toEqual([]);
  });

  test("of a workflow that is not in the code asks the store for its graph", async () => {
    await handle({ name: "other", fingerprint: hello.fingerprint });
    expect(dynamo.commandCalls(BatchGetItemCommand).length).toBeGreaterThan(0);
  });
});
