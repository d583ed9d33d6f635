// Hunts: a list that misses or repeats a run while others are started, a criterion that HTTP loses, a cursor that is taken
// where it must not be, numbers that are answered in another shape than described.
import { expect, test } from "vitest";
import { limits } from "../../lib/definition/limits.ts";
import { FatalError, workflow } from "../../lib/index.ts";
import { type ApiHarness, apiHarness } from "./api-harness.ts";

const order = workflow("order", {}, (w) => w.signal("go"));
const quick = workflow("quick", {}, (w) => w.step("only", { run: () => 1 }));
const broken = workflow("broken", {}, (w) =>
  w.step("charge", { run: () => Promise.reject(new FatalError("Insufficient funds")) }),
);
const whole = workflow("whole", {}, (w) => w.child("part", { workflow: quick, input: () => undefined }));

interface Page {
  readonly runs: readonly { readonly runId: string }[];
  readonly cursor?: string;
}

async function page(request: ApiHarness["request"], query: string): Promise<Page> {
  const { status, body } = await request(`GET /runs${query}`);
  expect(status).toBe(200);
  return body as Page;
}

async function idsOf(request: ApiHarness["request"], query: string): Promise<string[]> {
  return (await page(request, query)).runs.map(({ runId }) => runId);
}

async function start(request: ApiHarness["request"], name: string, runId: string, more: object = {}): Promise<void> {
  expect((await request(`POST /workflows/${name}/runs`, { runId, ...more })).status).toBe(202);
  if (name !== "order") await request(`GET /runs/${runId}?wait=5s`);
}

test("pages are stable while runs are added: every run once, none of the new ones, newest first", async () => {
  const { request } = await apiHarness([order]);
  const old = Array.from({ length: 25 }, (_, at) => `old-${String(at).padStart(2, "0")}`);
  for (const runId of old) await start(request, "order", runId);
  const seen: string[] = [];
  let cursor: string | undefined;
  let added = 0;
  do {
    const next = await page(request, `?workflow=order&limit=7${cursor === undefined ? "" : `&cursor=${cursor}`}`);
    seen.push(...next.runs.map(({ runId }) => runId));
    cursor = next.cursor;
    await start(request, "order", `new-${added++}`);
  } while (cursor !== undefined);
  expect(seen.toSorted()).toEqual(old);
  expect(added).toBe(4);
  expect(await idsOf(request, "?limit=3")).toEqual(expect.arrayContaining(["new-3"]));
});

test("every criterion reaches the list, alone and together", async () => {
  const { request } = await apiHarness([order, broken, whole]);
  await start(request, "order", "o", { tags: { customer: "c:1", team: "blue" } });
  await start(request, "broken", "b", { tags: { team: "blue" } });
  await start(request, "whole", "w");
  const failed = (await request("GET /runs/b")).body;
  const fingerprint = failed.error.fingerprint ?? (await request("GET /failures")).body.failures[0]?.fingerprint;
  for (const [query, ids] of [
    ["", ["b", "o", "w", "w~part"]],
    ["?workflow=order", ["o"]],
    ["?status=failed", ["b"]],
    ["?status=failed,running", ["b", "o"]],
    ["?status=running,failed", ["b", "o"]],
    ["?tag=team:blue", ["b", "o"]],
    ["?tag=customer:c:1", ["o"]],
    ["?tag=team:blue&status=failed", ["b"]],
    ["?parent=w", ["w~part"]],
    ["?parent=w&workflow=order", []],
    ["?from=2020-01-01&to=2999-01-01T00:00:00%2B02:00", ["b", "o", "w", "w~part"]],
    ["?to=2020-01-01", []],
    ["?from=2999-01-01", []],
    ...(fingerprint === undefined ? [] : [[`?fingerprint=${fingerprint}`, ["b"]] as const]),
    ["?fingerprint=nobody", []],
    ["?workflow=nobody", []],
  ] as const) {
    expect((await idsOf(request, query)).toSorted(), query).toEqual(ids);
  }
});

test("what is no criterion is refused, with what is allowed", async () => {
  const { request } = await apiHarness([order]);
  for (const [query, allowed] of [
    ["limit=0", "a whole number from 1 to 100"],
    ["limit=101", "a whole number from 1 to 100"],
    ["limit=1e1", "a whole number from 1 to 100"],
    ["limit=", "a whole number from 1 to 100"],
    ["limit=%0010", "a whole number from 1 to 100"],
    ["status=done", "one or more of running, paused"],
    ["status=", "one or more of running, paused"],
    ["status=failed,", "one or more of running, paused"],
    ["from=yesterday", "ISO 8601"],
    ["to=2026-02-30", "ISO 8601"],
    ["from=2026-01-02&to=2026-01-01", "a time after from"],
    ["tag=team", "a tag's key and value"],
    ["tag=:blue", "a tag's key and value"],
    [`tag=team:${"b".repeat(limits.tagLength + 1)}`, "a tag's key and value"],
    ["parent=gate%23a", "is no id of a run"],
    ["workflow=", ""],
    [`fingerprint=${"f".repeat(100)}`, ""],
  ]) {
    const { status, body } = await request(`GET /runs?${query}`);
    expect(status, query).toBe(400);
    expect(body.error.code).toBe("invalid_request");
    expect(body.error.message).toContain(allowed);
  }
  for (const query of ["days=0", "days=367", "days=-1", "workflow="]) {
    expect((await request(`GET /stats?${query}`)).status, query).toBe(400);
  }
});

test("a cursor is good for its own query only, however that is written; with any size of the page", async () => {
  const { request } = await apiHarness([order]);
  for (const runId of ["a", "b", "c", "d", "e", "f"]) await start(request, "order", runId, { tags: { team: "blue" } });
  const first = await page(request, "?workflow=order&status=running,paused&limit=2");
  const cursor = first.cursor!;
  const own = `&cursor=${cursor}`;
  const rest = await page(request, `?limit=100&status=paused,running&workflow=order${own}`);
  const seen = [...first.runs, ...rest.runs].map(({ runId }) => runId);
  expect(seen.toSorted()).toEqual(["a", "b", "c", "d", "e", "f"]);
  for (const query of [
    `?${own}`,
    `?workflow=order${own}`,
    `?workflow=order&status=running${own}`,
    `?workflow=order&status=running,paused&tag=team:blue${own}`,
    `?workflow=order&status=running,paused&cursor=${cursor.slice(0, -1)}`,
    `?workflow=order&status=running,paused&cursor=${cursor}A`,
    `?workflow=order&status=running,paused&cursor=`,
    `?workflow=order&status=running,paused&cursor=${"A".repeat(limits.cursorLength + 1)}`,
  ]) {
    const { status, body } = await request(`GET /runs${query}`);
    expect(status, query).toBe(400);
    expect(body.error).toMatchObject({ code: "invalid_cursor", docs: "docs/errors.md#invalid_cursor" });
  }
  const other = await apiHarness([order]);
  const foreign = await other.request(`GET /runs?workflow=order&status=running,paused${own}`);
  expect(foreign).toMatchObject({ status: 400, body: { error: { code: "invalid_cursor" } } });
});

test("statistics count by workflow, day and status", async () => {
  const { request } = await apiHarness([order, quick]);
  await start(request, "order", "o");
  await start(request, "quick", "q1");
  await start(request, "quick", "q2");
  const { status, body } = await request("GET /stats?days=1");
  expect(status).toBe(200);
  expect(body).toMatchObject({ runs: 3, byStatus: { running: 1, succeeded: 2 }, from: body.to });
  expect(body.workflows).toMatchObject([
    { workflow: "order", runs: 1, byStatus: { running: 1 } },
    { workflow: "quick", runs: 2, byStatus: { succeeded: 2 }, p50Ms: expect.any(Number), p95Ms: expect.any(Number) },
  ]);
  expect((await request("GET /stats?workflow=quick&days=366")).body).toMatchObject({ runs: 2 });
  expect((await request("GET /stats?workflow=nobody")).body).toMatchObject({ runs: 0, workflows: [] });
});
