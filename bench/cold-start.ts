/**
 * What each function of a stack loads when it starts: bytes and time, against a bundle that does nothing but make the SDK
 * clients that every worker needs, made by the same bundler.
 *
 *     npm run bench:cold-start -- [--json]
 *
 * Times are of this machine and this moment; their ratio is what counts. Each is the median of processes that were started
 * in turn.
 */
import { execFile } from "node:child_process";
import { mkdir, mkdtemp, rm, stat } from "node:fs/promises";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath, pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { environmentNames, writeStackAddress } from "../lib/aws/environment.ts";
import { bundle } from "../lib/cdk/bundle.ts";
import type { Probed } from "./cold-start-probe.ts";

const rounds = 11;

export interface ColdStart {
  readonly machine: string;
  /** So many processes each; times are their medians. */
  readonly rounds: number;
  readonly starts: readonly Start[];
}

/** How a function starts, or a bundle that it is compared with. */
export interface Start {
  readonly name: string;
  readonly file: string;
  /** Of all that is loaded by import, before the first event. */
  readonly files: number;
  /** As deployed: minified, with the names of functions and classes. */
  readonly bytes: number;
  /** Without these names. */
  readonly minifiedBytes: number;
  /** Of the import. */
  readonly ms: number;
  /** By the import time of `sdk`: the median of the rounds' ratios, as a machine that is busy is so for both. */
  readonly ratio: number;
  /** With what the first event loads besides; absent where nothing takes events. */
  readonly firstEvent?: { readonly bytes: number; readonly ms: number; readonly ratio: number };
}

interface Subject {
  readonly name: string;
  /** In `bench/bundles`. */
  readonly source: string;
  readonly file: "index.mjs" | "api.mjs";
  readonly event?: unknown;
  readonly environment?: Readonly<Record<string, string>>;
}

const arn = "arn:aws:sqs:us-east-1:000000000000:default";
const deployed = {
  ...writeStackAddress({
    table: "table",
    blobs: "blobs",
    queues: { default: { url: "https://sqs.us-east-1.amazonaws.com/000000000000/default", arn } },
    scheduleGroup: "group",
    scheduleRole: "arn:aws:iam::000000000000:role/schedules",
    replies: { prefix: "replies-" },
  }),
  [environmentNames.stack]: "bench",
  [environmentNames.taskQueue]: "default",
  [environmentNames.deadLetterQueue]: "https://sqs.us-east-1.amazonaws.com/000000000000/dead",
  [environmentNames.archive]: "https://sqs.us-east-1.amazonaws.com/000000000000/archive",
  [environmentNames.eventBus]: "bus",
};
const noRecords = { event: { Records: [] }, environment: deployed };
const request = { version: "2.0", rawPath: "/healthz", requestContext: { http: { method: "GET" } } };

/** No event here makes a request to AWS. */
const subjects: readonly Subject[] = [
  { name: "sdk", source: "sdk-only", file: "index.mjs" },
  { name: "sdkAndZod", source: "sdk-and-zod", file: "index.mjs" },
  { name: "worker", source: "worker", file: "index.mjs", ...noRecords },
  { name: "workerWithSchema", source: "worker-with-schema", file: "index.mjs", ...noRecords },
  { name: "deadLetters", source: "worker", file: "index.mjs", ...noRecords },
  // It would ask for open runs at once: without an environment it stops when its code is there.
  { name: "audit", source: "worker", file: "index.mjs", event: {} },
  { name: "lifecycle", source: "worker", file: "index.mjs", ...noRecords },
  { name: "api", source: "worker", file: "api.mjs", event: request, environment: deployed },
];

/** Takes some 30 s. Prints nothing; what it writes is removed. */
export async function measureColdStart(): Promise<ColdStart> {
  const folder = await mkdtemp(join(tmpdir(), "pawl-bench-"));
  try {
    for (const source of new Set(subjects.map(({ source }) => source))) await bundleBoth(source, folder);
    const rows: (readonly Probed[])[] = [];
    for (let round = 0; round <= rounds; round++) {
      const row: Probed[] = [];
      for (const subject of subjects) row.push(await probe(subject, join(folder, "deployed")));
      // The first fills the caches.
      if (round > 0) rows.push(row);
    }
    const starts: Start[] = [];
    for (const [at, subject] of subjects.entries()) {
      const loaded = await probe(subject, join(folder, "deployed"), true);
      const minified = await probe(subject, join(folder, "minified"), true);
      // Those of one file are imported alike.
      const alike = subjects.flatMap(({ source, file }, other) =>
        source === subject.source && file === subject.file ? [other] : [],
      );
      const events = timesOf(rows, [at], ({ eventMs }) => eventMs);
      starts.push({
        name: subject.name,
        file: subject.file,
        files: loaded.atStart.length,
        bytes: await bytesOf(loaded.atStart),
        minifiedBytes: await bytesOf(minified.atStart),
        ...timesOf(rows, alike, ({ importMs }) => importMs),
        ...(subject.event === undefined ? {} : { firstEvent: { bytes: await bytesOf(loaded.atEvent), ...events } }),
      });
    }
    return { machine: `${cpus()[0]?.model ?? "unknown"} x${cpus().length}, Node ${process.version}`, rounds, starts };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** @param at places in a row */
function timesOf(
  rows: readonly (readonly Probed[])[],
  at: readonly number[],
  of: (probed: Probed) => number,
): { readonly ms: number; readonly ratio: number } {
  const times = rows.flatMap((row) => {
    const sdkMs = row[0]?.importMs ?? Number.NaN;
    return row
      .filter((_, place) => at.includes(place))
      .map((probed) => ({ ms: of(probed), ratio: of(probed) / sdkMs }));
  });
  return { ms: median(times.map(({ ms }) => ms)), ratio: median(times.map(({ ratio }) => ratio)) };
}

/** As it is deployed, and without names. */
async function bundleBoth(source: string, folder: string): Promise<void> {
  const path = fileURLToPath(new URL(`bundles/${source}.ts`, import.meta.url));
  for (const kind of ["deployed", "minified"]) {
    const outputDir = join(folder, kind, source);
    await mkdir(outputDir, { recursive: true });
    bundle(path, outputDir, { sourceMap: false, keepNames: kind === "deployed" });
  }
}

const run = promisify(execFile);
const probeFile = fileURLToPath(new URL("cold-start-probe.ts", import.meta.url));
const credentials = { AWS_REGION: "us-east-1", AWS_ACCESS_KEY_ID: "x", AWS_SECRET_ACCESS_KEY: "x" };

/** In a process of its own. @param isCounting also which files are loaded, which takes time */
async function probe(
  { name, source, file, event, environment }: Subject,
  folder: string,
  isCounting = false,
): Promise<Probed> {
  const url = pathToFileURL(join(folder, source, file)).href;
  const handler = name === "workerWithSchema" ? "worker" : name;
  const args = [url, handler, event === undefined ? "" : JSON.stringify(event), isCounting ? "count" : ""];
  const env = { ...process.env, ...credentials, ...environment };
  const { stdout } = await run(process.execPath, [probeFile, ...args], { env });
  return JSON.parse(stdout) as Probed;
}

async function bytesOf(urls: readonly string[]): Promise<number> {
  let bytes = 0;
  for (const url of new Set(urls)) bytes += (await stat(fileURLToPath(url))).size;
  return bytes;
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return Number((sorted[Math.floor(sorted.length / 2)] ?? Number.NaN).toFixed(2));
}

function table({ machine, rounds, starts }: ColdStart): string {
  const rows = starts.map(({ name, file, files, bytes, minifiedBytes, ms, ratio, firstEvent }) =>
    [
      name.padEnd(18),
      file.padEnd(10),
      `${files} files`.padStart(9),
      `${bytes} bytes`.padStart(14),
      `(${minifiedBytes} without names)`,
      `${ms.toFixed(1)} ms`.padStart(9),
      `x ${ratio.toFixed(2)}`,
      ...(firstEvent === undefined
        ? []
        : [`; with its first event ${firstEvent.bytes} bytes, x ${firstEvent.ratio.toFixed(2)}`]),
    ].join(" "),
  );
  return `${[`${machine}, medians of ${rounds}`, ...rows].join("\n")}\n`;
}

if (import.meta.main) {
  const figures = await measureColdStart();
  process.stdout.write(process.argv.includes("--json") ? `${JSON.stringify(figures)}\n` : table(figures));
}
