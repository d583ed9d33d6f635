// Hunts: a bundle that Lambda cannot load or has no handler in it, and faults of the worker file that only show there.
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { afterAll, describe, expect, it } from "vitest";
import { bundle, bundleCode, handlers } from "../../lib/cdk/bundle.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "pawl-bundle-"));
afterAll(() => rmSync(folder, { recursive: true }));

const write = (name: string, text: string): string => {
  writeFileSync(join(folder, name), text);
  return join(folder, name);
};

const output = (name: string): string => {
  mkdirSync(join(folder, name));
  return join(folder, name);
};

describe("the bundle of the examples", () => {
  const built = output("examples");
  bundle(join(root, "examples/worker.ts"), built, { sourceMap: false });

  it.each(["index.mjs", "api.mjs"])("has every handler in %s, as Node sees it", (file) => {
    const url = pathToFileURL(join(built, file)).href;
    const script = `const m = await import(${JSON.stringify(url)}); console.log(JSON.stringify(Object.entries(m).map(([name, it]) => [name, typeof it])));`;
    const printed = execFileSync(process.execPath, ["--input-type=module", "-e", script], { encoding: "utf8" });
    const expected = [...handlers].map((name) => [name, "function"]);
    expect((JSON.parse(printed) as string[][]).toSorted()).toEqual(expected.toSorted());
  });

  it("needs nothing beside it, and carries no source maps", () => {
    expect(readdirSync(built).filter((name) => !name.endsWith(".mjs"))).toEqual([]);
  });
});

const five = handlers.map((name) => `export function ${name}() { throw new Error("from ${name}"); }`);

it("keeps the names of functions for stack traces", async () => {
  const built = output("names");
  bundle(write("names.ts", five.join("\n")), built, { sourceMap: true });
  expect(readdirSync(built).toSorted()).toEqual(["api.mjs", "api.mjs.map", "index.mjs", "index.mjs.map"]);
  const { worker } = (await import(pathToFileURL(join(built, "index.mjs")).href)) as { worker: () => void };
  expect(worker.name).toBe("worker");
});

it("lets dependencies that were written for CommonJS ask for Node's modules", async () => {
  const built = output("commonjs");
  write("old.cjs", 'exports.join = require("path").join;');
  bundle(
    write("commonjs.ts", ['import old from "./old.cjs";', ...five, "export const at = old.join;"].join("\n")),
    built,
    {
      sourceMap: false,
    },
  );
  const { at } = (await import(pathToFileURL(join(built, "index.mjs")).href)) as { at: typeof join };
  expect(at("a", "b")).toBe("a/b");
});

it("refuses a worker file that does not export every handler, and says how to", () => {
  const path = write("few.ts", "export const worker = 1, api = 2, deadLetters = 3;");
  expect(() => bundle(path, output("few"), { sourceMap: false })).toThrow(
    `${path} does not export audit, lifecycle. Write: export const { worker, api, deadLetters, audit, lifecycle } = createHandlers({ workflows: […] });`,
  );
});

it("refuses a worker file that does not exist, and says where it looked", () => {
  expect(() => bundleCode("nowhere/worker.ts", { sourceMap: false })).toThrow(
    `There is no worker file ${join(process.cwd(), "nowhere/worker.ts")}.`,
  );
});
