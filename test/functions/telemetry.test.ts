// Hunts metrics that no alarm finds because of a dimension too many, and log lines that lose a field.
import process from "node:process";
import { beforeEach, describe, expect, test, vi } from "vitest";
import { functionLogger } from "../../functions/logger.ts";
import { stackMetrics } from "../../functions/metrics.ts";

interface MetricLine {
  readonly _aws: { readonly CloudWatchMetrics: readonly { readonly Dimensions: unknown }[] };
}

let lines: MetricLine[];

beforeEach(() => {
  lines = [];
  const keep = (text: unknown): boolean => {
    lines.push(
      ...String(text)
        .split("\n")
        .filter((line) => line !== "")
        .map((line) => JSON.parse(line)),
    );
    return true;
  };
  vi.spyOn(process.stdout, "write").mockImplementation(keep);
  vi.spyOn(process.stderr, "write").mockImplementation(keep);
});

describe("metrics", () => {
  test("have the stack as their only dimension", () => {
    stackMetrics("Orders").count({ StuckRuns: 0, OpenRuns: 3 });
    expect(lines).toHaveLength(1);
    const { _aws, ...values } = lines[0]!;
    expect(values).toEqual({ stack: "Orders", StuckRuns: 0, OpenRuns: 3 });
    expect(_aws.CloudWatchMetrics).toEqual([
      {
        Namespace: "Pawl",
        Dimensions: [["stack"]],
        Metrics: [
          { Name: "StuckRuns", Unit: "Count" },
          { Name: "OpenRuns", Unit: "Count" },
        ],
      },
    ]);
  });

  test("of a workflow count for the stack, too, and nothing is carried on to the next", () => {
    const metrics = stackMetrics("Orders");
    metrics.count({ RunsFailed: 2 }, "order");
    metrics.count({ DeadLetters: 1 });
    metrics.count({});
    expect(lines.map(({ _aws, ...values }) => [_aws.CloudWatchMetrics[0]!.Dimensions, values])).toEqual([
      [[["stack"], ["stack", "workflow"]], { stack: "Orders", workflow: "order", RunsFailed: 2 }],
      [[["stack"]], { stack: "Orders", DeadLetters: 1 }],
    ]);
  });
});

describe("log lines", () => {
  test("carry the stack, the invocation, the fields and the error", () => {
    const logger = functionLogger("Orders");
    logger.begin({ awsRequestId: "request-1" });
    logger.warn("something happened", { runId: "r", error: new TypeError("broken") });
    expect(lines).toMatchObject([
      {
        level: "WARN",
        message: "something happened",
        service: "Orders",
        requestId: "request-1",
        runId: "r",
        error: { name: "TypeError", message: "broken" },
      },
    ]);
  });

  test("a field of a reserved name is kept under another, without a complaint", () => {
    functionLogger("Orders").error("parked", { message: "no code", level: 3, reason: "x" });
    expect(lines).toMatchObject([{ level: "ERROR", message: "parked", message_: "no code", level_: 3, reason: "x" }]);
  });
});
