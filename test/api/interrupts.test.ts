// Hunts: a question that is shown or answered over HTTP otherwise than the description says.
import { expect, test } from "vitest";
import * as z from "zod";
import { Run } from "../../lib/api/schemas.ts";
import { workflow } from "../../lib/index.ts";
import { apiHarness } from "./api-harness.ts";

const asks = workflow("asks", {}, (w) =>
  w.step("review", {
    run: ({ interrupt }) => interrupt({ question: "Good?", of: ["a", "b"] }, z.object({ ok: z.boolean() })),
  }),
);

test("a question is shown with its payload and the JSON Schema of its answer, and answered once with 202", async () => {
  const { request } = await apiHarness([asks]);
  await request("POST /workflows/asks/runs", { runId: "r" });
  await expect.poll(async () => (await request("GET /runs/r")).body.steps.review.status).toBe("waiting");
  const { body } = await request("GET /runs/r");
  expect(Run.parse(body)).toEqual(body);
  const { interrupt } = body.steps.review;
  expect(interrupt).toMatchObject({ payload: { question: "Good?", of: ["a", "b"] }, schema: { required: ["ok"] } });
  const answer = `POST /runs/r/interrupts/${interrupt.id}`;
  const wrong = await request(answer, { ok: 1 });
  expect(wrong).toMatchObject({ status: 400, body: { error: { code: "invalid_payload" } } });
  expect(wrong.body.error.details.issues).toMatchObject([{ path: ["ok"], code: "invalid_type" }]);
  const answered = await request(answer, { ok: true });
  expect(answered).toMatchObject({ status: 202, body: { runId: "r" } });
  expect(Run.parse(answered.body)).toEqual(answered.body);
  expect((await request("GET /runs/r?wait=5s")).body).toMatchObject({ status: "succeeded", output: { ok: true } });
});
