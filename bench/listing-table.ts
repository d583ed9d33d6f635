/**
 * How many requests lists and statistics make, and how many items they read, with 1,000 and with 10,000 runs of five
 * workflows in a table of the emulator.
 *
 *     npm run bench:listing-table -- [--json]
 *
 * Requests and items are what DynamoDB takes its time and money for; each request reads on from one place of a key. Items
 * grow until each place has as many as a page asks of it. Times are told, too, but they are the emulator's: it looks at all
 * of a partition for each query. Ends with 1 when an answer takes more than half as many requests again with the many runs
 * as with the few, or more items for each request than a page may ask for.
 */
import process from "node:process";
import { limits } from "../lib/definition/limits.ts";
import { createQueries, type ListRequest, type Queries } from "../lib/runtime/queries.ts";
import { openAws } from "../test/wire/aws.ts";
import { StreamedTable } from "../test/wire/streamed-table.ts";
import { lists, nowMs, runAt, workflows } from "./listed-runs.ts";

const few = 1_000;
const many = 10_000;
const mostRatio = 1.5;
/** Of a list that looks for rare matches; the others ask for their limit, and two more. */
const mostItems = limits.batchKeys + 2;
const limit = 10;
/** Runs that the page before is asked for, when one further on is measured. */
const skipped = 20;

const silent = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };

interface Filled {
  readonly table: StreamedTable;
  readonly queries: Queries;
}

async function fill(count: number): Promise<Filled> {
  const table = await StreamedTable.create();
  await Promise.all(workflows.map((workflow) => table.store.putGraph(workflow, "0123456789abcdef", "{}")));
  await table.put(Array.from({ length: count }, (_, index) => runAt(index, count)));
  await table.settle();
  return { table, queries: createQueries({ index: table.index, clock: { now: () => nowMs }, logger: silent }) };
}

interface Cost {
  /** Runs, groups or workflows in the answer. */
  readonly answers: number;
  readonly requests: number;
  readonly items: number;
  readonly ms: number;
}

async function costOf({ table }: Filled, ask: () => Promise<number>): Promise<Cost> {
  table.requests.clear();
  table.items = 0;
  const begun = performance.now();
  const answers = await ask();
  const ms = Math.round(performance.now() - begun);
  const requests = [...table.requests.values()].reduce((sum, count) => sum + count, 0);
  return { answers, requests, items: table.items, ms };
}

async function costs(filled: Filled): Promise<Map<string, Cost>> {
  const { queries } = filled;
  const found = new Map<string, Cost>();
  const page = (request: ListRequest) => async (): Promise<number> =>
    (await queries.list({ ...request, limit })).runs.length;
  for (const [name, request] of Object.entries(lists)) {
    found.set(`list by ${name}: first page`, await costOf(filled, page(request)));
    const { cursor } = await queries.list({ ...request, limit: skipped });
    if (cursor === undefined) continue;
    found.set(`list by ${name}: page behind it`, await costOf(filled, page({ ...request, cursor })));
  }
  // What is asked for once a minute would otherwise count for the first only.
  await queries.stats();
  found.set("stats of a week", await costOf(filled, async () => (await queries.stats()).workflows.length));
  const year = async (): Promise<number> => (await queries.stats({ days: 366 })).workflows.length;
  found.set("stats of a year", await costOf(filled, year));
  found.set("failures", await costOf(filled, async () => (await queries.failures()).length));
  return found;
}

const aws = await openAws();
const small = await fill(few);
const large = await fill(many);
const smallCosts = await costs(small);
const figures = [...(await costs(large))].flatMap(([question, manyCost]) => {
  const fewCost = smallCosts.get(question);
  // With the few, some lists have no such page.
  if (fewCost?.answers !== manyCost.answers) return [];
  const ratio = Number((manyCost.requests / fewCost.requests).toFixed(2));
  const isTooMuch = ratio > mostRatio || manyCost.items > manyCost.requests * mostItems;
  return [{ question, few: fewCost, many: manyCost, ratio, isTooMuch }];
});
await small.table.close();
await large.table.close();
await aws.stop();

const worst = Math.max(...figures.map(({ ratio }) => ratio));
if (process.argv.includes("--json")) {
  process.stdout.write(`${JSON.stringify({ few, many, limit, worst, figures })}\n`);
} else {
  process.stdout.write(`requests, items and ms with ${few} and with ${many} runs, and the ratio of the first\n`);
  const text = ({ requests, items, ms }: Cost): string =>
    [requests, items, ms].map((number) => String(number).padStart(6)).join("");
  for (const { question, few: fewCost, many: manyCost, ratio, isTooMuch } of figures) {
    const mark = isTooMuch ? "  too many" : "";
    process.stdout.write(`${question.padEnd(44)}${text(fewCost)}  ${text(manyCost)}  ${ratio.toFixed(2)}${mark}\n`);
  }
}
process.exitCode = figures.some(({ isTooMuch }) => isTooMuch) ? 1 : 0;
