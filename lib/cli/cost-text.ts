/** The bill of a workflow, for terminals. */
import { bold, dim } from "yoctocolors";
import type { CostReport } from "../cost/report.ts";
import type { Usage } from "../cost/usage.ts";
import type { Line } from "../dev/run-frame.ts";
import { formatCount } from "../dev/text.ts";
import { type Cell, tableLines } from "./table.ts";

export function costLines(report: CostReport): Line[] {
  const { workflow, status, waitsFor, region, pricesOf, assumptions, attempts, dollars } = report;
  const each = report.dollarsPerMillionAttempts;
  return [
    [[`${workflow}: one run, ${status}, ${formatCount(attempts)} ${attempts === 1 ? "attempt" : "attempts"}`, bold]],
    ...(waitsFor === undefined ? [] : [[["The bill goes up to here. "], [waitsFor, dim]] as Line]),
    [],
    [["A million runs like this one   "], [dollarText(dollars), bold]],
    ...(each === undefined ? [] : [[["A million attempts of steps    "], [dollarText(each), bold]] as Line]),
    [],
    ...table(
      ["a million runs", "", "for one run", ""],
      report.lines.map(({ service, what, units, dollars }) => [dollarText(dollars), service, unitText(units), what]),
    ),
    [],
    ...table(
      ["a million runs", "what for", ""],
      report.parts.map(({ part, dollars, usage }) => [dollarText(dollars), part, usageText(usage)]),
    ),
    [],
    ...table(
      ["a million runs", "elsewhere, by the published rules", ""],
      report.peers.map(({ peer, dollars, how }) => [dollarText(dollars), peer, how]),
    ),
    [],
    ...[
      `Prices: ${region}, ${pricesOf}.`,
      `Assumed: functions of ${assumptions.memoryMb} MB that take ${assumptions.invocationMs} ms, one message each; ${assumptions.changesAtOnce} status changes at once.`,
      "Not in it: storage, logs, queues that are asked while they are empty, what your steps and you ask for.",
    ].map((text): Line => [[text, dim]]),
  ];
}

function table(titles: readonly string[], rows: readonly (readonly Cell[])[]): Line[] {
  return tableLines(
    titles.map((title, index) => ({ title, align: index === 0 || title === "for one run" ? "right" : "left" })),
    rows,
  );
}

/** `$0.0042`, `$3.22`, `$1,234`. */
function dollarText(dollars: number): string {
  if (dollars !== 0 && dollars < 0.01) return `$${dollars.toFixed(4)}`;
  if (dollars < 1_000) return `$${dollars.toFixed(2)}`;
  return `$${formatCount(Math.round(dollars))}`;
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
