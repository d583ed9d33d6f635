// Hunts a page about testing that shows code which does not compile, tests which do not pass, or options that are not there.
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";

const read = (path: string): string => readFileSync(new URL(`../../${path}`, import.meta.url), "utf8");
const page = read("docs/testing.md");

test("what docs/testing.md shows is compiled and run", () => {
  const shown = [...page.matchAll(/```ts\n([^]*?)```/g)].map(([, code]) => code!);
  expect(shown.length).toBeGreaterThan(5);
  const run = read("test/examples/subscription.test.ts") + read("examples/subscription.ts");
  for (const code of shown) expect(run).toContain(code);
});

test("it names every option and every method, and no other", () => {
  const named = (head: string): string[] => {
    const [, table = ""] = new RegExp(`\\n\\| ${head} \\|.*\\n((\\|.*\\n)+)`).exec(page) ?? [];
    return [...table.matchAll(/^\| ([^|]*) \|/gm)].flatMap(([, cell]) =>
      [...cell!.matchAll(/`(\w+)/g)].map(([, name]) => name!),
    );
  };
  const membersOf = (path: string, name: string): string[] => {
    const [, body = ""] = new RegExp(`export interface ${name}\\b[^{]*\\{\\n([^]*?)\\n\\}`).exec(read(path)) ?? [];
    return [...body.matchAll(/^ {2}(?:readonly )?(\w+)[?(:<]/gm)].map(([, member]) => member!);
  };
  expect(named("of the engine")).toEqual(expect.arrayContaining(membersOf("lib/testing/test-engine.ts", "TestEngine")));
  expect(new Set(named("of a run"))).toEqual(
    new Set(membersOf("lib/testing/test-run.ts", "TestRun").filter((name) => name !== "runId")),
  );
});
