// Hunts: waits that a killed server forgets or cuts short, and commands for them that send or tell something else.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { buildOnce, type Ended, folderWith, type PawlProcess, pawl, serve } from "./pawl-process.ts";

const patient = { timeout: 30_000 };

beforeAll(buildOnce, 60_000);

const waits = `
import { existsSync } from "node:fs";
import { FatalError, workflow } from "pawl";
import * as z from "zod";

export const asks = workflow("asks", {}, (w) => {
  const prepare = w.step("prepare", { run: () => "prepared" });
  const approval = w.signal("approval", {
    after: [prepare],
    payload: z.object({ ok: z.boolean(), by: z.string() }),
    timeout: "2d",
    onTimeout: "skip",
  });
  const go = w.signal("go", { after: [approval] });
  return w.step("end", { after: [approval, go], run: ({ outputs }) => outputs.approval?.by ?? "nobody" });
});

export const naps = workflow("naps", {}, (w) => {
  const nap = w.sleep("nap", { duration: "3s" });
  return w.step("end", { after: [nap], run: () => "awake" });
});

export const fragile = workflow("fragile", { input: z.object({ gate: z.string() }) }, (w) => {
  const first = w.step("first", { run: () => process.pid });
  return w.step("gated", {
    after: [first],
    run: ({ input, outputs }) => {
      if (!existsSync(input.gate)) throw new FatalError("the gate is closed");
      return outputs.first;
    },
  });
});
`;

interface Serving {
  readonly folder: string;
  readonly server: PawlProcess;
  readonly url: string;
  readonly run: (...args: string[]) => Promise<Ended>;
}

async function serving(folder = folderWith({ "waits.ts": waits })): Promise<Serving> {
  const { server, url } = await serve(["waits.ts"], { cwd: folder });
  return { folder, server, url, run: (...args) => pawl(args, { cwd: folder, env: { PAWL_URL: url } }) };
}

async function killed({ server, folder }: Serving): Promise<string> {
  server.kill("SIGKILL");
  await server.ended;
  return folder;
}

test("a wait outlives kill -9: the signal that is sent to the next server ends the run", patient, async () => {
  const first = await serving();
  await first.run("start", "asks", "--run-id", "r");
  const [, answer = ""] = await first.server.output(
    /asks r approval: waiting for signal approval, until \S+ \S+\n {2}answer with: pawl (.*)\n/,
  );
  expect(answer).toBe(`signal r approval --data '{"ok":true,"by":"Ada"}' --url ${first.url}`);

  const second = await serving(await killed(first));
  const shown = await second.run("show", "r");
  expect(shown.stdout).toMatch(/approval {2}waiting +1 +since \S+Z; until \S+Z\n/);
  const sent = await second.run("signal", "r", "approval", "--data", '{"ok":true,"by":"Grace"}');
  expect(sent).toMatchObject({
    code: 0,
    stdout: "Signal approval is delivered to run r, which is running.\n",
    stderr: "",
  });
  await second.server.output(/asks r approval: signal received\n/);
  await second.server.output(/asks r go: waiting for signal go\n {2}answer with: pawl signal r go --url/);

  const third = await serving(await killed(second));
  expect((await third.run("signal", "r", "go")).code).toBe(0);
  await third.server.output(/run succeeded/);
  const run = JSON.parse((await third.run("show", "r", "--json")).stdout);
  expect(run).toMatchObject({ status: "succeeded", output: "Grace", steps: { prepare: { attempt: 1 } } });
  expect(third.server.stdout).not.toContain("prepare: running");
});

test("a sleep outlives kill -9, and ends when it was to end", patient, async () => {
  const first = await serving();
  await first.run("start", "naps", "--run-id", "r");
  await first.server.output(/naps r nap: waiting until \d\d:\d\d:\d\d\n/);
  const second = await serving(await killed(first));
  await second.server.output(/run succeeded/);
  const { steps, output } = JSON.parse((await second.run("show", "r", "--json")).stdout);
  expect(output).toBe("awake");
  expect(steps.nap).toMatchObject({ status: "succeeded", attempt: 1 });
  const sleptMs = Date.parse(steps.nap.endedAt) - Date.parse(steps.nap.startedAt);
  expect(sleptMs).toBeGreaterThanOrEqual(3_000);
  expect(sleptMs).toBeLessThan(10_000);
});

test("a sleep that is over while no server runs ends at the next start", patient, async () => {
  const first = await serving();
  await first.run("start", "naps", "--run-id", "r");
  await first.server.output(/nap: waiting until/);
  const { startedAt } = JSON.parse((await first.run("show", "r", "--json")).stdout).steps.nap;
  const folder = await killed(first);
  await new Promise((resolve) => setTimeout(resolve, 3_100));
  const second = await serving(folder);
  await second.server.output(/run succeeded/);
  const { nap } = JSON.parse((await second.run("show", "r", "--json")).stdout).steps;
  expect(nap).toMatchObject({ status: "succeeded", attempt: 1, startedAt });
  expect(second.server.stdout).not.toContain("nap: waiting");
});

test(
  "a payload comes from a file, from standard input or as an argument, and early ones are kept",
  patient,
  async () => {
    const { run, url, folder } = await serving();
    writeFileSync(join(folder, "answer.json"), '{"ok":true,"by":"file"}');
    const later = ["--run-id", "r"];
    await run("start", "asks", ...later);
    expect((await run("signal", "r", "approval", "--payload", "answer.json")).code).toBe(0);
    const early = await pawl(["signal", "s", "approval", "--payload", "-", "--url", url], { stdin: "{}" });
    expect(early).toMatchObject({ code: 1, stderr: expect.stringContaining("run_not_found") });
    await run("start", "asks", "--run-id", "s");
    const kept = await run("signal", "s", "go");
    expect(kept.stdout).toBe("Signal go is kept until its step begins in run s, which is running.\n");
    const stdin = '{"ok":false,"by":"standard input"}';
    const sent = await pawl(["signal", "s", "approval", "--payload", "-", "--url", url, "--json"], { stdin });
    expect(JSON.parse(sent.stdout)).toMatchObject({ runId: "s", steps: { approval: { status: "succeeded" } } });
    await expect
      .poll(async () => JSON.parse((await run("show", "s", "--json")).stdout))
      .toMatchObject({ status: "succeeded", output: "standard input" });
  },
);

test("what is refused exits with 1 and the server's words; wrong usage exits with 2", patient, async () => {
  const { run, server } = await serving();
  await run("start", "asks", "--run-id", "r");
  await server.output(/approval: waiting/);
  const refused = async (...args: string[]): Promise<string> => {
    const ended = await run(...args);
    expect(ended, args.join(" ")).toMatchObject({ code: 1, stdout: "" });
    return ended.stderr;
  };
  expect(await refused("signal", "r", "aproval")).toMatch(
    /takes no signal "aproval"\. It takes: approval, go\. \(signal_/,
  );
  expect(await refused("signal", "r", "approval", "--data", "5")).toContain("(invalid_payload, see");
  expect(await refused("signal", "r", "approval")).toContain("(invalid_payload, see");
  await run("signal", "r", "approval", "--data", '{"ok":true,"by":"A"}');
  expect(await refused("signal", "r", "approval", "--data", '{"ok":true,"by":"B"}')).toContain("A signal counts once.");
  expect(await refused("redrive", "r")).toContain("(status_conflict, see");
  expect(await refused("terminate", "nope")).toContain("(run_not_found, see");

  for (const args of [
    ["signal", "r"],
    ["signal", "r", "go", "--data", "{"],
    ["signal", "r", "go", "--data", "1", "--payload", "-"],
    ["signal", "r", "go", "--payload", "nope.json"],
    ["terminate"],
    ["redrive", "r", "--wait", "soon"],
    ["redrive", "r", "--set", "go"],
    ["redrive", "r", "--set", "go={"],
    ["fork", "r"],
  ]) {
    const ended = await run(...args);
    expect(ended, args.join(" ")).toMatchObject({ code: 2, stdout: "" });
    expect(ended.stderr).not.toBe("");
  }
});

test(
  "terminate ends a run that waits; redrive goes on with it, and waits for its end when it is told to",
  patient,
  async () => {
    const { run, server, folder } = await serving();
    await run("start", "asks", "--run-id", "r");
    await server.output(/approval: waiting/);
    expect(await run("terminate", "r")).toMatchObject({ code: 0, stdout: "Run r is cancelled.\n" });
    const redriven = await run("redrive", "r");
    expect(redriven).toMatchObject({ code: 0, stdout: "Run r goes on. See it with: pawl show r\n" });
    await server.output(/asks r: run redriven\n[^]*approval: waiting for signal/);
    const open = await run("redrive", "r", "--wait");
    expect(open).toMatchObject({ code: 1, stderr: expect.stringContaining("status_conflict") });
    expect(JSON.parse((await run("terminate", "r", "--json")).stdout)).toMatchObject({
      runId: "r",
      status: "cancelled",
    });

    const gate = join(folder, "gate");
    writeFileSync(join(folder, "input.json"), JSON.stringify({ gate }));
    expect((await run("start", "fragile", "--input", "input.json", "--run-id", "f", "--wait")).code).toBe(1);
    const again = await run("redrive", "f", "--wait");
    expect(again.code).toBe(1);
    expect(again.stdout).toMatch(/error +FatalError: the gate is closed \(step gated\)/);
    writeFileSync(gate, "");
    const mended = await run("redrive", "f", "--wait", "10s");
    expect(mended.code).toBe(0);
    expect(mended.stdout).toMatch(/status +succeeded/);
    expect(server.stdout.match(/fragile f first: running/g)).toHaveLength(1);
  },
);

test("steps are ended by hand, and runs are forked", patient, async () => {
  const { run, folder } = await serving();
  const gate = join(folder, "gate");
  writeFileSync(join(folder, "input.json"), JSON.stringify({ gate }));
  expect((await run("start", "fragile", "--input", "input.json", "--run-id", "f", "--wait")).code).toBe(1);
  const unsigned = await run("redrive", "f", "--skip", "gated");
  expect(unsigned).toMatchObject({ code: 1, stdout: "", stderr: expect.stringContaining("by: is empty") });
  const signed = ["--by", "ada", "--reason", "known by heart"];
  const mended = await run("redrive", "f", "--set", 'gated={"a":"=1"}', ...signed, "--wait");
  expect(mended.code).toBe(0);
  expect(mended.stdout).toMatch(/\nredriven {3}once\n/);
  expect(mended.stdout).toMatch(/\n +gated +succeeded +1 +\S+ +by hand, ada: known by heart\n/);
  expect(mended.stdout.endsWith('output\n{\n  "a": "=1"\n}\n')).toBe(true);

  writeFileSync(gate, "");
  const fork = ["fork", "f", "--from", "gated", "--run-id", "g", "--tag", "a=1"];
  expect(await run(...fork)).toMatchObject({ code: 0, stdout: "Run g is started. See it with: pawl show g\n" });
  const ended = await run(...fork, "--wait");
  expect(ended.code).toBe(0);
  expect(ended.stdout).toMatch(/\nforked {5}from run f, step gated\n/);
  expect(ended.stdout).toMatch(/\ntags {7}a=1\n/);
  expect((await run(...fork)).stdout).toContain("was there already, from the same fork; it is succeeded");
  expect((await run("fork", "f", "--from", "nope")).stderr).toContain("(step_not_found, see");
});

test("workflows and help tell of signals and sleeps", patient, async () => {
  const { run } = await serving();
  const { stdout } = await run("workflows");
  expect(stdout).toMatch(
    /\n {2}approval {2}signal, is skipped after 2d; after prepare\n {2}go {8}signal; after approval\n/,
  );
  expect(stdout).toMatch(/\n {2}nap {2}sleep, 3s\n {2}end {2}after nap/);
  const help = (await run("--help")).stdout;
  for (const command of ["signal", "terminate", "redrive", "fork", "output"])
    expect(help).toMatch(new RegExp(`\n  ${command} `));
  expect((await run("signal", "--help")).stdout).toMatch(/--payload <file>[^]*--data <json>/);
});
