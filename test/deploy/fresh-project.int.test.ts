// Hunts: a package that only works inside this repository, and a README whose project cannot be deployed as it stands.
import { execFile } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import * as z from "zod";
import { type Emulator, startEmulator } from "../wire/emulator.ts";
import { DeployedHost } from "./deployed-host.ts";
import { Driver } from "./host.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));
const readme = readFileSync(join(root, "README.md"), "utf8");

let folder: string;
let emulator: Emulator;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "pawl-fresh-"));
  emulator = await startEmulator();
});
afterAll(async () => {
  await emulator.stop();
  await rm(folder, { recursive: true, force: true });
});

test("the README's project, with the packed package, deploys and runs over HTTP, and goes away again", async () => {
  const project = join(folder, "project");
  await writeProject(project);
  await run(project, "npm", "install", "--prefer-offline", "--no-audit", "--no-fund", "--loglevel=error");

  await run(project, "npx", "cdk", "synth", "--quiet");
  await run(project, "npx", "cdk", "bootstrap");
  const outputs = join(folder, "outputs.json");
  await run(project, "npx", "cdk", "deploy", "--require-approval", "never", "--outputs-file", outputs);
  const Outputs = z.object({ Hello: z.object({ Url: z.url(), Function: z.string() }) });
  const { Hello } = Outputs.parse(JSON.parse(await readFile(outputs, "utf8")));

  const api = new DeployedHost(emulator.endpoint, Hello.Url);
  expect(await api.request("GET", "/")).toMatchObject({ status: 200, body: { name: "pawl" } });
  const started = await api.request("POST", "/workflows/hello/runs", { input: { name: "Ada" }, runId: "ada-1" });
  expect(started.status, emulator.output()).toBe(202);
  const ended = await new Driver(api, "fresh").untilEnd("ada-1");
  expect(ended).toMatchObject({ status: "succeeded", output: "Hello, Ada! The answer is 42." });

  await run(project, "npx", "cdk", "destroy", "--force");
}, 400_000);

/** The files that the README shows, and a package.json as `npm install` would write it. */
async function writeProject(project: string): Promise<void> {
  await mkdir(project);
  const [packed] = z
    .array(z.object({ filename: z.string() }))
    .parse(JSON.parse(await run(root, "npm", "pack", "--json", "--silent", "--pack-destination", folder)));
  const versions = z
    .object({ dependencies: z.record(z.string(), z.string()), devDependencies: z.record(z.string(), z.string()) })
    .parse(JSON.parse(readFileSync(join(root, "package.json"), "utf8")));
  const { dependencies, devDependencies } = versions;
  const tools = ["aws-cdk-lib", "constructs", "aws-cdk", "esbuild"];
  const manifest = {
    name: "hello",
    private: true,
    type: "module",
    dependencies: { pawl: `file:${join(folder, packed?.filename ?? "")}`, zod: dependencies.zod },
    devDependencies: Object.fromEntries(tools.map((name) => [name, devDependencies[name]])),
  };
  await writeFile(join(project, "package.json"), JSON.stringify(manifest));
  await writeFile(join(project, "hello.ts"), readFileSync(join(root, "examples/hello.ts")));
  for (const [, name = "", text = ""] of readme.matchAll(/```(?:ts|json)\n\/\/ ([\w.]+)\n([^]*?)```/g)) {
    await writeFile(join(project, name), text);
  }
  for (const name of ["worker.ts", "app.ts", "cdk.json"]) expect(existsSync(join(project, name)), name).toBe(true);
}

async function run(cwd: string, command: string, ...args: readonly string[]): Promise<string> {
  const env = { ...process.env, ...emulator.environment, CDK_DISABLE_CLI_TELEMETRY: "1", CI: "1" };
  try {
    const { stdout } = await promisify(execFile)(command, args, { cwd, env, maxBuffer: 64 * 1024 * 1024 });
    return stdout;
  } catch (cause) {
    const { stdout = "", stderr = "" } = cause as { readonly stdout?: string; readonly stderr?: string };
    throw new Error(`${command} ${args.join(" ")} failed.\n${stdout.slice(-5_000)}\n${stderr.slice(-5_000)}`, {
      cause,
    });
  }
}
