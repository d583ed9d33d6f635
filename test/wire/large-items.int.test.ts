// Hunts something large that DynamoDB refuses: a run of 200 steps that begins or begins again, a graph, a run above 400 KB.
import type { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createDynamoClient } from "../../lib/aws/clients.ts";
import { isAllowed, updateRequest } from "../../lib/aws/dynamo-requests.ts";
import { createDynamoStore } from "../../lib/aws/dynamo-store.ts";
import { limits } from "../../lib/definition/limits.ts";
import { defaultRetry } from "../../lib/definition/retry.ts";
import { encodeRun } from "../../lib/engine/codec.ts";
import { redrive } from "../../lib/engine/operate.ts";
import { create } from "../../lib/engine/start.ts";
import { applyTransition } from "../../lib/engine/transition.ts";
import type { OpenRuns, RunStore } from "../../lib/runtime/ports.ts";
import { ended, graphOf, nowMs, runOf } from "../engine/sample-run.ts";
import { type Aws, createTable, openAws, type TestTable } from "./aws.ts";

let aws: Aws;
let client: DynamoDBClient;
let table: TestTable;
let store: RunStore & OpenRuns;

beforeAll(async () => {
  aws = await openAws();
  client = createDynamoClient();
  table = await createTable(client);
  store = createDynamoStore({ client, table: table.name });
});
afterAll(async () => {
  await table.delete();
  client.destroy();
  await aws.stop();
});

test("a run of 200 steps that were all undone begins again, and is found as an open one", async () => {
  const compensate = { retry: defaultRetry, timeoutMs: 1_000 };
  const each = <T>(value: (index: number) => T): T[] =>
    Array.from({ length: limits.stepsPerWorkflow }, (_, n) => value(n));
  const graph = graphOf(each(() => ({ compensate })));
  const failed = runOf({
    runId: "large",
    status: "failed",
    steps: each((n) => ended("succeeded", { endedAtMs: nowMs + n })),
    undos: each((n) => ended("succeeded", { endedAtMs: nowMs + n })),
    outputs: each((n) => ({ key: `out#${n}#0.1` })),
    interrupts: each((n) => ({ answers: [`answer${n}`] })),
    endedAtMs: nowMs,
  });
  // As a fork begins, with much at once.
  const begin = create(failed);
  expect(isAllowed(updateRequest(table.name, "large", begin))).toBe(false);
  const before = encodeRun(failed);
  expect(await store.update("large", begin)).toEqual({ applied: true, fields: before });
  expect(await store.update("large", begin)).toEqual({ applied: false, fields: before });
  expect((await store.page(undefined)).runIds).toEqual([]);

  const verdict = redrive(graph, failed, nowMs);
  if (verdict.kind !== "write") throw new Error("It is not redriven.");
  expect(isAllowed(updateRequest(table.name, "large", verdict.transition))).toBe(false);
  const after = applyTransition(verdict.transition, before);
  const results = await Promise.all([1, 2, 3].map(() => store.update("large", verdict.transition)));
  expect(results.filter(({ applied }) => applied)).toHaveLength(1);
  for (const { fields } of results) expect(fields).toEqual(after);
  expect(await store.get("large")).toEqual(after);
  expect((await store.page(undefined)).runIds).toEqual(["large"]);
});

test("a graph larger than an item is kept", async () => {
  const json = JSON.stringify({ value: "ö".repeat(500_000) });
  await store.putGraph("order", "large", json);
  await store.putGraph("order", "large", json);
  expect((await store.getGraph("order", "large")) === json).toBe(true);
});

test("a run that would outgrow its item is left as it is, and the error says so", async () => {
  await store.update("growing", { guard: [], set: { st: "running" } });
  const grown = store.update("growing", { guard: [], set: { b0: "x".repeat(400 * 1024) } });
  await expect(grown).rejects.toThrow("Run growing would not fit into a DynamoDB item of 400 KB any more");
  expect(await store.get("growing")).toEqual({ st: "running" });
});
