// Hunts a client on the table and the queues that does otherwise than the one over HTTP, reads while it waits, or leaves a queue behind.
import { CreateQueueCommand, ListQueuesCommand } from "@aws-sdk/client-sqs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createHandlers } from "../../functions/index.ts";
import { createSqsClient } from "../../lib/aws/clients.ts";
import { connect } from "../../lib/aws/connect.ts";
import { replyQueueId } from "../../lib/aws/reply-queues.ts";
import { type Client, createClient } from "../../lib/client/index.ts";
import { limits } from "../../lib/definition/limits.ts";
import { clientContract, contractWorkflows } from "../client/client.contract.ts";
import { createRecordingLogger } from "../contract/recording-logger.ts";
import { lambdaContext } from "../functions/lambda-context.ts";
import { type Aws, openAws } from "./aws.ts";
import { startFaultyProxy } from "./faulty-proxy.ts";
import { createWireStack, type WireStack } from "./wire-lambda.ts";

let aws: Aws;
let stack: WireStack;
let stop: () => Promise<void>;
beforeAll(async () => {
  aws = await openAws();
  stack = await createWireStack();
  stop = stack.serve(createHandlers({ workflows: contractWorkflows }));
});
afterAll(async () => {
  await stop();
  await aws.stop();
});

async function replyQueues(): Promise<readonly string[]> {
  const prefix = stack.address.replies.prefix;
  const { QueueUrls = [] } = await createSqsClient().send(new ListQueuesCommand({ QueueNamePrefix: prefix }));
  return QueueUrls;
}

describe("on table and queues", () => {
  clientContract(async () => ({
    client: createClient({ workflows: contractWorkflows, stack: stack.address }),
    stop: async () => undefined,
  }));
});

test("a wait is one write and one read, and its queue is gone with the client", async () => {
  const calls: string[] = [];
  const proxy = await startFaultyProxy(process.env.AWS_ENDPOINT_URL!, (operation) => {
    calls.push(operation);
    return "none";
  });
  const starter = createClient({ workflows: contractWorkflows, stack: stack.address });
  const { runId } = await starter.start("approve");
  const endpoint = process.env.AWS_ENDPOINT_URL!;
  process.env.AWS_ENDPOINT_URL = proxy.endpoint;
  let waiter: Client;
  try {
    waiter = createClient({ workflows: contractWorkflows, stack: stack.address });
    const waits = [waiter.waitForCompletion(runId), waiter.waitForCompletion(runId)];
    await expect.poll(() => calls.filter((call) => call === "UpdateItem").length).toBe(2);
    await new Promise((resolve) => setTimeout(resolve, 2_000));
    await starter.signal(runId, "approval", { ok: true });
    for (const run of await Promise.all(waits)) expect(run.status).toBe("succeeded");
  } finally {
    process.env.AWS_ENDPOINT_URL = endpoint;
  }
  const onTable = calls.filter((call) => /Item|Query|Scan/.test(call));
  expect(onTable.filter((call) => call === "UpdateItem")).toHaveLength(2);
  expect(onTable.filter((call) => call !== "UpdateItem")).toEqual(["Query", "Query"]);
  expect(calls.filter((call) => call === "CreateQueue")).toHaveLength(1);
  await waiter.close();
  expect(calls.at(-1)).toBe("DeleteQueue");
  await proxy.close();
  await expect.poll(replyQueues).toEqual([]);
});

test("queues that were left behind for a day are deleted by an audit, and no others", async () => {
  const { prefix } = stack.address.replies;
  const sqs = createSqsClient();
  const make = async (name: string): Promise<string> =>
    (await sqs.send(new CreateQueueCommand({ QueueName: name }))).QueueUrl!;
  const nowMs = Date.now();
  const [, young, other] = [
    await make(`${prefix}${replyQueueId(nowMs - limits.replyOrphanMs - 60_000, "orphan")}`),
    await make(`${prefix}${replyQueueId(nowMs - limits.replyOrphanMs + 60_000, "young")}`),
    await make(`${prefix}somebody-elses`),
  ];
  await createHandlers({ workflows: contractWorkflows }).audit({}, lambdaContext);
  await expect.poll(async () => (await replyQueues()).toSorted()).toEqual([young, other].toSorted());
});

test("a notice to a queue that is gone is no error, and what is no queue of ours gets none", async () => {
  const { ports } = connect(stack.address, createRecordingLogger());
  const notice = { v: 1, runId: "r", status: "failed", epoch: 0 } as const;
  const old = replyQueueId(Date.now() - 3_600_000, "gone");
  await ports.replies!.send([
    { replyTo: old, notice },
    { replyTo: "../default", notice },
    { replyTo: replyQueueId(Date.now(), "never"), notice },
  ]);
});
