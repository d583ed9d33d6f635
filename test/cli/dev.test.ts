// Hunts: a server that loses runs when it is stopped or killed, exits with the wrong code, or hides what it does.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { buildOnce, flows, folderWith, PawlProcess, pawl, root, serve } from "./pawl-process.ts";

const patient = { timeout: 30_000 };

beforeAll(buildOnce, 60_000);

async function start(url: string, workflow: string, body: unknown): Promise<void> {
  const headers = { "content-type": "application/json" };
  const answer = await fetch(`${url}/workflows/${workflow}/runs`, {
    method: "POST",
    headers,
    body: JSON.stringify(body),
  });
  expect(answer.status).toBe(202);
}

test("serves a file from anywhere, and tells each change in a plain line", patient, async () => {
  const folder = folderWith({ "flows.ts": flows });
  const gate = join(folder, "open");
  const { server, url } = await serve(["flows.ts"], { cwd: folder });
  await start(url, "gated", { runId: "r", input: { gate } });
  await server.output(/gated r gate: running/);
  writeFileSync(gate, "");
  await server.output(/run succeeded/);
  expect(await (await fetch(`${url}/runs/r`)).json()).toMatchObject({ status: "succeeded", output: { gate: 1 } });

  expect(server.stdout).toContain(`curl ${url}/workflows/broken/runs`);
  expect(server.stdout).toMatch(/workflows +broken \(1 step\), gated \(3 steps\), stubborn/);
  const lines = server.stdout.split("\n").filter((line) => line.includes(" gated r"));
  expect(lines.map((line) => line.replace(/^\d\d:\d\d:\d\d\.\d{3} /, "").replace(/\d+\.\ds/, "Ts"))).toEqual([
    "gated r: run started",
    "gated r first: running, attempt 1",
    "gated r first: info: hello there  answer=42",
    "gated r first: succeeded, attempt 1, after Ts",
    "gated r gate: running, attempt 1",
    "gated r gate: succeeded, attempt 1, after Ts",
    "gated r last: running, attempt 1",
    "gated r last: succeeded, attempt 1, after Ts",
    "gated r: run succeeded after Ts",
  ]);
  // eslint-disable-next-line no-control-regex -- this is what must not be there
  expect(server.stdout).not.toMatch(/[\u0000-\u0009\u000b-\u001f]/);

  const logged = readFileSync(join(folder, ".pawl/pawl.log"), "utf8").trim().split("\n");
  expect(logged.map((line) => JSON.parse(line))).toContainEqual(
    expect.objectContaining({ runId: "r", step: "first", attempt: 1, source: "step", answer: 42 }),
  );
});

test("SIGTERM while a step runs: exit code 0, and the next start finishes the run", patient, async () => {
  const folder = folderWith({ "flows.ts": flows });
  const gate = join(folder, "open");
  const first = await serve(["flows.ts"], { cwd: folder });
  await start(first.url, "gated", { runId: "r", input: { gate } });
  await first.server.output(/gate: running/);
  first.server.kill("SIGTERM");
  expect(await first.server.ended).toMatchObject({ code: 0, stderr: "" });

  writeFileSync(gate, "");
  const { server, url } = await serve(["flows.ts"], { cwd: folder });
  await server.output(/gated r: run goes on from an earlier start/);
  await server.output(/run succeeded/);
  // The step gave its attempt back.
  const run = await (await fetch(`${url}/runs/r`)).json();
  expect(run).toMatchObject({ status: "succeeded", output: { first: 1, gate: 1 }, steps: { first: { attempt: 1 } } });
});

test(
  "kill -9 in the middle of a run: the next start finishes it, and repeats nothing that was done",
  patient,
  async () => {
    const folder = folderWith({ "flows.ts": flows });
    const gate = join(folder, "open");
    const first = await serve(["flows.ts"], { cwd: folder });
    await start(first.url, "gated", { runId: "r", input: { gate } });
    await first.server.output(/gate: running/);
    first.server.kill("SIGKILL");
    await first.server.ended;

    writeFileSync(gate, "");
    const { server, url } = await serve(["flows.ts"], { cwd: folder });
    await server.output(/run succeeded/);
    expect(server.stdout).toContain("gate: running, attempt 2");
    expect(server.stdout).not.toContain("first: running");
    const run = await (await fetch(`${url}/runs/r`)).json();
    expect(run).toMatchObject({ status: "succeeded", output: { first: 1, gate: 2 } });
  },
);

test("a step that ignores its signal delays the stop by a bounded time only", patient, async () => {
  const folder = folderWith({ "flows.ts": flows });
  const { server, url } = await serve(["flows.ts"], { cwd: folder });
  await start(url, "stubborn", {});
  await server.output(/deaf: running/);
  const startedAt = performance.now();
  server.kill("SIGINT");
  expect((await server.ended).code).toBe(0);
  expect(performance.now() - startedAt).toBeLessThan(9_000);
});

test.each([
  ["SIGINT", 130],
  ["SIGTERM", 143],
] as const)("a second %s exits at once, with %i", patient, async (signal, code) => {
  const folder = folderWith({ "flows.ts": flows });
  const { server, url } = await serve(["flows.ts"], { cwd: folder });
  await start(url, "stubborn", {});
  await server.output(/deaf: running/);
  server.kill(signal);
  await server.output(new RegExp(`${signal}: stopping`));
  server.kill(signal);
  expect((await server.ended).code).toBe(code);
});

test("an idle server burns no CPU, before and after it has had work", patient, async () => {
  const folder = folderWith({ "flows.ts": flows, open: "" });
  const { server, url } = await serve(["flows.ts"], { cwd: folder });
  await start(url, "gated", { input: { gate: join(folder, "open") } });
  await server.output(/run succeeded/);
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  const before = cpuTicks(server.pid);
  await new Promise((resolve) => setTimeout(resolve, 2_000));
  // A tick is 10 ms.
  expect(cpuTicks(server.pid) - before).toBeLessThanOrEqual(3);
});

test("--once exits with 0 when the run succeeded, and shows its output", patient, async () => {
  const folder = folderWith({ "flows.ts": flows });
  writeFileSync(join(folder, "input.json"), JSON.stringify({ gate: folder }));
  const flags = ["--demo", "input.json", "--demo-workflow", "gated", "--once", "--port", "0"];
  const ended = await pawl(["dev", "flows.ts", ...flags], { cwd: folder });
  expect(ended).toMatchObject({ code: 0, stderr: "" });
  expect(ended.stdout).toMatch(/Run \w+ succeeded. Output: \{\s+"first": 1,\s+"gate": 1\s+\}/);
});

test("--once exits with 1 and the reason when the run failed, or could not be started", patient, async () => {
  const folder = folderWith({ "flows.ts": flows, "null.json": "null", "5.json": "5" });
  const once = (input: string, workflow: string): ReturnType<typeof pawl> =>
    pawl(["dev", "flows.ts", "--port", "0", "--once", "--demo", input, "--demo-workflow", workflow], { cwd: folder });
  const failed = await once("null.json", "broken");
  expect(failed.code).toBe(1);
  // FatalError is recognised: there is no second attempt.
  expect(failed.stdout).toMatch(/Run \w+ ended as failed. FatalError: not today \(step only\)/);
  expect(failed.stdout).not.toContain("attempt 2");
  const refused = await once("5.json", "gated");
  expect(refused.code).toBe(1);
  expect(refused.stdout).toContain('The input of workflow "gated" is not valid');
});

test("--once that is interrupted exits with 1; the run goes on at the next start", patient, async () => {
  const folder = folderWith({ "flows.ts": flows });
  writeFileSync(join(folder, "input.json"), JSON.stringify({ gate: join(folder, "open") }));
  const flags = ["--demo", "input.json", "--demo-workflow", "gated", "--once", "--port", "0"];
  const server = new PawlProcess(["dev", "flows.ts", ...flags], { cwd: folder });
  await server.output(/gate: running/);
  server.kill("SIGTERM");
  const ended = await server.ended;
  expect(ended.code).toBe(1);
  expect(ended.stdout).toContain("it goes on at the next start");

  writeFileSync(join(folder, "open"), "");
  const next = await serve(["flows.ts"], { cwd: folder });
  await next.server.output(/run succeeded/);
});

test("a port in use, and a data directory in use, are told plainly", patient, async () => {
  const folder = folderWith({ "flows.ts": flows });
  const { url } = await serve(["flows.ts"], { cwd: folder });
  const port = new URL(url).port;
  const samePort = await pawl(["dev", "flows.ts", "--port", port, "--data-dir", "other"], { cwd: folder });
  expect(samePort).toMatchObject({ code: 1, stdout: "" });
  expect(samePort.stderr).toMatch(/^pawl: Port \d+ of 127\.0\.0\.1 is in use.*--port \d+.*--port 0\.\n$/);
  const sameData = await pawl(["dev", "flows.ts", "--port", "0"], { cwd: folder });
  expect(sameData).toMatchObject({ code: 1, stdout: "" });
  expect(sameData.stderr).toMatch(/^pawl: The data file .*pawl\.db is in use: .*--data-dir <folder>\.\)\n$/);
});

test("a data directory that cannot be made is told plainly", patient, async () => {
  const folder = folderWith({ "flows.ts": flows, taken: "" });
  const ended = await pawl(["dev", "flows.ts", "--port", "0", "--data-dir", "taken"], { cwd: folder });
  expect(ended.code).toBe(1);
  expect(ended.stderr).toMatch(/^pawl: The data directory .*taken cannot be created: .*--data-dir\.\n$/);
});

test("code that is gone parks its runs and says so; code that is back finishes them", patient, async () => {
  const folder = folderWith({ "flows.ts": flows });
  const gate = join(folder, "open");
  const first = await serve(["flows.ts"], { cwd: folder });
  await start(first.url, "gated", { runId: "r", input: { gate } });
  await first.server.output(/gate: running/);
  first.server.kill("SIGTERM");
  await first.server.ended;
  writeFileSync(join(folder, "flows.ts"), flows.replace('"gate", {', '"door", {'));
  const second = await serve(["flows.ts"], { cwd: folder });
  await second.server.output(/run paused: .*no longer has step "gate"/);
  second.server.kill("SIGTERM");
  await second.server.ended;

  writeFileSync(join(folder, "flows.ts"), flows);
  writeFileSync(gate, "");
  const third = await serve(["flows.ts"], { cwd: folder });
  const resumed = await fetch(`${third.url}/runs/r/resume`, { method: "POST" });
  expect(resumed.status).toBe(202);
  await third.server.output(/run succeeded/);
});

test(
  "a promise that a step forgot is logged, and the server goes on; a stray exception ends it with 1",
  patient,
  async () => {
    const stray = `
    import { workflow } from "pawl";
    export const forgets = workflow("forgets", {}, (w) => {
      w.step("only", { run: () => void Promise.reject(new Error("forgotten")) });
    });
    export const throws = workflow("throws", {}, (w) => {
      w.step("only", { run: () => void setTimeout(() => { throw new Error("stray"); }, 1) });
    });`;
    const folder = folderWith({ "stray.ts": stray });
    const { server, url } = await serve(["stray.ts"], { cwd: folder });
    await start(url, "forgets", {});
    await server.output(/error: a promise was rejected.*Error: forgotten/);
    expect((await fetch(`${url}/healthz`)).status).toBe(200);
    await start(url, "throws", {});
    const ended = await server.ended;
    expect(ended.code).toBe(1);
    expect(ended.stdout).toMatch(/error: an exception that nobody caught ends the server.*Error: stray/);
  },
);

test("the examples are served as they lie in the clone", patient, async () => {
  const folder = folderWith({});
  const { server } = await serve(["examples/hello.ts", "--data-dir", folder], { cwd: root });
  expect(server.stdout).toContain("hello (3 steps)");
  expect(server.stdout).not.toContain("another copy");
});

/** User and system time, in ticks. */
function cpuTicks(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
  return Number(fields[11]) + Number(fields[12]);
}
