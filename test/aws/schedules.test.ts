// Hunts timers that fire early, twice, or never because another one has their name.
import { ConflictException, CreateScheduleCommand, SchedulerClient } from "@aws-sdk/client-scheduler";
import { mockClient } from "aws-sdk-client-mock";
import { describe, expect, test } from "vitest";
import { createSchedule } from "../../lib/aws/scheduler.ts";
import { oneTimeSchedule } from "../../lib/aws/schedules.ts";
import { pack } from "../../lib/aws/sqs-requests.ts";
import { address, nowMs, outgoing } from "./sample-message.ts";

const hourMs = 3_600_000;

function schedule(given: Parameters<typeof outgoing>, atMs = nowMs): ReturnType<typeof oneTimeSchedule> {
  return oneTimeSchedule(pack(outgoing(...given), address.queues), address, atMs);
}

describe("a one-time schedule", () => {
  test("as data", () => {
    expect(schedule(["r-1", hourMs])).toEqual({
      GroupName: "group",
      Name: expect.stringMatching(/^order-[\w-]{43}$/),
      ScheduleExpression: "at(2026-11-21T13:00:00)",
      ScheduleExpressionTimezone: "UTC",
      FlexibleTimeWindow: { Mode: "OFF" },
      ActionAfterCompletion: "DELETE",
      Target: {
        Arn: address.queues.default.arn,
        RoleArn: address.scheduleRole,
        Input: JSON.stringify(outgoing("r-1").message),
      },
    });
  });

  test("is never early: part of a second becomes a whole one", () => {
    const at = (delayMs: number): string | undefined => schedule(["r", delayMs]).ScheduleExpression;
    expect(at(hourMs + 1)).toBe("at(2026-11-21T13:00:01)");
    expect(at(hourMs + 999.5)).toBe("at(2026-11-21T13:00:01)");
    expect(at(hourMs + 1_000)).toBe("at(2026-11-21T13:00:01)");
    expect(at(366 * 24 * hourMs)).toBe("at(2027-11-22T12:00:00)");
  });

  test("the same timer has the same name, whoever repeats it and when", () => {
    const first = schedule(["r", hourMs]);
    const repeated = schedule(["r", hourMs - 60_000, "default", nowMs + 60_000], nowMs + 60_001);
    expect(repeated.Name).toBe(first.Name);
    const parcel = pack(outgoing("r", hourMs), address.queues);
    const inTheWakeOfAnother = { ...parcel, message: { ...parcel.message, hops: 3 } };
    expect(oneTimeSchedule(inTheWakeOfAnother, address, nowMs).Name).toBe(first.Name);
  });

  test("another time, run or attempt is another timer", () => {
    const names = new Set([
      schedule(["r", hourMs]).Name,
      schedule(["r", hourMs + 1]).Name,
      schedule(["s", hourMs]).Name,
      oneTimeSchedule(
        { ...pack(outgoing("r", hourMs), address.queues), message: { ...outgoing("r").message, epoch: 1 } },
        address,
        nowMs,
      ).Name,
    ]);
    expect(names.size).toBe(4);
  });

  test("has a name that Scheduler takes, whatever the workflow's", () => {
    const parcel = pack(outgoing("r", hourMs), address.queues);
    for (const workflow of ["ä b/c#d", "a".repeat(64), "x"]) {
      const { Name } = oneTimeSchedule({ ...parcel, message: { ...parcel.message, workflow } }, address, nowMs);
      expect(Name).toMatch(/^[0-9a-zA-Z-_.]{1,64}$/);
    }
  });
});

describe("creating it", () => {
  const scheduler = new SchedulerClient({ region: "us-east-1" });
  const mock = mockClient(scheduler);

  test("one that is there already is as good", async () => {
    mock
      .on(CreateScheduleCommand)
      .rejects(new ConflictException({ $metadata: {}, message: "exists", Message: "exists" }));
    await createSchedule(scheduler, schedule(["r", hourMs]));
    expect(mock.commandCalls(CreateScheduleCommand)).toHaveLength(1);
  });

  test("any other failure is the caller's to know", async () => {
    mock.on(CreateScheduleCommand).rejects(new Error("quota"));
    await expect(createSchedule(scheduler, schedule(["r", hourMs]))).rejects.toThrow("quota");
  });
});
