// What every client does, wherever the runs are. Hunts a face that starts, waits, fails or finds otherwise than the others.
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import * as z from "zod";
import type { Client } from "../../lib/client/index.ts";
import { FatalError, PawlError, type Workflow, workflow } from "../../lib/index.ts";

const tokens = new Map<string, string>();

const hello = workflow("hello", { input: z.object({ name: z.string() }) }, (w) =>
  w.step("greet", { run: ({ input }) => ({ text: `Hello ${input.name}` }) }),
);
const silent = workflow("silent", {}, (w) => {
  w.step("nothing", { run: () => undefined });
});
const large = workflow("large", {}, (w) => w.step("fill", { run: () => "x".repeat(100_000) }));
const approve = workflow("approve", {}, (w) => {
  const approval = w.signal("approval", { payload: z.object({ ok: z.boolean() }) });
  return w.step("decide", {
    after: [approval],
    run: ({ outputs }) => {
      if (!outputs.approval.ok) throw new FatalError("it was refused");
      return "approved";
    },
  });
});
const asks = workflow("asks", {}, (w) =>
  w.callback("partner", {
    output: z.number(),
    run: ({ runId, token }) => {
      tokens.set(runId, token);
    },
  }),
);

/** Served wherever the contract is tested. */
export const contractWorkflows: readonly Workflow[] = [hello, silent, large, approve, asks];

/** @param open the client and, when all is done, what stops its other side */
export function clientContract(open: () => Promise<{ readonly client: Client; stop(): Promise<void> }>): void {
  let client: Client;
  let stop = async (): Promise<void> => undefined;
  beforeAll(async () => {
    ({ client, stop } = await open());
  });
  afterAll(async () => {
    await client.close();
    await stop();
  });

  let made = 0;
  const newId = (): string => `run-${++made}-${crypto.randomUUID().slice(0, 8)}`;

  async function refusal(promise: Promise<unknown>): Promise<PawlError> {
    const error = await promise.then(
      (value) => expect.unreachable(`it was not refused: ${JSON.stringify(value)}`),
      (thrown: unknown) => thrown,
    );
    expect(error).toBeInstanceOf(PawlError);
    return error as PawlError;
  }

  describe("a start", () => {
    test("happens once for an id and an input", async () => {
      const runId = newId();
      const request = { input: { name: "Ada" }, runId, tags: { shop: "a" } };
      expect(await client.start(hello, request)).toEqual({ runId, status: "running", created: true });
      expect(await client.start(hello, request)).toMatchObject({ runId, created: false });
      const other = await refusal(client.start(hello, { ...request, input: { name: "Bob" } }));
      expect(other.code).toBe("run_conflict");
      expect(await client.get(runId)).toMatchObject({ workflow: "hello", input: { name: "Ada" }, tags: { shop: "a" } });
    });

    test("without an id, by the name of its workflow, and later", async () => {
      const { runId, created } = await client.start("hello", { input: { name: "Ada" } });
      expect(created).toBe(true);
      expect(await client.result(hello, runId)).toEqual({ text: "Hello Ada" });
      const startAt = new Date(Date.now() + 3_600_000);
      const later = await client.start(silent, { startAt });
      expect((await client.get(later.runId)).startAt).toBe(startAt.toISOString());
      await client.terminate(later.runId);
    });

    test("that is wrong is refused, and starts nothing", async () => {
      const runId = newId();
      const wrong = await refusal(client.start("hello", { input: { name: 1 }, runId }));
      expect(wrong).toMatchObject({ code: "invalid_input", details: { issues: [{ path: ["name"] }] } });
      expect((await refusal(client.start("hello", { input: { name: 1n }, runId }))).code).toBe("invalid_input");
      expect((await refusal(client.start("nobody", { runId }))).code).toBe("workflow_not_found");
      expect((await refusal(client.start("silent", { runId: "no spaces" }))).code).toBe("invalid_request");
      expect((await refusal(client.start("silent", { runId, startAt: "soon" }))).code).toBe("invalid_request");
      expect((await refusal(client.get(runId))).code).toBe("run_not_found");
    });
  });

  describe("a result", () => {
    test("comes when the run has ended", async () => {
      const { runId } = await client.start(approve);
      const result = client.result(approve, runId, { timeout: "60s" });
      await sleep(300);
      await client.signal(runId, "approval", { ok: true });
      expect(await result).toBe("approved");
      expect(await client.result(approve, runId)).toBe("approved");
    });

    test("is whole when it is large, and undefined when there is none", async () => {
      const [one, other] = [await client.start(large), await client.start(silent)];
      expect(await client.result(large, one.runId)).toHaveLength(100_000);
      // eslint-disable-next-line @typescript-eslint/no-confusing-void-expression -- that it is undefined is what is tested
      const none: unknown = await client.result(silent, other.runId);
      expect(none).toBeUndefined();
    });

    test("of a run that did not succeed is its error", async () => {
      const { runId } = await client.start(approve);
      await client.signal(runId, "approval", { ok: false });
      const failed = await refusal(client.result(approve, runId));
      expect(failed).toMatchObject({
        code: "run_failed",
        details: { status: "failed", error: { name: "FatalError", message: "it was refused", step: "decide" } },
      });
      expect(failed.message).toContain('in step "decide": it was refused');
      const cancelled = await client.start(approve);
      await client.cancel(cancelled.runId);
      expect(await refusal(client.result(approve, cancelled.runId))).toMatchObject({
        code: "run_failed",
        details: { status: "cancelled" },
      });
    });

    test("of a run of another workflow, or of none, is refused", async () => {
      const { runId } = await client.start(silent);
      expect((await refusal(client.result(hello, runId))).code).toBe("invalid_request");
      expect((await refusal(client.result(hello, newId()))).code).toBe("run_not_found");
    });
  });

  describe("a wait", () => {
    test("tells the run as it is when its time is over, and can be repeated", async () => {
      const { runId } = await client.start(approve);
      const late = await refusal(client.waitForCompletion(runId, { timeout: "1s" }));
      expect(late).toMatchObject({ code: "wait_timeout", details: { run: { runId, status: "running" } } });
      const waits = [1, 2, 3].map(() => client.waitForCompletion(runId, { timeout: "60s" }));
      await client.terminate(runId);
      for (const run of await Promise.all(waits)) expect(run).toMatchObject({ runId, status: "cancelled" });
    });

    test("ends with its signal", async () => {
      const { runId } = await client.start(approve);
      const controller = new AbortController();
      const reason = new Error("no longer wanted");
      const wait = client.waitForCompletion(runId, { signal: controller.signal });
      setTimeout(() => controller.abort(reason), 200);
      await expect(wait).rejects.toBe(reason);
      await client.terminate(runId);
    });

    test("of nobody, or for no time, is refused", async () => {
      expect((await refusal(client.waitForCompletion(newId()))).code).toBe("run_not_found");
      expect((await refusal(client.waitForCompletion("x", { timeout: "0s" }))).code).toBe("invalid_request");
    });
  });

  describe("a run", () => {
    test("is paused, resumed, signalled once, and cancelled once", async () => {
      const { runId } = await client.start(approve);
      expect((await client.pause(runId)).status).toBe("paused");
      expect((await client.resume(runId)).status).toBe("running");
      expect((await refusal(client.signal(runId, "nothing"))).code).toBe("signal_not_found");
      expect((await refusal(client.signal(runId, "approval", { ok: 1 }))).code).toBe("invalid_payload");
      await client.signal(runId, "approval", { ok: true });
      expect(["signal_conflict", "status_conflict"]).toContain(
        (await refusal(client.signal(runId, "approval", { ok: true }))).code,
      );
      await client.waitForCompletion(runId, { timeout: "60s" });
      expect((await refusal(client.cancel(runId))).code).toBe("status_conflict");
      expect((await refusal(client.cancel(newId()))).code).toBe("run_not_found");
    });

    test("goes on from its failure, by hand too, and is forked", async () => {
      const { runId } = await client.start(approve);
      await client.signal(runId, "approval", { ok: false });
      await client.waitForCompletion(runId, { timeout: "60s" });
      await client.redrive(runId, { set: { decide: "by hand" }, by: "ada", reason: "it was right" });
      expect(await client.result(approve, runId)).toBe("by hand");
      const forkId = newId();
      expect(await client.fork(runId, { from: "decide", runId: forkId })).toMatchObject({
        runId: forkId,
        created: true,
      });
      expect((await refusal(client.result(approve, forkId))).code).toBe("run_failed");
      expect((await refusal(client.fork(runId, { from: "nowhere" }))).code).toBe("step_not_found");
    });

    test("has its input and outputs, and none before it has them", async () => {
      const { runId } = await client.start(hello, { input: { name: "Ada" } });
      await client.waitForCompletion(runId, { timeout: "60s" });
      expect(await client.input(runId)).toEqual({ name: "Ada" });
      expect(await client.output(runId)).toEqual({ text: "Hello Ada" });
      expect(await client.output(runId, "greet")).toEqual({ text: "Hello Ada" });
      expect((await refusal(client.output(runId, "nowhere"))).code).toBe("step_not_found");
      const waiting = await client.start(approve);
      expect(await client.input(waiting.runId)).toBeUndefined();
      expect(await client.output(waiting.runId, "decide")).toBeUndefined();
      expect((await refusal(client.output(newId()))).code).toBe("run_not_found");
      await client.terminate(waiting.runId);
    });

    test("waits for its partner, who has a token", async () => {
      const { runId } = await client.start(asks);
      await expect.poll(() => tokens.get(runId), { timeout: 20_000 }).toBeDefined();
      const token = tokens.get(runId)!;
      expect((await refusal(client.callbacks.succeed(token, "no number"))).code).toBe("invalid_payload");
      expect(await client.callbacks.heartbeat(token)).toMatchObject({ runId });
      expect(await client.callbacks.succeed(token, 7)).toMatchObject({ runId });
      expect(await client.result(asks, runId)).toBe(7);
      expect((await refusal(client.callbacks.fail(token, { message: "too late" }))).code).toBe("callback_not_found");
    });
  });

  describe("runs", () => {
    test("are listed newest first, page by page", async () => {
      const runIds: string[] = [];
      for (let n = 0; n < 3; n++) runIds.unshift((await client.start(large, { runId: newId() })).runId);
      await Promise.all(runIds.map((runId) => client.waitForCompletion(runId, { timeout: "60s" })));
      const from = (await client.get(runIds.at(-1)!)).createdAt;
      const query = { workflow: "large", status: ["succeeded", "failed"], from: new Date(from) } as const;
      await expect.poll(async () => (await client.list(query)).runs.length, { timeout: 20_000 }).toBe(3);
      const first = await client.list({ ...query, limit: 2 });
      expect(first.runs.map(({ runId }) => runId)).toEqual(runIds.slice(0, 2));
      const rest = await client.list({ ...query, limit: 2, cursor: first.cursor! });
      expect(rest.runs.map(({ runId }) => runId)).toEqual(runIds.slice(2));
      expect((await refusal(client.list({ ...query, cursor: "nonsense" }))).code).toBe("invalid_request");
      expect((await refusal(client.list({ status: "nonsense" as "failed" }))).code).toBe("invalid_request");
    });

    test("are counted, and grouped by how they failed", async () => {
      expect(await client.stats({ days: 2, workflow: "hello" })).toMatchObject({ runs: expect.any(Number) });
      expect(await client.failures({ workflow: "hello" })).toEqual([]);
      expect((await refusal(client.stats({ days: 0 }))).code).toBe("invalid_request");
    });

    test("are acted on in bulk, once they are found", async () => {
      const estimate = await client.operations.begin({
        action: "cancel",
        filter: { workflow: "nobody-has-this" },
        dryRun: true,
      });
      expect(estimate).toMatchObject({ dryRun: true, runs: 0 });
      expect((await refusal(client.operations.get(newId()))).code).toBe("operation_not_found");
      expect((await refusal(client.operations.begin({ action: "cancel", filter: {} }))).code).toBe("invalid_request");
    });
  });

  test("a client that is closed ends its waits, and waits no more", async () => {
    const { client: other, stop: stopOther } = await open();
    const { runId } = await other.start(approve);
    const wait = refusal(other.waitForCompletion(runId));
    await sleep(500);
    await other.close();
    expect((await wait).code).toBe("unavailable");
    expect((await refusal(other.waitForCompletion(runId))).code).toBe("unavailable");
    await stopOther();
    await client.terminate(runId).catch(() => undefined);
  });
}
