// Hunts: a schedule that fires at a wrong time, twice or not at all, above all where clocks are changed.
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Schedule } from "../../lib/definition/schedule.ts";
import { workflow } from "../../lib/definition/workflow.ts";
import { nextTimeMs } from "../../lib/embedded/next-time.ts";

function scheduleOf(schedule: object): Schedule {
  return workflow("report", { schedule } as object, (w) => w.step("a", { run: () => 1 })).schedule!;
}

/** The next times after one, in UTC. */
function times(schedule: object, from: string, count: number): string[] {
  const compiled = scheduleOf(schedule);
  const found: string[] = [];
  let atMs: number | undefined = Date.parse(from);
  while (atMs !== undefined && found.length < count) {
    atMs = nextTimeMs(compiled, atMs);
    if (atMs !== undefined) found.push(new Date(atMs).toISOString().slice(0, 16));
  }
  return found;
}

const berlin = (cron: string): object => ({ cron, timezone: "Europe/Berlin" });

describe("by cron", () => {
  test("follows its time zone through the year", () => {
    expect(times(berlin("0 6 1 1,7 *"), "2026-01-01T00:00:00Z", 3)).toEqual([
      "2026-01-01T05:00",
      "2026-07-01T04:00",
      "2027-01-01T05:00",
    ]);
  });

  test("is later than the time asked for, to the millisecond", () => {
    expect(times({ cron: "0 6 * * *" }, "2026-01-01T05:59:59.999Z", 1)).toEqual(["2026-01-01T06:00"]);
    expect(times({ cron: "0 6 * * *" }, "2026-01-01T06:00:00.000Z", 1)).toEqual(["2026-01-02T06:00"]);
  });

  test("lets a time pass that the change to summer time leaves out", () => {
    expect(times(berlin("30 2 * * *"), "2026-03-28T00:00:00Z", 2)).toEqual(["2026-03-28T01:30", "2026-03-30T00:30"]);
    expect(times(berlin("*/30 1-3 * * *"), "2026-03-29T00:00:00Z", 3)).toEqual([
      "2026-03-29T00:30",
      "2026-03-29T01:00",
      "2026-03-29T01:30",
    ]);
  });

  test("fires once at a time that comes twice, also when it is asked in between", () => {
    expect(times(berlin("30 2 * * *"), "2026-10-24T12:00:00Z", 2)).toEqual(["2026-10-25T00:30", "2026-10-26T01:30"]);
    expect(times(berlin("45 2 * * *"), "2026-10-25T01:10:00Z", 1)).toEqual(["2026-10-26T01:45"]);
    expect(times(berlin("*/20 * * * *"), "2026-10-25T01:10:00Z", 1)).toEqual(["2026-10-25T02:00"]);
  });

  test("needs one of the two days when both are given", () => {
    expect(times({ cron: "0 0 13 * 5" }, "2026-11-01T00:00:00Z", 4)).toEqual([
      "2026-11-06T00:00",
      "2026-11-13T00:00",
      "2026-11-20T00:00",
      "2026-11-27T00:00",
    ]);
  });

  test("leaves no day out where a month is shorter than what is named", () => {
    expect(times({ cron: "0 0 1,31 * *" }, "2026-02-10T00:00:00Z", 3)).toEqual([
      "2026-03-01T00:00",
      "2026-03-31T00:00",
      "2026-04-01T00:00",
    ]);
    expect(times({ cron: "0 0 */6,1 * *" }, "2029-02-26T00:00:00Z", 2)).toEqual([
      "2029-03-01T00:00",
      "2029-03-07T00:00",
    ]);
  });

  test("waits for a leap day", () => {
    expect(times({ cron: "0 0 29 2 *" }, "2026-01-01T00:00:00Z", 2)).toEqual(["2028-02-29T00:00", "2032-02-29T00:00"]);
  });

  test("names each minute of the zone's clock once, whenever clocks are changed", () => {
    // By an hour, at midnight too, and by half of one. (In autumn, such a half hour fires when it comes for the second time.)
    const changes = [
      ["Europe/Berlin", "2026-03-28T12:00:00Z"],
      ["Europe/Berlin", "2026-10-24T12:00:00Z"],
      ["America/New_York", "2026-11-01T00:00:00Z"],
      ["Australia/Lord_Howe", "2026-10-03T00:00:00Z"],
      ["America/Santiago", "2026-09-05T12:00:00Z"],
      ["Asia/Kolkata", "2026-10-03T00:00:00Z"],
    ] as const;
    const field = (most: number): fc.Arbitrary<readonly number[]> =>
      fc.uniqueArray(fc.nat(most), { minLength: 1, maxLength: 3 });
    fc.assert(
      fc.property(
        fc.constantFrom(...changes),
        field(59),
        field(4),
        fc.nat(24 * 60),
        (change, minutes, hours, later) => {
          const [timezone, from] = change;
          const startMs = Date.parse(from) + later * 60_000;
          const untilMs = Date.parse(from) + 36 * 3_600_000;
          const compiled = scheduleOf({ cron: `${minutes.join(",")} ${hours.join(",")} * * *`, timezone });
          const found: number[] = [];
          for (let atMs = nextTimeMs(compiled, startMs); atMs! < untilMs; atMs = nextTimeMs(compiled, atMs!)) {
            found.push(atMs!);
          }
          const clock = new Intl.DateTimeFormat("en-GB", {
            timeZone: timezone,
            dateStyle: "short",
            timeStyle: "short",
          });
          const shown = new Set<string>();
          const wanted: number[] = [];
          for (let atMs = Date.parse(from) - 3_600_000; atMs < untilMs; atMs += 60_000) {
            const time = clock.format(atMs);
            const [hour, minute] = time.slice(-5).split(":").map(Number) as [number, number];
            const isTime = hours.includes(hour) && minutes.includes(minute) && !shown.has(time);
            shown.add(time);
            if (isTime && atMs > startMs) wanted.push(atMs);
          }
          expect(found).toEqual(wanted);
        },
      ),
      { numRuns: 40 },
    );
  });
});

test("by interval, times are counted from 1970, so that nothing moves them", () => {
  expect(times({ every: "6h" }, "2026-11-21T07:13:00Z", 3)).toEqual([
    "2026-11-21T12:00",
    "2026-11-21T18:00",
    "2026-11-22T00:00",
  ]);
  expect(times({ every: "7m" }, "1970-01-01T00:00:00Z", 2)).toEqual(["1970-01-01T00:07", "1970-01-01T00:14"]);
});
