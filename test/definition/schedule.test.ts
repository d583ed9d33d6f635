// Hunts: a schedule that is wrong and built, right and refused, or read otherwise than it was meant.
import { describe, expect, test } from "vitest";
import * as z from "zod";
import { parseCron } from "../../lib/definition/cron.ts";
import { DefinitionError } from "../../lib/definition/errors.ts";
import { limits } from "../../lib/definition/limits.ts";
import { type AnyScheduleOptions, type Schedule, scheduledRunId } from "../../lib/definition/schedule.ts";
import { type Workflow, workflow } from "../../lib/definition/workflow.ts";
import { parseRunId } from "../../lib/runtime/request.ts";

const run = (): number => 1;

function scheduled(schedule: AnyScheduleOptions | undefined, input?: z.ZodType): Workflow {
  const options = { ...(input === undefined ? {} : { input }), ...(schedule === undefined ? {} : { schedule }) };
  return workflow("report", options as never, (w) => w.step("a", { run }));
}

const scheduleOf = (options: AnyScheduleOptions, input?: z.ZodType): Schedule | undefined =>
  scheduled(options, input).schedule;

function faults(options: AnyScheduleOptions, input?: z.ZodType): string[] {
  try {
    scheduled(options, input);
  } catch (error) {
    if (error instanceof DefinitionError) return error.faults.map(({ at, message }) => `${at}: ${message}`);
    throw error;
  }
  return [];
}

function cronOf(text: string): object {
  const parsed = parseCron(text);
  if (!parsed.ok) throw new Error(parsed.faults.join("; "));
  const { text: _text, ...cron } = parsed.cron;
  return cron;
}

const all = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, index) => from + index);
const daily = { minutes: [0], hours: [6], months: all(1, 12) };

describe("a cron expression", () => {
  test.each<readonly [text: string, meaning: object]>([
    ["0 6 * * *", daily],
    ["0 6 * * 1-5", { ...daily, daysOfWeek: [1, 2, 3, 4, 5] }],
    ["0 6 * * mon-FRI", { ...daily, daysOfWeek: [1, 2, 3, 4, 5] }],
    ["0 6 * * FRI-SUN", { ...daily, daysOfWeek: [0, 5, 6] }],
    ["0 6 * * 7", { ...daily, daysOfWeek: [0] }],
    ["0 6 * * SUN,0,7", { ...daily, daysOfWeek: [0] }],
    ["0 6 * * 0-7", { ...daily, daysOfWeek: all(0, 6) }],
    ["0 6 * * */2", { ...daily, daysOfWeek: [0, 2, 4, 6] }],
    ["0 6 1,15 * 1", { ...daily, daysOfMonth: [1, 15], daysOfWeek: [1] }],
    ["0 6 31 * *", { ...daily, daysOfMonth: [31] }],
    ["0 6 1 JAN,jul *", { ...daily, daysOfMonth: [1], months: [1, 7] }],
    ["0 6 29 2 *", { ...daily, daysOfMonth: [29], months: [2] }],
    ["*/20 0-23/6 * */5 *", { minutes: [0, 20, 40], hours: [0, 6, 12, 18], months: [1, 6, 11] }],
    ["5-10/2,30,07 6 * * *", { ...daily, minutes: [5, 7, 9, 30] }],
  ])("%s", (text, meaning) => {
    expect(cronOf(text)).toStrictEqual(meaning);
  });

  test("keeps its text, with single spaces", () => {
    expect(parseCron("  0  6 *\t* 1-5 ")).toMatchObject({ cron: { text: "0 6 * * 1-5" } });
  });

  test.each([
    ["", "allowed are five fields"],
    ["0 6 * *", "allowed are five fields"],
    ["0 0 6 * * *", "allowed are five fields"],
    ["@daily", "allowed are five fields"],
    ["60 6 * * *", 'the minute is "60"; allowed are 0 to 59, ranges'],
    ["0 24 * * *", 'the hour is "24"; allowed are 0 to 23'],
    ["0 6 0 * *", 'the day of the month is "0"; allowed are 1 to 31'],
    ["0 6 L * *", 'the day of the month is "L"'],
    ["0 6 ? * 1", 'the day of the month is "?"'],
    ["0 6 * 13 *", 'the month is "13"; allowed are 1 to 12 or JAN to DEC'],
    ["0 6 * JANUARY *", 'the month is "JANUARY"'],
    ["0 6 * * 8", 'the day of the week is "8"; allowed are 0 to 7 or SUN to SAT'],
    ["0 6 * * 1#2", 'the day of the week is "1#2"'],
    ["0 6 * * 5-1", 'the day of the week is "5-1"'],
    ["5/10 6 * * *", 'the minute is "5/10"'],
    ["/5 6 * * *", 'the minute is "/5"'],
    ["*/0 6 * * *", 'the minute is "*/0"'],
    ["*/60 6 * * *", 'the minute is "*/60"'],
    ["1,,2 6 * * *", 'the minute is "1,,2"'],
    ["MON 6 * * *", 'the minute is "MON"'],
    ["0 6 30 2 *", "so it never comes"],
    ["0 6 31 4,6,9,11 *", "so it never comes"],
  ])("%s is refused", (cron, why) => {
    expect(faults({ cron })).toEqual([expect.stringContaining(`schedule.cron: is ${JSON.stringify(cron)}; `)]);
    expect(faults({ cron })[0]).toContain(why);
  });

  test("names each field that is wrong", () => {
    expect(faults({ cron: "60 24 * * *" })).toHaveLength(2);
  });

  test("that is no text is refused", () => {
    expect(faults({ cron: 5 as never })[0]).toContain("is 5; allowed are five fields");
  });
});

describe("a schedule", () => {
  test("by cron is in UTC unless it says otherwise", () => {
    expect(scheduleOf({ cron: "0 6 * * *" })).toMatchObject({ kind: "cron", timezone: "UTC", inputJson: "" });
    const berlin = scheduleOf({ cron: "0 6 * * *", timezone: "Europe/Berlin" });
    expect(berlin).toMatchObject({ timezone: "Europe/Berlin" });
  });

  test.each(["UTC", "America/Argentina/Buenos_Aires", "America/Port-au-Prince", "Asia/Kolkata", "Etc/GMT+5"])(
    "takes the time zone %s",
    (timezone) => {
      expect(faults({ cron: "0 6 * * *", timezone })).toEqual([]);
    },
  );

  test.each(["Europe/Atlantis", "EST", "+02:00", "europe/berlin", "Europe/BERLIN", "", "Berlin", "Europe/Berlin\n"])(
    "refuses the time zone %j",
    (timezone) => {
      expect(faults({ cron: "0 6 * * *", timezone })).toEqual([
        `schedule.timezone: is ${JSON.stringify(timezone)}; allowed is a name of the IANA time zone database, such as "Europe/Berlin", or "UTC".`,
      ]);
    },
  );

  test.each([
    ["1m", 60_000],
    ["15m", 900_000],
    ["1.5h", 5_400_000],
    ["7d", 604_800_000],
  ] as const)("by interval: every %s", (every, everyMs) => {
    expect(scheduleOf({ every })).toStrictEqual({ kind: "every", everyMs, inputJson: "" });
  });

  test.each(["30s", "90s", "0m", "400d", "often"])("refuses every %s", (every) => {
    expect(faults({ every: every as "1m" })).toEqual([
      `schedule.every: is "${every}"; allowed is a number and a unit (ms, s, m, h, d), such as "30s", "1.5h" or "3d", of whole minutes from 1m to 366d.`,
    ]);
  });

  test("needs one of cron and every, and a time zone only for cron", () => {
    expect(faults({})).toEqual(["schedule: says neither or both of cron and every; give it one of them."]);
    expect(faults({ cron: "0 6 * * *", every: "1d" })).toHaveLength(1);
    expect(faults({ every: "1d", timezone: "UTC" })).toEqual([
      "schedule.timezone: has no meaning beside every; leave it out.",
    ]);
  });

  test("tells all its faults at once, with those of the rest of the definition", () => {
    const build = (): unknown =>
      workflow("report", { schedule: { every: "30s", input: 1 as never } }, (w) => {
        w.step("a", { run, timeout: "0s" });
      });
    expect(build).toThrow(/3 faults/);
  });

  test("is no part of the graph: changing it changes no fingerprint", () => {
    expect(scheduled({ every: "1h" }).fingerprint).toBe(scheduled(undefined).fingerprint);
    expect(scheduled(undefined).schedule).toBeUndefined();
  });

  test("cannot be changed afterwards", () => {
    const schedule = scheduleOf({ cron: "0 6 * * *" });
    expect(schedule?.kind === "cron" && Object.isFrozen(schedule.cron.hours)).toBe(true);
  });
});

describe("the input of scheduled runs", () => {
  const input = z.object({ days: z.int().default(7), region: z.string() });

  test("is kept as it was given: each start parses it", () => {
    expect(scheduleOf({ every: "1h", input: { region: "eu" } }, input)?.inputJson).toBe('{"region":"eu"}');
    expect(scheduleOf({ every: "1h", input: 0 }, z.number())?.inputJson).toBe("0");
    expect(scheduleOf({ every: "1h" }, z.string().default("x"))?.inputJson).toBe("");
  });

  test("is checked by the workflow's schema", () => {
    expect(faults({ every: "1h", input: { days: "x" } }, input)).toEqual([
      expect.stringMatching(/^schedule\.input: is not valid at days: .*number.*\.$/),
      expect.stringMatching(/^schedule\.input: is not valid at region: .*\.$/),
    ]);
    expect(faults({ every: "1h" }, input)).toEqual([expect.stringMatching(/^schedule\.input: is not valid: .*\.$/)]);
  });

  test("is left to the start when the schema is asynchronous", () => {
    const slow = z.string().refine(async (text) => text !== "");
    expect(scheduleOf({ every: "1h", input: "" }, slow)?.inputJson).toBe('""');
  });

  test("has no place where the workflow takes none", () => {
    expect(faults({ every: "1h", input: {} })).toEqual([expect.stringContaining("the workflow takes no input")]);
  });

  test("is JSON of a bounded size", () => {
    expect(faults({ every: "1h", input: { at: new Date(0) } }, z.any())).toEqual([
      expect.stringContaining("schedule.input: cannot be stored: it.at is a Date"),
    ]);
    const longest = "x".repeat(limits.scheduleInputBytes - 2);
    expect(faults({ every: "1h", input: longest }, z.string())).toEqual([]);
    expect(faults({ every: "1h", input: `${longest}é` }, z.string())).toEqual([
      expect.stringContaining(`has ${limits.scheduleInputBytes + 2} bytes as JSON; at most`),
    ]);
  });
});

test("the id of a scheduled run is one that a start takes, however long the workflow's name", () => {
  const longest = "a".repeat(limits.nameLength);
  expect(parseRunId(scheduledRunId(longest, "2026-11-21T06:00:00Z"))).toBe(`${longest}-2026-11-21T06:00:00Z`);
});
