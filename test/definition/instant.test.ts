// Hunts: a point in time that is read as another one, or as another one on another machine.
import { describe, expect, test } from "vitest";
import { parseInstant } from "../../lib/definition/instant.ts";

describe("instants", () => {
  const eight = Date.UTC(2027, 0, 31, 8);

  test.each<readonly [unknown, number]>([
    [new Date(eight), eight],
    [new Date(0), 0],
    ["2027-01-31T08:00:00Z", eight],
    ["2027-01-31T08:00:00.250Z", eight + 250],
    ["2027-01-31T10:00:00+02:00", eight],
    ["2027-01-31T08:00Z", eight],
    // A day begins at midnight UTC.
    ["2027-01-31", Date.UTC(2027, 0, 31)],
    ["1969-12-31T23:59:59Z", -1_000],
  ])("%s", (value, ms) => {
    expect(parseInstant(value)).toBe(ms);
  });

  test.each([
    ...["", "now", "31.01.2027", "2027-1-31", "2027-13-01", "2027-01-32", "2027-01-31 08:00", "20270131"],
    ...["2027-01-31Tnoon", "2027-01-31T25:00Z", "+2027-01-31", "Sun Jan 31 2027", " 2027-01-31"],
  ])("%j is none", (text) => {
    expect(parseInstant(text)).toBeUndefined();
  });

  test.each([eight, null, undefined, {}, new Date(Number.NaN), [2027]])("%j is none", (value) => {
    expect(parseInstant(value)).toBeUndefined();
  });

  test.each(["2027-01-31T08:00:00", "2027-01-31T08:00"])("%s has no zone, so nobody knows when it is", (text) => {
    expect(parseInstant(text)).toBeUndefined();
  });

  test.each(["2027-02-30", "2027-04-31T00:00:00Z"])("%s is no day", (text) => {
    expect(parseInstant(text)).toBeUndefined();
  });
});
