// Hunts: a route for holders of task tokens that answers otherwise than it says, or repeats a token where others read it.
import { expect, test } from "vitest";
import * as z from "zod";
import { Run } from "../../lib/api/schemas.ts";
import { Workflow } from "../../lib/api/workflow-schemas.ts";
import { type Commands, workflow } from "../../lib/index.ts";
import { type Answered, apiHarness } from "./api-harness.ts";

const tokens: string[] = [];
const asks = workflow("asks", {}, (w) => {
  const check = w.callback("check", {
    output: z.object({ ok: z.boolean() }),
    timeout: "2d",
    heartbeatTimeout: "10m",
    attemptTimeout: "30s",
    retry: { maxAttempts: 2, backoff: { type: "fixed", base: "1ms" } },
    run: ({ token }) => void tokens.push(token),
  });
  return w.step("end", { after: [check], run: ({ outputs }) => outputs.check.ok });
});

async function asked(): Promise<{ token: string; request: Awaited<ReturnType<typeof apiHarness>>["request"] }> {
  const { request } = await apiHarness([asks]);
  const before = tokens.length;
  await request("POST /workflows/asks/runs", { runId: "r" });
  await expect.poll(async () => (await request("GET /runs/r")).body.steps.check.status).toBe("waiting");
  expect(tokens).toHaveLength(before + 1);
  return { token: tokens.at(-1) ?? "", request };
}

test("succeed, fail and heartbeat are answered with 202, the run's id and its status", async () => {
  const { token, request } = await asked();
  expect(await request(`POST /callbacks/${token}/heartbeat`)).toMatchObject({
    status: 202,
    body: { runId: "r", status: "running" },
  });
  const failed = await request(`POST /callbacks/${token}/fail`, { name: "Busy", message: "later", retryable: true });
  expect(failed).toMatchObject({ status: 202, body: { runId: "r", status: "running" } });
  await expect.poll(() => tokens.at(-1)).not.toBe(token);
  await expect.poll(async () => (await request("GET /runs/r")).body.steps.check.status).toBe("waiting");
  const { body: waiting } = await request("GET /runs/r");
  expect(Run.parse(waiting)).toEqual(waiting);
  expect(waiting.steps.check).toMatchObject({ waitsFor: "callback", attempt: 2 });
  const answered = await request(`POST /callbacks/${tokens.at(-1)}/succeed`, { ok: true });
  expect(answered).toMatchObject({ status: 202, body: { runId: "r" } });
  expect(Object.keys(answered.body)).toEqual(["runId", "status"]);
  expect((await request("GET /runs/r?wait=5s")).body).toMatchObject({ status: "succeeded", output: true });
});

test("a failure says why, and nothing else", async () => {
  const { token, request } = await asked();
  const fail = (body: unknown): Promise<Answered> => request(`POST /callbacks/${token}/fail`, body);
  const unknown = await fail({ message: "no", reason: "x" });
  expect(unknown.body.error).toMatchObject({ code: "invalid_request" });
  expect(unknown.body.error.message).toContain('allowed are "name", "message" and "retryable"');
  for (const body of [undefined, {}, { message: 5 }, { message: "x".repeat(2_001) }, { message: "", name: "" }]) {
    expect((await fail(body)).body.error.code).toBe("invalid_request");
  }
  expect((await request("GET /runs/r")).body.steps.check.status).toBe("waiting");
});

test("no message and no log repeats a token", async () => {
  const { token, request } = await asked();
  const answers = [
    await request(`GET /callbacks/${token}/succeed`),
    await request(`POST /callbacks/${token}/suceed`),
    await request(`POST /callbacks/${token}/succeed`, { ok: "yes" }),
    await request(`POST /callbacks/${token}x/heartbeat`),
    await request(`POST /callbacks/${token}/fail`, "{"),
    await request("GET /runs/r"),
  ];
  for (const { body } of answers) expect(JSON.stringify(body)).not.toContain(token);
  expect(answers.map(({ status }) => status)).toEqual([405, 404, 400, 404, 400, 200]);

  const callbacks = { heartbeat: () => Promise.reject(new Error("the disk is full")) };
  const commands = { callbacks, workflows: () => [] } as unknown as Commands;
  const broken = await apiHarness([asks], { commands });
  expect((await broken.request(`POST /callbacks/${token}/heartbeat`)).status).toBe(500);
  expect(broken.logged).toMatchObject([{ level: "error", fields: { path: "/callbacks/…/heartbeat" } }]);
});

test("a workflow shows what its callbacks take, and how long they wait", async () => {
  const { request } = await apiHarness([asks]);
  const { body } = await request("GET /workflows/asks");
  expect(Workflow.parse(body)).toEqual(body);
  expect(body.steps[0]).toMatchObject({
    kind: "callback",
    takesOutput: true,
    output: { type: "object", required: ["ok"] },
    attemptTimeoutMs: 30_000,
    timeoutMs: 172_800_000,
    heartbeatTimeoutMs: 600_000,
    retry: { maxAttempts: 2 },
  });
});
