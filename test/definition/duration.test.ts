// Hunts: a length of time that is read as another one, or text that is taken for one.
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { formatDuration, parseDuration } from "../../lib/definition/duration.ts";
import { limits } from "../../lib/definition/limits.ts";

describe("parsing", () => {
  test.each([
    ["0ms", 0],
    ["250ms", 250],
    ["30s", 30_000],
    ["5m", 300_000],
    ["2h", 7_200_000],
    ["1.5h", 5_400_000],
    ["3d", 259_200_000],
    ["0.5d", 43_200_000],
    ["007s", 7_000],
    // Rounded to whole milliseconds.
    ["0.1ms", 0],
    ["1.5ms", 2],
    ["0.0004s", 0],
    ["0.3333s", 333],
    ["366d", limits.delayMs],
  ])("%s is %d ms", (text, ms) => {
    expect(parseDuration(text)).toBe(ms);
  });

  test.each([
    ...["", "s", "5", "ms", " 5s", "5s ", "5 s", "5S", "5sec", "5s5m", "+5s", "-5s", "1e3s", ".5s", "5.s"],
    ...["1,5s", "1.5.5s", "0x10s", "Infinitys", "NaNs", "5w", "5y", "٥s", "5s\n", "soon"],
  ])("%j is none", (text) => {
    expect(parseDuration(text)).toBeUndefined();
  });

  test.each([5, 5n, null, undefined, true, ["5s"], { ms: 5 }, new Date(), Number.NaN])("%s is none", (value) => {
    expect(parseDuration(value)).toBeUndefined();
  });
});

describe("formatting", () => {
  test.each([
    [0, "0ms"],
    [1, "1ms"],
    [999, "999ms"],
    [1_000, "1s"],
    [1_500, "1.5s"],
    [1_550, "1550ms"],
    [59_900, "59.9s"],
    [60_000, "1m"],
    [90_000, "1.5m"],
    [61_000, "61s"],
    [3_600_000, "1h"],
    [86_400_000, "1d"],
    [129_600_000, "1.5d"],
    [limits.delayMs, "366d"],
  ])("%d ms is %s", (ms, text) => {
    expect(formatDuration(ms)).toBe(text);
  });

  test("what is formatted is parsed as the same length, whatever it is", () => {
    const lengths = fc.oneof(
      fc.nat(limits.delayMs),
      // Where the decimals are: tenths of every unit.
      fc.tuple(fc.nat(10_000), fc.constantFrom(100, 6_000, 360_000, 8_640_000)).map(([tenths, ms]) => tenths * ms),
    );
    fc.assert(
      fc.property(lengths, (ms) => {
        expect(parseDuration(formatDuration(ms))).toBe(ms);
      }),
      { numRuns: 1_000 },
    );
  });
});
