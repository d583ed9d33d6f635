// Hunts: a figure that is made up where nobody has counted, and a refusal that does not say where one is to be had.
import { expect, test } from "vitest";
import { workflow } from "../../lib/definition/workflow.ts";
import { apiHarness } from "./api-harness.ts";

const simple = workflow("simple", {}, (w) => w.step("only", { run: () => 1 }));

const figure = {
  runs: 2,
  attempts: 3,
  isWhole: false,
  dollars: 12.5,
  dollarsPerMillionAttempts: 4.17,
  services: { DynamoDB: 12.5 },
  lines: [{ service: "DynamoDB", what: "write units of the table", units: 20, dollars: 12.5 }],
  region: "us-east-1",
  pricesOf: "2026-11-20",
  assumptions: { memoryMb: 256, changesAtOnce: 20 },
};

test("a server that counts nothing says so, and who does", async () => {
  const { request } = await apiHarness([simple]);
  const answer = await request("GET /runs/r/cost");
  expect(answer).toMatchObject({ status: 404, body: { error: { code: "not_metered" } } });
  expect(answer.body.error.message).toMatch(/pawl dev.*pawl cost/);
  expect(answer.body.error.docs).toBe("docs/errors.md#not_metered");
});

test("the figure is answered as it was counted", async () => {
  const { request } = await apiHarness([simple], { costOf: async (runId) => ({ runId, ...figure }) });
  expect(await request("GET /runs/r~one/cost")).toMatchObject({ status: 200, body: { runId: "r~one", ...figure } });
});

test("a run that is not there is told from one that was not counted", async () => {
  const { request, engine } = await apiHarness([simple], { costOf: async () => undefined });
  expect(await request("GET /runs/r/cost")).toMatchObject({ status: 404, body: { error: { code: "run_not_found" } } });
  await engine.start(simple, { runId: "r" });
  await engine.waitForEnd("r");
  const answer = await request("GET /runs/r/cost");
  expect(answer).toMatchObject({ status: 404, body: { error: { code: "not_metered" } } });
  expect(answer.body.error.message).toContain("run r, which is succeeded");
});
