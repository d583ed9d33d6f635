/** What waits longer than the 15 minutes that SQS can: one-time schedules, which send to the task queues. */
import { ArnFormat, RemovalPolicy, Stack } from "aws-cdk-lib";
import * as iam from "aws-cdk-lib/aws-iam";
import type * as kms from "aws-cdk-lib/aws-kms";
import * as scheduler from "aws-cdk-lib/aws-scheduler";
import type * as sqs from "aws-cdk-lib/aws-sqs";
import { Construct } from "constructs";
import { permit, useKey } from "./access.ts";

export class Timers extends Construct {
  readonly group: scheduler.ScheduleGroup;
  /** Assumed by EventBridge Scheduler to send what is due. */
  readonly role: iam.Role;
  /** Every schedule of the group: their names are only known when they are made. */
  readonly anyScheduleArn: string;

  constructor(scope: Construct, id: string, queues: readonly sqs.IQueue[], key: kms.IKey | undefined) {
    super(scope, id);
    // What its schedules would send has no queue to go to any more.
    this.group = new scheduler.ScheduleGroup(this, "Group", { removalPolicy: RemovalPolicy.DESTROY });
    this.role = new iam.Role(this, "Role", {
      assumedBy: schedulerOf(this, this.group),
      description: "EventBridge Scheduler sends messages that waited for their time to the task queues",
    });
    this.anyScheduleArn = Stack.of(this).formatArn({
      service: "scheduler",
      resource: "schedule",
      resourceName: `${this.group.scheduleGroupName}/*`,
      arnFormat: ArnFormat.SLASH_RESOURCE_NAME,
    });
    permit(this.role, [
      { actions: ["sqs:SendMessage"], resourceArns: queues.map((queue) => queue.queueArn) },
      ...(key === undefined ? [] : [useKey(key)]),
    ]);
  }
}

/** EventBridge Scheduler, on behalf of this group's schedules only: the service must not be talked into it by others. */
export function schedulerOf(scope: Construct, group: scheduler.IScheduleGroup): iam.IPrincipal {
  return new iam.ServicePrincipal("scheduler.amazonaws.com", {
    conditions: {
      StringEquals: { "aws:SourceAccount": Stack.of(scope).account, "aws:SourceArn": group.scheduleGroupArn },
    },
  });
}
