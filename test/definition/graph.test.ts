// Hunts: a fingerprint that changes between processes or deployments, so that runs lose the graph they began with.
import { describe, expect, test } from "vitest";
import * as z from "zod";
import { dependants, dependencies, fingerprint, type Graph } from "../../lib/definition/graph.ts";
import { type Workflow, workflow } from "../../lib/definition/workflow.ts";

function order(
  code: { run?: () => unknown; when?: () => boolean; schema?: z.ZodType; isRetryable?: () => boolean } = {},
): Workflow {
  const { run = () => 1, when = () => true, schema, isRetryable } = code;
  const options = { timeout: "3d", ...(schema === undefined ? {} : { input: schema }) } as const;
  return workflow("order", options, (w) => {
    const check = w.step("check", { run });
    const charge = w.step("charge", {
      after: [check],
      when,
      run,
      onFailure: "continue",
      delay: "5s",
      timeout: "30s",
      startAt: code.run === undefined ? () => new Date(1) : () => new Date(2),
      ...(schema === undefined ? {} : { output: schema }),
      retry: {
        maxAttempts: Infinity,
        backoff: { type: "exponential", base: "1s", factor: 1.5, max: "1m", jitter: "full" },
        ...(isRetryable === undefined ? {} : { isRetryable }),
      },
    });
    const refund = w.step("refund", { afterFailed: [charge], taskQueue: "payments", run });
    return w.step("report", { afterAny: [check, refund], afterSettled: [charge], skipWithDependency: true, run });
  });
}

describe("the fingerprint", () => {
  // Runs are pinned to it: when this value changes without the graph, runs in the wild lose their graph.
  test("is the same in every process and in every version of Pawl", () => {
    expect(order().fingerprint).toBe("qpoqdjaXWhQeBJSh");
    expect(workflow("tiny", {}, (w) => w.step("only", { run: () => 1 })).fingerprint).toBe("zZ-fvSC0mPs2HK2b");
  });

  test("is 16 characters that may stand in keys and names", () => {
    expect(order().fingerprint).toMatch(/^[A-Za-z0-9_-]{16}$/);
  });

  test("is that of the graph, however the graph came to be", () => {
    const { graph, fingerprint: own } = order();
    expect(fingerprint(graph)).toBe(own);
    expect(fingerprint(JSON.parse(JSON.stringify(graph)) as Graph)).toBe(own);
  });

  test("does not change when only code does", () => {
    const own = order().fingerprint;
    const changes = [
      { run: () => "other" },
      { when: () => false },
      { schema: z.object({ a: z.string() }) },
      { isRetryable: () => false },
    ];
    for (const code of changes) expect(order(code).fingerprint).toBe(own);
  });

  test("changes when code that decides about the step's begin appears or goes", () => {
    const build = (options: object): string =>
      workflow("one", {}, (w) => void w.step("a", { run: () => 1, ...options })).fingerprint;
    const plain = build({});
    expect(build({ when: () => true })).not.toBe(plain);
    expect(build({ startAt: () => new Date() })).not.toBe(plain);
    expect(build({ startAt: new Date(5) })).not.toBe(plain);
    expect(build({ output: z.number() })).toBe(plain);
  });
});

test("the graph survives JSON unchanged, unlimited attempts included", () => {
  const { graph } = order();
  expect(JSON.parse(JSON.stringify(graph))).toStrictEqual(graph);
  expect(JSON.stringify(graph)).toContain('"maxAttempts":"unlimited"');
});

describe("edges", () => {
  test("dependencies are all that a step waits for, of whatever kind", () => {
    const { graph } = order();
    expect(graph.steps.map((step) => dependencies(step))).toEqual([[], [0], [1], [0, 2, 1]]);
  });

  test("dependants are the same edges from the other end, and computed once per graph", () => {
    const { graph } = order();
    expect(dependants(graph)).toEqual([[1, 3], [2, 3], [3], []]);
    expect(dependants(graph)).toBe(dependants(graph));
    expect(dependants({ ...graph })).toEqual(dependants(graph));
  });
});
