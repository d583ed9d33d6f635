// Hunts work that outlives the handler that began it: Lambda freezes it half-way, and whoever stopped is not stopped.
import { DynamoDBClient, TransactWriteItemsCommand } from "@aws-sdk/client-dynamodb";
import { EventBridgeClient, PutEventsCommand } from "@aws-sdk/client-eventbridge";
import { SQSClient } from "@aws-sdk/client-sqs";
import type { Context } from "aws-lambda";
import { mockClient } from "aws-sdk-client-mock";
import { describe, expect, test } from "vitest";
import { apiHandler } from "../../functions/api.ts";
import { auditHandler } from "../../functions/audit.ts";
import { deadLettersHandler } from "../../functions/dead-letters.ts";
import { lifecycleHandler } from "../../functions/lifecycle.ts";
import { workerHandler } from "../../functions/worker.ts";
import { attributeValue } from "../../lib/aws/expression.ts";
import { createProjections } from "../../lib/aws/projections.ts";
import type { Workflow } from "../../lib/definition/workflow.ts";
import { workflow } from "../../lib/definition/workflow.ts";
import { startEngine } from "../../lib/embedded/engine.ts";
import { createMemoryBackend } from "../../lib/embedded/memory-backend.ts";
import { createMemoryBlobs } from "../../lib/embedded/memory-blobs.ts";
import { createAudit } from "../../lib/runtime/audit.ts";
import { createCommands } from "../../lib/runtime/commands.ts";
import { createCompletions } from "../../lib/runtime/completion.ts";
import type { Logger, OutgoingMessage, Ports } from "../../lib/runtime/ports.ts";
import { createQueries } from "../../lib/runtime/queries.ts";
import { createRemoval } from "../../lib/runtime/removal.ts";
import { systemRandomness as random } from "../../lib/runtime/system.ts";
import { createWorker } from "../../lib/runtime/worker.ts";
import { createSystem } from "../../lib/system/system.ts";
import { atRest } from "../../lib/testing/virtual-clock.ts";
import { PostOffice } from "../runtime/post-office.ts";
import { hanging, Watch } from "./watch.ts";

const silent: Logger = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };
const levels = ["debug", "info", "warn", "error"] as const;
const webhooks = [{ name: "theirs", url: "https://example.com/", secret: "a secret of some length" }];
const wide = { concurrency: 16 };

/** User code that returns, throws, hangs, or leaves background work that ends, rejects or hangs. */
function badly(watch: Watch, wait: () => Promise<never>): readonly Workflow[] {
  const work = (): Promise<void> => watch.call("background work", () => atRest(30));
  // One that is given up and fails then is still told of: that is the only thing.
  const endless = new Promise<never>(() => undefined);
  const retry = { maxAttempts: 1 };
  const leaf = workflow("leaf", {}, (w) => w.step("only", { run: () => 1 }));
  return [
    workflow("returns", {}, (w) => w.step("one", { run: () => 1 })),
    workflow("throws", {}, (w) => w.step("one", { retry, run: () => Promise.reject(new Error("on purpose")) })),
    workflow("hangs", {}, (w) => w.step("one", { retry, timeout: "20s", run: wait })),
    workflow("works", {}, (w) => w.step("one", { run: ({ background }) => background(work()) })),
    workflow("worksBadly", {}, (w) =>
      w.step("one", { run: ({ background }) => background(work().then(() => Promise.reject(new Error("no")))) }),
    ),
    workflow("worksForEver", {}, (w) => w.step("one", { run: ({ background }) => background(endless) })),
    workflow("maps", {}, (w) =>
      w.map("each", { items: () => Array.from({ length: 40 }, (_, item) => item), ...wide, run: ({ item }) => item }),
    ),
    workflow("parent", {}, (w) => {
      const children = ["a", "b", "c"].map((id) => w.child(id, { workflow: leaf, input: () => undefined }));
      return w.step("end", { after: children, run: () => 1 });
    }),
  ];
}

function scene() {
  const watch = new Watch();
  const { wait, goOn } = hanging();
  const workflows = badly(watch, wait);
  const memory = createMemoryBackend({ clock: watch.virtual, logger: silent });
  const sent: OutgoingMessage[] = [];
  const queue = { send: async (messages: readonly OutgoingMessage[]) => void sent.push(...messages) };
  const logger = { ...watch.over("log", silent, levels), begin: () => undefined };
  const post = new PostOffice();
  const client = new SQSClient({ region: "us-east-1" });
  mockClient(client)
    .onAnyCommand()
    .callsFake(() => watch.call("SQS", async () => ({})));
  const ports: Ports = {
    store: watch.over("store", memory),
    queue: watch.over("queue", queue),
    replies: watch.over("replies", post),
    clock: watch.clock,
    random,
    logger: watch.over("log", silent, levels),
  };
  const system = createSystem({ workflows, ports, index: watch.over("index", memory.runIndex), webhooks });
  const all = [...workflows, ...system.workflows];
  const endsAtMs = watch.virtual.now() + 60_000;
  const context = { awsRequestId: "r", getRemainingTimeInMillis: () => endsAtMs - watch.virtual.now() } as Context;
  const quiet: Ports = { ...ports, store: memory, queue, clock: watch.virtual, logger: silent };
  return {
    ...{ watch, goOn, workflows, memory, sent, logger, post, client, ports, system, all, context, quiet },
    metrics: { count: () => undefined },
  };
}

type Scene = ReturnType<typeof scene>;

/** One run of each workflow, and its first message. */
async function started({ quiet, workflows, sent }: Scene): Promise<{ readonly Records: readonly { body: string }[] }> {
  const commands = createCommands({ workflows, ports: quiet });
  for (const { name } of workflows) await commands.start(name, { runId: name });
  const bodies = sent.splice(0).filter(({ message }) => message.kind === "step" && message.wakeAtMs === undefined);
  return {
    Records: bodies.map(({ message }, index) => ({
      messageId: `m${index}`,
      receiptHandle: `m${index}-1`,
      body: JSON.stringify(message),
      attributes: { ApproximateReceiveCount: "1" },
      eventSourceARN: "arn:aws:sqs:us-east-1:0:default",
    })),
  };
}

/** The children of `parent` are there, and their messages are lost. */
async function withChildren(given: Scene): Promise<void> {
  const worker = createWorker({ workflows: given.all, ports: given.quiet });
  const { Records } = await started(given);
  for (const { body } of Records) {
    const message = JSON.parse(body) as { readonly runId: string };
    const delivery = { body: message, receiveCount: 1, extend: async () => undefined };
    if (message.runId === "parent") await worker.handle(delivery);
  }
}

/** A stream that tells of each run's beginning and removal. */
async function told(given: Scene): Promise<unknown> {
  await withChildren(given);
  const ids = given.workflows.map(({ name }) => name);
  const records = await Promise.all(
    ids.flatMap((runId) =>
      (["NewImage", "OldImage"] as const).map(async (side, index) => ({
        dynamodb: {
          SequenceNumber: `${runId}-${index}`,
          ApproximateCreationDateTime: given.watch.virtual.now() / 1000,
          Keys: { pk: { S: `r#${runId}` }, sk: { S: "run" } },
          [side]: Object.fromEntries(
            Object.entries((await given.memory.get(runId))!).map(([name, value]) => [name, attributeValue(value)]),
          ),
        },
      })),
    ),
  );
  for (const runId of ids) await given.memory.remove(runId, []);
  return { Records: records };
}

/** Prepares, and returns what begins the handling. */
type Prepare = (given: Scene) => Promise<() => Promise<unknown>>;

const handlers: Readonly<Record<string, Prepare>> = {
  worker: (given) => working(given, () => true),
  // In a batch, what one message leaves behind may end while others are handled.
  "worker, a message with background work": (given) => working(given, (runId) => runId === "works"),
  "dead letters": async (given) => {
    const { ports, client, logger, metrics, all, context } = given;
    const event = await started(given);
    const worker = createWorker({ workflows: all, ports });
    const handle = deadLettersHandler(() => ({ sqs: client, worker, archiveUrl: "https://archive", logger, metrics }));
    return () => handle(event, context);
  },
  audit: async (given) => {
    const { watch, ports, memory, logger, metrics, all, context } = given;
    await withChildren(given);
    await watch.virtual.advance(3_600_000);
    const audit = createAudit({ workflows: all, ports, openRuns: watch.over("openRuns", memory.openRuns) });
    const removeOrphans = (): Promise<number> => watch.call("removeOrphans", async () => 0);
    const handle = auditHandler(() => ({ audit, removeOrphans, clock: ports.clock, logger, metrics }));
    return () => handle({}, context);
  },
  lifecycle: async (given) => {
    const { watch, ports, logger, metrics, all, system, context } = given;
    const event = await told(given);
    const removal = createRemoval({ workflows: all, ports });
    const eventBridge = new EventBridgeClient({ region: "us-east-1" });
    const dynamo = new DynamoDBClient({ region: "us-east-1" });
    mockClient(eventBridge)
      .on(PutEventsCommand)
      .callsFake(({ Entries }: { Entries: object[] }) =>
        watch.call("PutEvents", async () => ({ Entries: Entries.map(() => ({ EventId: "e" })) })),
      );
    mockClient(dynamo)
      .onAnyCommand()
      .callsFake(() => watch.call("DynamoDB", async () => ({})))
      .on(TransactWriteItemsCommand)
      .callsFake(() => watch.call("TransactWriteItems", async () => ({})));
    const { clock, store } = ports;
    const handle = lifecycleHandler(() => ({
      ...{ eventBridge, eventBus: "bus", clock, random, store, logger, metrics, tell: system.tell },
      projections: createProjections({ client: dynamo, table: "table", clock, random }),
      afterRemoval: ({ runId, fields }) => removal.afterRemove(runId, fields),
    }));
    return () => handle(event, context);
  },
  ...Object.fromEntries(
    ["GET /stats", "GET /runs", "GET /runs/hangs?wait=25s", "POST /runs/parent/cancel"].map((request) => [
      `api, ${request}`,
      (given: Scene) => requested(given, request),
    ]),
  ),
};

async function working(given: Scene, isSent: (runId: string) => boolean): Promise<() => Promise<unknown>> {
  const { ports, client, logger, all, context } = given;
  const { Records } = await started(given);
  const event = { Records: Records.filter(({ body }) => isSent((JSON.parse(body) as { runId: string }).runId)) };
  const worker = createWorker({ workflows: all, ports });
  const urls = { queueUrl: "https://queue", deadLetterQueueUrl: "https://dead" };
  const handle = workerHandler(() => ({
    ...{ ...urls, sqs: client, queue: ports.queue, clock: ports.clock, logger, taskQueue: "default" },
    handle: (delivery) => worker.handle(delivery),
  }));
  return () => handle(event, context);
}

async function requested(given: Scene, request: string): Promise<() => Promise<unknown>> {
  const { watch, ports, memory, workflows, system, logger, context, post } = given;
  await started(given);
  const commands = createCommands({ workflows, ports });
  const createReplyQueue = async (): ReturnType<PostOffice["create"]> =>
    watch.over("replyQueue", await watch.call("createReplyQueue", post.create));
  const handle = apiHandler(() => ({
    commands,
    queries: createQueries({ index: watch.over("index", memory.runIndex), clock: ports.clock, logger: ports.logger }),
    operations: system.operations,
    loadCompletions: async () => createCompletions({ ports, commands, createReplyQueue }),
    cursorKey: () => watch.call("cursorKey", async () => "secret"),
    logger,
  }));
  const [method, url = ""] = request.split(" ");
  const [rawPath, rawQueryString] = url.split("?");
  const ask = (event: object, asked = method): Promise<unknown> =>
    handle({ version: "2.0", ...event, requestContext: { http: { method: asked } } }, context);
  // The first request loads the routes: that takes real time.
  await ask({ rawPath: "/healthz" }, "GET");
  return () => ask({ rawPath, rawQueryString });
}

describe.each(Object.entries(handlers))("when the handler has ended, nothing of it happens: %s", (_, prepare) => {
  test("all went well, or user code did not", async () => {
    const given = scene();
    const handle = await prepare(given);
    given.watch.calls = 0;
    expect(await given.watch.leftBy(handle(), given.goOn)).toEqual([]);
    expect(given.watch.calls).toBeGreaterThan(0);
  });

  test("any one call has failed, while others were under way", { timeout: 30_000 }, async () => {
    for (let failing = 1; ; failing++) {
      const given = scene();
      const handle = await prepare(given);
      given.watch.calls = 0;
      given.watch.failing = failing;
      expect(await given.watch.leftBy(handle(), given.goOn), `call ${failing} fails`).toEqual([]);
      if (given.watch.calls < failing) break;
    }
  });
});

describe("when the embedded engine has been stopped, nothing of it happens", () => {
  test.each([0, 5_000])("after a grace time of %i ms", async (graceMs) => {
    const watch = new Watch();
    const { wait, goOn } = hanging();
    const backend = createMemoryBackend({ clock: watch.virtual, logger: silent });
    const daily = workflow("daily", { schedule: { cron: "0 5 * * *", timezone: "UTC" } }, (w) =>
      w.step("one", { run: () => 1 }),
    );
    const engine = await startEngine(
      {
        workflows: [...badly(watch, wait), daily],
        ...{ clock: watch.clock, webhooks, post: wait },
        logger: watch.over("log", silent, levels),
      },
      watch.over("backend", backend, ["nextDueAtMs", "onMessage", "onChange"]),
      createMemoryBlobs,
    );
    for (const name of ["hangs", "worksBadly", "worksForEver", "maps", "parent"]) await engine.commands.start(name);
    await watch.virtual.advance(100);
    expect(await watch.leftBy(engine.stop({ graceMs }), goOn)).toEqual([]);
  });
});

test("when a client that waits has been closed, nothing of it happens", async () => {
  const given = scene();
  const { watch, ports, workflows, post } = given;
  await started(given);
  const completions = createCompletions({
    ports,
    commands: createCommands({ workflows, ports }),
    createReplyQueue: async () => watch.over("replyQueue", await watch.call("createReplyQueue", post.create)),
  });
  const waits = ["returns", "hangs"].map((runId) => completions.waitForCompletion(runId));
  const rejected = Promise.allSettled(waits);
  await watch.virtual.advance(1_000);
  expect(await watch.leftBy(completions.close())).toEqual([]);
  expect(await rejected).toMatchObject(waits.map(() => ({ status: "rejected", reason: { code: "unavailable" } })));
  expect(post.boxes.size).toBe(0);
});
