/**
 * Runs that begin by themselves, at times of a calendar or again and again. A schedule belongs to the code, not to the
 * graph: it says when runs begin, not how they go.
 */
import type * as z from "zod";
import { $ZodAsyncError } from "zod/v4/core";
import { type Cron, parseCron } from "./cron.ts";
import { type Duration, durationForm, formatDuration, parseDuration } from "./duration.ts";
import { serialize, utf8Bytes } from "./json.ts";
import { limits } from "./limits.ts";
import { shown } from "./shown.ts";

interface CronOptions {
  /**
   * Five fields, `minute hour day-of-month month day-of-week`, with names (`MON`, `JAN`), lists, ranges and steps:
   * `"0 6 * * MON-FRI"`. When both fields of days are given, a day that is in one of them will do; EventBridge Scheduler
   * cannot say that, so such a schedule only works in the embedded engine.
   */
  readonly cron: string;
  /**
   * Time zone of the fields, e.g. `"Europe/Berlin"`. A time that a change of clocks leaves out does not fire on that day,
   * and one that comes twice fires once. @default "UTC"
   */
  readonly timezone?: string;
  readonly every?: never;
}

interface EveryOptions {
  /**
   * Whole minutes, from `"1m"` on. The embedded engine counts from 1970, so that `"6h"` comes at 0, 6, 12 and 18 o'clock
   * UTC; on AWS it counts from the deployment, which starts the first run.
   */
  readonly every: Duration;
  readonly cron?: never;
  readonly timezone?: never;
}

/** The input of each run, left out only if the workflow can do without. */
type ScheduledInput<Input> = undefined extends Input ? { readonly input?: Input } : { readonly input: Input };

/**
 * When runs begin by themselves. Such a run has the id `<workflow>-<time>` (UTC, to the second), so that a time that comes
 * twice starts one run.
 */
export type ScheduleOptions<Input> = (CronOptions | EveryOptions) & ScheduledInput<Input>;

/** A schedule with its types erased, as the builder takes it. */
export interface AnyScheduleOptions {
  readonly cron?: string | undefined;
  readonly timezone?: string | undefined;
  readonly every?: Duration | undefined;
  readonly input?: unknown;
}

export type Schedule = {
  /** As it was given, as JSON; `""` for none. Each start parses it by the workflow's schema. */
  readonly inputJson: string;
} & (
  | { readonly kind: "cron"; readonly cron: Cron; readonly timezone: string }
  | { readonly kind: "every"; readonly everyMs: number }
);

/** @param time UTC, as ISO 8601 to the second with a `Z`, or what stands for such a time where the id is put together */
export function scheduledRunId(workflow: string, time: string): string {
  return `${workflow}-${time}`;
}

type Report = (option: string, message: string) => void;

/** Faults are reported; a schedule that has some is `undefined`. */
export function compileSchedule(
  options: AnyScheduleOptions,
  inputSchema: z.ZodType | undefined,
  report: Report,
): Schedule | undefined {
  const { cron, every, timezone } = options;
  if ((cron === undefined) === (every === undefined)) {
    report("schedule", "says neither or both of cron and every; give it one of them.");
    return undefined;
  }
  const inputJson = compileInput(options.input, inputSchema, report);
  if (every !== undefined) {
    if (timezone !== undefined) report("schedule.timezone", "has no meaning beside every; leave it out.");
    return { kind: "every", everyMs: compileEvery(every, report), inputJson };
  }
  const parsed = parseCron(cron);
  if (!parsed.ok) {
    for (const fault of parsed.faults) report("schedule.cron", `is ${shown(cron)}; ${fault}.`);
    return undefined;
  }
  return { kind: "cron", cron: parsed.cron, timezone: compileTimezone(timezone, report), inputJson };
}

function compileEvery(every: Duration, report: Report): number {
  const everyMs = parseDuration(every);
  const { scheduleLeastMs: leastMs, delayMs: mostMs } = limits;
  if (everyMs !== undefined && everyMs >= leastMs && everyMs <= mostMs && everyMs % leastMs === 0) return everyMs;
  const allowed = `${durationForm}, of whole minutes from ${formatDuration(leastMs)} to ${formatDuration(mostMs)}`;
  report("schedule.every", `is ${shown(every)}; allowed is ${allowed}.`);
  return leastMs;
}

function compileTimezone(timezone: string | undefined, report: Report): string {
  if (timezone === undefined || isTimezone(timezone)) return timezone ?? "UTC";
  const form = 'a name of the IANA time zone database, such as "Europe/Berlin", or "UTC"';
  report("schedule.timezone", `is ${shown(timezone)}; allowed is ${form}.`);
  return "UTC";
}

/**
 * Names as "EST" and offsets as "+02:00" are refused: they know no summer time, and not every scheduler knows them.
 */
function isTimezone(timezone: unknown): boolean {
  if (timezone === "UTC") return true;
  if (typeof timezone !== "string" || !/^[A-Z][A-Za-z_]+(\/[A-Za-z0-9_+-]+)+$/.test(timezone)) return false;
  try {
    // eslint-disable-next-line no-restricted-globals -- asks only whether the zone exists: the answer has nothing to do with this machine's zone or locale
    const known = new Intl.DateTimeFormat("en", { timeZone: timezone }).resolvedOptions().timeZone;
    // "europe/berlin" is understood here, and nowhere else. An alias resolves to quite another name.
    return known === timezone || known.toLowerCase() !== timezone.toLowerCase();
  } catch {
    return false;
  }
}

function compileInput(input: unknown, schema: z.ZodType | undefined, report: Report): string {
  const at = "schedule.input";
  if (schema === undefined) {
    if (input !== undefined)
      report(at, "is given, but the workflow takes no input; leave it out, or give it a schema.");
    return "";
  }
  const parsed = tryParse(schema, input);
  if (parsed?.success === false) {
    for (const { path, message } of parsed.error.issues) {
      const place = path.map((key) => `.${String(key)}`).join("");
      report(at, `${place === "" ? "is not valid" : `is not valid at ${place.slice(1)}`}: ${message}.`);
    }
  }
  const serialized = serialize(input, "it");
  if (!serialized.ok) {
    report(at, `cannot be stored: ${serialized.message}`);
    return "";
  }
  const bytes = utf8Bytes(serialized.json);
  const { scheduleInputBytes } = limits;
  if (bytes > scheduleInputBytes) {
    report(at, `has ${bytes} bytes as JSON; at most ${scheduleInputBytes} are allowed. Load what is large in a step.`);
  }
  return serialized.json;
}

/** `undefined` when only a start can tell: the schema's code is asynchronous. */
function tryParse(schema: z.ZodType, input: unknown): z.ZodSafeParseResult<unknown> | undefined {
  try {
    return schema.safeParse(input);
  } catch (error) {
    if (error instanceof $ZodAsyncError) return undefined;
    throw error;
  }
}
