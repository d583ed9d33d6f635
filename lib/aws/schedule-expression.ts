/** What EventBridge Scheduler takes for a workflow's schedule. Pure: the constructs send it, and tests evaluate it. */
import { type Cron, dayNames } from "../definition/cron.ts";
import type { Schedule } from "../definition/schedule.ts";

export type ScheduleExpression =
  | { readonly ok: true; readonly expression: string; readonly timezone: string }
  /** The rest of a sentence that begins with the schedule. */
  | { readonly ok: false; readonly message: string };

export function scheduleExpression(schedule: Schedule): ScheduleExpression {
  if (schedule.kind === "every") return { ok: true, expression: rate(schedule.everyMs), timezone: "UTC" };
  const { cron, timezone } = schedule;
  const days = dayFields(cron);
  if (days === undefined) {
    const message = `names days of the month and days of the week (cron ${JSON.stringify(cron.text)}): either would do, and EventBridge Scheduler cannot say that. Put "*" for one of them, or make it two workflows.`;
    return { ok: false, message };
  }
  const { minutes, hours, months } = cron;
  const fields = [
    numbers(minutes, 0, 59),
    numbers(hours, 0, 23),
    days.ofMonth,
    numbers(months, 1, 12),
    days.ofWeek,
    "*",
  ];
  return { ok: true, expression: `cron(${fields.join(" ")})`, timezone };
}

/** Exactly one of the two is `?`: there, a day has to be in both, and `*` in both is refused. */
function dayFields({
  daysOfMonth,
  daysOfWeek,
}: Cron): { readonly ofMonth: string; readonly ofWeek: string } | undefined {
  const isAny = daysOfMonth?.length === 31 || daysOfWeek?.length === 7;
  if (isAny || (daysOfMonth === undefined && daysOfWeek === undefined)) return { ofMonth: "*", ofWeek: "?" };
  if (daysOfWeek === undefined) return { ofMonth: numbers(daysOfMonth ?? [], 1, 31), ofWeek: "?" };
  if (daysOfMonth !== undefined) return undefined;
  // By name: cron's Sunday is 0, and EventBridge's is 1.
  return { ofMonth: "?", ofWeek: spans(daysOfWeek, (day) => dayNames[day] ?? "") };
}

function numbers(values: readonly number[], least: number, most: number): string {
  return values.length === most - least + 1 ? "*" : spans(values, String);
}

/** `1,3-5`: an expression has at most 256 characters, and lists of minutes could be longer. */
function spans(values: readonly number[], format: (value: number) => string): string {
  const parts: string[] = [];
  for (let from = 0; from < values.length; ) {
    let to = from;
    while (values[to + 1] === (values[to] ?? 0) + 1) to++;
    const [first, last] = [values[from] ?? 0, values[to] ?? 0];
    parts.push(from === to ? format(first) : `${format(first)}-${format(last)}`);
    from = to + 1;
  }
  return parts.join(",");
}

const units = [
  { name: "day", ms: 86_400_000 },
  { name: "hour", ms: 3_600_000 },
  { name: "minute", ms: 60_000 },
] as const;

/** A day is 24 hours there, whatever the clocks do. */
function rate(everyMs: number): string {
  const { name, ms } = units.find((unit) => everyMs % unit.ms === 0) ?? units[2];
  const value = everyMs / ms;
  return `rate(${value} ${name}${value === 1 ? "" : "s"})`;
}
