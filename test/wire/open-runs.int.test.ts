// Hunts a run that the index of open runs forgets, keeps for ever, or shows under an id that it does not have.
import type { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { createDynamoClient } from "../../lib/aws/clients.ts";
import { createDynamoStore } from "../../lib/aws/dynamo-store.ts";
import { limits } from "../../lib/definition/limits.ts";
import { field } from "../../lib/engine/codec.ts";
import { runStatuses } from "../../lib/engine/run-state.ts";
import { create } from "../../lib/engine/start.ts";
import { runOf } from "../engine/sample-run.ts";
import { type Aws, createTable, openAws, type TestTable } from "./aws.ts";

let aws: Aws;
let client: DynamoDBClient;
let table: TestTable;

beforeAll(async () => {
  aws = await openAws();
  client = createDynamoClient();
  table = await createTable(client);
});
afterAll(async () => {
  await table.delete();
  client.destroy();
  await aws.stop();
});

test("every run that has not ended is found, once, and no other", async () => {
  const store = createDynamoStore({ client, table: table.name });
  const open: string[] = [];
  const start = async (runId: string, status: string, fingerprint = "print"): Promise<void> => {
    await store.update(runId, create(runOf({ runId, fingerprint })));
    if (status !== "running") await store.update(runId, { guard: [], set: { [field.status]: status } });
    if (["running", "paused", "unwinding"].includes(status)) open.push(runId);
  };
  for (const status of runStatuses) {
    for (let n = 0; n < 5; n++) await start(`${status}:${n}`, status);
    await start(`${status}~map/0`, status, "print.0.0.16.0.0");
  }
  // More than a page of one partition.
  for (let n = 0; n < 10 * limits.pageRuns; n += 50) {
    await Promise.all(Array.from({ length: 50 }, (_, at) => start(`many-${n + at}`, "running")));
  }
  await store.update("gate#sample#", { guard: [], set: { m: 1, [field.status]: "running" } });
  await store.putPayload("running:0", "in", "1");

  // An index may lag behind its table.
  await vi.waitFor(
    async () => {
      const found: string[] = [];
      let cursor: string | undefined;
      do {
        const page = await store.page(cursor);
        expect(page.runIds.length).toBeLessThanOrEqual(limits.pageRuns);
        found.push(...page.runIds);
        cursor = page.cursor;
      } while (cursor !== undefined);
      expect(found.sort()).toEqual(open.sort());
    },
    { timeout: 30_000 },
  );
});
