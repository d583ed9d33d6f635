// Hunts: an error without code, remedy or documentation, in another shape than the others, or with a stack.
import { readFileSync } from "node:fs";
import { afterAll, expect, test } from "vitest";
import * as z from "zod";
import { type ApiErrorCode, statusOf } from "../../lib/api/api-error.ts";
import { bodyBytes } from "../../lib/api/schemas.ts";
import { limits } from "../../lib/definition/limits.ts";
import { type Commands, FatalError, PawlError, workflow } from "../../lib/index.ts";
import { type Answered, apiHarness } from "./api-harness.ts";

const needy = workflow("needy", { input: z.strictObject({ n: z.number() }) }, (w) =>
  w.step("only", { run: ({ input }) => input.n }),
);
const plain = workflow("plain", {}, (w) => w.step("only", { run: () => 1 }));
const asks = workflow("asks", {}, (w) => {
  w.signal("answer", { payload: z.strictObject({ ok: z.boolean(), note: z.string().optional() }) });
  w.signal("go");
  w.step("prepare", { run: () => 1 });
});
const seen = new Set<string>();
const start = "POST /workflows/needy/runs";

/** What must hold for every error; returns its message and details. */
function expectError(answer: Answered, code: ApiErrorCode): Answered["body"] {
  expect(answer.body).toEqual({
    error: { code, message: expect.any(String), details: answer.body.error?.details, docs: `docs/errors.md#${code}` },
  });
  expect(answer.status).toBe(statusOf[code]);
  expect(JSON.stringify(answer.body)).not.toMatch(/\.ts:\d|\.js:\d|node_modules/);
  seen.add(code);
  return answer.body.error;
}

test("invalid input: zod's issues", async () => {
  const { request } = await apiHarness([needy, plain]);
  const wrong = expectError(await request(start, { input: { n: "x" } }), "invalid_input");
  expect(wrong.details.issues).toMatchObject([{ path: ["n"], code: "invalid_type" }]);
  expectError(await request(start), "invalid_input");
  expectError(await request("POST /workflows/plain/runs", { input: 5 }), "invalid_input");
});

test("invalid requests: unknown fields, wrong types, ids, tags, times and waits, with what is allowed", async () => {
  const { request } = await apiHarness([needy]);
  const input = { n: 1 };
  const misplaced = expectError(await request(start, { n: 1 }), "invalid_request");
  expect(misplaced.message).toContain('"n"');
  expect(misplaced.message).toContain('"input"');
  for (const body of [
    [],
    "5",
    "null",
    { input, runId: 5 },
    { input, runId: "" },
    { input, runId: "/" },
    { input, runId: "x".repeat(129) },
    { input, tags: ["a"] },
    { input, tags: { a: "" } },
    { input, tags: Object.fromEntries(Array.from({ length: 11 }, (_, at) => [`k${at}`, "v"])) },
    { input, startAt: "tomorrow" },
    { input, startAt: "2999-01-01T00:00:00Z" },
  ]) {
    expectError(await request(start, body), "invalid_request");
  }
  for (const wait of ["5", "-1s", "26s", "1h", "", "s", "1e3s", "25s&wait=1s"]) {
    expectError(await request(`GET /runs/any?wait=${wait}`), "invalid_request");
  }
});

test("malformed JSON: the place", async () => {
  const { request } = await apiHarness([needy]);
  const { message, details } = expectError(await request(start, '{\n  "input": {,}\n}'), "malformed_json");
  expect(details).toEqual({ position: 14, line: 2, column: 13 });
  expect(message).toContain("line 2, column 13");
  expectError(await request(start, " "), "malformed_json");
  expectError(await request(start, '{"input":'), "malformed_json");
  const headers = { "content-type": "application/json" };
  const latin1 = await request(start, undefined, { headers, body: Uint8Array.of(0x22, 0xe4, 0x22) });
  expect(expectError(latin1, "malformed_json").message).toContain("UTF-8");
});

test("a route that is not there is named, and where the list is", async () => {
  const { request } = await apiHarness([needy]);
  const { message } = expectError(await request("GET /workflow/needy"), "route_not_found");
  expect(message).toContain("GET /workflow/needy");
  expect(message).toContain("GET / lists");
  expectError(await request("POST /runs/a/b/c"), "route_not_found");
});

test("another method on a path that is there: 405, with the methods", async () => {
  const { request } = await apiHarness([needy]);
  for (const route of ["PUT /runs/r", "POST /", "GET /runs/r/cancel", "PUT /workflows", "POST /openapi.json"]) {
    const answer = await request(route);
    const { details } = expectError(answer, "method_not_allowed");
    expect(answer.headers.get("allow")).toBe(details.allowed.join(", "));
  }
});

test("unknown workflows and runs, also under names that objects have", async () => {
  const { request } = await apiHarness([needy]);
  for (const name of ["nope", "constructor", "__proto__"]) {
    const known = expectError(await request(`POST /workflows/${name}/runs`, {}), "workflow_not_found").details.known;
    expect(known).toEqual(["needy"]);
    expectError(await request(`GET /workflows/${name}`), "workflow_not_found");
    expectError(await request(`GET /runs/${name}`), "run_not_found");
    expectError(await request(`GET /runs/${name}?wait=1s`), "run_not_found");
    for (const operation of ["cancel", "pause", "resume", "terminate", "redrive", "signals/any"]) {
      expectError(await request(`POST /runs/${name}/${operation}`), "run_not_found");
    }
  }
});

test("conflicts: another start with the id, and an operation that the status forbids", async () => {
  const { request } = await apiHarness([needy]);
  await request(start, { input: { n: 1 }, runId: "r" });
  const conflict = expectError(await request(start, { input: { n: 2 }, runId: "r" }), "run_conflict");
  expect(conflict.details).toMatchObject({ workflow: "needy" });
  await request("GET /runs/r?wait=5s");
  const refused = expectError(await request("POST /runs/r/pause"), "status_conflict");
  expect(refused.details).toEqual({ status: "succeeded" });
});

test("signals: an unknown name, a payload that does not fit, a second sending, and a run that has ended", async () => {
  const { request } = await apiHarness([asks]);
  await request("POST /workflows/asks/runs", { runId: "r" });
  for (const name of ["anser", "prepare", "constructor", "a%2Fb"]) {
    const { message, details } = expectError(await request(`POST /runs/r/signals/${name}`), "signal_not_found");
    expect(details).toEqual({ known: ["answer", "go"] });
    expect(message).toContain("It takes: answer, go.");
  }
  const answer = "POST /runs/r/signals/answer";
  const wrong = expectError(await request(answer, { ok: "yes" }), "invalid_payload");
  expect(wrong.details.issues).toMatchObject([{ path: ["ok"], code: "invalid_type" }]);
  expect(wrong.message).toContain('The payload of signal "answer" is not valid. ok: ');
  // It is the payload itself that is sent, and none is not an empty one.
  for (const body of [undefined, {}, [], "null", { payload: { ok: true } }]) {
    expectError(await request(answer, body), "invalid_payload");
  }
  expectError(await request("POST /runs/r/signals/go", { ok: true }), "invalid_payload");
  expectError(await request(answer, '{"ok":'), "malformed_json");
  const headers = { "content-type": "text/plain" };
  expectError(await request(answer, '{"ok":true}', { headers }), "unsupported_content_type");
  expectError(await request(answer, { ok: true, note: "x".repeat(limits.payloadBytes) }), "payload_too_large");
  expectError(await request(answer, " ".repeat(bodyBytes + 1)), "payload_too_large");
  expectError(await request("GET /runs/r/signals/answer"), "method_not_allowed");

  expect((await request(answer, { ok: true })).status).toBe(202);
  expect(expectError(await request(answer, { ok: true }), "signal_conflict").message).toContain("has been sent before");
  await request("POST /runs/r/terminate");
  const ended = expectError(await request("POST /runs/r/signals/go"), "status_conflict");
  expect(ended.details).toEqual({ status: "cancelled" });
});

test("payloads that are not there: of a run that has none, of a step that has none yet, of no such step", async () => {
  const { request } = await apiHarness([asks]);
  await request("POST /workflows/asks/runs", { runId: "r" });
  for (const [path, message] of [
    ["input", "Run r has no input."],
    ["output", "Run r has no output: it has not succeeded yet, or its workflow returns nothing."],
    ["steps/go/output", 'Step "go" of run r has no output: it has not succeeded yet, or it returned nothing.'],
  ]) {
    expect(expectError(await request(`GET /runs/r/${path}`), "payload_not_found").message).toBe(message);
    expectError(await request(`GET /runs/nope/${path}`), "run_not_found");
    expectError(await request(`POST /runs/r/${path}`), "method_not_allowed");
  }
  expect(expectError(await request("GET /runs/r/cost"), "not_metered").message).toContain("does not count");
  const { message, details } = expectError(await request("GET /runs/r/steps/nope/output"), "step_not_found");
  expect(details).toEqual({ known: ["answer", "go", "prepare"] });
  expect(message).toBe('Run r of workflow "asks" has no step "nope". It has: answer, go, prepare.');
});

test("a question that was never asked, and one that was answered", async () => {
  const asking = workflow("asking", {}, (w) =>
    w.step("review", { run: ({ interrupt }) => interrupt("Well?", z.boolean()) }),
  );
  const { request } = await apiHarness([asking]);
  await request("POST /workflows/asking/runs", { runId: "r" });
  const interrupt = async () => (await request("GET /runs/r")).body.steps.review.interrupt;
  await expect.poll(interrupt).toBeDefined();
  const { id } = await interrupt();
  const unknown = expectError(await request("POST /runs/r/interrupts/nonsense", true), "interrupt_not_found");
  expect(unknown.details).toEqual({ pending: [id] });
  await request(`POST /runs/r/interrupts/${id}`, true);
  expectError(await request(`POST /runs/r/interrupts/${id}`, true), "interrupt_conflict");
});

test("a task token that nobody waits for: one answer for all reasons", async () => {
  const { request } = await apiHarness([asks]);
  for (const action of ["succeed", "fail", "heartbeat"]) {
    const body = action === "fail" ? { message: "no" } : undefined;
    expectError(await request(`POST /callbacks/nonsense/${action}`, body), "callback_not_found");
  }
  const tooMuch = await request("POST /callbacks/nonsense/succeed", " ".repeat(bodyBytes + 1));
  expectError(tooMuch, "payload_too_large");
});

test("redrive and terminate are refused where the status forbids them", async () => {
  const { request } = await apiHarness([asks, plain]);
  await request("POST /workflows/asks/runs", { runId: "open" });
  expect(expectError(await request("POST /runs/open/redrive"), "status_conflict").details).toEqual({
    status: "running",
  });
  await request("POST /workflows/plain/runs", { runId: "done" });
  await request("GET /runs/done?wait=5s");
  for (const operation of ["terminate", "redrive"]) {
    const { details } = expectError(await request(`POST /runs/done/${operation}`), "status_conflict");
    expect(details).toEqual({ status: "succeeded" });
  }
});

test("forks and redrives by hand that are not possible: unknown fields, steps, ids, and all faults at once", async () => {
  const broken = workflow("broken", {}, (w) => w.step("only", { run: () => Promise.reject(new FatalError("no")) }));
  const { request } = await apiHarness([broken]);
  await request("POST /workflows/broken/runs", { runId: "r" });
  await request("GET /runs/r?wait=5s");
  for (const body of [undefined, {}, { from: 5 }, { from: "only", input: 1 }, { from: "only", runId: "/" }]) {
    expectError(await request("POST /runs/r/fork", body), "invalid_request");
  }
  const misplaced = expectError(await request("POST /runs/r/fork", { from: "only", step: 1 }), "invalid_request");
  expect(misplaced.message).toContain('allowed are "from", "runId" and "tags"');
  expectError(await request("POST /runs/r/fork", { from: "nope" }), "step_not_found");
  expectError(await request("POST /runs/nope/fork", { from: "only" }), "run_not_found");
  expectError(await request("POST /runs/r/fork", { from: "only", runId: "r" }), "run_conflict");
  expectError(await request("POST /runs/r/fork", "{"), "malformed_json");

  for (const body of [{ set: [] }, { skip: "only" }, { force: true }, { by: 1 }]) {
    expectError(await request("POST /runs/r/redrive", body), "invalid_request");
  }
  const { details } = expectError(
    await request("POST /runs/r/redrive", { skip: ["nope"], by: "a" }),
    "invalid_request",
  );
  expect(details.faults.map(({ at }: { at: string }) => at)).toEqual(["reason", 'skip "nope"']);
  expect((await request("GET /runs/r")).body).toMatchObject({ status: "failed", redrives: 0 });
});

test("too large: announced, streamed without an announcement, and what is left after parsing", async () => {
  const { request } = await apiHarness([workflow("text", { input: z.string() }, (w) => w.step("a", { run: () => 1 }))]);
  const route = "POST /workflows/text/runs";
  const headers = { "content-type": "application/json", "content-length": String(bodyBytes + 1) };
  expectError(await request(route, undefined, { headers, body: "{}" }), "payload_too_large");
  let sent = 0;
  const endless = new ReadableStream<Uint8Array>({
    pull(controller) {
      sent += 65_536;
      controller.enqueue(new Uint8Array(65_536).fill(0x20));
    },
  });
  const streamed = { headers: { "content-type": "application/json" }, body: endless, duplex: "half" };
  const { details } = expectError(await request(route, undefined, streamed as RequestInit), "payload_too_large");
  expect(details).toEqual({ maxBytes: bodyBytes });
  expect(sent).toBeLessThan(bodyBytes + 3 * 65_536);
  const stored = await request(route, { input: "x".repeat(limits.payloadBytes) });
  expectError(stored, "payload_too_large");
});

test("other content types are refused, with the one to send", async () => {
  const { request } = await apiHarness([needy]);
  for (const type of ["text/plain", "application/x-www-form-urlencoded", "application/json; charset=latin1", "json"]) {
    const answer = await request(start, "{}", { headers: { "content-type": type } });
    expect(expectError(answer, "unsupported_content_type").message).toContain("Content-Type: application/json");
  }
});

test("what nobody expected: an id that the log has too, and nothing of the cause", async () => {
  const commands = {
    get: () => Promise.reject(new Error("secret path /etc/pawl")),
    // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors -- schemas of users may throw anything
    start: () => Promise.reject("a text"),
    workflows: () => [],
  } as unknown as Commands;
  const { request, logged } = await apiHarness([needy], { commands });
  for (const route of ["GET /runs/r", start]) {
    logged.length = 0;
    const answer = await request(route, route === start ? {} : undefined);
    const { details } = expectError(answer, "internal_error");
    expect(JSON.stringify(answer.body)).not.toMatch(/secret|a text/);
    expect(logged).toMatchObject([{ level: "error", fields: { id: details.id, error: expect.any(Error) } }]);
  }
});

test("a storage that fails: what it says, to callers and in the log", async () => {
  const failed = new PawlError("storage_failed", "The disk is full. Free some space.", { reason: "disk_full" });
  const commands = { start: () => Promise.reject(failed) } as unknown as Commands;
  const { request, logged } = await apiHarness([needy], { commands });
  const told = expectError(await request(start, {}), "storage_failed");
  expect(told).toMatchObject({ message: "The disk is full. Free some space.", details: { reason: "disk_full" } });
  expect(logged).toMatchObject([{ level: "error", fields: { error: failed } }]);
});

test("unavailable: told by the engine, and while the server stops", async () => {
  const commands = {
    start: () => Promise.reject(new PawlError("unavailable", "The start took too long.")),
  } as unknown as Commands;
  const { request } = await apiHarness([needy], { commands });
  expectError(await request(start, {}), "unavailable");

  const closed = await apiHarness([asks]);
  await closed.engine.stop({ graceMs: 0 });
  for (const operation of ["cancel", "pause", "resume", "terminate", "redrive", "signals/go"]) {
    expectError(await closed.request(`POST /runs/r/${operation}`), "unavailable");
  }
  const token = Buffer.from("s/0/0/1/r").toString("base64url");
  expectError(await closed.request(`POST /callbacks/${token}/heartbeat`), "unavailable");

  const stopping = new AbortController();
  const stopped = await apiHarness([needy], { stopping: stopping.signal });
  stopping.abort();
  expectError(await stopped.request("GET /healthz"), "unavailable");
});

test("every code has its section in docs/errors.md, and every section its code", () => {
  const page = readFileSync(new URL("../../docs/errors.md", import.meta.url), "utf8");
  const sections = [...page.matchAll(/^### (\w+)\n\n(\d{3})\./gm)].map(([, code, status]) => [code, Number(status)]);
  expect(Object.fromEntries(sections)).toEqual(statusOf);
});

test("URLs that are too long, or encode no text", async () => {
  const { request } = await apiHarness([needy]);
  const long = expectError(await request(`GET /runs/${"r".repeat(limits.urlLength)}`), "url_too_long");
  expect(long.details).toEqual({ maxLength: limits.urlLength });
  for (const path of ["/runs/%E0%A4%A", "/runs/%", "/runs/r?wait=%ff", "/workflows/%C0%AF", "/%zz"]) {
    expect(expectError(await request(`GET ${path}`), "invalid_request").message).toContain("%25");
  }
});

test("ids that no run can have are refused before a store is asked", async () => {
  const { request } = await apiHarness([needy]);
  for (const id of ["r".repeat(limits.derivedRunIdLength + 1), "%00", "gate%23needy%23", "a%2Fb", "%C3%A4", "a%20b"]) {
    expect(expectError(await request(`GET /runs/${id}`), "invalid_request").message).toContain("is no id of a run");
    expectError(await request(`POST /runs/${id}/cancel`), "invalid_request");
  }
  expectError(await request(`GET /runs/${"r".repeat(limits.derivedRunIdLength)}`), "run_not_found");
});

test("parameters that a route does not have, or has twice, are refused with those that it has", async () => {
  const { request } = await apiHarness([needy]);
  const unknown = expectError(await request("GET /runs/r?wiat=5s"), "invalid_request");
  expect(unknown.message).toContain('"wiat"');
  expect(unknown.message).toContain('allowed is "wait"');
  expect(expectError(await request("GET /runs?state=failed"), "invalid_request").message).toContain(
    'allowed are "workflow", "status", "from", "to", "tag", "parent", "fingerprint", "limit" and "cursor"',
  );
  for (const route of [
    "GET /healthz?a=1",
    "POST /runs/r/pause?a",
    "POST /operations?dryRun=true",
    "GET /?__proto__=1",
  ]) {
    expect(expectError(await request(route), "invalid_request").message).toContain("none is allowed");
  }
  const twice = expectError(await request("GET /runs?workflow=a&workflow=b"), "invalid_request");
  expect(twice.message).toContain('"workflow" more than once');
});

test("of an input that is wrong in every place, the first faults are told", async () => {
  const list = workflow("list", { input: z.array(z.int()) }, (w) => w.step("only", { run: () => 1 }));
  const { request } = await apiHarness([list]);
  const input = Array.from({ length: 50_000 }, () => "x");
  const { details, message } = expectError(await request("POST /workflows/list/runs", { input }), "invalid_input");
  expect(details.issues).toHaveLength(limits.shownIssues);
  expect(message).toContain("and 49950 more");
});

test("what is said of a hostile body is short", async () => {
  const { request } = await apiHarness([needy]);
  const keys = Object.fromEntries(Array.from({ length: 50_000 }, (_, at) => [`key${at}`, at]));
  for (const body of [keys, { tags: keys }, { ["k".repeat(100_000)]: 1 }]) {
    const answer = await request(start, body);
    expectError(answer, "invalid_request");
    expect(JSON.stringify(answer.body).length).toBeLessThan(20_000);
  }
});

afterAll(() => {
  // Of the local server, and of the HTTP beneath it: test/dev/http-server.test.ts.
  for (const code of ["forbidden_origin", "headers_too_large", "request_timeout"]) seen.add(code);
  // test/api/finding.test.ts, test/api/operations.test.ts
  for (const code of ["invalid_cursor", "operation_not_found"]) seen.add(code);
  expect([...seen].sort()).toEqual(Object.keys(statusOf).sort());
});
