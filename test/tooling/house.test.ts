// Hunts: a rule of the house (import directions, pure core, guarded promises) that lint no longer enforces.
import { readdirSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { lint, root } from "./probes.ts";

async function findings(path: string, code: string): Promise<string> {
  const [result] = await lint.lintText(code, { filePath: `${root}${path}` });
  return result!.messages.map(({ ruleId, message }) => `${ruleId ?? "fatal"}: ${message}`).join("\n");
}

const imports = (module: string): string => `import { thing } from "${module}";\n\nexport const other = thing;\n`;

/** The first look at a file loads the types of everything that the repository imports. */
const LINT_TIMEOUT_MS = 120_000;

describe("imports point one way", () => {
  const forbidden: readonly (readonly [file: string, module: string])[] = [
    ["lib/definition/probe.ts", "../engine/absent.ts"],
    ["lib/engine/probe.ts", "../runtime/absent.ts"],
    ["lib/engine/deep/probe.ts", "../../runtime/absent.ts"],
    ["lib/engine/probe.ts", "../index.ts"],
    ["lib/runtime/probe.ts", "../embedded/absent.ts"],
    ["lib/runtime/probe.ts", "../aws/absent.ts"],
    ["lib/runtime/probe.ts", "pawl"],
    ["lib/runtime/probe.ts", "../system/absent.ts"],
    ["lib/system/probe.ts", "../aws/absent.ts"],
    ["lib/system/probe.ts", "../embedded/absent.ts"],
    ["lib/system/probe.ts", "node:http"],
    ["lib/aws/probe.ts", "../system/absent.ts"],
    ["lib/aws/probe.ts", "../embedded/absent.ts"],
    ["lib/embedded/probe.ts", "../aws/absent.ts"],
    ["lib/embedded/probe.ts", "../testing/absent.ts"],
    ["lib/api/probe.ts", "../aws/absent.ts"],
    ["lib/api/probe.ts", "../dev/absent.ts"],
    ["lib/client/probe.ts", "../api/absent.ts"],
    ["lib/testing/probe.ts", "../aws/absent.ts"],
    ["lib/dev/probe.ts", "../cli/absent.ts"],
    ["lib/cli/probe.ts", "../cdk/absent.ts"],
    ["lib/cli/probe.ts", "../../bin/absent.ts"],
    ["lib/aws/probe.ts", "../cdk/absent.ts"],
    ["lib/aws/probe.ts", "aws-cdk-lib"],
    ["lib/runtime/probe.ts", "@aws-sdk/client-dynamodb"],
    ["lib/runtime/probe.ts", "node:sqlite"],
    ["lib/definition/probe.ts", "hono"],
    ["lib/definition/probe.ts", "node:fs"],
    ["lib/engine/probe.ts", "zod"],
    ["lib/engine/probe.ts", "node:crypto"],
    ["functions/probe.ts", "../lib/cdk/absent.ts"],
    ["functions/probe.ts", "../lib/embedded/absent.ts"],
    ["examples/probe.ts", "../lib/runtime/absent.ts"],
    ["lib/index.ts", "./cli/absent.ts"],
    ["lib/index.ts", "./engine/absent.ts"],
  ];

  it.each(forbidden)("%s may not import %s", { timeout: LINT_TIMEOUT_MS }, async (file, module) => {
    expect(await findings(file, imports(module))).toContain("no-restricted-imports");
  });

  it("takes exports and dynamic imports for imports", { timeout: LINT_TIMEOUT_MS }, async () => {
    expect(await findings("lib/runtime/probe.ts", 'export * from "../embedded/absent.ts";')).toContain(
      "no-restricted-imports",
    );
    expect(
      await findings("lib/runtime/probe.ts", 'export const load = () => import("../embedded/absent.ts");'),
    ).toContain("no-restricted-syntax: runtime may import from definition, engine");
  });

  const allowed: readonly (readonly [file: string, module: string])[] = [
    ["lib/engine/probe.ts", "../definition/absent.ts"],
    ["lib/engine/deep/probe.ts", "../absent.ts"],
    ["lib/runtime/probe.ts", "../engine/absent.ts"],
    ["lib/system/probe.ts", "../runtime/absent.ts"],
    ["lib/embedded/probe.ts", "../runtime/absent.ts"],
    ["lib/embedded/probe.ts", "../system/absent.ts"],
    ["lib/client/probe.ts", "../system/absent.ts"],
    ["lib/embedded/probe.ts", "node:sqlite"],
    ["lib/aws/probe.ts", "@aws-sdk/client-dynamodb"],
    ["lib/cli/probe.ts", "../dev/absent.ts"],
    ["lib/cdk/probe.ts", "aws-cdk-lib"],
    ["functions/probe.ts", "../lib/aws/absent.ts"],
    ["functions/probe.ts", "../lib/system/absent.ts"],
    ["bin/probe.ts", "../lib/cli/absent.ts"],
    ["examples/probe.ts", "pawl"],
    ["lib/index.ts", "./definition/absent.ts"],
  ];

  it.each(allowed)("%s may import %s", { timeout: LINT_TIMEOUT_MS }, async (file, module) => {
    expect(await findings(file, imports(module))).not.toMatch(/no-restricted|fatal/);
  });

  it("lets the main entry export types of the engine", { timeout: LINT_TIMEOUT_MS }, async () => {
    const code = 'export type { Transition } from "./engine/transition.ts";';
    expect(await findings("lib/index.ts", code)).not.toMatch(/no-restricted|fatal/);
  });

  it("knows every folder of lib", { timeout: LINT_TIMEOUT_MS }, async () => {
    const folders = readdirSync(`${root}lib`, { withFileTypes: true }).filter((entry) => entry.isDirectory());
    for (const { name } of folders) {
      const { rules } = await lint.calculateConfigForFile(`${root}lib/${name}/probe.ts`);
      expect(rules, `lib/${name} is missing from the table in eslint.config.js`).toHaveProperty([
        "@typescript-eslint/no-restricted-imports",
      ]);
    }
  });
});

describe("the core is pure", () => {
  const impure = [
    "export const at = Date.now();",
    "export const { now } = Date;",
    "export const at = new Date();",
    "export const at = Date();",
    "export const year = new Date(0).getFullYear();",
    "export const chance = Math.random();",
    "export const id = crypto.randomUUID();",
    "export const stage = process.env.STAGE;",
    "export const stage = globalThis.process;",
    "export const at = performance.now();",
    "export const answer = fetch;",
    'console.log("here");',
    "setTimeout(() => undefined, 1);",
    "export const soon = queueMicrotask;",
    "export async function later(): Promise<void> {}",
    "export const later = async (): Promise<void> => {};",
    "export const later = { async method(): Promise<void> {} };",
    "export const soon = Promise.resolve(1);",
    "export const soon = new Promise<void>((resolve) => resolve());",
    'export const order = "a".localeCompare("b");',
    "export const here = import.meta.url;",
    'export const soon = import("./limits.ts");',
  ];

  it.each(impure)("%s", { timeout: LINT_TIMEOUT_MS }, async (code) => {
    for (const folder of ["definition", "engine"]) {
      expect(await findings(`lib/${folder}/probe.ts`, code)).toMatch(/no-restricted-.* makes the pure core depend/);
    }
    // What nobody could wait for is forbidden there for that reason.
    expect(await findings("lib/runtime/probe.ts", code)).not.toContain("the pure core");
  });

  it("definition may hash, and nothing else of node:crypto", { timeout: LINT_TIMEOUT_MS }, async () => {
    const using = (name: string): string => `import { ${name} } from "node:crypto";\n\nexport const use = ${name};\n`;
    expect(await findings("lib/definition/probe.ts", using("createHash"))).toBe("");
    expect(await findings("lib/definition/probe.ts", using("randomUUID"))).toContain("no-restricted-imports");
    expect(
      await findings(
        "lib/definition/probe.ts",
        'import * as crypto from "node:crypto";\n\nexport const use = crypto;\n',
      ),
    ).toContain("no-restricted-imports");
  });

  it("may speak of times and promises that it is given", { timeout: LINT_TIMEOUT_MS }, async () => {
    const code = [
      'import * as z from "zod";',
      "",
      "export type Run = () => Promise<string> | string;",
      "export const Name = z.string();",
      "export const shown = (nowMs: number): string => new Date(nowMs).toISOString();",
    ].join("\n");
    expect(await findings("lib/definition/probe.ts", code)).toBe("");
  });
});

describe("elsewhere", () => {
  const cases: readonly (readonly [rule: string, file: string, code: string])[] = [
    [
      "no-floating-promises",
      "lib/runtime/probe.ts",
      "export function go(send: () => Promise<void>): void {\n  send();\n}",
    ],
    [
      "no-floating-promises",
      "test/runtime/probe.test.ts",
      "export function go(send: () => Promise<void>): void {\n  send();\n}",
    ],
    [
      "no-misused-promises",
      "lib/runtime/probe.ts",
      "export function go(send: () => Promise<boolean>): number {\n  return send() ? 1 : 2;\n}",
    ],
    [
      "switch-exhaustiveness-check",
      "lib/engine/probe.ts",
      'export function go(status: "a" | "b"): number {\n  switch (status) {\n    case "a":\n      return 1;\n  }\n  return 2;\n}',
    ],
    [
      "strict-boolean-expressions",
      "lib/runtime/probe.ts",
      "export const go = (output: string | undefined): number => (output ? 1 : 2);",
    ],
    [
      "consistent-type-imports",
      "lib/runtime/probe.ts",
      'import { Clock } from "./ports.ts";\n\nexport type Time = Clock;',
    ],
    [
      "require-description",
      "lib/runtime/probe.ts",
      "// eslint-disable-next-line eqeqeq\nexport const go = (a: unknown): boolean => a == 1;",
    ],
    [
      "fatal: Unused eslint-disable directive",
      "lib/runtime/probe.ts",
      "// eslint-disable-next-line eqeqeq -- a reason\nexport const go = 1;",
    ],
    ["ban-ts-comment", "lib/runtime/probe.ts", "// @ts-expect-error\nexport const go: number = 'a';"],
    ["no-explicit-any", "lib/runtime/probe.ts", "export const go = (a: any): void => void a;"],
    ["454 KB", "lib/api/probe.ts", 'import { z } from "zod";\n\nexport const Name = z.string();'],
    [
      "zod/v4/core",
      "lib/api/probe.ts",
      'import * as z from "zod";\n\nexport const is = (error: unknown) => error instanceof z.core.$ZodError;',
    ],
  ];

  it.each(cases)("%s in %s", { timeout: LINT_TIMEOUT_MS }, async (rule, file, code) => {
    expect(await findings(file, code)).toContain(rule);
  });
});
