/** Statistics, put together from counts: whatever the number of runs, it adds up one row for each workflow and day. */
import { durationAt } from "../engine/projection.ts";
import { runStatuses } from "../engine/run-state.ts";
import type { Durations, Stats, StatusCounts, WorkflowStats } from "./queries.ts";
import type { CountRow, StoredExtent } from "./run-index.ts";

/** @param rows of the days from `from` to `to`, and of the workflows that are asked for */
export function statsOf(
  days: { readonly from: string; readonly to: string },
  rows: readonly CountRow[],
  extent: StoredExtent,
  nowMs: number,
): Stats {
  const byWorkflow = Map.groupBy(rows, ({ workflow }) => workflow);
  const workflows = [...byWorkflow]
    .map(([workflow, own]) => statsOfWorkflow(workflow, own))
    .filter(({ runs }) => runs > 0)
    .sort((a, b) => (a.workflow < b.workflow ? -1 : 1));
  const { runs, byStatus } = totals(sum(rows));
  return { ...days, runs, byStatus, workflows, storage: storageOf(extent, nowMs) };
}

function statsOfWorkflow(workflow: string, rows: readonly CountRow[]): WorkflowStats {
  const days = rows
    .map(({ day, counts }) => ({ day, ...totals(counts), ...durations(counts) }))
    .filter(({ runs }) => runs > 0)
    .sort((a, b) => (a.day < b.day ? 1 : -1));
  const counts = sum(rows);
  return { workflow, ...totals(counts), ...durations(counts), days };
}

function storageOf({ bytes, bytesAtMs, oldestDay, nextExpiryDay }: StoredExtent, nowMs: number): Stats["storage"] {
  return {
    ...(bytes === undefined ? {} : { bytes, bytesAt: new Date(bytesAtMs ?? nowMs).toISOString() }),
    ...(oldestDay === undefined ? {} : { oldestRun: oldestDay }),
    ...(nextExpiryDay === undefined ? {} : { nextExpiry: nextExpiryDay }),
  };
}

/** Where counts lag behind, one may be below 0 for a moment. */
function sum(rows: readonly CountRow[]): Readonly<Record<string, number>> {
  const all: Record<string, number> = {};
  for (const { counts } of rows) {
    for (const [name, count] of Object.entries(counts)) all[name] = (all[name] ?? 0) + Math.max(count, 0);
  }
  return all;
}

function totals(counts: Readonly<Record<string, number>>): { readonly runs: number; readonly byStatus: StatusCounts } {
  let runs = 0;
  const byStatus: Record<string, number> = {};
  for (const status of runStatuses) {
    const count = Math.max(counts[status] ?? 0, 0);
    if (count > 0) byStatus[status] = count;
    runs += count;
  }
  return { runs, byStatus };
}

function durations(counts: Readonly<Record<string, number>>): Durations {
  const p50Ms = durationAt(0.5, counts);
  const p95Ms = durationAt(0.95, counts);
  return { ...(p50Ms === undefined ? {} : { p50Ms }), ...(p95Ms === undefined ? {} : { p95Ms }) };
}
