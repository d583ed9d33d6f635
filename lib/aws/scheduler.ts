/** EventBridge Scheduler. Loaded by processes that meet a message which waits for longer than SQS can. */
import {
  ConflictException,
  CreateScheduleCommand,
  type CreateScheduleCommandInput,
  SchedulerClient,
} from "@aws-sdk/client-scheduler";
import { limits } from "../definition/limits.ts";
import { bounded } from "./bounded.ts";

export function createSchedulerClient(): SchedulerClient {
  return new SchedulerClient(bounded(limits.requestTries, limits.requestMs));
}

/** Resolves when the schedule is there, from this call or from an earlier one. */
export async function createSchedule(scheduler: SchedulerClient, input: CreateScheduleCommandInput): Promise<void> {
  try {
    await scheduler.send(new CreateScheduleCommand(input));
  } catch (error) {
    if (!(error instanceof ConflictException)) throw error;
  }
}
