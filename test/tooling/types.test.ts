// Hunts: a type check that lets a wrong type test pass.
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";

const root = fileURLToPath(new URL("../../", import.meta.url));

function typecheck(code: string): { status: number | null; output: string } {
  const folder = mkdtempSync(join(tmpdir(), "pawl-types-"));
  try {
    writeFileSync(join(folder, "package.json"), '{ "type": "module" }');
    writeFileSync(join(folder, "probe.test-d.ts"), code);
    const config = { extends: `${root}tsconfig.json`, compilerOptions: { types: [], paths: {} }, include: ["*.ts"] };
    writeFileSync(join(folder, "tsconfig.json"), JSON.stringify(config));
    const compiler = `${root}node_modules/typescript-7/bin/tsc`;
    const { status, stdout } = spawnSync(process.execPath, [compiler, "-p", folder], { encoding: "utf8" });
    return { status, output: stdout };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

it("accepts an error that is expected and there", () => {
  expect(typecheck('// @ts-expect-error -- text\nexport const count: number = "one";\n')).toEqual({
    status: 0,
    output: "",
  });
});

it("fails when an expected error is not there", () => {
  const { status, output } = typecheck("// @ts-expect-error -- a number\nexport const count: number = 1;\n");
  expect(status).not.toBe(0);
  expect(output).toContain("Unused '@ts-expect-error' directive");
});

it("fails on a type error", () => {
  expect(typecheck('export const count: number = "one";\n').output).toContain("TS2322");
});
