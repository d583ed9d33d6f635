// Hunts code that every function loads when it starts, and only one of them needs, or none.
import { tmpdir } from "node:os";
import { fileURLToPath } from "node:url";
import { build, type Metafile } from "esbuild";
import { beforeAll, describe, expect, test } from "vitest";

const root = fileURLToPath(new URL("../..", import.meta.url));
const worker = `
  import { workflow } from "pawl";
  import { createHandlers } from "pawl/lambda";
  const hello = workflow("hello", {}, (w) => w.step("greet", { run: () => "hello" }));
  export const { worker, api, deadLetters, audit, lifecycle } = createHandlers({ workflows: [hello] });
`;

let outputs: Metafile["outputs"];
let atStart: string[];

beforeAll(async () => {
  const { metafile } = await build({
    stdin: { contents: worker, resolveDir: root, loader: "ts" },
    alias: { "pawl/lambda": "./functions/index.ts", pawl: "./lib/index.ts" },
    absWorkingDir: root,
    bundle: true,
    splitting: true,
    format: "esm",
    platform: "node",
    target: "node24",
    mainFields: ["module", "main"],
    minify: true,
    write: false,
    metafile: true,
    outdir: tmpdir(),
    logLevel: "error",
  });
  ({ outputs } = metafile);
  atStart = [...loadedAtStart()];
}, 60_000);

/** The entry and everything that it imports, other than by import(). */
function loadedAtStart(): Set<string> {
  const seen = new Set<string>();
  const visit = (file: string): void => {
    const output = outputs[file];
    if (output === undefined || seen.has(file)) return;
    seen.add(file);
    for (const { path, kind } of output.imports) if (kind === "import-statement") visit(path);
  };
  visit(Object.keys(outputs).find((file) => outputs[file]!.entryPoint === "<stdin>")!);
  return seen;
}

const packagesIn = (files: readonly string[]): Set<string> =>
  new Set(
    files.flatMap((file) =>
      Object.entries(outputs[file]!.inputs)
        .filter(([, { bytesInOutput }]) => bytesInOutput > 0)
        .map(
          ([input]) =>
            /.*node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(input)?.[1] ?? input.split("/").slice(0, 2).join("/"),
        ),
    ),
  );

describe("a worker file's bundle", () => {
  test.each(["hono", "@hono/zod-openapi", "@aws-sdk/client-s3", "lib/api"])("loads %s when it is needed", (name) => {
    expect(packagesIn(Object.keys(outputs))).toContain(name);
    // What a direct command is, and how errors are told, is asked of every function that takes one.
    const early = atStart
      .flatMap((file) => Object.keys(outputs[file]!.inputs))
      .filter((input) => input.includes(`${name}/`));
    expect(early.filter((input) => !/direct-command|api-error/.test(input))).toEqual([]);
  });

  test.each([
    "pino",
    "commander",
    "lib/embedded",
    "lib/dev",
    "lib/cli",
    "lib/cdk",
    "aws-cdk-lib",
    "@aws-sdk/lib-dynamodb",
  ])("has nothing of %s", (name) => {
    expect(packagesIn(Object.keys(outputs))).not.toContain(name);
  });

  test("starts with less than a megabyte", () => {
    const bytes = atStart.reduce((sum, file) => sum + outputs[file]!.bytes, 0);
    expect(bytes).toBeLessThan(1_000_000);
    expect(bytes).toBeGreaterThan(500_000);
  });
});
