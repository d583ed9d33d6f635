/** From the retry policy that a user writes to the one that the engine runs: every field decided, every bound checked. */
import { type Duration, durationForm, formatDuration, parseDuration } from "./duration.ts";
import type { Backoff, RetryPolicy } from "./graph.ts";
import { limits } from "./limits.ts";
import { shown } from "./shown.ts";

/** How a step is tried again. Fields left out come from the workflow's defaults, then from Pawl's. */
export interface RetryOptions {
  /** Attempts in all, the first included; `Infinity` retries for ever. @default 3 */
  readonly maxAttempts?: number;
  /** @default exponential from 1s, doubling up to 1m, full jitter */
  readonly backoff?: BackoffOptions;
  /** Called with what the step threw; `false` fails the step at once. @default every error but `FatalError` is retried */
  readonly isRetryable?: (error: unknown) => boolean;
}

export interface BackoffOptions {
  /** Pause after failed attempt n: `base`, `base * n` or `base * factor^(n-1)`. */
  readonly type: "fixed" | "linear" | "exponential";
  readonly base: Duration;
  /** Of an exponential backoff. @default 2 */
  readonly factor?: number;
  /** No pause is longer. @default 1h */
  readonly max?: Duration;
  /** `full`: a random pause between 0 and the computed one. @default "none" */
  readonly jitter?: "none" | "full";
}

export const defaultRetry: RetryPolicy = {
  maxAttempts: 3,
  backoff: { type: "exponential", baseMs: 1_000, factor: 2, maxMs: 60_000, jitter: "full" },
};

const defaultMaxBackoffMs = 3_600_000;

/** The policy with the options put over it, field by field. Faults are reported, and leave the field as it was. */
export function compileRetry(
  policy: RetryPolicy,
  options: RetryOptions | undefined,
  report: (option: string, message: string) => void,
): RetryPolicy {
  const { maxAttempts, backoff } = options ?? {};
  return {
    maxAttempts: maxAttempts === undefined ? policy.maxAttempts : compileMaxAttempts(maxAttempts, policy, report),
    backoff: backoff === undefined ? policy.backoff : compileBackoff(backoff, report),
  };
}

function compileMaxAttempts(
  value: number,
  policy: RetryPolicy,
  report: (option: string, message: string) => void,
): RetryPolicy["maxAttempts"] {
  if (value === Infinity) return "unlimited";
  if (Number.isInteger(value) && value >= 1 && value <= limits.attempts) return value;
  report("retry.maxAttempts", `is ${value}; allowed are 1 to ${limits.attempts}, or Infinity to retry for ever.`);
  return policy.maxAttempts;
}

function compileBackoff(options: BackoffOptions, report: (option: string, message: string) => void): Backoff {
  const pause = (option: "base" | "max", fallbackMs: number): number => {
    const text = options[option];
    if (text === undefined && option === "max") return fallbackMs;
    const ms = parseDuration(text);
    if (ms !== undefined && ms <= limits.retryDelayMs) return ms;
    const allowed = `${durationForm}, up to ${formatDuration(limits.retryDelayMs)}`;
    report(`retry.backoff.${option}`, `is ${shown(text)}; allowed is ${allowed}.`);
    return fallbackMs;
  };
  const { type, factor = 2, jitter = "none" } = options;
  if (!["fixed", "linear", "exponential"].includes(type)) {
    report("retry.backoff.type", `is ${shown(type)}; allowed are "fixed", "linear" and "exponential".`);
  }
  if (!(factor >= 1 && factor <= 100)) report("retry.backoff.factor", `is ${factor}; allowed are 1 to 100.`);
  if (!["none", "full"].includes(jitter)) {
    report("retry.backoff.jitter", `is ${shown(jitter)}; allowed are "none" and "full".`);
  }
  const baseMs = pause("base", defaultRetry.backoff.baseMs);
  const maxMs = pause("max", Math.max(baseMs, defaultMaxBackoffMs));
  if (maxMs < baseMs) {
    report("retry.backoff.max", `is ${formatDuration(maxMs)}, less than base, ${formatDuration(baseMs)}; raise it.`);
  }
  return { type, baseMs, factor, maxMs, jitter };
}
