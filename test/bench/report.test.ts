// Hunts: a bench that calls a missed target met, tells a figure beside the wrong target, or takes a part it does not have.
import { describe, expect, test } from "vitest";
import { parseArguments, UsageError } from "../../bench/arguments.ts";
import { judge, type Machine, reportOf, table } from "../../bench/report.ts";
import { median, percentile, rounded } from "../../bench/statistics.ts";

const machine: Machine = { cpu: "Any", cpus: 2, memoryGiB: 8, node: "v24.0.0", loadAverage: 0.5 };

describe("statistics:", () => {
  test.each([
    [[3], 3],
    [[3, 1, 2], 2],
    [[4, 1, 3, 2], 2],
    [[10, 9, 100], 10],
  ])("the median of %j is %d", (values, expected) => {
    expect(median(values)).toBe(expected);
  });

  test("a percentile is one of the values, and the order that they came in does not count", () => {
    const values = Array.from({ length: 100 }, (_, index) => 100 - index);
    expect(percentile(values, 0.99)).toBe(99);
    expect(percentile(values, 1)).toBe(100);
    expect(percentile(values, 0)).toBe(1);
    expect(values[0]).toBe(100);
  });

  test("of nothing there is none", () => {
    expect(() => median([])).toThrow(RangeError);
  });

  test("what is rounded keeps the digits that count", () => {
    expect([0.000123456, 1.23456, 1234.56].map((value) => rounded(value, 3))).toEqual([0.000123, 1.23, 1230]);
  });
});

describe("targets:", () => {
  test.each([
    [{ atMost: 2 }, 2, true],
    [{ atMost: 2 }, 2.001, false],
    [{ atLeast: 2 }, 2, true],
    [{ atLeast: 2 }, 1.999, false],
    [{ atMost: 2 }, Number.NaN, false],
    [{ atLeast: 2 }, Number.NaN, false],
  ])("%j is met by %d: %s", (target, value, isMet) => {
    expect(judge({ name: "any", value, target })).toMatchObject({ isMet });
  });

  test("a figure without one is neither met nor missed", () => {
    expect(judge({ name: "any", value: 1 })).not.toHaveProperty("isMet");
  });

  test("what misses its own is named by the report, whatever part it is of", () => {
    const part = (value: number) => ({
      title: "",
      notes: [],
      figures: [{ name: `of ${value}`, value, target: { atMost: 1 } }],
    });
    expect(reportOf(machine, 1, { one: part(1), two: part(2) }).missed).toEqual(["of 2"]);
  });
});

test("the table has each figure on a line with its target, and ends with what was missed", () => {
  const figures = [
    { name: "gap", value: 0.25, unit: "ms", target: { atMost: 0.4 } },
    { name: "throughput", value: 9_818, unit: "steps/s", target: { atLeast: 10_000 } },
    { name: "p99", value: 1.5, unit: "ms" },
  ];
  const grid = { columns: ["graph", "writes"], rows: [["chain", "2.15"]] };
  expect(table(reportOf(machine, 7, { all: { title: "Times", notes: ["Medians."], grid, figures } }))).toBe(
    `Any x2, 8 GiB, Node v24.0.0, load average 0.5 before; 7 s

Times
  Medians.
graph  writes
chain    2.15

gap          0.25  ms       <= 0.4     met
throughput  9,818  steps/s  >= 10,000  MISSED
p99           1.5  ms

1 missed:
  throughput
`,
  );
});

describe("arguments:", () => {
  const all = ["bill", "cpu"] as const;

  test("all parts, unless some are named", () => {
    expect(parseArguments([], all)).toEqual({ json: false, parts: ["bill", "cpu"] });
    expect(parseArguments(["--only", "cpu", "--json"], all)).toEqual({ json: true, parts: ["cpu"] });
    expect(parseArguments(["--only", "cpu", "--only", "bill"], all).parts).toEqual(["bill", "cpu"]);
    expect(parseArguments(["--pictures", "here"], all)).toMatchObject({ pictures: "here" });
  });

  test.each([
    [["--only", "disk"], '--only is "disk"; allowed is one of bill, cpu'],
    [["--only", "toString"], '--only is "toString"'],
    [["--fast"], "--fast"],
    [["bill"], "Allowed are --json"],
    [["--only"], "Allowed are --json"],
    [["--only", "cpu", "--pictures", "here"], "Add --only bill"],
  ])("%j is refused, with what is allowed", (args, said) => {
    expect(() => parseArguments(args, all)).toThrow(UsageError);
    expect(() => parseArguments(args, all)).toThrow(said);
  });
});

test("a part that could not be measured is told with why, beside the others", () => {
  const figures = [{ name: "one", value: 1, target: { atMost: 2 } }];
  const report = reportOf(machine, 7, { times: { title: "Times", notes: [], figures } }, { disk: "there is no disk" });
  expect(report).toMatchObject({ missed: [], failed: { disk: "there is no disk" } });
  expect(table(report)).toMatch(/disk could not be measured: there is no disk\n\nAll other targets are met\.\n$/);
});
