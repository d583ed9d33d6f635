// Hunts: a README that shows other code than what is tried, options that are not there, or pages that do not exist.
import { existsSync, readFileSync } from "node:fs";
import { expect, onTestFinished, test } from "vitest";
import { hello } from "../../examples/hello.ts";
import { createEngine } from "../../lib/index.ts";

const readme = readFileSync(new URL("../../README.md", import.meta.url), "utf8");

test("the workflow of the README is examples/hello.ts", () => {
  const [, shown] = /```ts\n([^]*?)```/.exec(readme) ?? [];
  expect(shown).toBe(readFileSync(new URL("../../examples/hello.ts", import.meta.url), "utf8"));
});

test("it does what the README says", async () => {
  const engine = await createEngine({ workflows: [hello] });
  onTestFinished(() => engine.stop());
  const { runId } = await engine.start(hello, { input: { name: "Ada" } });
  expect((await engine.waitForEnd(runId)).output).toBe("Hello, Ada! The answer is 42.");
});

test("its table has every option of a step, and no other", () => {
  const table = /## Options of a step\n([^]*?)\n\n[^|]/.exec(readme)?.[1] ?? "";
  const told = [...table.matchAll(/^\| (`.*?`(?:, `\w+`)*) \|/gm)].flatMap(([, cell]) =>
    [...(cell ?? "").matchAll(/`(\w+)`/g)].map(([, name]) => name),
  );
  const source = readFileSync(new URL("../../lib/definition/step.ts", import.meta.url), "utf8");
  const body = source.slice(
    source.indexOf("export interface StepOptions<"),
    source.indexOf("export interface StepCode"),
  );
  const options = [...body.matchAll(/^ {2}readonly (\w+)\??:/gm)].map(([, name]) => name);
  expect(told.sort()).toEqual(options.sort());
});

test("links lead to files that are there", () => {
  for (const page of ["README.md", "docs/errors.md", "docs/http-api.md"]) {
    const url = new URL(`../../${page}`, import.meta.url);
    for (const [, target] of readFileSync(url, "utf8").matchAll(/\]\(([^)#:]+)(?:#[^)]*)?\)/g)) {
      expect(existsSync(new URL(target!, url)), `${page}: ${target}`).toBe(true);
    }
  }
});
