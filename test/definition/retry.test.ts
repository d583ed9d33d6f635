// Hunts: a retry policy that is not the one the user wrote: a lost default, a bound that does not hold, "for ever" by mistake.
import { describe, expect, test } from "vitest";
import type { RetryPolicy } from "../../lib/definition/graph.ts";
import { limits } from "../../lib/definition/limits.ts";
import { compileRetry, defaultRetry, type RetryOptions } from "../../lib/definition/retry.ts";

function compiled(...layers: (RetryOptions | undefined)[]): RetryPolicy {
  const report = (option: string, message: string): never => {
    throw new Error(`${option} ${message}`);
  };
  return layers.reduce((policy, layer) => compileRetry(policy, layer, report), defaultRetry);
}

function faults(retry: unknown): string[] {
  const found: string[] = [];
  compileRetry(defaultRetry, retry as RetryOptions, (option, message) => found.push(`${option} ${message}`));
  return found;
}

const durationForm = 'a number and a unit (ms, s, m, h, d), such as "30s", "1.5h" or "3d"';

describe("defaults", () => {
  test("three attempts, exponential from 1 s, doubling up to 1 min, full jitter", () => {
    const backoff = { type: "exponential", baseMs: 1_000, factor: 2, maxMs: 60_000, jitter: "full" };
    expect(compiled()).toEqual({ maxAttempts: 3, backoff });
    expect(compiled(undefined, {})).toEqual({ maxAttempts: 3, backoff });
  });

  test("of a backoff that the user gives: factor 2, at most 1 h, no jitter", () => {
    expect(compiled({ backoff: { type: "linear", base: "2s" } }).backoff).toEqual({
      type: "linear",
      baseMs: 2_000,
      factor: 2,
      maxMs: 3_600_000,
      jitter: "none",
    });
  });

  test("a base above an hour is its own maximum", () => {
    expect(compiled({ backoff: { type: "fixed", base: "3h" } }).backoff).toMatchObject({
      baseMs: 10_800_000,
      maxMs: 10_800_000,
    });
  });
});

describe("layers: later ones win, field by field", () => {
  const backoff = { type: "fixed", base: "5s" } as const;

  test("a step that gives only attempts keeps the workflow's backoff, and the reverse", () => {
    const policy = { maxAttempts: 7, backoff: compiled({ backoff }).backoff };
    expect(compiled({ backoff }, { maxAttempts: 7 })).toEqual(policy);
    expect(compiled({ maxAttempts: 7 }, { backoff })).toEqual(policy);
    expect(compiled({ maxAttempts: 2, backoff }, { maxAttempts: 7 }, undefined)).toEqual(policy);
  });

  test("a backoff is one field: the step's replaces the workflow's with all its parts", () => {
    const outer = { type: "exponential", base: "1s", factor: 9, max: "2m", jitter: "full" } as const;
    expect(compiled({ backoff: outer }, { backoff })).toEqual(compiled({ backoff }));
  });
});

describe("attempts", () => {
  test.each([1, 2, 3, limits.attempts])("%d", (maxAttempts) => {
    expect(compiled({ maxAttempts }).maxAttempts).toBe(maxAttempts);
  });

  test("Infinity is stored as a word, because JSON has no such number", () => {
    expect(compiled({ maxAttempts: Infinity }).maxAttempts).toBe("unlimited");
  });

  test.each([0, -1, 1.5, Number.NaN, -Infinity, limits.attempts + 1, "3", null])("%s is a fault", (maxAttempts) => {
    expect(faults({ maxAttempts })).toEqual([
      `retry.maxAttempts is ${maxAttempts}; allowed are 1 to 1000, or Infinity to retry for ever.`,
    ]);
  });
});

describe("backoff", () => {
  const base = { type: "exponential", base: "1s" };

  test.each([
    [{ base: "0ms" }, { baseMs: 0 }],
    [{ base: "24h" }, { baseMs: limits.retryDelayMs }],
    [{ max: "24h" }, { maxMs: limits.retryDelayMs }],
    [{ max: "1s" }, { maxMs: 1_000 }],
    [{ factor: 1 }, { factor: 1 }],
    [{ factor: 1.5 }, { factor: 1.5 }],
    [{ factor: 100 }, { factor: 100 }],
    [{ jitter: "full" }, { jitter: "full" }],
    [{ type: "linear" }, { type: "linear" }],
  ])("%j", (change, expected) => {
    expect(compiled({ backoff: { ...base, ...change } as never }).backoff).toMatchObject(expected);
  });

  test.each<readonly [object, string]>([
    [{ base: undefined }, `retry.backoff.base is undefined; allowed is ${durationForm}, up to 1d.`],
    [{ base: 1_000 }, `retry.backoff.base is 1000; allowed is ${durationForm}, up to 1d.`],
    [{ base: "-1s" }, `retry.backoff.base is "-1s"; allowed is ${durationForm}, up to 1d.`],
    [{ base: "25h" }, `retry.backoff.base is "25h"; allowed is ${durationForm}, up to 1d.`],
    [{ max: "2 min" }, `retry.backoff.max is "2 min"; allowed is ${durationForm}, up to 1d.`],
    [{ max: "86400001ms" }, `retry.backoff.max is "86400001ms"; allowed is ${durationForm}, up to 1d.`],
    [{ max: "900ms" }, "retry.backoff.max is 900ms, less than base, 1s; raise it."],
    [{ factor: 0.9 }, "retry.backoff.factor is 0.9; allowed are 1 to 100."],
    [{ factor: 101 }, "retry.backoff.factor is 101; allowed are 1 to 100."],
    [{ factor: Number.NaN }, "retry.backoff.factor is NaN; allowed are 1 to 100."],
    [{ factor: -2 }, "retry.backoff.factor is -2; allowed are 1 to 100."],
    [{ type: "quadratic" }, 'retry.backoff.type is "quadratic"; allowed are "fixed", "linear" and "exponential".'],
    [{ jitter: "half" }, 'retry.backoff.jitter is "half"; allowed are "none" and "full".'],
  ])("%j is a fault", (change, fault) => {
    expect(faults({ backoff: { ...base, ...change } })).toEqual([fault]);
  });

  test("all faults are reported, not the first", () => {
    expect(
      faults({ maxAttempts: 0, backoff: { type: "x", base: "x", max: "x", factor: 0, jitter: "x" } }),
    ).toHaveLength(6);
  });
});

test("what a fault leaves behind is a policy that ends", () => {
  const policy = compileRetry(
    defaultRetry,
    { maxAttempts: -1, backoff: { type: "fixed", base: "x" as never } },
    () => undefined,
  );
  expect(policy.maxAttempts).toBe(defaultRetry.maxAttempts);
  expect(policy.backoff.baseMs).toBe(defaultRetry.backoff.baseMs);
});
