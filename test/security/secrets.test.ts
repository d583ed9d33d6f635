// Hunts: a payload, token, key or credential in a log, an event, a list, a message, a webhook or an error, where nobody expects it.
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import process from "node:process";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import * as z from "zod";
import { functionLogger } from "../../functions/logger.ts";
import { createHttpClient } from "../../lib/client/index.ts";
import { startDevServer } from "../../lib/dev/http-server.ts";
import { openServerLog } from "../../lib/dev/server-log.ts";
import { jsonLogger } from "../../lib/embedded/logger.ts";
import { createEngine, type Engine, type LifecycleEvent, workflow } from "../../lib/index.ts";
import { loggedFields } from "../../lib/runtime/logged-fields.ts";
import { parseToken } from "../../lib/runtime/task-token.ts";
import { temporaryFolder } from "../behaviour/harness.ts";
import { say } from "../cli/in-process.ts";
import { FakeSqs } from "../functions/fake-sqs.ts";
import { LocalLambda } from "../functions/local-lambda.ts";

/** Data of somebody: is shown with the run itself, and nowhere else. */
const payloads = {
  input: "mark-of-input",
  output: "mark-of-output",
  signal: "mark-of-signal",
  callback: "mark-of-callback",
  question: "mark-of-question",
  answer: "mark-of-answer",
  heartbeat: "mark-of-heartbeat",
} as const;
/** Is nowhere at all. */
const secrets = {
  header: "mark-of-authorization",
  body: "mark-of-a-failed-request",
  webhookSecret: "mark-of-webhook-secret",
  webhookPath: "mark-of-webhook-path",
  bearer: "mark-of-bearer-token",
} as const;
/** May be wherever errors are told: docs/security.md says so. */
const message = "mark-of-message";

/** As libraries for HTTP throw them. */
function failedRequest(): Error {
  const config = { headers: { Authorization: `Bearer ${secrets.header}` }, data: secrets.body };
  const cause = Object.assign(new Error("socket hang up"), { code: "ECONNRESET", request: config });
  return Object.assign(new Error(message, { cause }), { config, response: { config }, toJSON: () => config });
}

const tokens: string[] = [];

const rich = workflow("rich", { input: z.object({ card: z.string() }) }, (w) => {
  const charge = w.step("charge", {
    retry: { maxAttempts: 2, backoff: { type: "fixed", base: "1ms" }, isRetryable: () => true },
    compensate: () => undefined,
    run: ({ attempt, heartbeat, background, log }) => {
      heartbeat({ at: payloads.heartbeat });
      log.error("the provider failed", { error: failedRequest(), late: failedRequest() });
      if (attempt === 1) throw failedRequest();
      background(Promise.reject(failedRequest()));
      return { receipt: payloads.output };
    },
  });
  const paid = w.callback("paid", {
    after: [charge],
    output: z.string(),
    retry: { maxAttempts: 2, backoff: { type: "fixed", base: "1ms" } },
    run: ({ token, attempt }) => {
      tokens.push(token);
      if (attempt === 1) throw Object.assign(new Error(`GET /?token=${token}`), { url: `/?token=${token}` });
    },
  });
  const approved = w.signal("approved", { after: [paid], payload: z.string() });
  const asked = w.step("asked", {
    after: [approved],
    run: ({ interrupt }) => interrupt({ question: payloads.question }, z.string()),
  });
  return w.step("end", {
    after: [asked],
    retry: { maxAttempts: 1 },
    run: () => {
      throw failedRequest();
    },
  });
});

function expectNone(where: string, text: string, marks: readonly string[]): void {
  for (const mark of marks) if (text.includes(mark)) expect.fail(`${mark} is in ${where}: ${around(text, mark)}`);
}

function around(text: string, mark: string): string {
  const at = text.indexOf(mark);
  return text.slice(Math.max(0, at - 300), at + mark.length + 100);
}

/** Tokens as they are handed out, and their secrets. */
function tokenMarks(): string[] {
  return tokens.flatMap((token) => [token, parseToken(token)?.secret ?? expect.fail("no token")]);
}

function untilWaits(engine: Engine, runId: string, step: string): Promise<void> {
  const index = rich.graph.steps.findIndex(({ id }) => id === step);
  return new Promise((resolve) => {
    const unsubscribe = engine.onUpdate(({ after }) => {
      if (after.runId !== runId || after.steps[index]?.status !== "waiting") return;
      unsubscribe();
      resolve();
    });
  });
}

async function receiver(): Promise<{ readonly url: string; readonly requests: string[] }> {
  const requests: string[] = [];
  const server = createServer((incoming, outgoing) => {
    let text = JSON.stringify(incoming.headers);
    incoming.on("data", (part: Buffer) => (text += part.toString()));
    incoming.on("end", () => {
      requests.push(text);
      outgoing.writeHead(500).end();
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/${secrets.webhookPath}`, requests };
}

test("the embedded engine and its server, with everything logged", async () => {
  tokens.length = 0;
  const dataDir = await temporaryFolder();
  const lines: string[] = [];
  const logger = jsonLogger({ write: (line: string) => void lines.push(line) }, "debug");
  const shown: unknown[] = [];
  const serverLog = openServerLog(dataDir, (entry) => shown.push(entry.message));
  const { url: hook, requests } = await receiver();
  const engine = await createEngine({
    workflows: [rich],
    dataDir,
    logger: {
      debug: (...line) => [logger, serverLog].forEach((one) => one.debug(...line)),
      info: (...line) => [logger, serverLog].forEach((one) => one.info(...line)),
      warn: (...line) => [logger, serverLog].forEach((one) => one.warn(...line)),
      error: (...line) => [logger, serverLog].forEach((one) => one.error(...line)),
    },
    webhooks: [{ name: "crm", url: hook, secret: secrets.webhookSecret }],
  });
  const server = await startDevServer({ engine, port: 0, logger });
  onTestFinished(async () => {
    await server.close();
    await engine.stop({ graceMs: 0 });
  });
  const events: LifecycleEvent[] = [];
  engine.onEvent((event) => events.push(event));
  const client = createHttpClient({ url: server.url, auth: { bearer: async () => secrets.bearer } });

  const paid = untilWaits(engine, "rich-1", "paid");
  await client.start("rich", { runId: "rich-1", input: { card: payloads.input } });
  await paid;
  const approved = untilWaits(engine, "rich-1", "approved");
  await client.callbacks.heartbeat(tokens.at(-1) ?? "");
  // Refused, and told: neither the token nor what was sent comes back.
  const wrong = await client.callbacks.succeed(tokens.at(-1) ?? "", 5).catch((error: unknown) => String(error));
  await client.callbacks.succeed(tokens.at(-1) ?? "", payloads.callback);
  const again = await client.callbacks.succeed(tokens.at(-1) ?? "", "x").catch((error: unknown) => String(error));
  await approved;
  const asked = untilWaits(engine, "rich-1", "asked");
  await client.signal("rich-1", "approved", payloads.signal);
  await asked;
  const question = (await client.get("rich-1")).steps.asked?.interrupt?.id ?? "";
  await client.answer("rich-1", question, payloads.answer);
  const run = await engine.waitForEnd("rich-1");
  expect(run.status).toBe("failed");

  const said = async (path: string): Promise<string> => (await fetch(`${server.url}${path}`)).text();
  const full = await said("/runs/rich-1");
  const lists = await Promise.all(
    ["/runs", "/failures", "/stats", "/workflows", "/workflows/rich", "/openapi.json"].map(said),
  );
  const faults = await Promise.all(
    [
      `/callbacks/${tokens[0]}`,
      `/callback/${tokens[0]}/succeed`,
      `/x?token=${tokens[0]}`,
      `/callbacks//${tokens[0]}/fail`,
    ].map(said),
  );
  const cli = [
    await say("callback", "succeed", tokens[0] ?? "", "--url", server.url),
    await say("ls", "--url", server.url),
  ];
  const all = {
    "the log": lines.join("\n"),
    "the events": JSON.stringify(events),
    "the webhook's requests": requests.join("\n"),
    "lists and documents": lists.join("\n"),
    "answers to wrong requests": faults.join("\n"),
    "errors of the client": JSON.stringify([wrong, again]),
    "the command line": JSON.stringify(cli),
    "dead letters": JSON.stringify(await engine.deadLetters(100)),
    "what the server shows": JSON.stringify(shown),
  };
  const never = [...Object.values(secrets), ...tokenMarks(), await engine.cursorKey()];
  for (const [where, text] of Object.entries(all)) {
    // Who looks for nothing finds nothing.
    if (where !== "dead letters") expect([where, text.length > 20]).toEqual([where, true]);
    expectNone(where, text, [...Object.values(payloads), ...never]);
  }
  expectNone("the run as it is shown", full, never);
  expect(full).toContain(payloads.input);
  expect(lines.join("\n")).toContain(message);
  expect(lines.join("\n")).toContain("ECONNRESET");
});

describe("a stack", () => {
  test("sends no payload and no token through its queues, schedules and logs", async () => {
    tokens.length = 0;
    const wire: string[] = [];
    const { client: makeClient } = FakeSqs.prototype;
    vi.spyOn(FakeSqs.prototype, "client").mockImplementation(function (this: FakeSqs, ...args) {
      const client = makeClient.apply(this, args);
      const send = client.send.bind(client) as (command: { readonly input: unknown }) => Promise<never>;
      return Object.assign(client, {
        send: (command: { readonly input: unknown }) => {
          wire.push(JSON.stringify(command.input));
          return send(command);
        },
      });
    });
    const lambda = new LocalLambda([rich]);
    const runId = await lambda.start(rich, { card: payloads.input });
    await lambda.pass(5_000);
    await lambda.commands.callbacks.succeed(tokens.at(-1) ?? "", payloads.callback);
    await lambda.pass(1_000);
    await lambda.commands.signal(runId, "approved", payloads.signal);
    await lambda.pass(1_000);
    const question = (await lambda.show(runId)).steps.asked?.interrupt?.id ?? "";
    await lambda.commands.answer(runId, question, payloads.answer);
    await lambda.pass(5_000);
    expect((await lambda.show(runId)).status).toBe("failed");
    const logs = lambda.logs.map(({ level, message: said, fields }) => ({ level, said, ...loggedFields(fields) }));
    const never = [...Object.values(payloads), ...Object.values(secrets), ...tokenMarks()];
    expect(wire.length).toBeGreaterThan(5);
    expectNone("messages", wire.join("\n"), never);
    expectNone("schedules", JSON.stringify([...lambda.schedules.values()]), never);
    expectNone("metrics", JSON.stringify(lambda.counts), never);
    expectNone("logs", JSON.stringify(logs), never);
    expect(JSON.stringify(logs)).toContain(message);
  });
});

describe("of an error, both loggers write", () => {
  const expected = { name: "Error", message, stack: expect.stringContaining(message), cause: { code: "ECONNRESET" } };

  test("embedded: name, message, stack, code and cause, in whatever field it is", () => {
    const lines: string[] = [];
    const logger = jsonLogger({ write: (line: string) => void lines.push(line) }, "debug");
    for (const field of ["error", "err", "problem"]) logger.warn("failed", { [field]: failedRequest(), runId: "r" });
    for (const [index, field] of ["error", "err", "problem"].entries()) {
      expect(JSON.parse(lines[index] ?? "")).toMatchObject({ [field]: expected, runId: "r", msg: "failed" });
    }
    expectNone("the log", lines.join(), Object.values(secrets));
  });

  test("on AWS: the same", () => {
    const lines: string[] = [];
    const keep = (text: unknown): boolean => lines.push(String(text)) > 0;
    vi.spyOn(process.stdout, "write").mockImplementation(keep);
    vi.spyOn(process.stderr, "write").mockImplementation(keep);
    const logger = functionLogger("stack");
    for (const field of ["error", "err", "problem"]) logger.warn("failed", { [field]: failedRequest(), runId: "r" });
    vi.restoreAllMocks();
    expect(lines).toHaveLength(3);
    expect(JSON.parse(lines[0] ?? "")).toMatchObject({ error: expected, runId: "r", message: "failed" });
    expectNone("the log", lines.join(), Object.values(secrets));
  });

  test("and an error that is its own cause ends", () => {
    const circle: Error & { cause?: unknown } = new Error("circle");
    circle.cause = circle;
    expect(JSON.stringify(loggedFields({ error: circle })).length).toBeLessThan(20_000);
  });
});
