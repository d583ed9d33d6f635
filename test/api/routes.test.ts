// Hunts: a route that answers with another status, shape or run than its description says.
import { expect, test } from "vitest";
import * as z from "zod";
import { Run } from "../../lib/api/schemas.ts";
import { Workflow } from "../../lib/api/workflow-schemas.ts";
import { limits } from "../../lib/definition/limits.ts";
import { FatalError, type StepRef, workflow } from "../../lib/index.ts";
import { type Answered, apiHarness } from "./api-harness.ts";

const double = workflow("double", { input: z.object({ n: z.number().default(2) }), timeout: "1h" }, (w) => {
  const twice = w.step("twice", { run: ({ input }) => input.n * 2 });
  return w.step("tell", {
    after: [twice],
    when: () => true,
    timeout: "5s",
    delay: "1ms",
    retry: { maxAttempts: Infinity },
    taskQueue: "slow",
    onFailure: "continue",
    run: ({ outputs }) => `It is ${outputs.twice}`,
  });
});

test("a start is answered with 202, and the wait with the run when it has ended", async () => {
  const { request } = await apiHarness([double]);
  const started = await request("POST /workflows/double/runs", {
    input: { n: 4 },
    runId: "r-1",
    tags: { team: "blue" },
  });
  expect(started).toMatchObject({ status: 202, body: { runId: "r-1", status: "running" } });
  expect(started.headers.get("location")).toBe("/runs/r-1");
  const { status, body } = await request("GET /runs/r-1?wait=5s");
  expect(status).toBe(200);
  expect(body).toMatchObject({ status: "succeeded", input: { n: 4 }, output: "It is 8", tags: { team: "blue" } });
  expect(Object.keys(body.steps)).toEqual(["twice", "tell"]);
  expect(Run.parse(body)).toEqual(body);
});

test("the same start again is answered with 200 and the run", async () => {
  const { request } = await apiHarness([double]);
  await request("POST /workflows/double/runs", { input: {}, runId: "r-1" });
  const again = await request("POST /workflows/double/runs", { input: { n: 2 }, runId: "r-1" });
  expect(again).toMatchObject({ status: 200, body: { runId: "r-1", workflow: "double", input: { n: 2 } } });
});

test("a workflow without input is started without a body", async () => {
  const plain = workflow("plain", {}, (w) => w.step("only", { run: () => "done" }));
  const { request } = await apiHarness([plain]);
  const { status, body } = await request("POST /workflows/plain/runs");
  expect(status).toBe(202);
  expect((await request(`GET /runs/${body.runId}?wait=5s`)).body).toMatchObject({ output: "done" });
});

test("JSON of other media types, with a charset and a byte order mark, is JSON", async () => {
  const { request } = await apiHarness([double]);
  const headers = { "content-type": 'application/vnd.order+json; charset="UTF-8"' };
  expect((await request("POST /workflows/double/runs", '\uFEFF{"input":{}}', { headers })).status).toBe(202);
});

test("a run is paused, resumed and cancelled, and a repeated cancel changes nothing", async () => {
  const { request } = await apiHarness([double]);
  await request("POST /workflows/double/runs", { input: {}, runId: "r-1", startAt: "2027-01-31T08:00:00Z" });
  expect(await request("POST /runs/r-1/pause")).toMatchObject({
    status: 202,
    body: { status: "paused", pause: { code: "requested" }, startAt: "2027-01-31T08:00:00.000Z" },
  });
  expect(await request("POST /runs/r-1/resume")).toMatchObject({ status: 202, body: { status: "running" } });
  expect(await request("POST /runs/r-1/cancel")).toMatchObject({ status: 202, body: { status: "cancelled" } });
  expect(await request("POST /runs/r-1/cancel")).toMatchObject({ status: 202, body: { status: "cancelled" } });
});

const Answer = z.object({ ok: z.boolean(), at: z.iso.date() });

const asks = workflow("asks", {}, (w) => {
  const go = w.signal("go");
  const answer = w.signal("answer", {
    after: [go],
    payload: Answer,
    timeout: "2h",
    onTimeout: { value: { ok: false, at: "2026-01-31" } },
  });
  const nap = w.sleep("nap", { after: [answer], duration: "1ms" });
  const until = w.sleep("until", { after: [nap], when: () => false, until: () => "2027-01-31" });
  return w.step("end", { after: [answer, until], run: ({ outputs }) => outputs.answer });
});

test("a signal is answered with 202 and the run, with payload and without, early and awaited", async () => {
  const { request } = await apiHarness([asks]);
  await request("POST /workflows/asks/runs", { runId: "r" });
  const early = await request("POST /runs/r/signals/answer", { ok: true, at: "2026-11-21" });
  expect(early).toMatchObject({ status: 202, body: { runId: "r", steps: { answer: { status: "pending" } } } });
  expect(Run.parse(early.body)).toEqual(early.body);
  expect(await request("POST /runs/r/signals/go")).toMatchObject({ status: 202 });
  expect((await request("GET /runs/r?wait=5s")).body).toMatchObject({
    status: "succeeded",
    output: { ok: true, at: "2026-11-21" },
    steps: { go: { status: "succeeded" }, until: { status: "skipped" } },
  });
});

test("a step that waits is shown with the time at which its wait ends", async () => {
  const { request } = await apiHarness([asks]);
  await request("POST /workflows/asks/runs", { runId: "r" });
  const steps = async (): Promise<Answered["body"]> => (await request("GET /runs/r")).body.steps;
  await expect.poll(async () => (await steps()).go.status).toBe("waiting");
  expect((await steps()).go.waitsUntil).toBeUndefined();
  await request("POST /runs/r/signals/go");
  await expect.poll(async () => (await steps()).answer.status).toBe("waiting");
  const { startedAt, waitsUntil } = (await steps()).answer;
  expect(Date.parse(waitsUntil) - Date.parse(startedAt)).toBe(2 * 3_600_000);
});

test("a run that failed is redriven, and one that waits is terminated", async () => {
  let isMended = false;
  const fragile = workflow("fragile", {}, (w) =>
    w.step("only", {
      run: () => {
        if (!isMended) throw new FatalError("broken");
        return "mended";
      },
    }),
  );
  const { request } = await apiHarness([fragile, asks]);
  await request("POST /workflows/fragile/runs", { runId: "f" });
  expect((await request("GET /runs/f?wait=5s")).body.status).toBe("failed");
  isMended = true;
  const redriven = await request("POST /runs/f/redrive");
  expect(redriven.status).toBe(202);
  expect(redriven.body.error).toBeUndefined();
  expect((await request("GET /runs/f?wait=5s")).body).toMatchObject({ status: "succeeded", output: "mended" });

  await request("POST /workflows/asks/runs", { runId: "a" });
  for (const _again of [1, 2]) {
    expect(await request("POST /runs/a/terminate")).toMatchObject({ status: 202, body: { status: "cancelled" } });
  }
});

test("a run that has ended is deleted, once; one that has not is left as it is", async () => {
  const { request } = await apiHarness([asks, double]);
  await request("POST /workflows/double/runs", { input: {}, runId: "d" });
  await request("GET /runs/d?wait=5s");
  expect(await request("DELETE /runs/d")).toMatchObject({ status: 200, body: { runId: "d" } });
  for (const route of ["GET /runs/d", "DELETE /runs/d", "GET /runs/d/output"]) {
    expect(await request(route)).toMatchObject({ status: 404, body: { error: { code: "run_not_found" } } });
  }
  expect((await request("GET /runs")).body.runs).toEqual([]);

  await request("POST /workflows/asks/runs", { runId: "a" });
  const refused = await request("DELETE /runs/a");
  expect(refused).toMatchObject({ status: 409, body: { error: { code: "status_conflict" } } });
  expect((await request("GET /runs/a")).body.status).toBe("running");
});

test("signals and sleeps are shown as such in the graph", async () => {
  const { request } = await apiHarness([asks]);
  const { body } = await request("GET /workflows/asks");
  expect(Workflow.parse(body)).toEqual(body);
  const base = { afterAny: [], afterFailed: [], afterSettled: [], skipWithDependency: false, onFailure: "fail" };
  const node = { ...base, taskQueue: "default" };
  expect(body.steps.slice(0, 4)).toEqual([
    {
      ...node,
      kind: "signal",
      id: "go",
      after: [],
      when: false,
      takesPayload: false,
      payload: null,
      onTimeout: "fail",
    },
    {
      ...node,
      kind: "signal",
      id: "answer",
      after: ["go"],
      when: false,
      takesPayload: true,
      payload: expect.objectContaining({ type: "object", required: ["ok", "at"] }),
      timeoutMs: 7_200_000,
      onTimeout: { value: { ok: false, at: "2026-01-31" } },
    },
    { ...node, kind: "sleep", id: "nap", after: ["answer"], when: false, durationMs: 1 },
    { ...node, kind: "sleep", id: "until", after: ["nap"], when: true, until: "computed" },
  ]);
});

test("children and maps are shown as such, with the runs that they have started", async () => {
  const part = workflow("part", { input: z.number() }, (w) => w.step("a", { run: ({ input }) => input }));
  const whole = workflow("whole", {}, (w) => {
    const one = w.child("one", { workflow: part, input: () => 1, whenParentEnds: "leave", compensate: () => 1 });
    const many = w.map("many", { after: [one], each: part, items: () => [1, 2], concurrency: 1 });
    return w.map("more", {
      after: [many],
      items: () => [1],
      run: () => 1,
      toleratedFailures: "5%",
      timeout: "5s",
      retry: { maxAttempts: 1 },
    });
  });
  const { request } = await apiHarness([whole]);
  const { body } = await request("GET /workflows/whole");
  expect(Workflow.parse(body)).toEqual(body);
  expect(body.steps).toMatchObject([
    { kind: "child", id: "one", workflow: "part", whenParentEnds: "leave", compensation: { timeoutMs: 60_000 } },
    { kind: "map", id: "many", after: ["one"], each: "part", concurrency: 1, toleratedFailures: 0 },
    { kind: "map", id: "more", toleratedFailures: "5%", timeoutMs: 5_000, retry: { maxAttempts: 1 } },
  ]);
  expect(body.steps[1]).not.toHaveProperty("retry");
  expect((await request("GET /workflows")).body.workflows).toMatchObject([{ name: "whole" }, { name: "part" }]);

  await request("POST /workflows/whole/runs", { runId: "w" });
  const run = (await request("GET /runs/w?wait=5s")).body;
  expect(run).toMatchObject({ status: "succeeded", output: { items: 1, failures: 0 } });
  expect(run.steps).toMatchObject({ one: { child: "w~one", output: 1 }, many: { child: "w~many" } });
  const child = (await request("GET /runs/w~many~1")).body;
  expect(child).toMatchObject({ workflow: "part", output: 2, parent: { runId: "w~many", step: "1" } });
});

const undoRetry = { maxAttempts: 3, backoff: { type: "fixed", base: "1ms" } } as const;

/** Books a room and a car; both can be undone, the car only while `isOpen`. */
function trip(rental: { isOpen: boolean }) {
  return workflow("trip", {}, (w) => {
    const room = w.step("room", { run: () => "R-1", compensate: () => "cancelled" });
    const car = w.step("car", {
      after: [room],
      run: () => "C-1",
      compensate: {
        retry: undoRetry,
        timeout: "9s",
        run: ({ output }) => {
          if (!rental.isOpen) throw new TypeError(`${output} cannot be given back`);
        },
      },
    });
    const go = w.signal("go", { after: [car] });
    w.step("fly", {
      after: [go],
      run: () => {
        throw new FatalError("no seat");
      },
    });
  });
}

test("a run that fails is undone: how it ended, and how each step was undone", async () => {
  const { request } = await apiHarness([trip({ isOpen: true })]);
  await request("POST /workflows/trip/runs", { runId: "r" });
  await request("POST /runs/r/signals/go");
  const { body } = await request("GET /runs/r?wait=5s");
  expect(Run.parse(body)).toEqual(body);
  expect(body).toMatchObject({
    status: "failed",
    compensation: "complete",
    error: { message: "no seat", step: "fly" },
  });
  expect(body).not.toHaveProperty("unwindsTo");
  for (const id of ["room", "car"]) {
    const { status, compensation } = body.steps[id];
    expect(status).toBe("succeeded");
    const isoTime = expect.stringMatching(/^\d{4}-.*Z$/);
    expect(compensation).toEqual({ status: "succeeded", attempt: 1, startedAt: isoTime, endedAt: isoTime });
  }
  expect(body.steps.fly).not.toHaveProperty("compensation");
});

test("a run that is cancelled unwinds first; what cannot be undone is tried again by a redrive", async () => {
  const rental = { isOpen: false };
  const { request } = await apiHarness([trip(rental)]);
  await request("POST /workflows/trip/runs", { runId: "r" });
  await expect.poll(async () => (await request("GET /runs/r")).body.steps.go.status).toBe("waiting");
  const cancelled = await request("POST /runs/r/cancel");
  expect(cancelled).toMatchObject({
    status: 202,
    body: { status: "unwinding", unwindsTo: "cancelled", compensation: "running" },
  });
  expect(Run.parse(cancelled.body)).toEqual(cancelled.body);
  const { body } = await request("GET /runs/r?wait=5s");
  expect(Run.parse(body)).toEqual(body);
  expect(body).toMatchObject({
    status: "cancelled",
    compensation: "incomplete",
    steps: { go: { status: "cancelled" } },
  });
  expect(body.steps.car.compensation).toMatchObject({
    status: "failed",
    attempt: 3,
    error: { name: "TypeError", message: "C-1 cannot be given back" },
  });
  expect(body.steps.car).not.toHaveProperty("error");
  expect(body.steps.room).not.toHaveProperty("compensation");

  rental.isOpen = true;
  expect(await request("POST /runs/r/redrive")).toMatchObject({ status: 202, body: { status: "unwinding" } });
  const undone = await request("GET /runs/r?wait=5s");
  expect(undone.body).toMatchObject({
    status: "cancelled",
    compensation: "complete",
    steps: { car: { compensation: { status: "succeeded", attempt: 1 } }, room: { compensation: { attempt: 1 } } },
  });
});

test("an unwinding run takes a repeated cancel and a terminate, and nothing else", async () => {
  const endless = workflow("endless", {}, (w) => {
    w.step("held", { run: () => 1, compensate: ({ signal }) => new Promise((_, end) => (signal.onabort = end)) });
    w.signal("go");
  });
  const { request } = await apiHarness([endless]);
  await request("POST /workflows/endless/runs", { runId: "r" });
  await expect.poll(async () => (await request("GET /runs/r")).body.steps.held.status).toBe("succeeded");
  for (const _again of [1, 2]) {
    expect(await request("POST /runs/r/cancel")).toMatchObject({ status: 202, body: { status: "unwinding" } });
  }
  for (const operation of ["pause", "resume", "redrive", "signals/go"]) {
    const refused = await request(`POST /runs/r/${operation}`);
    expect(refused, operation).toMatchObject({
      status: 409,
      body: { error: { code: "status_conflict", details: { status: "unwinding" } } },
    });
  }
  expect(await request("POST /runs/r/terminate")).toMatchObject({
    status: 202,
    body: { status: "cancelled", compensation: "incomplete" },
  });
});

test("a failing run that unwinds is not cancelled any more", async () => {
  const failing = workflow("failing", {}, (w) => {
    const held = w.step("held", {
      run: () => 1,
      compensate: ({ signal }) => new Promise((_, end) => (signal.onabort = end)),
    });
    w.step("fails", {
      after: [held],
      run: () => {
        throw new FatalError("no");
      },
    });
  });
  const { request } = await apiHarness([failing]);
  await request("POST /workflows/failing/runs", { runId: "r" });
  await expect.poll(async () => (await request("GET /runs/r")).body.unwindsTo).toBe("failed");
  expect(await request("POST /runs/r/cancel")).toMatchObject({
    status: 409,
    body: { error: { code: "status_conflict", details: { status: "unwinding" } } },
  });
});

test("the graph tells what can be undone, and how often that is tried", async () => {
  const { request } = await apiHarness([trip({ isOpen: true })]);
  const { body } = await request("GET /workflows/trip");
  expect(Workflow.parse(body)).toEqual(body);
  const exponential = { type: "exponential", baseMs: 1_000, factor: 2, maxMs: 60_000, jitter: "full" };
  const [room, car, go, fly] = body.steps;
  expect(room.compensation).toEqual({ timeoutMs: 60_000, retry: { maxAttempts: 10, backoff: exponential } });
  expect(car.compensation).toMatchObject({ timeoutMs: 9_000, retry: { maxAttempts: 3, backoff: { type: "fixed" } } });
  for (const step of [go, fly]) expect(step).not.toHaveProperty("compensation");
});

test("workflows are shown with their input and graph, dependencies by id", async () => {
  const { request } = await apiHarness([double]);
  expect((await request("GET /workflows")).body).toEqual({
    workflows: [{ name: "double", fingerprint: double.fingerprint, steps: ["twice", "tell"] }],
  });
  const { status, body } = await request("GET /workflows/double");
  expect(status).toBe(200);
  expect(Workflow.parse(body)).toEqual(body);
  expect(body).toMatchObject({
    name: "double",
    fingerprint: double.fingerprint,
    takesInput: true,
    input: { type: "object", properties: { n: { type: "number", default: 2 } } },
    output: "tell",
    timeoutMs: 3_600_000,
  });
  expect(body.steps[1]).toMatchObject({
    id: "tell",
    after: ["twice"],
    afterAny: [],
    when: true,
    delayMs: 1,
    timeoutMs: 5_000,
    retry: { maxAttempts: "unlimited", backoff: { type: "exponential", baseMs: 1_000 } },
    taskQueue: "slow",
    onFailure: "continue",
  });
});

test("schedules are shown", async () => {
  const run = (): number => 1;
  const cron = workflow("cron", { schedule: { cron: "0  6 * * 1-5", timezone: "Europe/Berlin" } }, (w) =>
    w.step("a", { run }),
  );
  const every = workflow("every", { schedule: { every: "1.5h" } }, (w) => w.step("a", { run }));
  const { request } = await apiHarness([cron, every]);
  const shown = await Promise.all(
    ["cron", "every"].map(async (name) => (await request(`GET /workflows/${name}`)).body),
  );
  for (const body of shown) expect(Workflow.parse(body)).toEqual(body);
  expect(shown).toMatchObject([
    { schedule: { cron: "0 6 * * 1-5", timezone: "Europe/Berlin" } },
    { schedule: { everyMs: 5_400_000 } },
  ]);
});

test("limits are shown with their keys; a computed one is null", async () => {
  const limited = workflow(
    "limited",
    { input: z.string(), concurrency: { key: ({ input }) => input, limit: 1 } },
    (w) => {
      w.step("a", { rateLimit: { key: "api", limit: 10, per: "1s" }, run: () => 1 });
      w.step("b", { rateLimit: { key: ({ input }) => input, limit: 1, per: "1m" }, run: () => 1 });
      w.step("c", { rateLimit: { limit: 1, per: "1d" }, run: () => 1 });
      w.signal("d");
    },
  );
  const { request } = await apiHarness([limited]);
  const { body } = await request("GET /workflows/limited");
  expect(Workflow.parse(body)).toEqual(body);
  expect(body.concurrency).toEqual({ limit: 1, key: null });
  const rates = (body.steps as { rateLimit?: unknown }[]).map(({ rateLimit }) => rateLimit);
  expect(rates).toEqual([
    { limit: 10, perMs: 1_000, key: "api" },
    { limit: 1, perMs: 60_000, key: null },
    { limit: 1, perMs: 86_400_000 },
    undefined,
  ]);
});

test("a run that waits for its turn says so", async () => {
  const one = workflow("one", { concurrency: { key: "acme", limit: 1 } }, (w) => w.signal("go"));
  const { request } = await apiHarness([one]);
  for (const runId of ["a", "b", "c"]) await request("POST /workflows/one/runs", { runId });
  const { body } = await request("GET /runs/c");
  expect(Run.parse(body)).toEqual(body);
  expect(body.waitsForTurn).toEqual({ key: "acme", ahead: 1 });
  expect((await request("GET /runs/a")).body).not.toHaveProperty("waitsForTurn");
});

test("an input that JSON Schema cannot tell is shown as unknown, and no input as none", async () => {
  const dated = workflow("dated", { input: z.object({ at: z.date() }) }, (w) => w.step("a", { run: () => 1 }));
  const plain = workflow("plain", {}, (w) => w.step("a", { startAt: () => new Date(), run: () => 1 }));
  const { request } = await apiHarness([dated, plain]);
  expect((await request("GET /workflows/dated")).body).toMatchObject({ takesInput: true, input: null });
  const { body } = await request("GET /workflows/plain");
  expect(body).toMatchObject({ takesInput: false, input: null, steps: [{ startAt: "computed" }] });
});

test("the largest graph is shown whole", async () => {
  const wide = workflow("wide", {}, (w) => {
    let last: readonly StepRef[] = [];
    for (let index = 0; index < 200; index++) last = [w.step(`s${index}`, { after: last, run: () => index })];
  });
  const { request } = await apiHarness([wide]);
  expect((await request("GET /workflows/wide")).body.steps).toHaveLength(200);
});

test("a redrive ends steps by hand, and a fork makes a new run", async () => {
  let isMended = false;
  const fragile = workflow("fragile", {}, (w) => {
    const first = w.step("first", {
      output: z.strictObject({ n: z.int() }),
      run: () => Promise.reject(new FatalError("no")),
    });
    return w.step("last", {
      after: [first],
      run: ({ outputs }) => (isMended ? outputs.first.n : Promise.reject(new FatalError("not yet"))),
    });
  });
  const { request } = await apiHarness([fragile]);
  await request("POST /workflows/fragile/runs", { runId: "r", tags: { team: "blue" } });
  expect((await request("GET /runs/r?wait=5s")).body.status).toBe("failed");
  const byHand = { by: "ada", reason: "counted" };
  const redriven = await request("POST /runs/r/redrive", { set: { first: { n: 7 } }, ...byHand });
  expect(redriven).toMatchObject({
    status: 202,
    body: { redrives: 1, steps: { first: { output: { n: 7 }, byHand } } },
  });
  expect(Run.parse(redriven.body)).toEqual(redriven.body);
  expect((await request("GET /runs/r?wait=5s")).body.status).toBe("failed");

  isMended = true;
  const forked = await request("POST /runs/r/fork", { from: "last", runId: "s" });
  expect(forked).toMatchObject({ status: 202, body: { runId: "s", status: "running" } });
  expect(forked.headers.get("location")).toBe("/runs/s");
  const { body } = await request("GET /runs/s?wait=5s");
  expect(body).toMatchObject({
    status: "succeeded",
    output: 7,
    forkedFrom: { runId: "r", from: "last" },
    tags: { team: "blue" },
  });
  expect(Run.parse(body)).toEqual(body);
  const again = await request("POST /runs/r/fork", { from: "last", runId: "s" });
  expect(again).toMatchObject({ status: 200, body: { runId: "s", status: "succeeded" } });
  const skipped = await request("POST /runs/r/redrive", { skip: ["last"], ...byHand });
  expect(skipped.body).toMatchObject({
    status: "succeeded",
    redrives: 2,
    steps: { last: { status: "skipped", byHand } },
  });
});

test("large payloads are told by their size, and answered by themselves, up to the limit", async () => {
  const echo = workflow("echo", { input: z.string() }, (w) => w.step("say", { run: ({ input }) => input }));
  const { request } = await apiHarness([echo]);
  const input = "x".repeat(limits.payloadBytes - 2);
  expect((await request("POST /workflows/echo/runs", { input, runId: "r" })).status).toBe(202);
  const { body } = await request("GET /runs/r?wait=5s");
  const size = { bytes: limits.payloadBytes };
  expect(body).toMatchObject({
    status: "succeeded",
    inputRef: size,
    outputRef: size,
    steps: { say: { outputRef: size } },
  });
  expect(Run.parse(body)).toEqual(body);
  expect(JSON.stringify(body).length).toBeLessThan(1_000);
  for (const path of ["input", "output", "steps/say/output"]) {
    const answered = await request(`GET /runs/r/${path}`);
    expect(answered.status).toBe(200);
    expect(answered.body === input).toBe(true);
  }
});

test.each([[0], [false], [""], [null], [[]], [{ a: 1 }]])("the payload %j is answered as it is", async (input) => {
  const echo = workflow("echo", { input: z.unknown() }, (w) => w.step("say", { run: ({ input }) => input }));
  const { request } = await apiHarness([echo]);
  await request("POST /workflows/echo/runs", { input, runId: "r" });
  await request("GET /runs/r?wait=5s");
  for (const path of ["input", "output", "steps/say/output"]) {
    expect(await request(`GET /runs/r/${path}`)).toMatchObject({ status: 200, body: input });
  }
});

test("the index lists exactly the routes of the OpenAPI document, and all of them are there", async () => {
  const { request, api } = await apiHarness([double]);
  const { body: index } = await request("GET /");
  const { body: document } = await request("GET /openapi.json");
  expect(document.openapi).toBe("3.1.0");
  const described = Object.entries(document.paths as Record<string, object>).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
  );
  expect(index.routes).toEqual(described);
  expect(described).toContain("GET /openapi.json");
  for (const route of index.routes as string[]) {
    const [method = "", path = ""] = route.replaceAll(/[{}]/g, "").split(" ");
    const { error } = (await (await api.request(path, { method })).json()) as { error?: { code: string } };
    expect(error?.code, route).not.toBe("route_not_found");
    expect(error?.code, route).not.toBe("internal_error");
  }
});

test("every reference in the OpenAPI document leads somewhere, and failures are described", async () => {
  const { request } = await apiHarness([double]);
  const { body: document } = await request("GET /openapi.json");
  const references = [...JSON.stringify(document).matchAll(/"\$ref":"#\/components\/schemas\/(\w+)"/g)];
  expect(references.length).toBeGreaterThan(5);
  for (const [, name] of references) expect(document.components.schemas).toHaveProperty(name!);
  expect(Object.keys(document.paths["/workflows/{workflow}/runs"].post.responses)).toEqual(
    expect.arrayContaining(["200", "202", "400", "404", "409", "413", "415"]),
  );
  const signal = document.paths["/runs/{runId}/signals/{name}"].post;
  const ofItsOwn = ["202", "400", "404", "409", "413", "415"];
  expect(Object.keys(signal.responses)).toEqual([...ofItsOwn, "403", "414", "500", "503"].toSorted());
  expect(signal.responses["400"].description).toContain("`invalid_payload`");
  expect(signal.requestBody.required).toBe(false);
  expect(signal.parameters.map((parameter: { name: string }) => parameter.name)).toEqual(["runId", "name"]);
});

test("health is told, and HEAD works where GET does", async () => {
  const { request, api } = await apiHarness([double]);
  expect(await request("GET /healthz")).toMatchObject({ status: 200, body: { status: "ok" } });
  const head = await api.request("/healthz", { method: "HEAD" });
  expect(head.status).toBe(200);
  expect(await head.text()).toBe("");
});
