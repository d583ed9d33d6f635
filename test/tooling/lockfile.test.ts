// Hunts: a package-lock.json that `npm ci` refuses, or that ties the clone to one registry.
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";

const root = fileURLToPath(new URL("../../", import.meta.url));

it("names every optional package of every platform", () => {
  expect(execFileSync(process.execPath, [".ci/lockfile.mjs", "--check"], { cwd: root, encoding: "utf8" })).toContain(
    "complete",
  );
});

it("holds no download addresses", () => {
  expect(readFileSync(`${root}package-lock.json`, "utf8")).not.toContain('"resolved"');
});
