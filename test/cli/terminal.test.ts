// Hunts: a command that no user has ever typed, that says something else than it does, that a pipe or a narrow terminal
// garbles, or that acts on many runs without having been asked to.
import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { stripVTControlCharacters } from "node:util";
import type { Command } from "commander";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createProgram } from "../../lib/cli/program.ts";
import { buildOnce, type Ended, type PawlOptions, PawlProcess, root, serve } from "./pawl-process.ts";

const patient = { timeout: 60_000 };

const flows = `
import { existsSync, writeFileSync } from "node:fs";
import { setTimeout } from "node:timers/promises";
import { FatalError, workflow } from "pawl";
import * as z from "zod";

export const order = workflow("order", { input: z.object({ card: z.string() }) }, (w) => {
  const check = w.step("check", {
    run: ({ input }) => { if (input.card === "expired" && !existsSync("renewed")) throw new FatalError("card expired"); },
  });
  const reserve = w.step("reserve", { after: [check], run: () => 3 });
  const approval = w.signal("approval", { after: [check, reserve], payload: z.object({ ok: z.boolean() }) });
  return w.step("ship", { after: [approval], run: ({ outputs }) => outputs.approval });
});

export const gated = workflow("gated", { input: z.string() }, (w) => {
  const first = w.step("first", { run: () => 1 });
  return w.step("gate", {
    after: [first],
    run: async ({ input, signal }) => { while (!existsSync(input)) await setTimeout(20, undefined, { signal }); return "open"; },
  });
});

export const asks = workflow("asks", {}, (w) => w.step("review", { run: ({ interrupt }) => interrupt("good?", z.boolean()) }));

export const pays = workflow("pays", {}, (w) => {
  w.callback("payment", { run: ({ token, runId }) => writeFileSync(\`token-\${runId}\`, token) });
});
`;

const good = { card: "good" };
const expired = { card: "expired" };

let folder: string;
let server: PawlProcess;
let url: string;

/** Paths of the commands that a test has typed, such as `bulk redrive`. */
const typed = new Set<string>();

beforeAll(async () => {
  buildOnce();
  folder = await mkdtemp(join(tmpdir(), "pawl-terminal-"));
  writeFileSync(join(folder, "flows.ts"), flows);
  ({ server, url } = await serve(["flows.ts"], { cwd: folder, owner: "caller" }));
  typed.add("dev");
}, 90_000);

afterAll(async () => {
  server.kill("SIGTERM");
  await server.ended;
  await rm(folder, { recursive: true, force: true });
});

function run(...args: string[]): Promise<Ended> {
  return runWith({}, ...args);
}

function runWith(options: PawlOptions, ...args: string[]): Promise<Ended> {
  return start(options, ...args).ended;
}

function start(options: PawlOptions, ...args: string[]): PawlProcess {
  typed.add(pathOf(args));
  return new PawlProcess(args, { cwd: folder, ...options, env: { PAWL_URL: url, ...options.env } });
}

/** On a terminal of 80 columns. */
function sit(...args: string[]): PawlProcess {
  return start({ terminal: { columns: 80, rows: 20 } }, ...args);
}

function pathOf(args: readonly string[]): string {
  const path: string[] = [];
  let commands: readonly Command[] = program.commands;
  for (const word of args) {
    const inner = commands.find((one) => one.name() === word);
    if (inner === undefined) break;
    path.push(word);
    commands = inner.commands;
  }
  return path.join(" ");
}

const program = createProgram(() => {});

/** Starts a run, and waits for what its test needs. */
async function begin(workflow: string, runId: string, input?: unknown, ...flags: string[]): Promise<void> {
  const stdin = input === undefined ? {} : { stdin: JSON.stringify(input) };
  const from = input === undefined ? [] : ["--input", "-"];
  const ended = await runWith(stdin, "start", workflow, "--run-id", runId, ...from, ...flags);
  expect(ended, ended.stderr).toMatchObject({ code: 0, stderr: "" });
}

async function fail(...runIds: string[]): Promise<void> {
  for (const runId of runIds) {
    const stdin = JSON.stringify(expired);
    const ended = await runWith({ stdin }, "start", "order", "--run-id", runId, "--input", "-", "--wait");
    expect(ended.code).toBe(1);
  }
}

/** Asks until it is so: statuses of runs follow what steps do by a moment. */
async function until(isSo: (ended: Ended) => boolean, ...args: string[]): Promise<Ended> {
  for (;;) {
    const ended = await run(...args);
    if (isSo(ended)) return ended;
  }
}

const json = async (...args: string[]): Promise<ReturnType<typeof JSON.parse>> => {
  const ended = await run(...args, "--json");
  expect(ended.stderr).toBe("");
  return JSON.parse(ended.stdout);
};

describe("one run:", () => {
  test("start, show, input, output, signal, fork", patient, async () => {
    await begin("order", "one", good, "--tag", "customer=c-1");
    await until(({ stdout }) => /approval +waiting/.test(stdout), "show", "one");
    expect(await json("input", "one")).toEqual(good);
    expect((await run("input", "one")).stdout).toBe('{\n  "card": "good"\n}\n');
    const signalled = await run("signal", "one", "approval", "--data", '{"ok":true}');
    expect(signalled).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^Signal approval is delivered to run one/),
    });
    await until(({ stdout }) => /status +succeeded/.test(stdout), "show", "one");
    expect(await json("show", "one")).toMatchObject({ runId: "one", status: "succeeded", output: { ok: true } });
    expect(await json("output", "one")).toEqual({ ok: true });
    expect((await run("output", "one", "reserve")).stdout).toBe("3\n");
    const forked = await run("fork", "one", "--from", "ship", "--run-id", "one-again", "--wait");
    expect(forked).toMatchObject({ code: 0, stdout: expect.stringMatching(/forked +from run one, step ship/) });
    expect(await json("fork", "one", "--from", "ship", "--run-id", "one-again")).toMatchObject({ runId: "one-again" });
    const late = await run("signal", "one", "approval", "--data", '{"ok":false}', "--json");
    expect(late).toMatchObject({ code: 1, stdout: "", stderr: expect.stringMatching(/_conflict, see docs/) });
    const started = await runWith({ stdin: JSON.stringify(good) }, "start", "order", "--input", "-", "--json");
    expect(JSON.parse(started.stdout)).toMatchObject({ status: "running" });
  });

  test("pause, resume, cancel, terminate, redrive", patient, async () => {
    await begin("order", "steered", good);
    expect((await run("pause", "steered")).stdout).toBe("Run steered is paused.\n");
    expect(await json("resume", "steered")).toMatchObject({ status: "running" });
    expect(await json("pause", "steered")).toMatchObject({ status: "paused" });
    expect((await run("resume", "steered")).stdout).toBe("Run steered is running.\n");
    expect((await run("terminate", "steered")).stdout).toBe("Run steered is cancelled.\n");
    expect((await run("redrive", "steered")).stdout).toMatch(/^Run steered goes on\./);
    expect(await json("cancel", "steered")).toMatchObject({ status: "cancelled" });
    expect(await json("redrive", "steered")).toMatchObject({ status: "running", redrives: 2 });
    expect((await run("cancel", "steered")).stdout).toBe("Run steered is cancelled.\n");
    expect(await json("terminate", "steered")).toMatchObject({ status: "cancelled" });
  });

  test("answer", patient, async () => {
    for (const runId of ["asked", "asked-too"]) {
      await begin("asks", runId);
      await until(({ stdout }) => stdout.includes("review asks"), "show", runId);
    }
    expect((await run("answer", "asked", "--data", "true")).stdout).toMatch(/^Run asked has the answer/);
    expect(await json("answer", "asked-too", "--data", "false")).toMatchObject({ runId: "asked-too" });
  });

  test("callback", patient, async () => {
    for (const runId of ["paid", "paid-too"]) {
      await begin("pays", runId);
      await until(({ stdout }) => stdout.includes("for callback"), "show", runId);
    }
    const token = (runId: string): string => readFileSync(join(folder, `token-${runId}`), "utf8");
    expect((await run("callback", "heartbeat", token("paid"))).stdout).toBe(
      "The callback waits on; run paid is running.\n",
    );
    expect((await run("callback", "succeed", token("paid"))).stdout).toMatch(/^The callback is answered; run paid/);
    const failed = await json("callback", "fail", token("paid-too"), "--message", "no funds", "--final");
    expect(failed).toMatchObject({ runId: "paid-too" });
  });

  test("purge deletes what has ended, and nothing else", patient, async () => {
    await begin("order", "open", good);
    const refused = await run("purge", "open");
    expect(refused).toMatchObject({ code: 1, stdout: "", stderr: expect.stringContaining("status_conflict") });
    await fail("gone", "gone-too");
    expect(await run("purge", "gone")).toMatchObject({ code: 0, stdout: "Run gone is deleted.\n" });
    expect(await json("purge", "gone-too")).toEqual({ runId: "gone-too" });
    expect((await run("show", "gone")).stderr).toContain("run_not_found");
    await run("cancel", "open");
  });
});

describe("workflows:", () => {
  test("workflows and graph", patient, async () => {
    expect((await run("workflows")).stdout).toContain("\n\norder  ");
    expect((await json("workflows")).workflows.map(({ name }: { name: string }) => name)).toContain("order");
    expect((await run("graph", "order")).stdout).toBe(
      [
        "order",
        "└─ check",
        "   └─ reserve",
        "      └─ approval  (and after check; signal)",
        "         └─ ship  (the output)",
        "",
      ].join("\n"),
    );
    const graph = await json("graph", "order");
    expect(graph.edges).toContainEqual({ from: "check", to: "approval", kind: "after" });
    expect(JSON.parse((await run("graph", "order", "--format", "json")).stdout)).toEqual(graph);
    expect((await run("graph", "order", "--format", "mermaid")).stdout).toMatch(/^flowchart TD\n {2}s0\["check"\]\n/);
    expect((await run("graph", "order", "--format", "dot")).stdout).toMatch(/^digraph "order" \{\n/);
    expect(await run("graph", "nope")).toMatchObject({ code: 1, stderr: expect.stringContaining("Known are: asks") });
  });
});

describe("many runs:", () => {
  test("ls: by each of its criteria, page by page", patient, async () => {
    for (let n = 1; n <= 5; n++) await begin("asks", `listed-${n}`, undefined, "--tag", "list=yes");
    const ids = ({ stdout }: Ended): string[] => [...stdout.matchAll(/listed-\d/g)].map(([id]) => id);
    const all = ["listed-5", "listed-4", "listed-3", "listed-2", "listed-1"];
    const listed = await run("ls", "--tag", "list=yes");
    expect(listed).toMatchObject({ code: 0, stderr: "" });
    expect(listed.stdout).toMatch(/^run +status +workflow +created +took\nlisted-5 {2}● running {2}asks {6}\d{4}-/);
    expect(ids(listed)).toEqual(all);
    expect(ids(await run("ls", "--tag", "list=yes", "--all"))).toEqual(all);
    expect(ids(await run("ls", "--workflow", "asks", "--status", "running", "--from", "1h"))).toEqual(all);
    expect(await run("ls", "--tag", "list=yes", "--to", "1h")).toMatchObject({
      stdout: "",
      stderr: "No run matches.\n",
    });
    expect(await run("ls", "--parent", "listed-1", "--all")).toMatchObject({ code: 0, stdout: "" });
    expect(await run("ls", "--fingerprint", "nope")).toMatchObject({ code: 0, stdout: "" });

    const first = await run("ls", "--tag", "list=yes", "--limit", "2");
    expect(ids(first)).toEqual(all.slice(0, 2));
    const [, hint = ""] = /There may be more: pawl (.*)\n/.exec(first.stderr) ?? [];
    const second = await run(...hint.split(" "));
    expect(ids(second)).toEqual(all.slice(2, 4));
    const page = await json("ls", "--tag", "list=yes", "--limit", "3");
    expect(page.runs).toHaveLength(3);
    const rest = await json("ls", "--tag", "list=yes", "--cursor", page.cursor);
    expect(rest.runs.map(({ runId }: { runId: string }) => runId)).toEqual(all.slice(3));
    const refused = await run("ls", "--cursor", "forged");
    expect(refused).toMatchObject({ code: 1, stderr: expect.stringContaining("invalid_cursor") });
  });

  test("failures: grouped, with the run to look at and what to do next", patient, async () => {
    await fail("f-1", "f-2");
    const { failures } = await json("failures", "--workflow", "order");
    expect(failures).toHaveLength(1);
    expect(failures[0]).toMatchObject({ workflow: "order", step: "check", message: "card expired", example: "f-2" });
    const shown = await run("failures");
    expect(shown.stdout).toMatch(
      /^runs +fingerprint +workflow +step +last +example\n +\d+ {2}\S+ +order +check +\S+Z +f-2 +FatalError: card expired\n/,
    );
    expect(shown.stdout).toContain("pawl bulk redrive --fingerprint");
    const alike = await run("ls", "--fingerprint", failures[0].fingerprint);
    expect(alike.stdout).toMatch(/f-2 +✗ failed[^]*f-1 +✗ failed/);
    expect(await run("failures", "--workflow", "asks")).toMatchObject({
      code: 0,
      stdout: "",
      stderr: "No run is failed.\n",
    });
  });

  test("stats: by workflow, with bars per day", patient, async () => {
    await fail("s-1");
    const stats = await json("stats", "--days", "3", "--workflow", "order");
    expect(stats.workflows).toHaveLength(1);
    expect(stats.byStatus.failed).toBeGreaterThan(0);
    const shown = await run("stats", "--days", "3");
    expect(shown.stdout).toMatch(
      /^\d+ runs created \d{4}-\d\d-\d\d to \d{4}-\d\d-\d\d \(UTC\)\n\nworkflow +runs .* p50 +p95 +per day\n/,
    );
    expect(shown.stdout).toMatch(/\norder +\d+ .*··[▁-█]\n/);
  });

  test("bulk: counted, then done, then told", patient, async () => {
    await fail("b-1", "b-2");
    const { fingerprint } = (await json("failures", "--workflow", "order")).failures[0];
    const dry = await run("bulk", "redrive", "--fingerprint", fingerprint, "--dry-run");
    expect(dry).toMatchObject({ code: 0, stderr: "" });
    expect(dry.stdout).toMatch(/^redrive acts on \d+ runs: takes about .*, and costs .* on AWS\.\nSuch as b-2, b-1/);
    const { runs } = await json("bulk", "redrive", "--fingerprint", fingerprint, "--dry-run");
    writeFileSync(join(folder, "renewed"), "");
    const args = ["--fingerprint", fingerprint, "--yes", "--operation-id", "renew", "--rate", "200"];
    const done = await run("bulk", "redrive", ...args, "--wait");
    expect(done, done.stderr).toMatchObject({ code: 0, stderr: "" });
    expect(done.stdout).toMatch(new RegExp(`status +succeeded after .*\nprogress +${runs} of ${runs} done\n$`));
    await rm(join(folder, "renewed"));
    expect((await run("show", "b-1")).stdout).toMatch(/redriven +once/);
    expect(await json("bulk", "show", "renew")).toMatchObject({ operationId: "renew", progress: { done: runs } });
    expect((await run("bulk", "show", "renew", "--wait")).stdout).toMatch(/^operation +renew\naction +redrive\n/);
    expect(await run("bulk", "show", "nope")).toMatchObject({
      code: 1,
      stderr: expect.stringContaining("operation_not_found"),
    });
    expect(await run("bulk", "abort", "renew")).toMatchObject({
      code: 1,
      stderr: expect.stringContaining("status_conflict"),
    });
  });

  test("bulk: signal, cancel, terminate, purge and abort", patient, async ({ skip }) => {
    for (let n = 1; n <= 3; n++) await begin("order", `many-${n}`, good, "--tag", "many=yes");
    await until(({ stdout }) => /approval +waiting/.test(stdout), "show", "many-3");
    const these = ["--tag", "many=yes", "--workflow", "order"];
    const signalled = await json(
      "bulk",
      "signal",
      "approval",
      "--data",
      '{"ok":true}',
      ...these,
      "--limit",
      "1",
      "--yes",
      "--wait",
    );
    expect(signalled).toMatchObject({ action: "signal", status: "succeeded", progress: { done: 1 } });
    const slow = await json("bulk", "cancel", ...these, "--rate", "1", "--yes", "--operation-id", "slow");
    expect(slow).toMatchObject({ operationId: "slow", action: "cancel" });
    const aborted = await run("bulk", "abort", "slow");
    expect(aborted).toMatchObject({ code: 0, stdout: expect.stringMatching(/^operation +slow\naction +cancel\n/) });
    const terminated = await json("bulk", "terminate", ...these, "--yes", "--wait");
    expect(terminated).toMatchObject({ action: "terminate", status: "succeeded" });
    const purged = await json("bulk", "purge", ...these, "--yes", "--wait");
    skip(JSON.stringify(purged.failures).includes("Runs cannot be purged yet."), "bulk operations delete no runs yet");
    expect(purged).toMatchObject({ action: "purge", status: "succeeded", progress: { done: 3, failed: 0 } });
    expect((await run("ls", ...these)).stdout).toBe("");
    const nothing = await json("bulk", "terminate", ...these, "--dry-run");
    expect(nothing).toMatchObject({ runs: 0 });
  });

  test("bulk acts on nothing that nobody has agreed to", patient, async () => {
    await fail("kept");
    const args = ["bulk", "purge", "--workflow", "order", "--status", "failed"];
    expect(await run(...args)).toMatchObject({ code: 2, stdout: "", stderr: expect.stringContaining("--yes") });
    for (const key of ["n\r", "\r", "\u0004", "\u0003"]) {
      const asked = sit(...args);
      await asked.output(/purge \d+ runs?\? \[y\/N\] /);
      asked.type(key);
      const { code, stdout } = await asked.ended;
      expect(code, JSON.stringify(key)).toBe(1);
      expect(stdout).toContain("Nothing is done.");
    }
    expect((await run("show", "kept")).code).toBe(0);
    await begin("order", "ended-by-many", good, "--tag", "agreed=yes");
    const cancel = ["bulk", "cancel", "--tag", "agreed=yes"];
    const agreed = sit(...cancel, "--wait");
    await agreed.output(/cancel acts on 1 run: [^]*\nSuch as ended-by-many\.[^]*cancel 1 run\? \[y\/N\] /);
    agreed.type("y\r");
    const { code, stdout } = await agreed.ended;
    expect(code, stdout).toBe(0);
    expect(stripVTControlCharacters(stdout)).toMatch(/status +succeeded after .*\r\nprogress +1 of 1 done\r\n/);
    expect(await json("show", "ended-by-many")).toMatchObject({ status: "cancelled" });
    const none = await sit(...cancel).ended;
    expect(none).toMatchObject({ code: 0, stdout: expect.stringContaining("No run matches: nothing to cancel.") });
  });
});

describe("tail:", () => {
  test("lines of changes, and JSON lines, where nothing can be redrawn", patient, async () => {
    const gate = join(folder, "tailed");
    await begin("gated", "tailed", gate);
    const tail = start({}, "tail", "tailed");
    await tail.output(/gate: running, attempt 1\n/);
    writeFileSync(gate, "");
    const { code, stdout, stderr } = await tail.ended;
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout.split("\n").map((line) => line.replace(/^\S+Z /, "").replace(/\d+\.\ds/, "Ts"))).toEqual([
      "run started",
      "first: succeeded, attempt 1, after Ts",
      "gate: running, attempt 1",
      "gate: succeeded, attempt 1, after Ts",
      "run succeeded after Ts",
      "",
    ]);
    const again = await run("tail", "tailed", "--json");
    const changes = again.stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(changes.at(-1)).toMatchObject({ runId: "tailed", status: "succeeded" });
    expect(changes).toContainEqual(expect.objectContaining({ step: "gate", status: "succeeded", attempt: 1 }));
  });

  test("a picture that is redrawn on a terminal, and stays when the run has ended", patient, async () => {
    const gate = join(folder, "watched");
    await begin("gated", "watched", gate);
    const tail = sit("tail", "watched");
    // eslint-disable-next-line no-control-regex -- colours are what is looked for
    await tail.output(/\u001b\[36m● /);
    await tail.output(/1 of 2 steps/);
    // Times move on although nothing happens, and the server is asked once a second.
    await tail.output(/running 2\.\ds/);
    expect(new Set(tail.stdout.match(/running \d\.\ds/g)).size).toBeGreaterThan(3);
    writeFileSync(gate, "");
    const { code, stdout } = await tail.ended;
    expect(code).toBe(0);
    const last = stripVTControlCharacters(stdout).split("gated watched").at(-1) ?? "";
    expect(last).toMatch(
      /^ succeeded after \d\.\ds\r\n {2}✓ first {2}succeeded {3}attempt 1 {2}.*\r\n {2}✓ gate {3}succeeded/,
    );
    // Written over in place: the lines above the last picture are erased.
    expect(stdout).toContain("\u001b[2K\u001b[1A");
  });

  test("Ctrl-C leaves, and the run goes on", patient, async () => {
    const gate = join(folder, "left");
    await begin("gated", "left", gate);
    const tail = sit("tail", "left");
    await tail.output(/1 of 2 steps/);
    tail.type("\u0003");
    const { code, stdout } = await tail.ended;
    expect(code).toBe(130);
    expect(stdout).toContain("Run left goes on. Follow it again with: pawl tail left");
    expect(await json("show", "left")).toMatchObject({ status: "running" });
    writeFileSync(gate, "");
    expect(await run("tail", "left")).toMatchObject({ code: 0, stderr: "" });
  });

  test("ends as the run does: 1 for a failed one, and for one that is not there", patient, async () => {
    await fail("lost");
    const { code, stdout } = await run("tail", "lost");
    expect(code).toBe(1);
    expect(stdout).toMatch(/Z run failed after \d\.\ds: FatalError: card expired \(step check\)\n$/);
    expect(await run("tail", "nope")).toMatchObject({
      code: 1,
      stdout: "",
      stderr: expect.stringContaining("run_not_found"),
    });
  });
});

describe("cost:", () => {
  const stdin = JSON.stringify(good);
  const flags = ["cost", "flows.ts", "--workflow", "order", "--input", "-"];

  test("a run that ends, as a table and as JSON", patient, async () => {
    const signal = ["--signal", 'approval={"ok":true}', "--memory", "128"];
    const table = await runWith({ stdin }, ...flags, ...signal);
    expect(table).toMatchObject({ code: 0, stderr: "" });
    expect(table.stdout).toMatch(
      /^order: one run, succeeded, 4 attempts\n\nA million runs like this one +\$\d+\.\d\d\n/,
    );
    expect(table.stdout).toContain("AWS Step Functions, Standard");
    const { stdout } = await runWith({ stdin }, ...flags, ...signal, "--json");
    const report = JSON.parse(stdout);
    expect(report).toMatchObject({ workflow: "order", status: "succeeded", attempts: 4, region: "us-east-1" });
    const sum = (all: readonly { readonly dollars: number }[]) => all.reduce((sum, { dollars }) => sum + dollars, 0);
    expect(sum(report.lines)).toBeCloseTo(report.dollars, 6);
    expect(sum(report.parts)).toBeCloseTo(report.dollars, 6);
  });

  test("a run that waits for somebody is billed up to there", patient, async () => {
    const { code, stdout } = await runWith({ stdin }, ...flags);
    expect(code).toBe(1);
    expect(stdout).toMatch(/^order: one run, running, \d attempts\nThe bill goes up to here\. .*approval/);
  });

  test("other prices", patient, async () => {
    writeFileSync(join(folder, "prices.json"), '{"date":"2027-01-01"}');
    const bad = await runWith({ stdin }, ...flags, "--prices", "prices.json");
    expect(bad).toMatchObject({ code: 2, stdout: "" });
    expect(bad.stderr).toMatch(
      /The prices in prices\.json are not as they should be[^]*perUnit[^]*Those of us-east-1 are: \{/,
    );
    const [, own = ""] = /Those of us-east-1 are: (\{.*\})/.exec(bad.stderr) ?? [];
    writeFileSync(join(folder, "prices.json"), own.replace(/"tableWrites":[^,]+/, '"tableWrites":1'));
    const { stdout } = await runWith({ stdin }, ...flags, "--prices", "prices.json", "--json");
    expect(JSON.parse(stdout)).toMatchObject({ region: "prices.json" });
    expect(JSON.parse(stdout).dollars).toBeGreaterThan(1_000_000);
  });

  test.each([
    [
      "a workflow must be named",
      ["cost", "flows.ts"],
      "The file has several workflows: asks, gated, order, pays. Say which one to start with --workflow.",
    ],
    [
      "one that is not there",
      ["cost", "flows.ts", "--workflow", "no"],
      '--workflow is "no"; the file has asks, gated, order, pays.',
    ],
    ["an input that does not fit", ["cost", "flows.ts", "--workflow", "order"], "input"],
    ["memory that Lambda does not have", ["cost", "flows.ts", "--memory", "64"], "Allowed are 128 to 10240."],
    ["a duration that is none", ["cost", "flows.ts", "--invocation", "soon"], "Allowed are 1ms to 15m."],
  ])("%s", patient, async (_, args, message) => {
    const { code, stdout, stderr } = await run(...args);
    expect([code, stdout]).toEqual([message === "input" ? 1 : 2, ""]);
    expect(stderr).toContain(message);
    expect(stderr).not.toContain("    at ");
  });
});

describe("the terminal:", () => {
  test("tables fit it; files and pipes get all of it", patient, async () => {
    const long = "x".repeat(100);
    await begin("asks", "narrow", undefined, "--tag", `long=${long}`);
    const args = ["ls", "--tag", `long=${long}`];
    for (const columns of [40, 80]) {
      const { stdout } = await start({ terminal: { columns, rows: 20 } }, ...args).ended;
      const lines = stripVTControlCharacters(stdout).trimEnd().split("\r\n");
      expect(lines).toHaveLength(2);
      expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(columns);
      expect(lines[1]).toMatch(/^narrow {2}● running.*…$/);
    }
    expect((await run(...args)).stdout).toContain(`long=${long}\n`);
  });

  test("colours are for terminals, and NO_COLOR is respected", patient, async () => {
    await begin("asks", "colourful", undefined, "--tag", "colour=yes");
    const args = ["ls", "--tag", "colour=yes"];
    // eslint-disable-next-line no-control-regex -- colours are what is looked for
    const colour = /\u001b\[\d/;
    expect((await sit(...args).ended).stdout).toMatch(colour);
    const plain = { terminal: { columns: 80, rows: 20 }, env: { NO_COLOR: "1" } };
    expect((await start(plain, ...args).ended).stdout).not.toMatch(colour);
    expect((await runWith({ env: { FORCE_COLOR: "1" } }, ...args)).stdout).not.toMatch(colour);
  });

  test("a list that nobody reads to its end stops asking", patient, async () => {
    await begin("asks", "piped");
    const { status, stderr } = pipedInto("head -n 1", ["ls", "--all", "--url", url]);
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  });
});

test("completion prints a script for each shell", patient, async () => {
  for (const shell of ["bash", "zsh", "fish", "powershell"]) {
    const { code, stdout, stderr } = await run("completion", shell);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toMatch(/pawl complete /);
  }
});

test("every command has been typed", () => {
  const leaves = (command: Command, path: readonly string[]): string[] =>
    command.commands.flatMap((one) => {
      const inner = [...path, one.name()];
      return one.commands.length > 0 ? leaves(one, inner) : [inner.join(" ")];
    });
  // What shells call; completion.test.ts does in their place.
  const ofShells = ["complete"];
  expect([...typed].sort()).toEqual(
    leaves(program, [])
      .filter((path) => !ofShells.includes(path))
      .sort(),
  );
});

function pipedInto(
  reader: string,
  args: readonly string[],
): { readonly status: number | null; readonly stderr: string } {
  const bin = join(root, "dist/bin/pawl.js");
  const command = `"${process.execPath}" "${bin}" ${args.join(" ")} | ${reader} > /dev/null; exit "\${PIPESTATUS[0]}"`;
  const { status, stderr } = spawnSync("bash", ["-c", command], { encoding: "utf8" });
  return { status, stderr };
}
