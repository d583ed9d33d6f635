/** Workflows that begin by themselves: one recurring schedule each, which invokes the api function with a start. */
import { TimeZone } from "aws-cdk-lib";
import * as iam from "aws-cdk-lib/aws-iam";
import type * as kms from "aws-cdk-lib/aws-kms";
import type * as lambda from "aws-cdk-lib/aws-lambda";
import * as scheduler from "aws-cdk-lib/aws-scheduler";
import type * as sqs from "aws-cdk-lib/aws-sqs";
import { Construct } from "constructs";
import { scheduleExpression } from "../aws/schedule-expression.ts";
import { type Schedule, scheduledRunId } from "../definition/schedule.ts";
import type { Workflow } from "../definition/workflow.ts";
import { permit, useKey } from "./access.ts";
import { schedulerOf } from "./timers.ts";

interface ScheduleParts {
  readonly group: scheduler.IScheduleGroup;
  readonly apiFunction: lambda.IFunction;
  /** Where a start goes that EventBridge Scheduler could not hand over for a day. */
  readonly archive: sqs.IQueue;
  readonly key: kms.IKey | undefined;
}

/** @throws {TypeError} naming every schedule that EventBridge Scheduler cannot say */
export function createSchedules(scope: Construct, workflows: readonly Workflow[], parts: ScheduleParts): void {
  const faults: string[] = [];
  const found = workflows.flatMap(({ name, schedule }) => {
    if (schedule === undefined) return [];
    const expression = scheduleExpression(schedule);
    if (expression.ok) return [{ name, schedule, ...expression }];
    faults.push(`The schedule of workflow "${name}" ${expression.message}`);
    return [];
  });
  if (faults.length > 0) throw new TypeError(faults.join("\n"));
  if (found.length === 0) return;
  const schedules = new Construct(scope, "Schedules");
  const role = createRole(schedules, parts);
  for (const { name, schedule, expression, timezone } of found) {
    new scheduler.Schedule(schedules, name, {
      description: `Starts a run of workflow ${name}`,
      schedule: scheduler.ScheduleExpression.expression(expression, TimeZone.of(timezone)),
      scheduleGroup: parts.group,
      target: {
        bind: () => ({
          arn: parts.apiFunction.functionArn,
          role,
          input: scheduler.ScheduleTargetInput.fromObject(startOf(name, schedule)),
          deadLetterConfig: { arn: parts.archive.queueArn },
        }),
      },
    });
  }
}

/** What the api function is given. The run's id names the time, so that an invocation that comes twice starts one run. */
function startOf(workflow: string, { inputJson }: Schedule): Readonly<Record<string, unknown>> {
  const runId = scheduledRunId(workflow, scheduler.ContextAttribute.scheduledTime);
  const input = inputJson === "" ? {} : { input: JSON.parse(inputJson) as unknown };
  return { action: "start", workflow, runId, ...input };
}

function createRole(scope: Construct, { group, apiFunction, archive, key }: ScheduleParts): iam.Role {
  const role = new iam.Role(scope, "Role", {
    assumedBy: schedulerOf(scope, group),
    description: "EventBridge Scheduler starts runs",
  });
  permit(role, [
    { actions: ["lambda:InvokeFunction"], resourceArns: [apiFunction.functionArn] },
    { actions: ["sqs:SendMessage"], resourceArns: [archive.queueArn] },
    ...(key === undefined ? [] : [useKey(key)]),
  ]);
  return role;
}
