/** Lists, failures and statistics as a person reads them. */
import { bold, dim } from "yoctocolors";
import { type Line, lookOf } from "../dev/run-frame.ts";
import { formatCount, formatElapsed, formatError } from "../dev/text.ts";
import type { RunStatus } from "../engine/run-state.ts";
import type { FailureView, RunSummary, Stats, WorkflowStats } from "../runtime/queries.ts";
import { type Cell, tableLines } from "./table.ts";

export function runLines(runs: readonly RunSummary[]): Line[] {
  const titles = ["run", "status", "workflow", "created", "took", ""];
  return tableLines(
    titles.map((title) => ({ title })),
    runs.map((run) => [
      run.runId,
      statusCell(run.status),
      run.workflow,
      [timeText(run.createdAt), dim],
      tookText(run),
      noteCell(run),
    ]),
  );
}

export function failureLines(failures: readonly FailureView[]): Line[] {
  if (failures.length === 0) return [];
  const rows = failures.map((failure): Cell[] => [
    [String(failure.count), bold],
    failure.fingerprint,
    failure.workflow,
    failure.step ?? "",
    [timeText(failure.lastSeenAt), dim],
    failure.example,
    formatError(failure),
  ]);
  return [
    ...tableLines(
      [
        { title: "runs", align: "right" },
        { title: "fingerprint" },
        { title: "workflow" },
        { title: "step" },
        { title: "last" },
        { title: "example" },
        { title: "" },
      ],
      rows,
    ),
    [],
    [["list them with    pawl ls --fingerprint …", dim]],
    [["repair them with  pawl bulk redrive --fingerprint …", dim]],
  ];
}

export function statsLines(stats: Stats, nowMs: number): Line[] {
  const days = daysOf(stats);
  const shown = [...new Set(stats.workflows.flatMap(({ byStatus }) => Object.keys(byStatus)))];
  const statuses = statusOrder.filter((status) => shown.includes(status));
  const most = Math.max(1, ...stats.workflows.flatMap((one) => barsOf(one, days)));
  const rows = stats.workflows.map((one): Cell[] => [
    [one.workflow, bold],
    formatCount(one.runs),
    ...statuses.map((status) => countCell(status, one.byStatus[status])),
    durationText(one.p50Ms),
    durationText(one.p95Ms),
    barsOf(one, days)
      .map((count) => bar(count, most))
      .join(""),
  ]);
  const span = stats.from === stats.to ? stats.from : `${stats.from} to ${stats.to}`;
  return [
    [[formatCount(stats.runs), bold], [` ${stats.runs === 1 ? "run" : "runs"} created ${span} (UTC)`]],
    ...(rows.length === 0 ? [] : [[]]),
    ...(rows.length === 0
      ? []
      : tableLines(
          [
            { title: "workflow" },
            { title: "runs", align: "right" },
            ...statuses.map((status) => ({ title: status.replace("_", " "), align: "right" as const })),
            { title: "p50", align: "right" },
            { title: "p95", align: "right" },
            { title: stats.from === stats.to ? "" : "per day" },
          ],
          rows,
        )),
    ...storageLines(stats.storage, nowMs),
  ];
}

function storageLines({ bytes, bytesAt, oldestRun, nextExpiry }: Stats["storage"], nowMs: number): Line[] {
  const isOld = bytesAt !== undefined && nowMs - Date.parse(bytesAt) > 60_000;
  const parts = [
    ...(bytes === undefined ? [] : [`${formatBytes(bytes)} stored${isOld ? ` (as of ${timeText(bytesAt)})` : ""}`]),
    ...(oldestRun === undefined ? [] : [`oldest run of ${oldestRun}`]),
    ...(nextExpiry === undefined ? [] : [`next expiry ${nextExpiry}`]),
  ];
  return parts.length === 0 ? [] : [[], [[parts.join(", "), dim]]];
}

/** In the order in which runs go through them. */
const statusOrder: readonly RunStatus[] = [
  "running",
  "paused",
  "unwinding",
  "succeeded",
  "failed",
  "cancelled",
  "timed_out",
];

/** More days than these share a bar with their neighbours. */
const mostBars = 31;

/** All days, oldest first: those without runs too. */
function daysOf({ from, to }: Pick<Stats, "from" | "to">): string[] {
  const days: string[] = [];
  const dayMs = 86_400_000;
  for (let atMs = Date.parse(from); atMs <= Date.parse(to) && days.length < 366; atMs += dayMs) {
    days.push(new Date(atMs).toISOString().slice(0, 10));
  }
  return days;
}

/** Runs per day, oldest first, or per some days. */
function barsOf(one: WorkflowStats, days: readonly string[]): number[] {
  if (days.length < 2) return [];
  const runs = new Map(one.days.map((day) => [day.day, day.runs]));
  const perBar = Math.ceil(days.length / mostBars);
  const bars: number[] = [];
  // From the newest back, so that it is the oldest bar that may have fewer days.
  for (let end = days.length; end > 0; end -= perBar) {
    const some = days.slice(Math.max(0, end - perBar), end);
    bars.unshift(some.reduce((sum, day) => sum + (runs.get(day) ?? 0), 0));
  }
  return bars;
}

const levels = "▁▂▃▄▅▆▇█";

function bar(count: number, most: number): string {
  if (count === 0) return "·";
  return levels[Math.min(levels.length - 1, Math.floor((count / most) * levels.length))] ?? "█";
}

function statusCell(status: RunStatus): Cell {
  const { symbol, style } = lookOf(status);
  return [`${symbol} ${status.replace("_", " ")}`, style];
}

function countCell(status: RunStatus, count: number | undefined): Cell {
  return count === undefined || count === 0 ? ["·", dim] : [formatCount(count), lookOf(status).style];
}

function noteCell({ error, tags }: RunSummary): Cell {
  if (error !== undefined) return formatError(error);
  return [
    Object.entries(tags ?? {})
      .map(([key, value]) => `${key}=${value}`)
      .join(", "),
    dim,
  ];
}

function tookText({ createdAt, startAt, endedAt }: RunSummary): string {
  return endedAt === undefined ? "" : formatElapsed(Date.parse(endedAt) - Date.parse(startAt ?? createdAt));
}

/** To the second. */
function timeText(iso: string): string {
  return iso.replace(/\.\d+Z$/, "Z");
}

function durationText(ms: number | undefined): Cell {
  if (ms === undefined) return ["·", dim];
  return ms < 1_000 ? `${ms}ms` : formatElapsed(ms);
}

function formatBytes(bytes: number): string {
  const units = ["bytes", "KiB", "MiB", "GiB", "TiB"];
  const power = bytes < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log2(bytes) / 10));
  const amount = bytes / 1024 ** power;
  return `${power === 0 ? amount : amount.toFixed(1)} ${units[power] ?? ""}`;
}
