/** When a schedule fires next. */
import { Cron } from "croner";
import type { Schedule } from "../definition/schedule.ts";

/** The first time after the given one; `undefined` when there is none. */
export function nextTimeMs(schedule: Schedule, afterMs: number): number | undefined {
  // Counted from 1970, so that a restart changes no time.
  if (schedule.kind === "every") return (Math.floor(afterMs / schedule.everyMs) + 1) * schedule.everyMs;
  const cron = new Cron(schedule.cron.text, { mode: "5-part", timezone: schedule.timezone });
  const after = new Date(afterMs);
  const isTime = (time: Date): boolean => time.getTime() > afterMs && cron.match(time);
  const next = cron.nextRuns(1, after).find(isTime);
  // Croner moves a time that a change of clocks leaves out, and finds the first of two even if that is past. EventBridge
  // Scheduler lets both pass; so does this, and the next one is not far.
  return (next ?? cron.nextRuns(mostPassed, after).find(isTime))?.getTime();
}

/** More than the minutes that a change of clocks repeats or leaves out. */
const mostPassed = 200;
