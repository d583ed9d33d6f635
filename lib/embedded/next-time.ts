/** When a schedule fires next. */
import { Cron } from "croner";
import type { Schedule } from "../definition/schedule.ts";

/** The first time after the given one; `undefined` when there is none. */
export function nextTimeMs(schedule: Schedule, afterMs: number): number | undefined {
  // Counted from 1970, so that a restart changes no time.
  if (schedule.kind === "every") return (Math.floor(afterMs / schedule.everyMs) + 1) * schedule.everyMs;
  const { minutes, hours, text } = schedule.cron;
  const days = text.split(" ").slice(2).join(" ");
  // With each minute and hour by name, what a change of clocks repeats comes once, as EventBridge Scheduler has it.
  const cron = new Cron(`${minutes.join(",")} ${hours.join(",")} ${days}`, {
    mode: "5-part",
    fixedTimeRule: "no-wildcard",
    timezone: schedule.timezone,
  });
  const after = new Date(afterMs);
  const isTime = (time: Date): boolean => cron.match(time);
  // Croner moves what a change of clocks leaves out; EventBridge lets it pass, and the next one is not far.
  return (cron.nextRuns(1, after).find(isTime) ?? cron.nextRuns(mostLeftOut, after).find(isTime))?.getTime();
}

/** More than the minutes that a change of clocks leaves out. */
const mostLeftOut = 200;
