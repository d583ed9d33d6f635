// Hunts HTTP events and direct commands that come to something else than the local server makes of them.
import type { Context } from "aws-lambda";
import { beforeEach, describe, expect, test } from "vitest";
import * as z from "zod";
import { type ApiHandler, apiHandler } from "../../functions/api.ts";
import { resultOf } from "../../functions/http-event.ts";
import type { DirectCommand } from "../../lib/api/direct-command.ts";
import { limits } from "../../lib/definition/limits.ts";
import { workflow } from "../../lib/definition/workflow.ts";
import type { Commands } from "../../lib/runtime/commands.ts";
import type { RunPage } from "../../lib/runtime/queries.ts";
import type { RunView } from "../../lib/runtime/run-view.ts";
import { createRecordingLogger } from "../contract/recording-logger.ts";
import { lambdaContext } from "./lambda-context.ts";
import { LocalLambda } from "./local-lambda.ts";

const order = workflow("order", { input: z.object({ id: z.string() }) }, (w) => {
  const check = w.step("check", { run: ({ input }) => input.id });
  const approval = w.signal("approval", { after: [check], payload: z.object({ ok: z.boolean() }) });
  return w.step("ship", {
    after: [approval],
    run: ({ outputs }) => {
      if (!outputs.approval.ok) throw new Error("refused");
      return "shipped";
    },
  });
});

let lambda: LocalLambda;
let commands: Commands;
let logger: ReturnType<typeof createRecordingLogger>;
let createCompletions: LocalLambda["createCompletions"];
let api: ApiHandler;

beforeEach(() => {
  lambda = new LocalLambda([order]);
  commands = lambda.commands;
  logger = createRecordingLogger();
  ({ createCompletions } = lambda);
  api = apiHandler(() => ({
    commands,
    queries: lambda.queries,
    operations: lambda.operations,
    loadCompletions: async () => createCompletions(),
    cursorKey: async () => "secret",
    logger: { ...logger, begin: () => undefined },
  }));
});

/** A run, what was started, or an error: each test knows which. */
type Answer = RunView & { readonly error: { readonly code: string } };

interface HttpResult {
  readonly statusCode: number;
  readonly headers: Record<string, string>;
  readonly body: string;
}

async function http(
  method: string,
  path: string,
  body?: string,
  more: object = {},
  context: Context = lambdaContext,
): Promise<HttpResult & { json: Answer }> {
  const [rawPath, rawQueryString = ""] = path.split("?");
  const event = {
    version: "2.0",
    routeKey: "$default",
    rawPath,
    rawQueryString,
    headers: {
      host: "abc.execute-api.us-east-1.amazonaws.com",
      ...(body === undefined ? {} : { "content-type": "application/json" }),
    },
    requestContext: {
      domainName: "abc.execute-api.us-east-1.amazonaws.com",
      stage: "$default",
      http: { method, path: rawPath },
    },
    ...(body === undefined ? {} : { body }),
    isBase64Encoded: false,
    ...more,
  };
  const result = (await api(event, context)) as HttpResult;
  return { ...result, json: JSON.parse(result.body) };
}

const direct = (command: DirectCommand): Promise<Answer> => api(command, lambdaContext) as Promise<Answer>;
async function failureOf(command: unknown): Promise<Error> {
  return api(command, lambdaContext).then(
    () => expect.unreachable(),
    (error: unknown) => error as Error,
  );
}

const input = { id: "A-1" };

describe("HTTP", () => {
  test("starts a run and shows it", async () => {
    const started = await http("POST", "/workflows/order/runs", JSON.stringify({ input, runId: "order-1" }));
    expect(started).toMatchObject({
      statusCode: 202,
      headers: { "content-type": "application/json", location: "/runs/order-1" },
      json: { runId: "order-1", status: "running" },
    });
    await lambda.pass(0);
    expect((await http("GET", "/runs/order-1")).json).toMatchObject({
      runId: "order-1",
      steps: { check: { status: "succeeded" } },
    });
  });

  test("a body in Base64 is what it stands for", async () => {
    const body = Buffer.from(JSON.stringify({ input: { id: "Grüße 世界" } })).toString("base64");
    const { json } = await http("POST", "/workflows/order/runs", body, { isBase64Encoded: true });
    expect(await commands.input(json.runId)).toEqual({ id: "Grüße 世界" });
  });

  test("?wait= answers when the run has ended, and with the run as it is when the time is over", async () => {
    await http("POST", "/workflows/order/runs", JSON.stringify({ input, runId: "order-1" }));
    const late = http("GET", "/runs/order-1?wait=5s");
    await lambda.pass(5_000);
    expect(await late).toMatchObject({ statusCode: 200, json: { status: "running" } });
    const answer = http("GET", "/runs/order-1?wait=25s");
    await lambda.pass(1_000);
    await direct({ action: "cancel", runId: "order-1" });
    expect(await answer).toMatchObject({ statusCode: 200, json: { status: "cancelled" } });
    expect(lambda.replies.receiving).toBe(0);
    // A frozen environment deletes nothing any more.
    expect(lambda.replies.boxes.size).toBe(0);
  });

  test("?wait= makes no queue for a run that has ended, or is not there", async () => {
    await http("POST", "/workflows/order/runs", JSON.stringify({ input, runId: "order-1" }));
    await direct({ action: "terminate", runId: "order-1" });
    expect(await http("GET", "/runs/order-1?wait=25s")).toMatchObject({
      statusCode: 200,
      json: { status: "cancelled" },
    });
    expect(await http("GET", "/runs/nobody?wait=25s")).toMatchObject({ statusCode: 404 });
    expect(lambda.replies.made).toBe(0);
  });

  test("?wait= answers although its queue cannot be removed", async () => {
    createCompletions = () => ({
      ...lambda.createCompletions(),
      waitForEnd: (runId) => commands.get(runId),
      close: () => Promise.reject(new Error("the queue is out of reach")),
    });
    await http("POST", "/workflows/order/runs", JSON.stringify({ input, runId: "order-1" }));
    expect(await http("GET", "/runs/order-1?wait=1s")).toMatchObject({ statusCode: 200, json: { status: "running" } });
    expect(logger.lines.map(({ message }) => message)).toContain(
      "a reply queue could not be removed; an audit of the stack does so in a day",
    );
  });

  test("?wait= leaves its function the time to answer", async () => {
    await http("POST", "/workflows/order/runs", JSON.stringify({ input, runId: "order-1" }));
    const hurried = { ...lambdaContext, getRemainingTimeInMillis: () => limits.farewellMs + 1_000 };
    const late = http("GET", "/runs/order-1?wait=25s", undefined, {}, hurried);
    await lambda.pass(1_000);
    expect(await late).toMatchObject({ statusCode: 200, json: { status: "running" } });
    const later = { ...lambdaContext, getRemainingTimeInMillis: () => limits.farewellMs };
    expect(await http("GET", "/runs/order-1?wait=25s", undefined, {}, later)).toMatchObject({ statusCode: 200 });
  });

  test("answers of any size that a run may have come whole, or say where their parts are", async () => {
    const textOf = async (bytes: number): Promise<unknown> => {
      // The worst case of JSON in JSON: half of it is escaped twice.
      const answer = `"${"\\\\".repeat(bytes / 2)}"`;
      const result = await resultOf(new Response(answer));
      expect(Buffer.byteLength(JSON.stringify(result))).toBeLessThan(6_000_000);
      const body = Buffer.from(result.body!, result.isBase64Encoded === true ? "base64" : "utf8").toString();
      return body === answer ? "whole" : JSON.parse(body);
    };
    for (const bytes of [10, 900_000, 1_100_000, limits.payloadBytes]) expect(await textOf(bytes)).toBe("whole");
    expect(await textOf(5_000_000)).toMatchObject({
      error: { code: "payload_too_large", message: expect.stringContaining("/steps/{stepId}/output") },
    });
  });

  test("errors are the API's own", async () => {
    expect(await http("POST", "/workflows/order/runs", "{")).toMatchObject({
      statusCode: 400,
      json: { error: { code: "malformed_json" } },
    });
    expect(await http("GET", "/runs/nobody")).toMatchObject({
      statusCode: 404,
      json: { error: { code: "run_not_found" } },
    });
    expect(await http("PATCH", "/runs/nobody")).toMatchObject({ statusCode: 405 });
    for (const [method, more] of [
      ["TRACE", {}],
      ["GET", { headers: { "a b": "c" } }],
      ["GET", { headers: { a: "b\nc: d" } }],
    ] as const) {
      expect(await http(method, "/healthz", undefined, more)).toMatchObject({
        statusCode: 400,
        json: { error: { code: "invalid_request" } },
      });
    }
    expect(await http("GET", "/nowhere/é%20")).toMatchObject({
      statusCode: 404,
      json: { error: { code: "route_not_found" } },
    });
  });

  test("a task token in a path is not changed on the way", async () => {
    const { json } = await http("POST", "/callbacks/a-_b.c%2Fd/succeed", "{}");
    expect(json.error.code).toBe("callback_not_found");
  });
});

describe("direct commands", () => {
  test("start, and the same start again, answer what HTTP does", async () => {
    expect(await direct({ action: "start", workflow: "order", input, runId: "order-1", tags: { shop: "a" } })).toEqual({
      runId: "order-1",
      status: "running",
    });
    expect(await direct({ action: "start", workflow: "order", input, runId: "order-1" })).toMatchObject({
      runId: "order-1",
      tags: { shop: "a" },
      steps: { check: {} },
    });
  });

  test("a whole life: signal, pause, resume, failure, redrive, terminate", async () => {
    await direct({ action: "start", workflow: "order", input, runId: "r" });
    await lambda.pass(0);
    expect(await direct({ action: "pause", runId: "r" })).toMatchObject({ status: "paused" });
    expect(await direct({ action: "resume", runId: "r" })).toMatchObject({ status: "running" });
    await direct({ action: "signal", runId: "r", name: "approval", payload: { ok: false } });
    await lambda.pass(60_000);
    expect(await direct({ action: "get", runId: "r" })).toMatchObject({ status: "failed" });
    const byHand = { set: { ship: "by hand" }, by: "Ann", reason: "the carrier called" };
    expect(await direct({ action: "redrive", runId: "r", ...byHand })).toMatchObject({ status: "succeeded" });
    await direct({ action: "start", workflow: "order", input, runId: "s" });
    expect(await direct({ action: "cancel", runId: "s" })).toMatchObject({ status: "cancelled" });
    await direct({ action: "start", workflow: "order", input, runId: "t" });
    expect(await direct({ action: "terminate", runId: "t" })).toMatchObject({ status: "cancelled" });
    expect(await direct({ action: "purge", runId: "t" })).toEqual({ runId: "t" });
    expect((await failureOf({ action: "get", runId: "t" })).name).toBe("run_not_found");
  });

  test("lists, failures, statistics and bulk operations", async () => {
    for (const runId of ["a", "b", "c"]) await direct({ action: "start", workflow: "order", input, runId });
    const ask = (command: DirectCommand): Promise<unknown> => direct(command);
    const first = (await ask({ action: "list", workflow: "order", status: "running", limit: 2 })) as RunPage;
    const { cursor } = first;
    const rest = (await ask({
      action: "list",
      workflow: "order",
      status: "running",
      ...(cursor === undefined ? {} : { cursor }),
    })) as RunPage;
    expect([...first.runs, ...rest.runs].map(({ runId }) => runId).toSorted()).toEqual(["a", "b", "c"]);
    expect(await ask({ action: "stats", days: 1 })).toMatchObject({ runs: 3, byStatus: { running: 3 } });
    expect(await ask({ action: "failures", workflow: "order" })).toEqual({ failures: [] });
    const operation = { action: "terminate", filter: { workflow: "order" }, operationId: "all" } as const;
    expect(await ask({ action: "beginOperation", operation: { ...operation, dryRun: true } })).toMatchObject({
      runs: 3,
    });
    expect(await ask({ action: "beginOperation", operation })).toMatchObject({ operationId: "all", status: "running" });
    await lambda.pass(60_000);
    expect(await ask({ action: "getOperation", operationId: "all" })).toMatchObject({
      status: "succeeded",
      progress: { selected: 3, done: 3 },
    });
    expect((await failureOf({ action: "abortOperation", operationId: "all" })).name).toBe("status_conflict");
  });

  test("startAt is kept", async () => {
    const startAt = new Date(lambda.clock.now() + 3_600_000).toISOString();
    await direct({ action: "start", workflow: "order", input, runId: "later", startAt });
    await lambda.pass(3_599_000);
    expect((await direct({ action: "get", runId: "later" })).steps.check!.status).not.toBe("succeeded");
    await lambda.pass(1_000);
    expect((await direct({ action: "get", runId: "later" })).steps.check!.status).toBe("succeeded");
  });

  test.each<[string, unknown, string, RegExp]>([
    ["no command", { hello: 1 }, "invalid_request", /"action": "start".*getOperation, abortOperation/],
    ["an unknown action", { action: "delete", runId: "r" }, "invalid_request", /action/],
    ["a misspelt criterion", { action: "list", workflw: "order" }, "invalid_request", /workflw/],
    ["a limit out of bounds", { action: "list", limit: 1_001 }, "invalid_request", /1 to 1000/],
    ["an unknown operation", { action: "getOperation", operationId: "nobody" }, "operation_not_found", /nobody/],
    ["a misspelt field", { action: "start", workflow: "order", inputs: {} }, "invalid_request", /inputs/],
    ["an event of SQS", { Records: [] }, "invalid_request", /no command of Pawl/],
    ["nothing", null, "invalid_request", /no command of Pawl/],
    ["an unknown workflow", { action: "start", workflow: "oder" }, "workflow_not_found", /order/],
    ["a bad input", { action: "start", workflow: "order", input: { id: 1 } }, "invalid_input", /id/],
    ["an unknown run", { action: "get", runId: "nobody" }, "run_not_found", /nobody/],
  ])("%s fails with its code as the error's name, and without a stack", async (_, command, code, message) => {
    const error = await failureOf(command);
    expect(error).toMatchObject({ name: code, message: expect.stringMatching(message) });
    expect(error.stack!.split("\n").filter((line) => /^\s+at /.test(line))).toEqual([]);
    expect(logger.lines).toEqual([]);
  });

  test("what nobody expected is told by an id that is in the log", async () => {
    commands = { ...commands, get: () => Promise.reject(new Error("table gone: secret-name")) };
    const error = await failureOf({ action: "get", runId: "r" });
    expect(error).toMatchObject({ name: "internal_error" });
    expect(error.message).not.toContain("secret-name");
    const [line] = logger.lines;
    expect(line).toMatchObject({ level: "error", fields: { error: { message: "table gone: secret-name" } } });
    expect(error.message).toContain(String(line!.fields!.id));
  });
});
