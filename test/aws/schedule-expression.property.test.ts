// Hunts: a schedule that fires at other times on AWS than on a laptop, and an expression that EventBridge would refuse.
import { Cron } from "croner";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type ScheduleExpression, scheduleExpression } from "../../lib/aws/schedule-expression.ts";
import { workflow } from "../../lib/definition/workflow.ts";

function expressionOf(schedule: object): ScheduleExpression {
  const { schedule: compiled } = workflow("report", { schedule } as object, (w) => w.step("a", { run: () => 1 }));
  return scheduleExpression(compiled!);
}

function awsCron(cron: string): string {
  const answer = expressionOf({ cron });
  if (!answer.ok) throw new Error(answer.message);
  return answer.expression;
}

/** Days of the week as EventBridge numbers them. */
const awsDays = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

/** A field as EventBridge reads it: numbers from `least` on, `SUN` is 1. */
function matches(field: string, value: number): boolean {
  if (field === "*") return true;
  const read = (text: string): number => (awsDays.includes(text) ? awsDays.indexOf(text) + 1 : Number(text));
  return field.split(",").some((part) => {
    const [from, to = from] = part.split("-").map(read) as [number, number?];
    return value >= from && value <= to;
  });
}

/** The first times of a `cron(…)` expression in UTC, at most so many, within a year of the start. */
function awsTimes(expression: string, fromMs: number, most: number): string[] {
  const fields = /^cron\((\S+) (\S+) (\S+) (\S+) (\S+) (\S+)\)$/.exec(expression)?.slice(1) as string[];
  const [minute, hour, dayOfMonth, month, dayOfWeek, year] = fields as [string, string, string, string, string, string];
  expect([dayOfMonth, dayOfWeek].filter((field) => field === "?")).toHaveLength(1);
  expect(year).toBe("*");
  const times: string[] = [];
  const firstDay = Math.floor(fromMs / 86_400_000);
  for (let day = firstDay; day <= firstDay + 365 && times.length < most; day++) {
    const date = new Date(day * 86_400_000);
    const isDay = dayOfWeek === "?" ? matches(dayOfMonth, date.getUTCDate()) : matches(dayOfWeek, date.getUTCDay() + 1);
    if (!isDay || !matches(month, date.getUTCMonth() + 1)) continue;
    for (let minuteOfDay = 0; minuteOfDay < 24 * 60 && times.length < most; minuteOfDay++) {
      const atMs = date.getTime() + minuteOfDay * 60_000;
      if (atMs <= fromMs || !matches(hour, Math.floor(minuteOfDay / 60)) || !matches(minute, minuteOfDay % 60))
        continue;
      times.push(new Date(atMs).toISOString());
    }
  }
  return times;
}

/** One field of a cron expression: lists of numbers, names, ranges and steps. */
function field(least: number, most: number, names: readonly string[] = []): fc.Arbitrary<string> {
  const value = fc
    .tuple(fc.integer({ min: least, max: most }), fc.boolean())
    .map(([number, isNamed]) => (isNamed ? (names[number - least] ?? String(number)) : String(number)));
  const range = fc
    .tuple(fc.integer({ min: least, max: most }), fc.integer({ min: least, max: most }), fc.integer({ min: 1, max: 7 }))
    .map(([one, other, step]) => {
      const [from, to] = [Math.min(one, other), Math.max(one, other)];
      return `${from}-${to}${step === 1 ? "" : `/${step}`}`;
    });
  const step = fc.integer({ min: 1, max: Math.min(most, 20) }).map((every) => `*/${every}`);
  const list = fc.array(fc.oneof(value, range, step), { minLength: 1, maxLength: 4 }).map((parts) => parts.join(","));
  return fc.oneof({ arbitrary: fc.constant("*"), weight: 1 }, { arbitrary: list, weight: 2 });
}

const months = ["JAN", "feb", "MAR", "apr", "MAY", "jun", "JUL", "aug", "SEP", "oct", "NOV", "dec"];
const anyCron = fc
  .tuple(field(0, 59), field(0, 23), field(1, 31), field(1, 12, months), field(0, 7, [...awsDays, "sun"]))
  .filter(([, , dayOfMonth, month]) => dayOfMonth === "*" || month === "*")
  .map((fields) => fields.join(" "));
const from2026 = fc.integer({ min: 0, max: 5 * 365 * 24 * 60 }).map((minute) => Date.UTC(2026, 0, 1) + minute * 60_000);

describe("an expression for EventBridge Scheduler", () => {
  test("names the times that cron does", () => {
    fc.assert(
      fc.property(anyCron, from2026, (cron, fromMs) => {
        const answer = expressionOf({ cron });
        fc.pre(answer.ok);
        expect(answer.expression.length).toBeLessThanOrEqual(256);
        const untilMs = (Math.floor(fromMs / 86_400_000) + 366) * 86_400_000;
        const next = new Cron(cron, { utcOffset: 0 }).nextRuns(20, new Date(fromMs));
        const inTime = next.filter((time) => time.getTime() < untilMs).map((time) => time.toISOString());
        expect(awsTimes(answer.expression, fromMs, 20)).toEqual(inTime);
      }),
      { numRuns: 150 },
    );
  });

  test("is only refused when cron means either of two kinds of days", () => {
    fc.assert(
      fc.property(anyCron, (cron) => {
        const [, , dayOfMonth, , dayOfWeek] = cron.split(" ");
        if (expressionOf({ cron }).ok) return;
        expect([dayOfMonth, dayOfWeek]).not.toContain("*");
      }),
      { numRuns: 150 },
    );
    expect(expressionOf({ cron: "0 6 1 * MON" })).toEqual({
      ok: false,
      message:
        'names days of the month and days of the week (cron "0 6 1 * MON"): either would do, and EventBridge Scheduler cannot say that. Put "*" for one of them, or make it two workflows.',
    });
  });

  test.each([
    ["0 6 * * 1-5", "cron(0 6 ? * MON-FRI *)"],
    ["0 6 * * 5-7", "cron(0 6 ? * SUN,FRI-SAT *)"],
    ["*/15 * * * *", "cron(0,15,30,45 * * * ? *)"],
    ["0 0 1,15 */3 *", "cron(0 0 1,15 1,4,7,10 ? *)"],
    ["0 0 1-31 * 1", "cron(0 0 * * ? *)"],
    ["0 0 1 * 0-6", "cron(0 0 * * ? *)"],
  ])("of %s is %s", (cron, expression) => {
    expect(awsCron(cron)).toBe(expression);
  });

  test("has at most 256 characters, however little its minutes, hours and days have in common", () => {
    const twoOfThree = (least: number, most: number): string =>
      Array.from({ length: most - least + 1 }, (_, index) => least + index)
        .filter((value) => (value - least) % 3 < 2)
        .join(",");
    const cron = `${twoOfThree(0, 59)} ${twoOfThree(0, 23)} ${twoOfThree(1, 31)} ${twoOfThree(1, 12)} *`;
    expect(awsCron(cron).length).toBeLessThanOrEqual(256);
  });

  test.each([
    ["1m", "rate(1 minute)"],
    ["15m", "rate(15 minutes)"],
    ["1h", "rate(1 hour)"],
    ["90m", "rate(90 minutes)"],
    ["24h", "rate(1 day)"],
    ["366d", "rate(366 days)"],
  ])("every %s is %s", (every, expression) => {
    expect(expressionOf({ every })).toEqual({ ok: true, expression, timezone: "UTC" });
  });

  test("keeps the time zone", () => {
    expect(expressionOf({ cron: "0 6 * * *", timezone: "Europe/Berlin" })).toMatchObject({ timezone: "Europe/Berlin" });
  });
});
