// Hunts a page about the client that shows code which does not compile.
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import * as examples from "./docs-examples.ts";

const read = (path: string): string => readFileSync(new URL(path, import.meta.url), "utf8");

test("what docs/client.md shows is compiled", () => {
  const shown = [...read("../../docs/client.md").matchAll(/```ts\n([^]*?)```/g)].map(([, code]) => code!);
  expect(shown).toHaveLength(Object.keys(examples).length);
  const compiled = read("docs-examples.ts");
  for (const code of shown) expect(compiled).toContain(code);
});
