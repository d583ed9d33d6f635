/**
 * Cron expressions of five fields, read strictly: what stands here means the same to every cron, so that a schedule fires
 * at the same times on a laptop and on AWS. Extensions (`L`, `W`, `#`, `?`, `@daily`, seconds, years) are refused.
 */
import { shown } from "./shown.ts";

/** Which times of a time zone's clock an expression names. */
export interface Cron {
  /** As it was written, with single spaces. */
  readonly text: string;
  readonly minutes: readonly number[];
  readonly hours: readonly number[];
  /** 1 to 12. */
  readonly months: readonly number[];
  /** Absent when the field is `*`. When both fields of days are given, a day needs to be in one of them only. */
  readonly daysOfMonth?: readonly number[];
  /** 0 to 6; 0 is Sunday. */
  readonly daysOfWeek?: readonly number[];
}

interface Field {
  readonly what: string;
  readonly least: number;
  readonly most: number;
  /** Instead of numbers, from `least` on. */
  readonly names?: readonly string[];
}

const monthNames = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
export const dayNames = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"] as const;

const fields = [
  { what: "minute", least: 0, most: 59 },
  { what: "hour", least: 0, most: 23 },
  { what: "day of the month", least: 1, most: 31 },
  { what: "month", least: 1, most: 12, names: monthNames },
  // 7 is Sunday, too.
  { what: "day of the week", least: 0, most: 7, names: dayNames },
] as const satisfies Field[];

const cronForm = 'five fields "minute hour day-of-month month day-of-week", such as "0 6 * * 1-5"';

/** What the text means, or what is wrong with it: the rest of a sentence that begins with the text. */
export function parseCron(
  text: unknown,
): { readonly ok: true; readonly cron: Cron } | { readonly ok: false; readonly faults: readonly string[] } {
  const parts = typeof text === "string" ? text.trim().split(/\s+/) : [];
  if (parts.length !== fields.length) return { ok: false, faults: [`allowed are ${cronForm}`] };
  const faults: string[] = [];
  const [minutes, hours, daysOfMonth, months, daysOfWeek] = fields.map((field, index) => {
    const values = parseField(parts[index] ?? "", field);
    if (values === undefined) faults.push(`the ${field.what} is ${shown(parts[index])}; ${formOf(field)}`);
    return values ?? [];
  }) as [number[], number[], number[], number[], number[]];
  if (faults.length === 0 && parts[4] === "*" && !months.some((month) => daysOfMonth.some(isDayOf(month)))) {
    faults.push("no month that it names has a day that it names, so it never comes");
  }
  if (faults.length > 0) return { ok: false, faults };
  return {
    ok: true,
    cron: {
      text: parts.join(" "),
      minutes,
      hours,
      months,
      ...(parts[2] === "*" ? {} : { daysOfMonth }),
      ...(parts[4] === "*" ? {} : { daysOfWeek: inOrder(daysOfWeek.map((day) => day % 7)) }),
    },
  };
}

/** The values that a field names, in order; `undefined` when it cannot be read. */
function parseField(text: string, field: Field): number[] | undefined {
  const values: number[] = [];
  for (const part of text.split(",")) {
    const match = /^(?:\*|([0-9A-Z]+)(?:-([0-9A-Z]+))?)(?:\/(\d{1,2}))?$/i.exec(part);
    if (match === null) return undefined;
    const [, first, last, stepText] = match;
    const from = first === undefined ? field.least : valueOf(first, field);
    const to = first === undefined ? lastOf(field) : last === undefined ? from : valueOf(last, field, "last");
    const step = stepText === undefined ? 1 : Number(stepText);
    if (from === undefined || to === undefined || from > to) return undefined;
    // "5/10" means "from 5 on" to some crons and nothing to others.
    if (stepText !== undefined && first !== undefined && last === undefined) return undefined;
    if (step < 1 || step > field.most) return undefined;
    for (let value = from; value <= to; value += step) values.push(value);
  }
  return inOrder(values);
}

function valueOf(text: string, { least, most, names = [] }: Field, place?: "last"): number | undefined {
  const named = names.indexOf(text.toUpperCase());
  // Weeks of ranges begin on Monday and end on Sunday: FRI-SUN.
  if (named === 0 && place === "last" && least === 0) return most;
  const value = named === -1 ? (/^\d{1,2}$/.test(text) ? Number(text) : Number.NaN) : named + least;
  return value >= least && value <= most ? value : undefined;
}

/** Of `*`. */
function lastOf({ least, most, names }: Field): number {
  return names === undefined ? most : least + names.length - 1;
}

function formOf({ least, most, names }: Field): string {
  const named = names === undefined ? "" : ` or ${String(names[0])} to ${String(names.at(-1))}`;
  return `allowed are ${least} to ${most}${named}, ranges (a-b), lists (a,b) and steps (*/n, a-b/n)`;
}

const mostDays = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

function isDayOf(month: number): (day: number) => boolean {
  return (day) => day <= (mostDays[month - 1] ?? 0);
}

function inOrder(values: readonly number[]): number[] {
  return [...new Set(values)].sort((one, other) => one - other);
}
