// Hunts: a step that is tried again after its last attempt, too soon, after years, or never although it may be.
import { describe, expect, test } from "vitest";
import type { Backoff, RetryPolicy } from "../../lib/definition/graph.ts";
import { limits } from "../../lib/definition/limits.ts";
import { backoffMs, decideRetry, mayAttempt } from "../../lib/engine/retry.ts";

const fixed: Backoff = { type: "fixed", baseMs: 1_000, factor: 2, maxMs: 60_000, jitter: "none" };
const policy = (maxAttempts: RetryPolicy["maxAttempts"], backoff: Backoff = fixed): RetryPolicy => ({
  maxAttempts,
  backoff,
});
const retryable = { retryable: true } as const;
const pauses = (backoff: Backoff, ...attempts: number[]): number[] =>
  attempts.map((one) => backoffMs(backoff, one, 0.5));

describe("pauses", () => {
  test("fixed: always the base", () => {
    expect(pauses(fixed, 1, 2, 3, 1_000)).toEqual([1_000, 1_000, 1_000, 1_000]);
  });

  test("linear: the base times the attempt that failed", () => {
    expect(pauses({ ...fixed, type: "linear" }, 1, 2, 3, 59, 61)).toEqual([1_000, 2_000, 3_000, 59_000, 60_000]);
  });

  test("exponential: the base after the first attempt, then times the factor", () => {
    expect(pauses({ ...fixed, type: "exponential" }, 1, 2, 3, 4, 6, 7)).toEqual([
      ...[1_000, 2_000, 4_000, 8_000],
      ...[32_000, 60_000],
    ]);
    expect(pauses({ ...fixed, type: "exponential", factor: 1.5 }, 1, 2, 3)).toEqual([1_000, 1_500, 2_250]);
    expect(pauses({ ...fixed, type: "exponential", factor: 1 }, 1, 50)).toEqual([1_000, 1_000]);
  });

  test("huge attempt numbers end at the maximum", () => {
    for (const type of ["linear", "exponential"] as const) {
      expect(pauses({ ...fixed, type }, 1_000, 1e6, Number.MAX_SAFE_INTEGER)).toEqual([60_000, 60_000, 60_000]);
    }
  });

  test("no base, no pause, however often it is multiplied", () => {
    for (const type of ["fixed", "linear", "exponential"] as const) {
      expect(pauses({ ...fixed, type, baseMs: 0 }, 1, 2_000, 1e9)).toEqual([0, 0, 0]);
    }
  });

  test("full jitter takes the random part of the pause, after its maximum", () => {
    const backoff: Backoff = { ...fixed, type: "exponential", jitter: "full" };
    expect([0, 0.25, 0.999].map((fraction) => backoffMs(backoff, 20, fraction))).toEqual([0, 15_000, 59_940]);
    expect([0, 0.25, 0.999].map((fraction) => backoffMs(fixed, 20, fraction))).toEqual([1_000, 1_000, 1_000]);
  });
});

describe("exhausted means exhausted", () => {
  test("after the last attempt there is none", () => {
    expect(decideRetry(policy(3), 1, retryable, 0)).toEqual({ retry: true, delayMs: 1_000 });
    expect(decideRetry(policy(3), 2, retryable, 0)).toEqual({ retry: true, delayMs: 1_000 });
    expect(decideRetry(policy(3), 3, retryable, 0)).toEqual({ retry: false, because: "exhausted" });
    expect(decideRetry(policy(3), 4, retryable, 0)).toEqual({ retry: false, because: "exhausted" });
    expect(decideRetry(policy(1), 1, retryable, 0)).toEqual({ retry: false, because: "exhausted" });
  });

  test("an error that says when to try again gets no attempt of its own", () => {
    const failure = { retryable: true, afterMs: 5 } as const;
    expect(decideRetry(policy(2), 1, failure, 0)).toEqual({ retry: true, delayMs: 5 });
    expect(decideRetry(policy(2), 2, failure, 0)).toEqual({ retry: false, because: "exhausted" });
  });

  test("unlimited is not exhausted", () => {
    expect(decideRetry(policy("unlimited"), 1e9, retryable, 0)).toEqual({ retry: true, delayMs: 1_000 });
    expect([1, 1_000, 1e15].map((attempt) => mayAttempt(policy("unlimited"), attempt))).toEqual([true, true, true]);
    expect([1, 3, 4].map((attempt) => mayAttempt(policy(3), attempt))).toEqual([true, true, false]);
  });
});

describe("errors that are not retried", () => {
  test.each(["fatal", "not_retryable"] as const)("%s, whatever the policy and the error say", (kind) => {
    const failure = { retryable: kind, afterMs: 5 } as const;
    for (const maxAttempts of [1, 5, "unlimited"] as const) {
      expect(decideRetry(policy(maxAttempts), 1, failure, 0)).toEqual({ retry: false, because: kind });
    }
  });
});

describe("what a RetryableError asks for", () => {
  test.each([
    [0, 0],
    [7, 7],
    [90_000, 90_000],
    [limits.retryDelayMs, limits.retryDelayMs],
    [limits.retryDelayMs + 1, limits.retryDelayMs],
    [Number.POSITIVE_INFINITY, limits.retryDelayMs],
    [-1, 0],
  ])("%d ms replaces the backoff and becomes %d ms", (afterMs, delayMs) => {
    expect(decideRetry(policy(5), 1, { retryable: true, afterMs }, 0.5)).toEqual({ retry: true, delayMs });
  });
});
