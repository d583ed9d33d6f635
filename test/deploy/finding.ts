// What lists, statistics and failures say of the same runs on two engines, one of which lags behind its runs.
import { setTimeout as sleep } from "node:timers/promises";
import type { FailureView, RunPage, Stats } from "../../lib/runtime/queries.ts";
import type { Driver } from "./host.ts";

const patienceMs = 60_000;
const pauseMs = 500;

/** Asks until it says the same as the other, or for a minute. @returns what it said last */
export async function untilSame<T>(expected: T, ask: () => Promise<T>): Promise<T> {
  const giveUpAtMs = Date.now() + patienceMs;
  for (;;) {
    const answer = await ask();
    if (JSON.stringify(answer) === JSON.stringify(expected) || Date.now() > giveUpAtMs) return answer;
    await sleep(pauseMs);
  }
}

/** All pages: everything but times. Runs that begin in the same moment on one of them need not on the other. */
export async function listed(driver: Driver, query: string) {
  const found: string[] = [];
  let cursor: string | undefined;
  do {
    const from = cursor === undefined ? "" : `&cursor=${encodeURIComponent(cursor)}`;
    const page = (await driver.send("GET", `/runs?${query}&limit=3${from}`)) as RunPage;
    for (const { runId, workflow, status, tags, parent } of page.runs) {
      found.push(JSON.stringify({ runId, workflow, status, tags, parent }));
    }
    cursor = page.cursor;
  } while (cursor !== undefined);
  return found.toSorted();
}

/** How many runs of each status, on the days that matter. */
export async function counted(driver: Driver, workflow: string) {
  const { runs, byStatus, workflows } = (await driver.send("GET", `/stats?days=2&workflow=${workflow}`)) as Stats;
  const sorted = (counts: object) => Object.entries(counts).toSorted();
  return { runs, byStatus: sorted(byStatus), byWorkflow: workflows.map((one) => [one.workflow, sorted(one.byStatus)]) };
}

/** Without times and fingerprints: the same code lies in other files there. */
export async function failuresOf(driver: Driver, workflow: string) {
  const { failures } = (await driver.send("GET", `/failures?workflow=${workflow}`)) as { failures: FailureView[] };
  return failures.map(({ step, name, message, count }) => JSON.stringify({ step, name, message, count })).toSorted();
}
