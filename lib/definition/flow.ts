/**
 * How much may go on at the same time (`concurrency`) and how often steps may begin (`rateLimit`): what users write, and
 * what the engine uses. Both belong to the code, not to the graph: they protect the world around a run and do not
 * say how the run goes, so a changed limit counts at once, also for runs that have begun.
 */
import { type Duration, durationForm, formatDuration, parseDuration } from "./duration.ts";
import { limits } from "./limits.ts";
import { shown } from "./shown.ts";

export interface ConcurrencyOptions<Input> {
  /**
   * Runs of this workflow with the same key share the limit: a text of 1 to 128 characters, or what computes it from the
   * run's input. @default one limit for all runs of the workflow
   */
  readonly key?: string | ((view: { readonly input: Input }) => string);
  /** Runs that go on at the same time, 1 to 1,000. The others wait for their turn, first come first served. */
  readonly limit: number;
}

export interface RateOptions {
  /** Attempts that may begin within any time of the length `per`, 1 to 1,000. */
  readonly limit: number;
  /** 1s to 1d. */
  readonly per: Duration;
}

export interface RateLimitOptions<View> extends RateOptions {
  /**
   * Steps with the same key share the limit, whatever their workflows: a text of 1 to 128 characters, or what computes
   * it from what the step may read. @default one limit for this step in all runs
   */
  readonly key?: string | ((view: View) => string);
}

export interface Rate {
  readonly limit: number;
  readonly perMs: number;
}

/** Declared as a method, so that a function that takes a more precise argument fits: the builder has checked that it does. */
type ErasedKey = { call(view: never): unknown }["call"];

export interface Concurrency {
  readonly limit: number;
  readonly key?: string | ErasedKey;
}

export interface RateLimit extends Rate {
  readonly key?: string | ErasedKey;
}

type Report = (option: string, message: string) => void;

/** Faults are reported, and leave the lowest limit. */
export function compileConcurrency(options: ConcurrencyOptions<never>, report: Report): Concurrency {
  const key = compileKey(options.key, report);
  return { limit: compileLimit(options.limit, report), ...(key === undefined ? {} : { key }) };
}

/** Faults are reported, and leave the lowest limit. */
export function compileRateLimit(options: RateLimitOptions<never>, report: Report): RateLimit {
  const rate = compileRate(options, report);
  const key = compileKey(options.key, report);
  return { ...rate, ...(key === undefined ? {} : { key }) };
}

/** Faults are reported, and leave the lowest limit. */
export function compileRate({ limit, per }: RateOptions, report: Report): Rate {
  const perMs = parseDuration(per);
  const { rateLeastMs, rateMostMs } = limits;
  const isAllowed = perMs !== undefined && perMs >= rateLeastMs && perMs <= rateMostMs;
  if (!isAllowed) {
    const allowed = `${durationForm}, from ${formatDuration(rateLeastMs)} to ${formatDuration(rateMostMs)}`;
    report("per", `is ${shown(per)}; allowed is ${allowed}.`);
  }
  return { limit: compileLimit(limit, report), perMs: isAllowed ? perMs : rateMostMs };
}

function compileLimit(limit: number, report: Report): number {
  if (Number.isInteger(limit) && limit >= 1 && limit <= limits.flowLimit) return limit;
  report("limit", `is ${shown(limit)}; allowed are whole numbers from 1 to ${limits.flowLimit}.`);
  return 1;
}

function compileKey<Key extends string | ErasedKey>(key: Key | undefined, report: Report): Key | undefined {
  if (key === undefined || typeof key === "function" || isFlowKey(key)) return key;
  report("key", `is ${shown(key)}; allowed is ${flowKeyForm}, or a function that returns one.`);
  return undefined;
}

const flowKeyForm = `a text of 1 to ${limits.flowKeyLength} characters`;

/** Half a character would be stored as another one, so that two keys could become the same. */
function isFlowKey(key: unknown): key is string {
  return typeof key === "string" && key !== "" && key.length <= limits.flowKeyLength && key.isWellFormed();
}

/** What a key comes to, or what is wrong with it. `""` stands for the limit that has no key of its own. */
export function flowKeyOf(
  key: string | ErasedKey | undefined,
  view: unknown,
):
  | { readonly ok: true; readonly key: string }
  | { readonly ok: false; readonly message: string; readonly cause?: unknown } {
  if (key === undefined) return { ok: true, key: "" };
  if (typeof key === "string") return { ok: true, key };
  try {
    const computed = key(view as never);
    if (isFlowKey(computed)) return { ok: true, key: computed };
    const seen = typeof computed === "string" ? shown(computed.slice(0, 200)) : typeof computed;
    return { ok: false, message: `key returned ${seen}; allowed is ${flowKeyForm}, at once.` };
  } catch (cause) {
    return {
      ok: false,
      message: `key threw ${cause instanceof Error ? `${cause.name}: ${cause.message}` : "no Error"}.`,
      cause,
    };
  }
}
