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

interface Bundle {
  readonly outputs: Metafile["outputs"];
  readonly atStart: readonly string[];
}

/** Of the API's function, and of all others. */
let ofApi: Bundle;
let ofOthers: Bundle;

async function bundleFor(define: Readonly<Record<string, string>>, keepNames = true): Promise<Bundle> {
  const {
    metafile: { outputs },
  } = await build({
    define,
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
    keepNames,
    write: false,
    metafile: true,
    outdir: tmpdir(),
    logLevel: "error",
  });
  return { outputs, atStart: [...loadedAtStart(outputs)] };
}

beforeAll(async () => {
  ofApi = await bundleFor({});
  ofOthers = await bundleFor({ PAWL_WITHOUT_API: "true" });
}, 60_000);

/** The entry and everything that it imports, other than by import(). */
function loadedAtStart(outputs: Bundle["outputs"]): Set<string> {
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

const packagesIn = ({ outputs }: Bundle): Set<string> =>
  new Set(
    Object.keys(outputs).flatMap((file) =>
      Object.entries(outputs[file]!.inputs)
        .filter(([, { bytesInOutput }]) => bytesInOutput > 0)
        .map(
          ([input]) =>
            /.*node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(input)?.[1] ?? input.split("/").slice(0, 2).join("/"),
        ),
    ),
  );

describe("a worker file's bundle", () => {
  test.each(["hono", "@hono/zod-openapi", "lib/api/app", "zod/v4/locales"])("has %s for the API alone", (name) => {
    const has = ({ outputs }: Bundle): boolean =>
      Object.values(outputs).some(({ inputs }) =>
        Object.entries(inputs).some(([input, { bytesInOutput }]) => input.includes(name) && bytesInOutput > 0),
      );
    // The locale that zod's own messages are in is everywhere.
    const isElsewhere =
      name === "zod/v4/locales" ? Object.values(ofOthers.outputs).some(hasForeignLocale) : has(ofOthers);
    expect([has(ofApi), isElsewhere]).toEqual([true, false]);
  });

  test("loads @aws-sdk/client-s3 when it is needed", () => {
    expect(packagesIn(ofOthers)).toContain("@aws-sdk/client-s3");
    const early = ofOthers.atStart.flatMap((file) => Object.keys(ofOthers.outputs[file]!.inputs));
    expect(early.filter((input) => input.includes("client-s3/"))).toEqual([]);
  });

  test.each([
    "pino",
    "commander",
    "lib/embedded",
    "lib/dev",
    "lib/cli",
    "lib/cdk",
    "lib/cost",
    "aws-cdk-lib",
    "@aws-sdk/lib-dynamodb",
  ])("has nothing of %s", (name) => {
    for (const bundle of [ofApi, ofOthers]) expect(packagesIn(bundle)).not.toContain(name);
  });

  test.each([
    // Users' own schemas bring it; ours are of the small form, which takes a tenth of the time.
    "zod/v4/classic/",
    "lib/runtime/commands.ts",
    "lib/runtime/audit.ts",
    "lib/system/system.ts",
    "functions/upkeep.ts",
    "functions/lifecycle-of-stack.ts",
    "functions/api-of-stack.ts",
    "@aws-lambda-powertools/metrics/",
    "@aws-sdk/client-eventbridge/",
    "@aws-sdk/client-scheduler/",
    "@aws-sdk/client-s3/",
  ])("loads nothing of %s before it is asked for", (name) => {
    const early = ofOthers.atStart.flatMap((file) =>
      Object.entries(ofOthers.outputs[file]!.inputs).filter(([, { bytesInOutput }]) => bytesInOutput > 0),
    );
    expect(early.map(([input]) => input).filter((input) => input.includes(name))).toEqual([]);
  });

  const bytesAtStart = ({ outputs, atStart }: Bundle): number =>
    atStart.reduce((sum, file) => sum + outputs[file]!.bytes, 0);

  test("starts with less than 700 KB, and the names of functions, which errors and logs need", async () => {
    const bytes = bytesAtStart(await bundleFor({ PAWL_WITHOUT_API: "true" }, false));
    expect(bytes).toBeLessThan(700_000);
    expect(bytes).toBeGreaterThan(400_000);
    expect(bytesAtStart(ofOthers) - bytes).toBeLessThan(50_000);
  });

  test("starts with less than 650 KB as it is deployed, in few files", () => {
    expect(bytesAtStart(ofOthers)).toBeLessThan(650_000);
    expect(ofOthers.atStart.length).toBeLessThan(20);
  });
});

function hasForeignLocale({ inputs }: Bundle["outputs"][string]): boolean {
  return Object.entries(inputs).some(
    ([input, { bytesInOutput }]) => /zod\/v4\/locales\/(?!en\.)/.test(input) && bytesInOutput > 0,
  );
}
