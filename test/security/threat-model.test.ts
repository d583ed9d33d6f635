// Hunts: a threat model that names tests which are not there, or does not know of an attack that is tried.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";

const root = new URL("../../", import.meta.url);
const page = readFileSync(new URL("docs/security.md", root), "utf8");
const named = [...new Set([...page.matchAll(/`(test\/[\w/.-]+\.ts)`/g)].map(([, path]) => path ?? ""))];

test("every test that it names is there", () => {
  expect(named.length).toBeGreaterThan(25);
  expect(named.filter((path) => !existsSync(new URL(path, root)))).toEqual([]);
});

test("every attack that is tried is named", () => {
  const here = readdirSync(new URL("test/security/", root)).filter((name) => name.endsWith(".test.ts"));
  const attacks = here.map((name) => `test/security/${name}`).filter((path) => !path.includes("threat-model"));
  expect(attacks.filter((path) => !named.includes(path))).toEqual([]);
});

test("every border says what protects it, and which test shows it", () => {
  const [, table = ""] = page.split("## Borders");
  const rows = table
    .split("\n## ")[0]
    ?.split("\n")
    .filter((line) => line.startsWith("| ") && !line.startsWith("| border"));
  expect(rows?.length).toBeGreaterThan(10);
  for (const row of rows ?? []) {
    const cells = row.split(" | ");
    expect([row, cells.length]).toEqual([row, 4]);
    expect(cells[3]).toMatch(/`test\//);
  }
});
