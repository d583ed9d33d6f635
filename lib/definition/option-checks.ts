/** Checks options one by one. What is wrong with one is noted, and something that makes sense takes its place. */
import type { AnyPollOptions, AnySignalOptions, AnyStepOptions } from "./any-options.ts";
import { type Duration, durationForm, formatDuration, parseDuration } from "./duration.ts";
import type { DefinitionFault } from "./errors.ts";
import { compileRateLimit } from "./flow.ts";
import type { Compensation, MapStep, RetryPolicy, SignalTimeout } from "./graph.ts";
import { instantForm, parseInstant } from "./instant.ts";
import { serialize } from "./json.ts";
import { limits } from "./limits.ts";
import { compileRetry, defaultRetry, type RetryOptions } from "./retry.ts";
import { shown } from "./shown.ts";
import type { RunCode, StepCode } from "./step.ts";
import type { Workflow } from "./workflow.ts";

/** Giving up on undoing leaves work for a person, so it is tried for longer than the step itself. */
const undoing: RetryPolicy = { ...defaultRetry, maxAttempts: 10 };

export class OptionChecks {
  /** In the order in which they were found. */
  readonly faults: DefinitionFault[] = [];

  fault(at: string, message: string): void {
    this.faults.push({ at, message });
  }

  /** @param leastMs 0: any above it */
  duration(at: string, text: Duration | undefined, mostMs: number, leastMs = 0): number | undefined {
    if (text === undefined) return undefined;
    const ms = parseDuration(text);
    if (ms !== undefined && ms > 0 && ms >= leastMs && ms <= mostMs) return ms;
    const range = leastMs === 0 ? "above 0 and" : `from ${formatDuration(leastMs)}`;
    this.fault(at, `is ${shown(text)}; allowed is ${durationForm}, ${range} up to ${formatDuration(mostMs)}.`);
    return undefined;
  }

  instant(at: string, value: AnyStepOptions["startAt"]): number | undefined {
    if (value === undefined || typeof value === "function") return undefined;
    const ms = parseInstant(value);
    if (ms !== undefined) return ms;
    this.fault(at, `is ${shown(value)}; allowed is ${instantForm}.`);
    return undefined;
  }

  /** @param withinMs what the heartbeats are to interrupt; longer silence than that is noticed anyway */
  heartbeat(at: string, text: Duration | undefined, withinMs: number | undefined): number | undefined {
    const heartbeatMs = this.duration(`${at}: heartbeatTimeout`, text, limits.delayMs);
    if (heartbeatMs !== undefined && withinMs !== undefined && heartbeatMs >= withinMs) {
      const message = `is ${shown(text)}, and the timeout is ${formatDuration(withinMs)}; make it shorter, or leave it out.`;
      this.fault(`${at}: heartbeatTimeout`, message);
    }
    return heartbeatMs;
  }

  retry(at: string, policy: RetryPolicy, options: RetryOptions | undefined): RetryPolicy {
    return compileRetry(policy, options, (option, message) => {
      this.fault(`${at}: ${option}`, message);
    });
  }

  compensation(
    step: string,
    options: AnyStepOptions["compensate"],
    stepTimeoutMs: number,
  ): { readonly graph: Compensation; readonly code: NonNullable<StepCode["compensate"]> } | undefined {
    if (options === undefined) return undefined;
    const { run, retry, timeout } = typeof options === "function" ? { run: options } : options;
    const at = `${step}: compensate`;
    if (typeof run !== "function") this.fault(at, "has no run function; give it one.");
    const timeoutMs = this.duration(`${at}: timeout`, timeout, limits.stepTimeoutMs) ?? stepTimeoutMs;
    return {
      graph: { retry: this.retry(at, undoing, retry), timeoutMs },
      code: { run, ...(retry?.isRetryable === undefined ? {} : { isRetryable: retry.isRetryable }) },
    };
  }

  rateLimit(at: string, { rateLimit }: AnyStepOptions | AnyPollOptions): Pick<RunCode, "rateLimit"> {
    if (rateLimit === undefined) return {};
    const report = (option: string, message: string): void => {
      this.fault(`${at}: rateLimit.${option}`, message);
    };
    return { rateLimit: compileRateLimit(rateLimit, report) };
  }

  onTimeout(at: string, { onTimeout = "fail", timeout }: AnySignalOptions): SignalTimeout {
    if (onTimeout !== "fail" && timeout === undefined) {
      this.fault(`${at}: onTimeout`, "says what happens at a timeout, and there is none; give the signal a timeout.");
    }
    if (onTimeout === "fail" || onTimeout === "skip") return { then: onTimeout };
    const serialized = serialize(onTimeout.value, "onTimeout.value");
    if (serialized.ok) return { then: "value", json: serialized.json };
    this.fault(at, serialized.message);
    return { then: "fail" };
  }

  tolerance(at: string, most: number | string = 0): MapStep["tolerated"] {
    if (typeof most === "number" && isCount(most, 0)) return { count: most };
    const percent = typeof most === "string" && /^\d+(\.\d+)?%$/.test(most) ? Number(most.slice(0, -1)) : Number.NaN;
    if (percent <= 100) return { percent };
    const allowed = `allowed are 0 to ${limits.mapItems}, or "0%" to "100%"`;
    this.fault(`${at}: toleratedFailures`, `is ${shown(most)}; ${allowed}.`);
    return { count: 0 };
  }

  /** Of a step that starts runs of it. */
  workflow(at: string, value: Workflow | (() => Workflow)): () => Workflow {
    if (typeof value === "function") return value;
    if (!isWorkflow(value)) this.fault(at, "is no workflow; give it one, or a function that returns one.");
    return () => value;
  }
}

export function isCount(value: number, least: number): boolean {
  return Number.isInteger(value) && value >= least && value <= limits.mapItems;
}

function isWorkflow(value: unknown): value is Workflow {
  return typeof value === "object" && value !== null && "graph" in value && "code" in value;
}

const namePattern = /^[A-Za-z][A-Za-z0-9_-]*$/;
export const nameForm = `a letter, then letters, digits, "_" and "-", at most ${limits.nameLength} in all`;

/** How the names of Pawl's own workflows begin, and no other. */
export const systemPrefix = "pawl-";

export function isSystemName(name: unknown): boolean {
  return typeof name === "string" && name.startsWith(systemPrefix);
}

export function isName(text: unknown): boolean {
  return typeof text === "string" && text.length <= limits.nameLength && namePattern.test(text);
}
