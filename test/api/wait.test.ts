// Hunts: a wait that misses the end, polls, outlives its client or its server, or leaves a listener behind.
import { expect, test } from "vitest";
import type { ApiOptions } from "../../lib/api/app.ts";
import { type Commands, workflow } from "../../lib/index.ts";
import { apiHarness } from "./api-harness.ts";

/** Ends when it is told to. */
function gated() {
  const { promise, resolve } = Promise.withResolvers<string>();
  const waiting = workflow("waiting", {}, (w) => w.step("gate", { run: () => promise }));
  return { waiting, open: resolve };
}

test("a wait ends with the run, after two reads, however long it took", async () => {
  const { waiting, open } = gated();
  const { engine, request } = await apiHarness([waiting]);
  await request("POST /workflows/waiting/runs", { runId: "r" });
  const { get } = engine.commands;
  let reads = 0;
  engine.commands.get = (runId) => {
    reads++;
    return get.call(engine.commands, runId);
  };
  const answer = request("GET /runs/r?wait=25s");
  await new Promise((resolve) => setTimeout(resolve, 300));
  expect(reads).toBe(1);
  open("opened");
  expect((await answer).body).toMatchObject({ status: "succeeded", output: "opened" });
  expect(reads).toBe(2);
});

test("a wait for a run that has ended is answered at once", async () => {
  const { waiting, open } = gated();
  const { request } = await apiHarness([waiting]);
  open("");
  await request("POST /workflows/waiting/runs", { runId: "r" });
  await request("GET /runs/r?wait=25s");
  expect((await request("GET /runs/r?wait=25s")).body.status).toBe("succeeded");
});

test("when the time is over, the run is shown as it is", async () => {
  const { waiting } = gated();
  const { request } = await apiHarness([waiting]);
  await request("POST /workflows/waiting/runs", { runId: "r" });
  for (const wait of ["", "?wait=0s", "?wait=50ms"]) {
    expect(await request(`GET /runs/r${wait}`)).toMatchObject({ status: 200, body: { status: "running" } });
  }
});

test("many waits for one run end together", async () => {
  const { waiting, open } = gated();
  const { request } = await apiHarness([waiting]);
  await request("POST /workflows/waiting/runs", { runId: "r" });
  const answers = Array.from({ length: 50 }, () => request("GET /runs/r?wait=25s"));
  open("all");
  for (const { body } of await Promise.all(answers)) expect(body.output).toBe("all");
});

test.each(["the client goes away", "the server stops"])("a wait ends when %s", async (which) => {
  const { waiting } = gated();
  const stopping = new AbortController();
  const client = new AbortController();
  const waits: Promise<unknown>[] = [];
  const seen: AbortSignal[] = [];
  const options: Partial<ApiOptions> = { stopping: stopping.signal };
  const { engine, api, request } = await apiHarness([waiting], {
    ...options,
    waitForEnd: (runId, wait) => {
      seen.push(wait.signal);
      const ended = engine.waitForEnd(runId, wait);
      waits.push(ended);
      return ended;
    },
  });
  await request("POST /workflows/waiting/runs", { runId: "r" });
  const answer = Promise.resolve(api.request("/runs/r?wait=25s", { signal: client.signal }));
  await expect.poll(() => waits.length).toBe(1);
  if (which === "the server stops") stopping.abort();
  else client.abort();
  expect(await waits[0]).toMatchObject({ status: "running" });
  expect(seen[0]!.aborted).toBe(true);
  expect((await answer).status).toBe(200);
});

test("a client that has gone before its request failed is no error of the server", async () => {
  const client = new AbortController();
  client.abort();
  const commands = { get: () => Promise.reject(new Error("aborted")) } as unknown as Commands;
  const { api, logged } = await apiHarness([], { commands });
  await api.request("/runs/r", { signal: client.signal });
  expect(logged.map(({ level }) => level)).toEqual(["debug"]);
});
