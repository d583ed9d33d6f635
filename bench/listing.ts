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
import { isTerminal, type RunState, type RunStatus } from "../lib/engine/run-state.ts";
import { createQueries, type ListRequest, type Queries } from "../lib/runtime/queries.ts";

const few = 1_000;
const many = 100_000;
const mostRatio = 1.5;
const rounds = 300;
/** Runs of a page: with the few, each list has that many, so that both answers are of the same size. */
const limit = 10;

const nowMs = Date.UTC(2026, 10, 21, 12);
const spanMs = 7 * 86_400_000;
const workflows = ["order", "import", "report", "sync", "video"];
const parentId = "parent";

/** The same mixture, however many there are; they begin evenly over a week. */
function runAt(index: number, count: number): RunState {
  const workflow = workflows[index % workflows.length] ?? "order";
  const status = statusAt(index);
  const createdAtMs = nowMs - spanMs + Math.floor((index / count) * spanMs);
  const tookMs = 1_000 * (1 + (index % 5)) * (0.7 + (index % 71) / 100);
  const isChild = index % 20 === 7;
  const link = {
    workflow: "order",
    fingerprint: "0123456789abcdef",
    step: 0,
    taskQueue: "default",
    epoch: 0,
    attempt: 1,
  };
  const kind = Math.floor(index / 50) % 2;
  const error = { name: "Error", message: `Kind ${kind}`, step: "charge", fingerprint: `kind${kind}` };
  return {
    runId: isChild ? `${parentId}~s${index}` : `run-${index}-of-many`,
    workflow,
    fingerprint: "0123456789abcdef",
    status,
    epoch: 0,
    changes: 2,
    input: { json: `{"order":${index}}` },
    inputHash: "hash",
    steps: Array.from({ length: 10 }, () => ({
      status: "succeeded",
      attempt: 1,
      startedAtMs: createdAtMs,
      endedAtMs: nowMs,
    })),
    outputs: [],
    signals: [],
    undos: [],
    generations: [],
    tokens: [],
    interrupts: [],
    heartbeats: [],
    tags: { customer: `c-${index % 17}`, region: ["eu", "us", "asia"][index % 3] ?? "eu" },
    createdAtMs,
    ...(isChild ? { parent: link } : {}),
    ...(isTerminal(status) ? { endedAtMs: createdAtMs + Math.round(tookMs) } : {}),
    ...(status === "failed" ? { error } : {}),
  };
}

function statusAt(index: number): RunStatus {
  const place = Math.floor(index / workflows.length) % 100;
  if (place % 10 === 3) return "failed";
  if (place % 20 === 6) return "cancelled";
  if (place % 50 === 11) return "timed_out";
  return place % 25 === 14 ? "running" : "succeeded";
}

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

const from = new Date(nowMs - 5 * 86_400_000);
const to = new Date(nowMs - 2 * 86_400_000);
const tag = { key: "region", value: "eu" };

const lists: Readonly<Record<string, Omit<ListRequest, "limit" | "cursor">>> = {
  "all runs": {},
  workflow: { workflow: "order" },
  status: { status: "failed" },
  "two statuses": { status: ["failed", "cancelled"] },
  time: { from, to },
  "workflow, status": { workflow: "order", status: "failed" },
  "workflow, time": { workflow: "order", from, to },
  "workflow, status, time": { workflow: "order", status: "succeeded", from, to },
  tag: { tag: { key: "customer", value: "c-3" } },
  "tag, time": { tag, from, to },
  "tag, status": { tag, status: "failed" },
  "tag, workflow": { tag, workflow: "order" },
  parent: { parent: parentId },
  fingerprint: { fingerprint: "kind1" },
  "fingerprint, tag": { fingerprint: "kind1", tag },
};

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

function median(samples: readonly number[]): number {
  return samples.toSorted((a, b) => a - b)[Math.floor(samples.length / 2)] ?? 0;
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
