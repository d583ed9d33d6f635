// Hunts: a Tab that hangs, prints an error into the prompt, or proposes what does not fit.
import { spawnSync } from "node:child_process";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { beforeAll, expect, onTestFinished, test } from "vitest";
import { buildOnce, flows, folderWith, pawl, root, serve } from "./pawl-process.ts";

const patient = { timeout: 60_000 };

beforeAll(buildOnce, 60_000);

/** What is proposed for the last of these words, without its descriptions; and whether the shell may add files. */
async function propose(env: Record<string, string>, ...words: string[]): Promise<{ values: string[]; files: boolean }> {
  const { code, stdout, stderr } = await pawl(["complete", "--", ...words], { env });
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  const lines = stdout.trimEnd().split("\n");
  const directive = lines.pop();
  expect(directive).toMatch(/^:[04]$/);
  return { values: lines.map((line) => line.split("\t")[0] ?? ""), files: directive === ":0" };
}

const nobody = { PAWL_URL: "http://127.0.0.1:9" };

test("commands, options and choices need no server", patient, async () => {
  expect(await propose(nobody, "ter")).toEqual({ values: ["terminate"], files: false });
  expect((await propose(nobody, "bulk", "")).values).toEqual(
    expect.arrayContaining(["redrive", "purge", "show", "abort"]),
  );
  expect((await propose(nobody, "ls", "--st")).values).toEqual(["--stack", "--status"]);
  expect((await propose(nobody, "ls", "--status", "fa")).values).toEqual(["failed"]);
  expect((await propose(nobody, "graph", "order", "--format", "")).values).toEqual(["text", "mermaid", "dot", "json"]);
  expect((await propose(nobody, "callback", "")).values).toEqual(["succeed", "fail", "heartbeat"]);
});

test("where a file belongs, the shell looks for files", patient, async () => {
  for (const words of [
    ["dev", ""],
    ["start", "order", "--input", "or"],
    ["dev", "flows.ts", "--data-dir", ""],
  ]) {
    expect(await propose(nobody, ...words)).toEqual({ values: [], files: true });
  }
  expect((await propose(nobody, "dev", "flows.ts", "--port", "")).files).toBe(false);
});

test("workflows, runs and kinds of failures come from the server", patient, async () => {
  const folder = folderWith({ "flows.ts": flows });
  const { url } = await serve(["flows.ts"], { cwd: folder });
  await pawl(["start", "broken", "--run-id", "run-1", "--wait", "--url", url]);
  const env = { PAWL_URL: url };
  expect((await propose(env, "start", "")).values).toEqual(["broken", "gated", "stubborn", "wide"]);
  expect((await propose(env, "start", "st")).values).toEqual(["stubborn"]);
  expect((await propose(env, "show", "")).values).toEqual(["run-1"]);
  expect((await propose(nobody, "tail", "--url", url, "r")).values).toEqual(["run-1"]);
  expect((await propose(env, "ls", "--workflow", "ga")).values).toEqual(["gated"]);
  const { failures } = JSON.parse((await pawl(["failures", "--json", "--url", url])).stdout);
  expect((await propose(env, "bulk", "redrive", "--fingerprint", "")).values).toEqual([failures[0].fingerprint]);
  expect((await propose(env, "bulk", "show", "")).values).toEqual([]);
});

test("no server, and one that does not answer: nothing, soon, and no word", patient, async () => {
  expect(await propose(nobody, "show", "")).toEqual({ values: [], files: false });
  const silent = createServer(() => {});
  await new Promise<void>((listening) => silent.listen(0, "127.0.0.1", listening));
  onTestFinished(() => {
    silent.closeAllConnections();
    silent.close();
  });
  const env = { PAWL_URL: `http://127.0.0.1:${(silent.address() as AddressInfo).port}` };
  const began = performance.now();
  expect(await propose(env, "show", "")).toEqual({ values: [], files: false });
  expect(performance.now() - began).toBeLessThan(10_000);
  expect(await propose({ PAWL_URL: "nonsense" }, "show", "")).toEqual({ values: [], files: false });
});

test("bash takes the script, and completes with it", patient, async () => {
  const { stdout } = await pawl(["completion", "bash"]);
  // What the package bash-completion brings, as far as the script needs it.
  const helper = `_get_comp_words_by_ref() { cur="\${COMP_WORDS[COMP_CWORD]}"; prev="\${COMP_WORDS[COMP_CWORD-1]}"; words=("\${COMP_WORDS[@]}"); cword=$COMP_CWORD; }`;
  const bin = join(root, "dist/bin/pawl.js");
  const script = [
    helper,
    `pawl() { "${process.execPath}" "${bin}" "$@"; }`,
    stdout,
    "COMP_WORDS=(pawl bulk red); COMP_CWORD=2",
    "__pawl_complete",
    `printf '%s\\n' "\${COMPREPLY[@]}"`,
  ].join("\n");
  const { status, stdout: completed } = spawnSync("bash", ["-c", script], { encoding: "utf8" });
  expect({ status, completed: completed.trim() }).toEqual({ status: 0, completed: "redrive" });
});
