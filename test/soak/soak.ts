/** Starts runs without end on a server that is killed without end, leaves it alone, and looks whether all has come right. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import type { Stats } from "../../lib/runtime/queries.ts";
import type { RunView } from "../../lib/runtime/run-view.ts";
import { freePort } from "../wire/emulator.ts";
import { Api } from "./api.ts";
import { readJournal } from "./journal.ts";
import { Ledger } from "./ledger.ts";
import { Partner } from "./partner.ts";
import { ServerUnderFire } from "./server-under-fire.ts";
import { type StoryTools, stories, tell } from "./stories.ts";
import { judge, type Verdict } from "./verdict.ts";

export interface SoakOptions {
  readonly kills: number;
  /** Holds the server's data, the journal, and what is shared with the workflows. Empty at first. */
  readonly folder: string;
  /** Told now and then how far it is. */
  readonly report?: (line: string) => void;
}

export interface SoakResult {
  readonly kills: number;
  /** Whose start was acknowledged. */
  readonly runs: number;
  /** Executions of steps and items that were begun. */
  readonly executions: number;
  /** Results of steps of those runs that are committed. */
  readonly steps: number;
  readonly verdict: Verdict;
}

/** Runs that are open at the same time. */
const openRuns = 24;
/** A server that is left alone ends all runs within this time. */
const quietMs = 120_000;
const longestLifeMs = 450;

export async function soak({ kills, folder, report = () => undefined }: SoakOptions): Promise<SoakResult> {
  const partner = await Partner.open();
  const port = await freePort();
  const over = new AbortController();
  const ledger = new Ledger();
  const api = new Api(`http://127.0.0.1:${port}`, (what) => ledger.surprises.push(what), over.signal);
  const tools: StoryTools = { api, ledger, partner, folder };
  const start = (): ServerUnderFire =>
    new ServerUnderFire({
      file: fileURLToPath(new URL("workflows.ts", import.meta.url)),
      port,
      dataDir: join(folder, "data"),
      env: {
        PAWL_SOAK_FOLDER: folder,
        PAWL_SOAK_PARTNER: partner.url,
        // A server that is up sooner is killed more often.
        NODE_COMPILE_CACHE: join(folder, "compiled"),
      },
    });
  let server = start();
  const killOnExit = (): void => void server.kill();
  process.once("exit", killOnExit);
  try {
    const client = keepTelling(tools, over.signal);
    let bootMs: number | undefined;
    for (let kill = 1; kill <= kills; kill++) {
      const tookMs = await liveForAWhile(server, bootMs);
      if (tookMs === undefined || server.hasEnded) {
        ledger.surprises.push(`The server did not come up, or ended by itself:\n${server.said}`);
      }
      bootMs = tookMs ?? bootMs;
      await server.kill();
      server = start();
      if (kill % 50 === 0) report(`${kill} kills, ${ledger.entries.length} runs`);
    }
    await server.ready;
    client.beginNothingMore();
    await Promise.race([client.ended, sleep(quietMs, undefined, { ref: false })]);
    const ends = await lookAtEnds(ledger, api);
    const verdict = judge(ledger, readJournal(join(folder, "journal")), ends);
    if (verdict.stuck.length === 0) await compareCounts(api, verdict);
    const exitCode = await server.stop();
    if (exitCode !== 0) verdict.wrong.push(`The server was asked to stop and ended with ${exitCode}:\n${server.said}`);
    lookIntoFile(join(folder, "data"), verdict);
    return { kills, ...sums(ledger, ends, folder), verdict };
  } finally {
    over.abort();
    await server.kill();
    process.removeListener("exit", killOnExit);
    partner.close();
  }
}

interface Client {
  beginNothingMore(): void;
  /** When the stories that have begun are over. */
  readonly ended: Promise<unknown>;
}

/** Keeps so many runs open. */
function keepTelling(tools: StoryTools, over: AbortSignal): Client {
  const workflows = Object.keys(stories);
  let mayBegin = true;
  let begun = 0;
  const tellOneByOne = async (): Promise<void> => {
    while (mayBegin && !over.aborted) {
      const number = begun++;
      await tell(tools.ledger.begin(workflows[number % workflows.length]!, number), tools);
    }
  };
  const ended = Promise.all(
    Array.from({ length: openRuns }, () =>
      tellOneByOne().catch((error: unknown) => {
        if (!over.aborted) tools.ledger.surprises.push(`The client failed: ${String(error)}`);
      }),
    ),
  );
  return { beginNothingMore: () => void (mayBegin = false), ended };
}

/**
 * A third of the servers die while they start, the others at work.
 *
 * @param bootMs how long the last start took; the first server is always left to start
 * @returns the same of this one; `undefined` when it has not come up
 */
async function liveForAWhile(server: ServerUnderFire, bootMs: number | undefined): Promise<number | undefined> {
  if (bootMs !== undefined && Math.random() < 1 / 3) {
    await sleep(Math.random() * bootMs);
    return bootMs;
  }
  if (!(await server.ready)) return undefined;
  const tookMs = Date.now() - server.startedAtMs;
  await sleep(Math.random() * longestLifeMs);
  return tookMs;
}

async function lookAtEnds(ledger: Ledger, api: Api): Promise<ReadonlyMap<string, RunView>> {
  const ends = new Map<string, RunView>();
  for (const entry of ledger.entries) {
    const view = await api.show(entry.runId);
    if (view !== undefined) ends.set(entry.runId, view);
  }
  return ends;
}

/** What is counted on the way must be what a list finds. */
async function compareCounts(api: Api, verdict: Verdict): Promise<void> {
  const { body } = await api.persist("GET", "/stats?days=2");
  const { byStatus } = body as Stats;
  const listed: Record<string, number> = {};
  let cursor: string | undefined;
  do {
    const query = cursor === undefined ? "" : `&cursor=${encodeURIComponent(cursor)}`;
    const page = (await api.persist("GET", `/runs?limit=100${query}`)).body as {
      readonly runs: readonly { readonly status: string }[];
      readonly cursor?: string;
    };
    for (const { status } of page.runs) listed[status] = (listed[status] ?? 0) + 1;
    cursor = page.cursor;
  } while (cursor !== undefined);
  for (const status of new Set([...Object.keys(byStatus), ...Object.keys(listed)])) {
    const counted = (byStatus as Readonly<Record<string, number>>)[status] ?? 0;
    if (counted !== (listed[status] ?? 0))
      verdict.wrong.push(`GET /stats counts ${counted} runs that are ${status}, and a list has ${listed[status] ?? 0}`);
  }
}

function lookIntoFile(dataDir: string, verdict: Verdict): void {
  const file = join(dataDir, "pawl.db");
  if (!existsSync(file)) {
    verdict.wrong.push(`There is no file ${file}`);
    return;
  }
  const db = new DatabaseSync(file);
  const [check] = Object.values(db.prepare("PRAGMA integrity_check").get() ?? {});
  if (check !== "ok") verdict.wrong.push(`The file is damaged: ${String(check)}`);
  for (const { reason, json } of db.prepare("SELECT reason, json FROM dead_letter LIMIT 10").all()) {
    verdict.wrong.push(`A dead letter: ${String(reason)}: ${String(json)}`);
  }
  db.close();
}

function sums(
  { entries }: Ledger,
  ends: ReadonlyMap<string, RunView>,
  folder: string,
): Pick<SoakResult, "runs" | "executions" | "steps"> {
  const steps = [...ends.values()].flatMap(({ steps }) => Object.values(steps));
  return {
    runs: entries.filter(({ acknowledged }) => acknowledged.length > 0).length,
    executions: readJournal(join(folder, "journal")).length,
    steps: steps.filter(({ status }) => status === "succeeded").length,
  };
}
