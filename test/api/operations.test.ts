// Hunts: a bulk operation over HTTP that is begun twice, acts on more than was asked for, or tells its progress in another
// shape than described.
import { expect, test } from "vitest";
import { FatalError, workflow } from "../../lib/index.ts";
import { type ApiHarness, apiHarness } from "./api-harness.ts";

const waits = workflow("waits", {}, (w) => w.signal("go"));
let isMended = false;
const fragile = workflow("fragile", {}, (w) =>
  w.step("charge", { run: () => (isMended ? "paid" : Promise.reject(new FatalError("Insufficient funds"))) }),
);

async function failTwo({ request }: ApiHarness): Promise<void> {
  isMended = false;
  for (const runId of ["f-1", "f-2"]) {
    await request("POST /workflows/fragile/runs", { runId });
    expect((await request(`GET /runs/${runId}?wait=5s`)).body.status).toBe("failed");
  }
}

test("failed runs are redriven by their fingerprint: begun once, told how far it is, with a report", async () => {
  const api = await apiHarness([fragile, waits]);
  const { request } = api;
  await failTwo(api);
  await request("POST /workflows/waits/runs", { runId: "w" });
  const { failures } = (await request("GET /failures")).body;
  expect(failures).toMatchObject([{ workflow: "fragile", step: "charge", name: "FatalError", count: 2 }]);
  const filter = { fingerprint: failures[0].fingerprint as string };
  isMended = true;

  const dry = await request("POST /operations", { action: "redrive", filter, dryRun: true });
  expect(dry).toMatchObject({ status: 200, body: { action: "redrive", dryRun: true, runs: 2, isLimited: false } });
  expect((dry.body.examples as string[]).toSorted()).toEqual(["f-1", "f-2"]);

  const operation = { action: "redrive", filter, operationId: "mend" };
  const begun = await request("POST /operations", operation);
  expect(begun).toMatchObject({ status: 202, body: { operationId: "mend", action: "redrive" } });
  expect(begun.headers.get("location")).toBe("/operations/mend");
  expect(await request("POST /operations", operation)).toMatchObject({ status: 200, body: { operationId: "mend" } });
  const other = await request("POST /operations", { ...operation, action: "purge" });
  expect(other).toMatchObject({ status: 409, body: { error: { code: "run_conflict" } } });

  await request("GET /runs/mend?wait=5s");
  const report = await request("GET /operations/mend");
  expect(report).toMatchObject({
    status: 200,
    body: { status: "succeeded", progress: { selected: 2, done: 2, skipped: 0, failed: 0 }, failures: [] },
  });
  for (const runId of ["f-1", "f-2"]) {
    expect((await request(`GET /runs/${runId}?wait=5s`)).body).toMatchObject({ status: "succeeded", redrives: 1 });
  }
  expect((await request("GET /failures")).body).toEqual({ failures: [] });
});

test("a signal without a payload reaches all that wait", async () => {
  const { request } = await apiHarness([waits]);
  for (const runId of ["a", "b"]) await request("POST /workflows/waits/runs", { runId });
  const body = { action: "signal", filter: { workflow: "waits" }, signal: { name: "go" }, operationId: "all" };
  expect((await request("POST /operations", body)).status).toBe(202);
  for (const runId of ["a", "b"]) {
    expect((await request(`GET /runs/${runId}?wait=5s`)).body.status).toBe("succeeded");
  }
});

test("an operation is aborted, and one that has ended is not", async () => {
  const { request } = await apiHarness([waits]);
  for (let at = 0; at < 30; at++) await request("POST /workflows/waits/runs", { runId: `w-${at}` });
  const body = { action: "cancel", filter: { workflow: "waits" }, ratePerSecond: 1, operationId: "slow" };
  await request("POST /operations", body);
  expect(await request("POST /operations/slow/abort")).toMatchObject({ status: 202, body: { operationId: "slow" } });
  await request("GET /runs/slow?wait=10s");
  const { body: ended } = await request("GET /operations/slow");
  expect(ended.status).toBe("cancelled");
  expect(ended.progress.done).toBeLessThan(30);
});

test("what is no operation is refused before anything is begun", async () => {
  const { request } = await apiHarness([waits]);
  await request("POST /workflows/waits/runs", { runId: "w" });
  for (const body of [
    {},
    { action: "redrive" },
    { action: "redrive", filter: {} },
    { action: "explode", filter: { workflow: "waits" } },
    { action: "redrive", filter: { workflow: "waits", state: "failed" } },
    { action: "redrive", filter: { workflow: "waits" }, dryrun: true },
    { action: "redrive", filter: { status: "running" } },
    { action: "signal", filter: { workflow: "waits" } },
    { action: "cancel", filter: { workflow: "waits" }, signal: { name: "go" } },
    { action: "cancel", filter: { workflow: "waits" }, ratePerSecond: 0 },
    { action: "cancel", filter: { workflow: "waits" }, ratePerSecond: 201 },
    { action: "cancel", filter: { workflow: "waits" }, limit: 50_001 },
    { action: "cancel", filter: { from: "yesterday" } },
    { action: "cancel", filter: { tag: { key: "a" } } },
    { action: "cancel", filter: { workflow: "waits" }, operationId: "a b" },
  ]) {
    const { status, body: answer } = await request("POST /operations", body);
    expect(status, JSON.stringify(body)).toBe(400);
    expect(answer.error.code).toBe("invalid_request");
  }
  expect((await request("GET /runs/w")).body.status).toBe("running");
  for (const route of ["GET /operations/nobody", "GET /operations/w", "POST /operations/w/abort"]) {
    expect(await request(route)).toMatchObject({ status: 404, body: { error: { code: "operation_not_found" } } });
  }
});
