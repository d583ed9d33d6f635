/**
 * How long lists and statistics take with 1,000 and with 100,000 runs of five workflows in the embedded store, on SQLite.
 *
 *     npm run bench:listing -- [--json]
 *
 * Both files are asked in turn, so that whatever else the machine does meets both. Ends with 1 when an answer takes more
 * than half as long again with the many runs as with the few.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { openSqliteBackend } from "../lib/embedded/sqlite-backend.ts";
import { encodeRun } from "../lib/engine/codec.ts";
import { createQueries, type ListRequest, type Queries } from "../lib/runtime/queries.ts";
import { lists, nowMs, runAt } from "./listed-runs.ts";
import { median } from "./statistics.ts";

const few = 1_000;
const many = 100_000;
const mostRatio = 1.5;
const rounds = 300;
/** Runs of a page: with the few, each list has that many, so that both answers are of the same size. */
const limit = 10;

async function fill(file: string, count: number): Promise<{ readonly queries: Queries; close(): Promise<void> }> {
  const silent = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };
  const clock = { now: () => nowMs };
  const backend = openSqliteBackend({ file, clock, logger: silent });
  const atOnce = 1_000;
  for (let from = 0; from < count; from += atOnce) {
    await Promise.all(
      Array.from({ length: Math.min(atOnce, count - from) }, (_, at) => {
        const run = runAt(from + at, count);
        return backend.update(run.runId, { guard: [], set: encodeRun(run) });
      }),
    );
  }
  return { queries: createQueries({ index: backend.runIndex, clock, logger: silent }), close: () => backend.close() };
}

type Ask = () => Promise<number>;

/** Each kind of question, and how large its answer was. */
async function questions(queries: Queries): Promise<Map<string, Ask>> {
  const asked = new Map<string, Ask>();
  const page = (request: ListRequest): Ask => {
    return async () => (await queries.list({ ...request, limit })).runs.length;
  };
  for (const [name, request] of Object.entries(lists)) {
    asked.set(`list by ${name}: first page`, page(request));
    const cursor = await cursorInTheMiddle(queries, request);
    if (cursor !== undefined) asked.set(`list by ${name}: page in the middle`, page({ ...request, cursor }));
  }
  asked.set("stats of a week", async () => (await queries.stats()).workflows.length);
  asked.set("stats of a year", async () => (await queries.stats({ days: 366 })).workflows.length);
  asked.set("failures", async () => (await queries.failures()).length);
  return asked;
}

/** `undefined` for a list without a full page in its middle. */
async function cursorInTheMiddle(queries: Queries, request: ListRequest): Promise<string | undefined> {
  const cursors: string[] = [];
  let cursor: string | undefined;
  do {
    ({ cursor } = await queries.list({ ...request, limit, ...(cursor === undefined ? {} : { cursor }) }));
    if (cursor !== undefined) cursors.push(cursor);
  } while (cursor !== undefined);
  // At least one full page is left after it.
  return cursors.length < 3 ? undefined : cursors[Math.floor(cursors.length / 2) - 1];
}

async function timed(ask: Ask): Promise<number> {
  const begun = performance.now();
  await ask();
  return performance.now() - begun;
}

interface Figure {
  readonly question: string;
  /** Runs, groups or workflows, with the few runs as with the many. */
  readonly answers: number;
  readonly fewMs: number;
  readonly manyMs: number;
  readonly ratio: number;
}

async function measure(question: string, askFew: Ask, askMany: Ask): Promise<Figure> {
  const samples: [number[], number[]] = [[], []];
  for (let round = 0; round < rounds; round += 1) {
    samples[0].push(await timed(askFew));
    samples[1].push(await timed(askMany));
  }
  const answers = [await askFew(), await askMany()] as const;
  if (answers[0] !== answers[1]) throw new Error(`${question}: ${answers.join(" and ")} answers cannot be compared`);
  const [fewMs, manyMs] = [median(samples[0]), median(samples[1])];
  const rounded = (ms: number): number => Number(ms.toFixed(4));
  return {
    question,
    answers: answers[0],
    fewMs: rounded(fewMs),
    manyMs: rounded(manyMs),
    ratio: Number((manyMs / fewMs).toFixed(2)),
  };
}

const directory = await mkdtemp(join(tmpdir(), "pawl-listing-"));
const figures: Figure[] = [];
try {
  const small = await fill(join(directory, "few.db"), few);
  const large = await fill(join(directory, "many.db"), many);
  const askLarge = await questions(large.queries);
  for (const [question, askFew] of await questions(small.queries)) {
    const askMany = askLarge.get(question);
    if (askMany !== undefined) figures.push(await measure(question, askFew, askMany));
  }
  await small.close();
  await large.close();
} finally {
  await rm(directory, { recursive: true, force: true });
}

const worst = Math.max(...figures.map(({ ratio }) => ratio));
const machine = `${cpus()[0]?.model ?? "unknown"} x${cpus().length}, Node ${process.version}`;
if (process.argv.includes("--json")) {
  process.stdout.write(`${JSON.stringify({ machine, few, many, rounds, limit, worst, figures })}\n`);
} else {
  process.stdout.write(`${machine}\nmedian ms with ${few} and with ${many} runs, and their ratio\n`);
  for (const { question, fewMs, manyMs, ratio } of figures) {
    const times = `${fewMs.toFixed(3)} ${manyMs.toFixed(3)}`;
    process.stdout.write(
      `${question.padEnd(52)} ${times}  ${ratio.toFixed(2)}${ratio > mostRatio ? "  too slow" : ""}\n`,
    );
  }
}
process.exitCode = worst > mostRatio ? 1 : 0;
