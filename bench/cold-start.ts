/**
 * What a function loads when it starts: bytes and import time of the worker's bundle, against a bundle that does nothing but
 * import the SDK clients that every worker needs.
 *
 *     npm run bench:cold-start -- [--json]
 *
 * Times are of this machine and this moment; their ratio is what counts. Each is the median of processes that were started
 * in turn.
 */
import { execFileSync } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath, pathToFileURL } from "node:url";
import { build, type Metafile } from "esbuild";

const root = fileURLToPath(new URL("..", import.meta.url));
const rounds = 21;

const worker = `
  import { workflow } from "pawl";
  import { createHandlers } from "pawl/lambda";
  const hello = workflow("hello", {}, (w) => w.step("greet", { run: () => "hello" }));
  export const { worker, api, deadLetters, audit, lifecycle } = createHandlers({ workflows: [hello] });
`;
const sdkOnly = `
  import { DynamoDBClient, UpdateItemCommand, PutItemCommand, GetItemCommand, BatchGetItemCommand, DeleteItemCommand, QueryCommand } from "@aws-sdk/client-dynamodb";
  import { SQSClient, SendMessageBatchCommand, SendMessageCommand, ChangeMessageVisibilityCommand } from "@aws-sdk/client-sqs";
  export const clients = [new DynamoDBClient({}), new SQSClient({})];
  export const commands = [UpdateItemCommand, PutItemCommand, GetItemCommand, BatchGetItemCommand, DeleteItemCommand, QueryCommand, SendMessageBatchCommand, SendMessageCommand, ChangeMessageVisibilityCommand];
`;

interface Bundle {
  readonly name: string;
  readonly file: string;
  /** Of all that is loaded before the first invocation. */
  readonly bytes: number;
}

async function bundle(name: string, contents: string, folder: string): Promise<Bundle> {
  const outdir = join(folder, name);
  const { metafile } = await build({
    stdin: { contents, resolveDir: root, loader: "ts" },
    alias: { "pawl/lambda": "./functions/index.ts", pawl: "./lib/index.ts" },
    absWorkingDir: root,
    define: { PAWL_WITHOUT_API: "true" },
    // As lib/cdk/bundle.ts does it.
    bundle: true,
    splitting: true,
    platform: "node",
    target: "node24",
    format: "esm",
    mainFields: ["module", "main"],
    outExtension: { ".js": ".mjs" },
    banner: { js: "import{createRequire as __cr}from'node:module';const require=__cr(import.meta.url);" },
    minify: true,
    keepNames: true,
    metafile: true,
    outdir,
    logLevel: "error",
  });
  return { name, file: join(outdir, "stdin.mjs"), bytes: bytesAtStart(metafile.outputs) };
}

function bytesAtStart(outputs: Metafile["outputs"]): number {
  const seen = new Set<string>();
  const visit = (file: string): number => {
    const output = outputs[file];
    if (output === undefined || seen.has(file)) return 0;
    seen.add(file);
    const imported = output.imports.filter(({ kind }) => kind === "import-statement");
    return imported.reduce((sum, { path }) => sum + visit(path), output.bytes);
  };
  return visit(Object.keys(outputs).find((file) => outputs[file]?.entryPoint === "<stdin>") ?? "");
}

/** In a process of its own, ms. */
function importMs(file: string, probe: string): number {
  const env = { ...process.env, AWS_REGION: "us-east-1", AWS_ACCESS_KEY_ID: "x", AWS_SECRET_ACCESS_KEY: "x" };
  return Number(execFileSync(process.execPath, [probe, pathToFileURL(file).href], { env, encoding: "utf8" }));
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

const folder = await mkdtemp(join(tmpdir(), "pawl-bench-"));
try {
  const probe = join(folder, "probe.mjs");
  await writeFile(
    probe,
    "const at = performance.now(); await import(process.argv[2]); process.stdout.write(String(performance.now() - at));",
  );
  const [sdk, own] = [await bundle("sdk", sdkOnly, folder), await bundle("worker", worker, folder)];
  const times = new Map<Bundle, number[]>([
    [sdk, []],
    [own, []],
  ]);
  for (let round = 0; round <= rounds; round++) {
    // The first of each fills the caches.
    for (const [one, all] of times) {
      const ms = importMs(one.file, probe);
      if (round > 0) all.push(ms);
    }
  }
  const [sdkMs, ownMs] = [median(times.get(sdk) ?? []), median(times.get(own) ?? [])];
  const ratio = Number((ownMs / sdkMs).toFixed(3));
  const machine = `${cpus()[0]?.model ?? "unknown"} x${cpus().length}, Node ${process.version}`;
  const figures = { machine, rounds, sdkBytes: sdk.bytes, workerBytes: own.bytes, sdkMs, workerMs: ownMs, ratio };
  process.stdout.write(
    process.argv.includes("--json")
      ? `${JSON.stringify(figures)}\n`
      : `${machine}\nSDK clients ${sdk.bytes} bytes, ${sdkMs.toFixed(1)} ms\nworker      ${own.bytes} bytes, ${ownMs.toFixed(1)} ms\nratio       ${ratio}\n`,
  );
} finally {
  await rm(folder, { recursive: true, force: true });
}
