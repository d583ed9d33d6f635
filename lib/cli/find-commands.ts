/** Commands that find runs and count them. */
import process from "node:process";
import { type Command, Option } from "commander";
import type { Line } from "../dev/run-frame.ts";
import type { RunPage, RunSummary } from "../runtime/queries.ts";
import { aPage, theFailures, theStats } from "./answers.ts";
import type { ApiClient } from "./api-client.ts";
import { parseCount, quote } from "./arguments.ts";
import { type FilterFlags, filterArguments, searchParams, withFilter } from "./filter.ts";
import { failureLines, runLines, statsLines } from "./find-text.ts";
import { connect, print, type ServerFlags, serverArguments, serverCommand } from "./server-command.ts";
import { linesFor } from "./terminal.ts";

interface ListFlags extends ServerFlags, FilterFlags {
  readonly limit: number;
  readonly all?: boolean;
  readonly cursor?: string;
}

interface StatsFlags extends ServerFlags {
  readonly days: number;
  readonly workflow?: string;
}

export function addFindCommands(program: Command): void {
  withFilter(serverCommand(program, "ls", "pawl ls --workflow order --status failed,timed_out --from 7d"))
    .description("list runs, newest first")
    .addOption(new Option("--limit <runs>", "so many at most").default(50).argParser(parseCount(1, 10_000)))
    .addOption(new Option("--all", "all of them").conflicts("limit"))
    .option("--cursor <cursor>", "go on where an earlier list ended")
    .action(async (flags: ListFlags) => {
      await list(flags);
    });
  serverCommand(program, "failures", "pawl failures", "pawl failures --workflow order")
    .description("show what runs are failed with now, grouped by kind of failure, most recent first")
    .option("--workflow <workflow>", "failures of this workflow")
    .action(async ({ workflow, ...flags }: ServerFlags & { readonly workflow?: string }) => {
      const query = workflow === undefined ? "" : `?${new URLSearchParams({ workflow }).toString()}`;
      const answer = await (await connect(flags)).get(`/failures${query}`, theFailures);
      printLines(flags, answer, failureLines(answer.failures));
      if (answer.failures.length === 0 && flags.json !== true) process.stderr.write("No run is failed.\n");
    });
  serverCommand(program, "stats", "pawl stats", "pawl stats --workflow order --days 30")
    .description("count runs by workflow, status and day, and tell how long they take")
    .addOption(new Option("--days <days>", "created in so many days").default(7).argParser(parseCount(1, 366)))
    .option("--workflow <workflow>", "runs of this workflow")
    .action(async ({ days, workflow, ...flags }: StatsFlags) => {
      const query = new URLSearchParams({ days: String(days), ...(workflow === undefined ? {} : { workflow }) });
      const stats = await (await connect(flags)).get(`/stats?${query.toString()}`, theStats);
      printLines(flags, stats, statsLines(stats, Date.now()));
    });
}

/** What the API takes. */
const mostOfPage = 100;
/** Pages may have next to nothing on them, when few of many runs match: a list without `--all` ends after so many. */
const mostPages = 20;

async function list(flags: ListFlags): Promise<void> {
  const { all = false, json = false } = flags;
  const pages = readPages(await connect(flags), flags);
  if (all && !json) {
    await printAll(pages);
    return;
  }
  const runs: RunSummary[] = [];
  let cursor: string | undefined;
  for await (const page of pages) {
    for (const run of page.runs) runs.push(run);
    cursor = page.cursor;
  }
  const listed: RunPage = { runs, ...(cursor === undefined ? {} : { cursor }) };
  printLines(flags, listed, runs.length === 0 ? [] : runLines(runs));
  if (!json) tellRest(flags, listed);
}

/** As they come: they may be many, and who reads them may have seen enough. */
async function printAll(pages: AsyncIterable<RunPage>): Promise<void> {
  let count = 0;
  for await (const { runs } of pages) {
    const lines = runs.length === 0 ? [] : runLines(runs);
    if (lines.length > 0) writeLines(count === 0 ? lines : lines.slice(1));
    count += runs.length;
    if (process.stdout.destroyed) return;
  }
  if (count === 0) process.stderr.write(`${noMatch}\n`);
}

const noMatch = "No run matches.";

/** On stderr: what is piped on is the list alone. */
function tellRest(flags: ListFlags, { runs, cursor }: RunPage): void {
  if (cursor === undefined) {
    if (runs.length === 0) process.stderr.write(`${noMatch}\n`);
    return;
  }
  const limit = runs.length === flags.limit ? ["--limit", String(flags.limit)] : [];
  const more = ["pawl ls", ...filterArguments(flags), ...limit, ...serverArguments(flags), "--cursor", quote(cursor)];
  process.stderr.write(`\nThere may be more: ${more.join(" ")}\n`);
}

async function* readPages(api: ApiClient, flags: ListFlags): AsyncGenerator<RunPage> {
  const { all = false } = flags;
  let left = all ? Infinity : flags.limit;
  let { cursor } = flags;
  for (let pages = 0; left > 0 && (all || pages < mostPages); pages++) {
    const params = searchParams(flags);
    params.set("limit", String(Math.min(left, mostOfPage)));
    if (cursor !== undefined) params.set("cursor", cursor);
    const page = await api.get(`/runs?${params.toString()}`, aPage);
    yield page;
    cursor = page.cursor;
    if (cursor === undefined) return;
    left -= page.runs.length;
  }
}

function printLines(flags: ServerFlags, answer: unknown, lines: readonly Line[]): void {
  if (flags.json === true) print(flags, answer, "");
  else if (lines.length > 0) writeLines(lines);
}

function writeLines(lines: readonly Line[]): void {
  process.stdout.write(`${linesFor(process.stdout, lines)}\n`);
}
