// Hunts: one bug that counts as many, as its stacks differ by run, input, machine, build or edit; and different ones that
// count as one.
import { execFileSync } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { build } from "esbuild";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  childFailureFingerprint,
  failureFingerprint,
  type ThrownError,
} from "../../lib/definition/failure-fingerprint.ts";

const root = mkdtempSync(join(tmpdir(), "pawl-stacks-"));
afterAll(() => rmSync(root, { recursive: true }));

const place = { workflow: "order", step: "charge" };
const ids = ["o-17", "Alice and Bob", "a7d1c9f0-0000-4000-8000-0123456789ab"];

/** What each piece of code throws, for each of the ids. */
type Thrown = Readonly<Record<string, readonly ThrownError[]>>;

/** The code in a folder of its own, perhaps after an edit, and what runs it. */
function project(folder: string, edited: boolean): string {
  const at = join(root, folder);
  mkdirSync(at, { recursive: true });
  const code = join(at, "charge.ts");
  copyFileSync(new URL("throwing-code.ts", import.meta.url), code);
  if (edited) writeFileSync(code, `\nexport const padding = 1;\n\n${readFileSync(code, "utf8")}`);
  const entry = join(at, "main.ts");
  const child = new URL("throwing.child.ts", import.meta.url).pathname;
  const other = edited ? `import { padding } from "./charge.ts"; console.error(padding);` : "";
  writeFileSync(
    entry,
    `${other} import { codes } from "./charge.ts"; import { tell } from ${JSON.stringify(child)}; await tell(codes, ${JSON.stringify(ids)});`,
  );
  return entry;
}

async function bundled(folder: string, edited: boolean, minified: boolean): Promise<string> {
  const entry = project(folder, edited);
  const outdir = join(dirname(entry), "out");
  const { metafile } = await build({
    entryPoints: [entry],
    outdir,
    entryNames: "[name]-[hash]",
    outExtension: { ".js": ".mjs" },
    bundle: true,
    platform: "node",
    target: "node24",
    format: "esm",
    minify: minified,
    keepNames: true,
    sourcemap: "linked",
    metafile: true,
  });
  const file = Object.keys(metafile.outputs).find((name) => name.endsWith(".mjs"));
  if (file === undefined) throw new Error("esbuild wrote nothing");
  return join(process.cwd(), file);
}

function run(file: string, ...options: readonly string[]): Thrown {
  const text = execFileSync(process.execPath, [...options, file], {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "ignore"],
  });
  return JSON.parse(text) as Thrown;
}

const forms: Readonly<Record<string, (folder: string, edited: boolean) => Promise<Thrown>>> = {
  "from source": async (folder, edited) => run(project(folder, edited)),
  bundled: async (folder, edited) => run(await bundled(folder, edited, false)),
  "bundled and minified": async (folder, edited) => run(await bundled(folder, edited, true)),
  "minified with source maps": async (folder, edited) =>
    run(await bundled(folder, edited, true), "--enable-source-maps"),
};

describe.each(Object.entries(forms))("stacks of code that runs %s", (name, form) => {
  let thrown: Thrown;
  let elsewhere: Thrown;
  const folder = name.replaceAll(" ", "-");

  beforeAll(async () => {
    thrown = await form(join(folder, "var", "task"), false);
    elsewhere = await form(join(folder, "home", "me", "build 2026 (3)"), true);
  });

  const fingerprints = (all: Thrown): Map<string, Set<string>> =>
    new Map(
      Object.entries(all).map(([code, errors]) => [
        code,
        new Set(errors.map((error) => failureFingerprint(place, error))),
      ]),
    );

  test("each failure is one, whatever the input", () => {
    for (const [code, found] of fingerprints(thrown)) expect([code, found.size]).toEqual([code, 1]);
  });

  test("no two of them are alike", () => {
    const all = [...fingerprints(thrown)].flatMap(([code, found]) => [...found].map((one) => ({ one, code })));
    const alike = [...Map.groupBy(all, ({ one }) => one).values()].filter(({ length }) => length > 1);
    expect(alike.map((group) => group.map(({ code }) => ({ code, stack: thrown[code]?.[0]?.stack })))).toEqual([]);
  });

  test("they are the same in another folder, after an edit, in another build", () => {
    expect(fingerprints(elsewhere)).toEqual(fingerprints(thrown));
    const stacks = Object.keys(thrown).filter((code) => thrown[code]?.[0]?.stack === elsewhere[code]?.[0]?.stack);
    // What is no error has no stack; of all others, the stacks do differ.
    expect(stacks).toEqual(["text", "otherText"]);
  });
});

const error: ThrownError = {
  name: "CardDeclined",
  message: "No money",
  stack: `CardDeclined: No money
    at Gateway.charge (file:///var/task/chunk-4Q7OBFSC.mjs:1:64446)
    at async Promise.all (index 3)
    at async Object.run (/var/task/index.mjs:12:7)
    at async settleCode (/var/task/index.mjs:62:9)
    at async RunningAttempt.run (/var/task/index.mjs:95:19)`,
};
const fingerprint = failureFingerprint(place, error);
const withStack = (change: (stack: string) => string): string =>
  failureFingerprint(place, { ...error, stack: change(error.stack ?? "") });

describe("a fingerprint", () => {
  test("is 12 letters and digits, and stays the same: stored ones must be found by newer versions", () => {
    expect(fingerprint).toMatch(/^[0-9a-v]{12}$/);
    expect(fingerprint).toBe("ghpa2vuglurt");
    expect(failureFingerprint(place, { name: "SignalTimeout", message: 'No signal "ok" came within 60 s.' })).toBe(
      "lpjf7dpt3ad2",
    );
    expect(childFailureFingerprint(place, "ChildFailed", fingerprint)).toBe("ekj2urml1ni7");
  });

  test.each([
    ["lines", (stack: string) => stack.replaceAll(/:\d+:\d+/g, ":7:8")],
    ["folders", (stack: string) => stack.replaceAll("/var/task/", "/home/me/work (2)/")],
    ["folders of Windows", (stack: string) => stack.replaceAll(/(file:\/\/)?\/var\/task\//g, "C:\\Users\\me\\")],
    ["hashes of chunks", (stack: string) => stack.replace("4Q7OBFSC", "BQlRdxKz")],
    ["file extensions", (stack: string) => stack.replace("index.mjs", "index.ts")],
    ["query strings", (stack: string) => stack.replace("index.mjs", "index.mjs?t=1700000000")],
    ["classes of this", (stack: string) => stack.replace("Gateway.charge", "qi.charge")],
    ["waits", (stack: string) => stack.replaceAll("async ", "")],
    ["Node's own frames", (stack: string) => stack.replace("\n", "\n    at process.nextTick (node:internal/x:1:2)\n")],
    ["packages", (stack: string) => stack.replace("\n", "\n    at parse (/app/node_modules/zod/index.js:1:2)\n")],
    ["what is below the step", (stack: string) => stack.replaceAll("RunningAttempt.run", "Other.thing")],
  ])("does not tell by %s", (_what, change) => {
    expect(change(error.stack ?? "")).not.toBe(error.stack);
    expect(withStack(change)).toBe(fingerprint);
  });

  test.each([
    ["another function", withStack((stack) => stack.replace("Gateway.charge", "Gateway.refund"))],
    ["another file", withStack((stack) => stack.replace("chunk-", "payment-"))],
    ["another caller", withStack((stack) => stack.replace("Object.run", "Object.runTwice"))],
    ["another class", failureFingerprint(place, { ...error, name: "CardExpired" })],
    ["another code", failureFingerprint(place, { ...error, code: "ECONNREFUSED" })],
    ["a cause", failureFingerprint(place, { ...error, cause: { name: "Error", message: "no" } })],
    ["another step", failureFingerprint({ ...place, step: "refund" }, error)],
    ["another workflow", failureFingerprint({ ...place, workflow: "loan" }, error)],
    ["no step", failureFingerprint({ workflow: "order" }, error)],
  ])("tells %s", (_what, other) => {
    expect(other).not.toBe(fingerprint);
  });

  test("frames of packages count when there are no others", () => {
    const ofPackage = (name: string): string =>
      failureFingerprint(place, {
        ...error,
        stack: `Error: No money\n    at ${name} (/app/node_modules/sdk/index.js:1:2)`,
      });
    expect(ofPackage("send")).not.toBe(ofPackage("receive"));
  });

  test.each([
    ["ids", "Order 4711 is gone", "Order 12 is gone"],
    ["UUIDs", "Run a7d1c9f0-0000-4000-8000-0123456789ab of it", "Run 00000000-0000-4000-8000-0123456789ab of it"],
    ["quoted texts", 'No "Alice" here', "No 'Bob and Carol' here"],
    ["addresses", "GET https://api.example.com/a?b=c failed", "GET http://localhost/ failed"],
    ["several ids in a row", "Ids 1 2 3 are bad", "Ids 17 are bad"],
  ])("without frames, a message's %s do not count", (_what, one, other) => {
    const of = (message: string): string => failureFingerprint(place, { name: "Error", message });
    expect(of(one)).toBe(of(other));
    expect(of(one)).not.toBe(of("Something else"));
  });

  test("a circle of causes and a huge text end", () => {
    const circle = {
      name: "Error",
      message: "x".repeat(5_000_000),
      stack: `${" ".repeat(1_000_000)}at ${"(".repeat(1_000_000)}`,
    };
    const endless: { cause?: ThrownError } & ThrownError = { ...circle };
    endless.cause = endless;
    expect(failureFingerprint(place, endless)).toMatch(/^[0-9a-v]{12}$/);
  });
});
