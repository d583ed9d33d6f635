/**
 * Messages that wait longer than SQS can, as one-time schedules of EventBridge Scheduler. A schedule sends its message
 * to the queue and deletes itself. It is precise to the minute, and never early.
 */
import { createHash } from "node:crypto";
import type { CreateScheduleCommandInput } from "@aws-sdk/client-scheduler";
import type { StackAddress } from "./environment.ts";
import type { Parcel } from "./sqs-requests.ts";

type ScheduleAddress = Pick<StackAddress, "scheduleGroup" | "scheduleRole">;

export function oneTimeSchedule(
  { queue, body, delayMs, message }: Parcel,
  { scheduleGroup, scheduleRole }: ScheduleAddress,
  nowMs: number,
): CreateScheduleCommandInput {
  return {
    GroupName: scheduleGroup,
    Name: scheduleName(message, delayMs),
    ScheduleExpression: `at(${wholeSecond(nowMs + delayMs)})`,
    ScheduleExpressionTimezone: "UTC",
    FlexibleTimeWindow: { Mode: "OFF" },
    ActionAfterCompletion: "DELETE",
    Target: { Arn: queue.arn, RoleArn: scheduleRole, Input: body },
  };
}

/**
 * The same for the same timer, so that whoever repeats it after a crash makes no second one, however many messages came
 * before (`hops`). Its time is part of it: a message may be asked for again, for later, while a schedule that has just
 * fired is not deleted yet.
 */
function scheduleName({ sentAtMs, hops: _, ...message }: Parcel["message"], delayMs: number): string {
  const identity = JSON.stringify([Object.entries(message).sort(([a], [b]) => (a < b ? -1 : 1)), sentAtMs + delayMs]);
  const hash = createHash("sha256").update(identity).digest("base64url");
  // Up to 64 characters; the hash has 43. The workflow's name is for people who look at the group.
  return `${message.workflow.replace(/[^\w.-]/g, "_").slice(0, 20)}-${hash}`;
}

/** UTC without milliseconds, as Scheduler wants it. Rounded up: a timer names the time before which it does nothing. */
function wholeSecond(atMs: number): string {
  return new Date(Math.ceil(atMs / 1000) * 1000).toISOString().slice(0, 19);
}
