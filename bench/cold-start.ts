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
import { mkdirSync, readFileSync, statSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath, pathToFileURL } from "node:url";
import { bundle } from "../lib/cdk/bundle.ts";

const rounds = 21;

interface Bundle {
  readonly file: string;
  /** Of all that is loaded before the first invocation. */
  readonly bytes: number;
}

function bundleOf(name: string, folder: string): Bundle {
  const outputDir = join(folder, name);
  mkdirSync(outputDir);
  bundle(fileURLToPath(new URL(`bundles/${name}.ts`, import.meta.url)), outputDir, { sourceMap: false });
  return { file: join(outputDir, "index.mjs"), bytes: bytesAtStart(outputDir, "index.mjs") };
}

/** Of the file and of what it imports, other than by import(). */
function bytesAtStart(folder: string, file: string, seen = new Set<string>()): number {
  if (seen.has(file)) return 0;
  seen.add(file);
  const imported = readFileSync(join(folder, file), "utf8").matchAll(/(?:from|import)"\.\/([^"]+)"/g);
  return [...imported].reduce(
    (sum, [, name = ""]) => sum + bytesAtStart(folder, name, seen),
    statSync(join(folder, file)).size,
  );
}

/** In a process of its own. */
function importMs({ file }: Bundle, probe: string): number {
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
  const [sdk, worker] = [bundleOf("sdk-only", folder), bundleOf("worker", folder)];
  const sdkTimes: number[] = [];
  const workerTimes: number[] = [];
  for (let round = 0; round <= rounds; round++) {
    const [sdkMs, workerMs] = [importMs(sdk, probe), importMs(worker, probe)];
    // The first of each fills the caches.
    if (round === 0) continue;
    sdkTimes.push(sdkMs);
    workerTimes.push(workerMs);
  }
  const [sdkMs, workerMs] = [median(sdkTimes), median(workerTimes)];
  const ratio = Number((workerMs / sdkMs).toFixed(3));
  const machine = `${cpus()[0]?.model ?? "unknown"} x${cpus().length}, Node ${process.version}`;
  const figures = { machine, rounds, sdkBytes: sdk.bytes, workerBytes: worker.bytes, sdkMs, workerMs, ratio };
  process.stdout.write(
    process.argv.includes("--json")
      ? `${JSON.stringify(figures)}\n`
      : `${machine}\nSDK clients ${sdk.bytes} bytes, ${sdkMs.toFixed(1)} ms\nworker      ${worker.bytes} bytes, ${workerMs.toFixed(1)} ms\nratio       ${ratio}\n`,
  );
} finally {
  await rm(folder, { recursive: true, force: true });
}
