// Hunts: a file that cannot be served and an error that does not say what, where, and what to do.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { beforeAll, expect, test } from "vitest";
import { buildOnce, flows, folderWith, pawl, root, serve } from "./pawl-process.ts";

const patient = { timeout: 30_000 };

beforeAll(buildOnce, 60_000);

const imports = 'import { workflow } from "pawl";\n';
const good = (name: string, as: string): string =>
  `export const ${as} = workflow("${name}", {}, (w) => void w.step("a", { run: () => 1 }));\n`;

test.each<[what: string, file: string, text: string, code: number, message: RegExp]>([
  [
    "has a rate limit that is none",
    "rates.ts",
    `${imports}${good("a", "a")}export const taskQueues = { crm: { rateLimit: { limit: 0, per: "1s" } } };`,
    1,
    /rates\.ts: taskQueues\.crm\.rateLimit\.limit is 0; allowed are whole numbers from 1 to 1000/,
  ],
  [
    "says nothing of its task queues",
    "queues.ts",
    `${imports}${good("a", "a")}export const taskQueues = { crm: 5 };`,
    1,
    /exports taskQueues, and it is not what is said of task queues\. Write: export const taskQueues = \{ crm:/,
  ],
  [
    "has a webhook that cannot be",
    "hooks.ts",
    `${imports}${good("a", "a")}export const webhooks = [{ name: "crm", url: "crm", secret: "short" }];`,
    1,
    /hooks\.ts: The webhooks are not configured well:\n- webhook "crm": url is no address[^]*16 characters/,
  ],
  [
    "says nothing of its webhooks",
    "hooks.ts",
    `${imports}${good("a", "a")}export const webhooks = { crm: "https://crm.example" };`,
    1,
    /exports webhooks, and it is not a list of them\. Write: export const webhooks = \[/,
  ],
  [
    "takes a name of ours",
    "a.ts",
    imports + good("pawl-a", "a"),
    1,
    /name: is "pawl-a"; names that begin with "pawl-" are kept for Pawl's own workflows/,
  ],
  ["exports nothing", "a.ts", `${imports}const x = 1;`, 1, /exports no workflow\. It exports nothing\./],
  ["exports others", "a.ts", "export const x = 1; export const y = 2;", 1, /Its exports are: x, y\. Export what/],
  [
    "has a definition with faults",
    "a.ts",
    `${imports}export const w1 = workflow("w 1", {}, (w) => {\n  w.step("a", { timeout: "soon" as "1s", run: () => 1 });\n  w.step("a", { run: () => 1 });\n});`,
    1,
    /Workflow "w 1" has 3 faults:[^]*"w 1"[^]*timeout: is "soon"[^]*defined twice[^]*\n *at .*a\.ts:2:/,
  ],
  [
    "breaks TypeScript's syntax",
    "a.ts",
    `${imports}export const x: string = join("a";`,
    1,
    /a\.ts:2\n[^]*\^[^]*SyntaxError/,
  ],
  ["breaks JavaScript's syntax", "a.mjs", `${imports}export const x = join("a";`, 1, /a\.mjs:2\n[^]*\^[^]*SyntaxError/],
  ["has an enum", "a.ts", `${imports}export enum X { A }`, 1, /a\.ts:2\n[^]*enum is not supported/],
  ["imports what is not there", "a.ts", 'import "./prices";', 1, /Cannot find module '.*prices'[^]*\.\/prices\.ts/],
  ["imports a name that is not there", "a.ts", 'import { nope } from "pawl";', 1, /a\.ts:1\n[^]*nope/],
  ["throws", "a.ts", "export const x = 1;\nnull.foo;", 1, /TypeError: Cannot read[^]*\nat .*a\.ts:2:/],
  ["throws no error", "a.ts", 'throw { odd: "value" };', 1, /threw \{ odd: 'value' \}/],
  [
    "has two workflows of one name",
    "a.ts",
    imports + good("same", "one") + good("same", "two"),
    1,
    /two workflows with the name "same": one and two\./,
  ],
  ["is no module", "a.json", "{}", 2, /is no module; allowed are files ending in \.ts/],
])("a file that %s", patient, async (_what, file, text, code, message) => {
  const folder = folderWith({ [file]: text });
  const ended = await pawl(["dev", file, "--port", "0"], { cwd: folder });
  expect(ended.stderr).toMatch(message);
  expect(ended.stderr).toMatch(/^pawl: /);
  expect(ended.stderr).not.toMatch(/node:internal|\n {4}at /);
  expect(ended).toMatchObject({ code, stdout: "" });
});

test("a file that is not there, and a folder", patient, async () => {
  const folder = folderWith({});
  expect(await pawl(["dev", "nope.ts"], { cwd: folder })).toMatchObject({
    code: 2,
    stderr: `pawl: There is no file ${join(folder, "nope.ts")}. Check the path.\n`,
  });
  expect(await pawl(["dev", "."], { cwd: folder })).toMatchObject({
    code: 2,
    stderr: expect.stringContaining("is a folder"),
  });
});

test("a Node that runs no TypeScript says so", patient, async () => {
  const folder = folderWith({ "flows.ts": flows });
  const env = { NODE_OPTIONS: "--no-experimental-strip-types" };
  const ended = await pawl(["dev", "flows.ts"], { cwd: folder, env });
  expect(ended.code).toBe(1);
  expect(ended.stderr).toMatch(/is TypeScript, and this Node \(v.*\) does not run TypeScript files.*Use Node 24/);
});

test("the demo's flags and input are checked before anything starts", patient, async () => {
  const folder = folderWith({ "flows.ts": flows, "bad.json": "{,", "good.json": "null" });
  const told = async (...flags: string[]): Promise<string> => {
    const ended = await pawl(["dev", "flows.ts", "--port", "0", ...flags], { cwd: folder });
    expect(ended).toMatchObject({ code: 2, stdout: "" });
    return ended.stderr;
  };
  expect(await told("--once")).toContain("--demo");
  expect(await told("--demo", "good.json")).toContain("broken, gated, stubborn, wide. Say which one");
  expect(await told("--demo", "good.json", "--demo-workflow", "nope")).toContain('"nope"; the file has broken');
  expect(await told("--demo", "nope.json", "--demo-workflow", "broken")).toContain("cannot be read");
  expect(await told("--demo", "bad.json", "--demo-workflow", "broken")).toContain("is not JSON");
  expect(await told("--port", "70000")).toContain("0 (any free one) to 65535");
  expect(await told("--concurrency", "0")).toContain("1 to 10000");
});

test("a package that the file's own project has wins; another copy of Pawl is warned about", patient, async () => {
  const text = `import * as z from "zod";\n${imports}${good("mine", z("own"))}export const version = z.own;`;
  const folder = folderWith({ "flows.ts": text });
  const entry = pathToFileURL(join(root, "dist/lib/index.js")).href;
  for (const [name, source] of [
    ["zod", "export const own = true;"],
    ["pawl", `export * from "${entry}";`],
  ] as const) {
    mkdirSync(join(folder, "node_modules", name), { recursive: true });
    writeFileSync(
      join(folder, "node_modules", name, "package.json"),
      `{"name":"${name}","type":"module","exports":"./i.js"}`,
    );
    writeFileSync(join(folder, "node_modules", name, "i.js"), source);
  }
  const { server } = await serve(["flows.ts"], { cwd: folder });
  await server.output(/warning: .*flows\.ts uses another copy of Pawl, file:.*node_modules\/pawl\/i\.js/);
});

function z(name: string): string {
  return name;
}
