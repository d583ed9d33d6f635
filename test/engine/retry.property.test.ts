// Hunts: a pause that is negative, no number, unbounded, or shrinks as attempts fail (R8).
import * as fc from "fast-check";
import { expect, test } from "vitest";
import type { Backoff, RetryPolicy } from "../../lib/definition/graph.ts";
import { limits } from "../../lib/definition/limits.ts";
import { backoffMs, decideRetry, type Failure } from "../../lib/engine/retry.ts";

const backoff: fc.Arbitrary<Backoff> = fc
  .record({
    type: fc.constantFrom("fixed", "linear", "exponential"),
    times: fc.tuple(fc.nat(limits.retryDelayMs), fc.nat(limits.retryDelayMs)),
    factor: fc.double({ min: 1, max: 100, noNaN: true }),
    jitter: fc.constantFrom("none", "full"),
  })
  .map(({ times, ...rest }) => ({ ...rest, baseMs: Math.min(...times), maxMs: Math.max(...times) }));

const attempt = fc.oneof(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }));
const fraction = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
const maxAttempts = fc.oneof(fc.integer({ min: 1, max: limits.attempts }), fc.constant("unlimited" as const));
const failure: fc.Arbitrary<Failure> = fc.record(
  {
    retryable: fc.constantFrom<Failure["retryable"]>(true, true, "fatal", "not_retryable"),
    afterMs: fc.oneof(fc.nat(), fc.constantFrom(Infinity, -5, 0)),
  },
  { requiredKeys: ["retryable"] },
);

test("a pause is a whole number of ms, never negative, and never above the policy's maximum and the limit", () => {
  fc.assert(
    fc.property(backoff, attempt, fraction, (backoff, attempt, fraction) => {
      const decision = decideRetry({ maxAttempts: "unlimited", backoff }, attempt, { retryable: true }, fraction);
      if (!decision.retry) throw new Error("unlimited");
      expect(Number.isSafeInteger(decision.delayMs)).toBe(true);
      expect(decision.delayMs).toBeGreaterThanOrEqual(0);
      expect(decision.delayMs).toBeLessThanOrEqual(Math.min(backoff.maxMs, limits.retryDelayMs));
    }),
    { numRuns: 1_000 },
  );
});

test("pauses never shrink without jitter, and jitter only shortens them", () => {
  fc.assert(
    fc.property(backoff, fc.integer({ min: 1, max: 1_000_000 }), fraction, (backoff, attempt, fraction) => {
      const plain: Backoff = { ...backoff, jitter: "none" };
      expect(backoffMs(plain, attempt + 1, 0)).toBeGreaterThanOrEqual(backoffMs(plain, attempt, 0));
      expect(backoffMs(backoff, attempt, fraction)).toBeLessThanOrEqual(backoffMs(plain, attempt, fraction));
    }),
    { numRuns: 500 },
  );
});

test("a step has exactly as many attempts as its policy says (R3)", () => {
  fc.assert(
    fc.property(backoff, fc.integer({ min: 1, max: limits.attempts }), fraction, (backoff, maxAttempts, fraction) => {
      let attempt = 1;
      while (decideRetry({ maxAttempts, backoff }, attempt, { retryable: true }, fraction).retry) attempt++;
      expect(attempt).toBe(maxAttempts);
    }),
    { numRuns: 50 },
  );
});

test("every failure is decided: again within bounds, or a reason", () => {
  const policy: fc.Arbitrary<RetryPolicy> = fc.record({ maxAttempts, backoff });
  fc.assert(
    fc.property(policy, attempt, failure, fraction, (policy, attempt, failure, fraction) => {
      const decision = decideRetry(policy, attempt, failure, fraction);
      const isLast = policy.maxAttempts !== "unlimited" && attempt >= policy.maxAttempts;
      if (failure.retryable !== true) expect(decision).toEqual({ retry: false, because: failure.retryable });
      else if (isLast) expect(decision).toEqual({ retry: false, because: "exhausted" });
      else {
        if (!decision.retry) throw new Error("attempts are left");
        expect(decision.delayMs).toBeGreaterThanOrEqual(0);
        expect(decision.delayMs).toBeLessThanOrEqual(limits.retryDelayMs);
        if (failure.afterMs !== undefined) {
          expect(decision.delayMs).toBe(Math.min(Math.max(0, failure.afterMs), limits.retryDelayMs));
        }
      }
    }),
    { numRuns: 1_000 },
  );
});
