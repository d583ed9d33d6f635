// Hunts: a command that tells something else than the server did, ends with the wrong exit code, or leaves one helpless.
import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { beforeAll, expect, onTestFinished, test } from "vitest";
import { buildOnce, type Ended, flows, folderWith, pawl, root, serve } from "./pawl-process.ts";

const patient = { timeout: 30_000 };

beforeAll(buildOnce, 60_000);

async function serving(): Promise<{ folder: string; run: (...args: string[]) => Promise<Ended>; url: string }> {
  const folder = folderWith({ "flows.ts": flows });
  writeFileSync(join(folder, "open.json"), JSON.stringify({ gate: folder }));
  writeFileSync(join(folder, "closed.json"), JSON.stringify({ gate: join(folder, "gate") }));
  const { url } = await serve(["flows.ts"], { cwd: folder });
  return { folder, url, run: (...args) => pawl(args, { cwd: folder, env: { PAWL_URL: url } }) };
}

test("start, wait and show: as a table, and as the API's JSON", patient, async () => {
  const { run } = await serving();
  const started = await run(
    "start",
    "gated",
    "--input",
    "open.json",
    "--run-id",
    "r",
    "--tag",
    "a=1",
    "--tag",
    "b=x=y",
  );
  expect(started).toMatchObject({ code: 0, stderr: "" });
  expect(started.stdout).toBe("Run r is started. See it with: pawl show r\n");
  const waited = await run("start", "gated", "--input", "open.json", "--run-id", "r", "--wait");
  expect(waited.code).toBe(0);
  expect(waited.stdout).toMatch(/status +succeeded after \d/);
  expect(waited.stdout).toMatch(/step +status +attempt +took\n +first +succeeded +1 +0\.\ds\n +gate +succeeded/);
  expect(waited.stdout).toMatch(/tags +a=1, b=x=y/);
  expect(waited.stdout.endsWith('output\n{\n  "first": 1,\n  "gate": 1\n}\n')).toBe(true);
  const again = await run("start", "gated", "--input", "open.json", "--run-id", "r");
  expect(again.stdout).toContain("was there already, from the same start; it is succeeded");
  const shown = JSON.parse((await run("show", "r", "--json")).stdout);
  expect(shown).toMatchObject({ runId: "r", status: "succeeded", tags: { a: "1", b: "x=y" } });
});

test("the input comes from standard input too", patient, async () => {
  const { url, folder } = await serving();
  const args = ["start", "gated", "--url", url, "--input", "-", "--wait", "--json"];
  const ended = await pawl(args, { stdin: JSON.stringify({ gate: folder }) });
  expect(ended.code).toBe(0);
  expect(JSON.parse(ended.stdout)).toMatchObject({ status: "succeeded" });
});

test("a run that fails, and a wait that is over first, exit with 1", patient, async () => {
  const { run } = await serving();
  const failed = await run("start", "broken", "--wait");
  expect(failed.code).toBe(1);
  expect(failed.stdout).toMatch(/error +FatalError: not today \(step only\)/);
  const waited = await run("start", "gated", "--input", "closed.json", "--wait", "300ms");
  expect(waited.code).toBe(1);
  expect(waited.stderr).toMatch(/has not ended within 300ms; it goes on/);
});

test("a large payload is told by its size and the command that prints it", patient, async () => {
  const { run } = await serving();
  const ended = await run("start", "wide", "--run-id", "r", "--wait");
  expect(ended.code).toBe(0);
  expect(ended.stdout).toMatch(/\n +only +succeeded +1 +0\.\ds +2\.0 MiB: pawl output r only\n/);
  expect(ended.stdout.endsWith("\noutput     2.0 MiB: pawl output r\n")).toBe(true);
  for (const args of [
    ["output", "r"],
    ["output", "r", "only", "--json"],
  ]) {
    const printed = await run(...args);
    expect(printed).toMatchObject({ code: 0, stderr: "" });
    expect(printed.stdout).toHaveLength(2 * 1024 * 1024 + 1);
  }
  expect(await run("input", "r")).toMatchObject({ code: 1, stdout: "" });
  expect((await run("output", "r", "nope")).stderr).toContain("(step_not_found, see");
});

test("pause, resume and cancel; what is refused exits with 1 and the server's words", patient, async () => {
  const { run } = await serving();
  await run("start", "gated", "--input", "closed.json", "--run-id", "r");
  expect(await run("pause", "r")).toMatchObject({ code: 0, stdout: "Run r is paused.\n" });
  expect((await run("show", "r")).stdout).toMatch(/paused +Paused on request\./);
  expect(await run("resume", "r")).toMatchObject({ code: 0, stdout: "Run r is running.\n" });
  const cancelled = await run("cancel", "r", "--json");
  expect(JSON.parse(cancelled.stdout)).toMatchObject({ runId: "r", status: "cancelled" });
  const refused = await run("resume", "r");
  expect(refused).toMatchObject({ code: 1, stdout: "" });
  expect(refused.stderr).toMatch(/^pawl: Run r .*\(status_conflict, see docs\/errors\.md#status_conflict\)\n$/);
  expect((await run("show", "nope")).stderr).toContain("run_not_found");
  expect((await run("start", "gated")).stderr).toContain("invalid_input");
  expect((await run("start", "nope")).stderr).toContain("Known are: broken, gated, stubborn, wide");
});

test("a pipe that is closed early is no error", patient, async () => {
  const { folder, url } = await serving();
  const bin = join(root, "dist/bin/pawl.js");
  const command = `"${process.execPath}" "${bin}" workflows --url ${url} | true; exit "\${PIPESTATUS[0]}"`;
  const { status, stderr } = spawnSync("bash", ["-c", command], { cwd: folder, encoding: "utf8" });
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
});

test("workflows are shown with their steps", patient, async () => {
  const { run } = await serving();
  const { stdout } = await run("workflows");
  expect(stdout).toMatch(
    /\n\ngated {2}\S+ {2}takes an input\n {2}first\n {2}gate {3}after first\n {2}last {3}after first, gate\n/,
  );
  expect(JSON.parse((await run("workflows", "--json")).stdout).workflows).toHaveLength(4);
});

test("no server, no Pawl server, and no URL: what is there and what to do", patient, async () => {
  const web = createServer((_request, answer) => answer.end("<html>"));
  await new Promise<void>((resolve) => web.listen(0, "127.0.0.1", resolve));
  const { port } = web.address() as AddressInfo;
  onTestFinished(() => void web.close());
  const foreign = await pawl(["show", "r", "--url", `http://127.0.0.1:${port}`]);
  expect(foreign).toMatchObject({ code: 1, stderr: expect.stringContaining("Is there a Pawl server") });
  web.closeAllConnections();
  await new Promise((resolve) => web.close(resolve));
  const nobody = await pawl(["show", "r", "--url", `http://127.0.0.1:${port}`]);
  expect(nobody.code).toBe(1);
  expect(nobody.stderr).toBe(
    `pawl: No Pawl server answers at http://127.0.0.1:${port} (ECONNREFUSED). Start one with: pawl dev <file.ts>, or name another address with --url or PAWL_URL.\n`,
  );
  expect(await pawl(["show", "r", "--url", "localhost"])).toMatchObject({ code: 2 });
});

test("wrong usage exits with 2 and names the help; help and version exit with 0", patient, async () => {
  for (const args of [
    [],
    ["nope"],
    ["show"],
    ["show", "r", "--nope"],
    ["start", "w", "--tag", "x"],
    ["start", "w", "--wait", "soon"],
  ]) {
    const ended = await pawl(args);
    expect(ended, args.join(" ")).toMatchObject({ code: 2, stdout: "" });
    expect(ended.stderr).toMatch(/pawl --help|Usage: pawl/);
  }
  expect(await pawl(["start", "w", "--input", "nope.json"])).toMatchObject({ code: 2 });
  expect((await pawl(["--help"])).code).toBe(0);
  expect(await pawl(["--version"])).toMatchObject({ code: 0, stdout: expect.stringMatching(/^\d+\.\d+\.\d+\n$/) });
});
