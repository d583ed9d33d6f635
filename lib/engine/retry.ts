/** Whether and when a failed attempt is followed by another, as a value. Exhausted means exhausted: there is no default. */
import type { Backoff, RetryPolicy } from "../definition/graph.ts";
import { limits } from "../definition/limits.ts";

export type RetryDecision =
  | { readonly retry: true; readonly delayMs: number }
  | { readonly retry: false; readonly because: "fatal" | "not_retryable" | "exhausted" };

/** What is known about the failure: whether the error forbids retries, the policy does, or the error says when. */
export interface Failure {
  readonly retryable: true | "fatal" | "not_retryable";
  /** The attempt was ended from outside before its code had: whether it took effect is not known. */
  readonly isCutOff?: true;
  /** Asked for by a `RetryableError`; replaces the backoff, not the number of attempts. */
  readonly afterMs?: number;
}

/** @param fraction random in [0, 1), for the jitter */
export function decideRetry(policy: RetryPolicy, attempt: number, failure: Failure, fraction: number): RetryDecision {
  if (failure.retryable !== true) return { retry: false, because: failure.retryable };
  if (!mayAttempt(policy, attempt + 1)) return { retry: false, because: "exhausted" };
  const delayMs = failure.afterMs ?? backoffMs(policy.backoff, attempt, fraction);
  return { retry: true, delayMs: Math.min(Math.max(0, Math.round(delayMs)), limits.retryDelayMs) };
}

export function mayAttempt(policy: RetryPolicy, attempt: number): boolean {
  return policy.maxAttempts === "unlimited" || attempt <= policy.maxAttempts;
}

/** Pause after the failed attempt. */
export function backoffMs(backoff: Backoff, attempt: number, fraction: number): number {
  const { type, baseMs, factor, maxMs, jitter } = backoff;
  const growth = type === "fixed" ? 1 : type === "linear" ? attempt : factor ** (attempt - 1);
  // Growth overflows to Infinity after many attempts, and 0 * Infinity is no number.
  const pauseMs = baseMs === 0 ? 0 : Math.min(baseMs * growth, maxMs);
  return jitter === "full" ? pauseMs * fraction : pauseMs;
}
