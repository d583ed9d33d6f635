/** The bill of a workflow, for terminals. */
import { bold, dim } from "yoctocolors";
import type { CostReport } from "../cost/report.ts";
import type { RunCost } from "../cost/run-meter.ts";
import type { Usage } from "../cost/usage.ts";
import type { Line } from "../dev/run-frame.ts";
import { formatCount, formatDollars } from "../dev/text.ts";
import { type Cell, tableLines } from "./table.ts";

export function costLines(report: CostReport): Line[] {
  const { workflow, status, waitsFor, region, pricesOf, assumptions, attempts, dollars } = report;
  const each = report.dollarsPerMillionAttempts;
  return [
    [[`${workflow}: one run, ${status}, ${formatCount(attempts)} ${attempts === 1 ? "attempt" : "attempts"}`, bold]],
    ...(waitsFor === undefined ? [] : [[["The bill goes up to here. "], [waitsFor, dim]] as Line]),
    [],
    [["A million runs like this one   "], [formatDollars(dollars), bold]],
    ...(each === undefined ? [] : [[["A million attempts of steps    "], [formatDollars(each), bold]] as Line]),
    [],
    ...billTable(report),
    [],
    ...table(
      ["a million runs", "what for", ""],
      report.parts.map(({ part, dollars, usage }) => [formatDollars(dollars), part, usageText(usage)]),
    ),
    [],
    ...table(
      ["a million runs", "elsewhere, by the published rules", ""],
      report.peers.map(({ peer, dollars, how }) => [formatDollars(dollars), peer, how]),
    ),
    [],
    ...[
      `Prices: ${region}, ${pricesOf}.`,
      `Assumed: functions of ${assumptions.memoryMb} MB that take ${assumptions.invocationMs} ms, one message each; ${assumptions.changesAtOnce} status changes at once.`,
      notInIt,
    ].map((text): Line => [[text, dim]]),
  ];
}

/** Of a run that a server has metered, for `pawl show --cost`. */
export function runCostLines(cost: RunCost): Line[] {
  const { region, pricesOf, assumptions, isWhole } = cost;
  const { memoryMb, invocationMs, changesAtOnce } = assumptions;
  const taking = invocationMs === undefined ? "as long as they took here" : `${invocationMs} ms`;
  return [
    ...billTable(cost),
    [],
    ...[
      ...(isWhole ? [] : ["It was not metered since its beginning: it has cost more than this."]),
      `Prices: ${region}, ${pricesOf}.`,
      `Assumed: functions of ${memoryMb} MB that take ${taking}, one message each; ${changesAtOnce} status changes at once.`,
      notInIt,
    ].map((text): Line => [[text]]),
  ];
}

/** `$32.20 a million runs like this, $3.22 a million attempts of steps; with 3 runs that it has started`. */
export function runCostText({ dollars, dollarsPerMillionAttempts: each, runs, isWhole }: RunCost): string {
  const atLeast = isWhole ? "" : "at least ";
  const ofSteps = each === undefined ? "" : `, ${formatDollars(each)} a million attempts of steps`;
  const started = runs - 1;
  const others =
    started === 0 ? "" : `; with ${formatCount(started)} ${started === 1 ? "run" : "runs"} that it has started`;
  return `${atLeast}${formatDollars(dollars)} a million runs like this${ofSteps}${others}`;
}

const notInIt =
  "Not in it: storage, logs, queues that are asked while they are empty, what your steps and you ask for.";

function billTable({ lines }: Pick<RunCost, "lines">): Line[] {
  return table(
    ["a million runs", "", "for one run", ""],
    lines.map(({ service, what, units, dollars }) => [formatDollars(dollars), service, unitText(units), what]),
  );
}

function table(titles: readonly string[], rows: readonly (readonly Cell[])[]): Line[] {
  return tableLines(
    titles.map((title, index) => ({ title, align: index === 0 || title === "for one run" ? "right" : "left" })),
    rows,
  );
}

function unitText(units: number): string {
  if (Number.isInteger(units)) return formatCount(units);
  return units < 100 ? String(Number(units.toPrecision(3))) : formatCount(Math.round(units));
}

const unitNames: Readonly<Record<keyof Usage, string>> = {
  tableWrites: "writes",
  indexWrites: "of the index",
  reads: "reads",
  sqsRequests: "requests",
  lambdaRequests: "invocations",
  lambdaGbSeconds: "GB-seconds",
  schedules: "schedules",
  s3Puts: "objects written",
  s3Gets: "objects read",
  events: "events",
};

function usageText(usage: Partial<Usage>): string {
  return Object.entries(usage)
    .map(([name, units]) => `${unitText(units)} ${unitNames[name as keyof Usage]}`)
    .join(", ");
}
