// Hunts what a stack's functions lose or double on the protocols of AWS, when requests fail as they do there (R5, R6, R10).
import { setTimeout as sleep } from "node:timers/promises";
import { ListSchedulesCommand } from "@aws-sdk/client-scheduler";
import { PurgeQueueCommand, SendMessageCommand } from "@aws-sdk/client-sqs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import * as z from "zod";
import { createHandlers, type Handlers } from "../../functions/index.ts";
import { createSqsClient } from "../../lib/aws/clients.ts";
import { createSchedule, createSchedulerClient } from "../../lib/aws/scheduler.ts";
import { oneTimeSchedule } from "../../lib/aws/schedules.ts";
import { pack } from "../../lib/aws/sqs-requests.ts";
import { type Client, createClient } from "../../lib/client/index.ts";
import { workflow } from "../../lib/definition/workflow.ts";
import { isTerminal } from "../../lib/engine/run-state.ts";
import type { RunView } from "../../lib/runtime/run-view.ts";
import { lambdaContext } from "../functions/lambda-context.ts";
import { type Aws, openAws } from "./aws.ts";
import { type Fault, type FaultyProxy, startFaultyProxy } from "./faulty-proxy.ts";
import { createWireStack, type WireStack } from "./wire-lambda.ts";

const begun = new Map<string, number>();
const begin = (runId: string, step: string): void => {
  const key = `${runId}/${step}`;
  begun.set(key, (begun.get(key) ?? 0) + 1);
};

const retry = { maxAttempts: 3, backoff: { type: "fixed", base: "1s" } } as const;

const join = workflow("join", { input: z.object({ size: z.number() }) }, (w) => {
  const first = w.step("first", { run: ({ runId, input }) => (begin(runId, "first"), "x".repeat(input.size)) });
  const left = w.step("left", {
    after: [first],
    run: ({ runId, outputs }) => (begin(runId, "left"), outputs.first.length),
  });
  const right = w.step("right", {
    after: [first],
    retry,
    run: ({ runId, attempt }) => {
      begin(runId, `right${attempt}`);
      if (attempt === 1) throw new Error("the first time");
      return attempt;
    },
  });
  return w.step("last", {
    after: [left, right],
    run: ({ runId, outputs }) => (begin(runId, "last"), outputs.left + outputs.right),
  });
});

const approve = workflow("approve", {}, (w) => {
  const approval = w.signal("approval", { payload: z.object({ ok: z.boolean() }) });
  return w.step("after", { after: [approval], run: ({ outputs }) => outputs.approval.ok });
});

const many = workflow("many", { input: z.object({ count: z.number() }) }, (w) => {
  const each = w.map("each", {
    items: ({ input }) => Array.from({ length: input.count }, (_, n) => n),
    run: ({ item }) => item * 2,
  });
  return w.step("sum", { after: [each], run: async ({ outputs }) => (await outputs.each.toArray()).length });
});

let aws: Aws;
let proxy: FaultyProxy;
let stack: WireStack;
let handlers: Handlers;
let client: Client;
let stop: () => Promise<void>;
let faults: (() => Fault) | undefined;

beforeAll(async () => {
  aws = await openAws();
  // The stack is made without faults, and by clients of its own.
  stack = await createWireStack();
  proxy = await startFaultyProxy(process.env.AWS_ENDPOINT_URL!, () => faults?.() ?? "none");
  process.env.AWS_ENDPOINT_URL = proxy.endpoint;
  handlers = createHandlers({ workflows: [join, approve, many] });
  client = createClient({ workflows: [join, approve, many] });
  stop = stack.serve(handlers);
});
afterAll(async () => {
  await stop();
  await proxy.close();
  await aws.stop();
});

async function ended(runId: string, withinMs = 30_000): Promise<RunView> {
  const untilMs = Date.now() + withinMs;
  for (;;) {
    const run = await client.get(runId);
    if (isTerminal(run.status) || Date.now() > untilMs) return run;
    await sleep(100);
  }
}

describe("runs", () => {
  test("many at once, while requests are throttled, refused and answered into nothing: each step once", async () => {
    // One in four, so that the SDK does not run out of retries: it spends them faster than it earns them when more fail.
    const cycle: Fault[] = ["none", "throttled", "none", "none", "answerLost", "none", "none", "none", "unavailable"];
    cycle.push("none", "none", "answerLost", "none", "none", "none", "none");
    let next = 0;
    faults = () => cycle[next++ % cycle.length]!;
    const starts = Array.from({ length: 12 }, (_, n) => client.start(join, { input: { size: n }, runId: `join-${n}` }));
    const runs = await Promise.all((await Promise.all(starts)).map(({ runId }) => ended(runId)));
    faults = undefined;
    runs.forEach((run, n) => {
      expect(run, run.runId).toMatchObject({ status: "succeeded", output: n + 2 });
      for (const step of ["first", "left", "right1", "right2", "last"]) {
        expect(begun.get(`${run.runId}/${step}`), `${run.runId}/${step}`).toBe(1);
      }
    });
    expect(proxy.counts.answerLost).toBeGreaterThan(20);
    expect(proxy.counts.throttled).toBeGreaterThan(10);
  });

  test("a start that is repeated is one run; another input is a conflict", async () => {
    const start = (size: number) => client.start(join, { input: { size }, runId: "again" });
    expect(await start(1)).toMatchObject({ created: true });
    expect(await start(1)).toMatchObject({ created: false });
    await expect(start(2)).rejects.toMatchObject({ code: "run_conflict" });
  });

  test("payloads of any size pass", async () => {
    const sizes = [900, 70_000, 350_000, 3_000_000];
    const starts = await Promise.all(sizes.map((size) => client.start(join, { input: { size } })));
    const runs = await Promise.all(starts.map(({ runId }) => ended(runId)));
    expect(runs.map(({ output }) => output)).toEqual(sizes.map((size) => size + 2));
    expect(String(await client.output(starts[3]!.runId, "first")).length).toBe(3_000_000);
  });

  test("a signal that comes early is kept", async () => {
    const { runId } = await client.start(approve);
    await client.signal(runId, "approval", { ok: true });
    expect(await ended(runId)).toMatchObject({ status: "succeeded", output: true });
    await expect(client.signal(runId, "approval", { ok: true })).rejects.toMatchObject({ code: "signal_conflict" });
  });

  test("a map over shards", async () => {
    const { runId } = await client.start(many, { input: { count: 50 } });
    expect(await ended(runId, 60_000)).toMatchObject({ status: "succeeded", output: 50 });
  });

  test("started by a direct command, and shown over HTTP", async () => {
    const started = await handlers.api(
      { action: "start", workflow: "join", input: { size: 3 }, runId: "direct" },
      lambdaContext,
    );
    expect(started).toEqual({ runId: "direct", status: "running" });
    await ended("direct");
    const event = {
      version: "2.0",
      rawPath: "/runs/direct",
      rawQueryString: "",
      headers: {},
      requestContext: { domainName: "localhost", http: { method: "GET" } },
      isBase64Encoded: false,
    };
    const answer = (await handlers.api(event, lambdaContext)) as { readonly statusCode: number; readonly body: string };
    expect(answer.statusCode).toBe(200);
    expect(JSON.parse(answer.body)).toMatchObject({ runId: "direct", status: "succeeded", output: 5 });
  });
});

test("what is no message ends in the archive with its reason", async () => {
  const sqs = createSqsClient();
  await sqs.send(new PurgeQueueCommand({ QueueUrl: stack.archiveUrl }));
  await sqs.send(new SendMessageCommand({ QueueUrl: stack.address.queues.default!.url, MessageBody: "no message" }));
  const [letter] = await stack.wait(stack.archiveUrl, 5_000);
  expect(letter).toMatchObject({ Body: "no message", MessageAttributes: { taskQueue: { StringValue: "default" } } });
  expect(letter!.MessageAttributes!.reason!.StringValue).toContain("Not a Pawl message");
});

test("a one-time schedule is created once, and brings its message to its queue", async () => {
  const scheduler = createSchedulerClient();
  const queue = await stack.createQueue("timers");
  const base = { v: 1, runId: "r", workflow: "approve", fingerprint: "f", epoch: 0 } as const;
  const message = { ...base, kind: "nudge", sentAtMs: Date.now() } as const;
  const request = oneTimeSchedule(
    pack({ taskQueue: "default", delayMs: 1_000, message }, { default: queue }),
    stack.address,
    Date.now(),
  );
  await createSchedule(scheduler, request);
  await createSchedule(scheduler, request);
  // Scheduler is precise to the minute.
  const letters = await stack.wait(queue.url, 61_000);
  expect(letters.map(({ Body }) => JSON.parse(Body!))).toEqual([message]);
  expect(Date.now()).toBeGreaterThanOrEqual(message.sentAtMs + 1_000);
  const left = await scheduler.send(new ListSchedulesCommand({ GroupName: stack.address.scheduleGroup }));
  expect(left.Schedules).toEqual([]);
}, 90_000);
