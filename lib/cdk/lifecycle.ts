/** From the table's stream to the event bus, one event for each change of a run's status, and to lists and statistics. */
import { Duration } from "aws-cdk-lib";
import type * as events from "aws-cdk-lib/aws-events";
import * as lambda from "aws-cdk-lib/aws-lambda";
import type * as sqs from "aws-cdk-lib/aws-sqs";
import type { Construct } from "constructs";
import { environmentNames } from "../aws/environment.ts";
import { statusChangePatterns } from "../aws/status-change-patterns.ts";
import { accessOf, type Permission, permissionsFor, permit, type StackParts } from "./access.ts";
import { createFunction, type FunctionSettings } from "./function.ts";

/** A batch of changes that cannot be published is tried again for so long, and holds up those behind it. */
const triedFor = Duration.hours(6);

export function createLifecycle(
  scope: Construct,
  around: { readonly bus: events.IEventBus; readonly archive: sqs.IQueue },
  parts: StackParts,
  settings: FunctionSettings,
): lambda.Function {
  const { bus, archive } = around;
  const target = createFunction(scope, "Lifecycle", settings, {
    handler: "lifecycle",
    description: "Tells the event bus of each change of a run's status, and keeps lists and statistics",
    timeout: Duration.minutes(1),
    memorySize: 512,
    environment: { [environmentNames.eventBus]: bus.eventBusArn },
  });
  const streamArn = parts.table.tableStreamArn;
  if (streamArn === undefined) throw new Error("The table has no stream.");
  permit(target, [
    ...readStream(streamArn),
    ...permissionsFor(accessOf.lifecycle, parts),
    { actions: ["events:PutEvents"], resourceArns: [bus.eventBusArn] },
    { actions: ["sqs:SendMessage"], resourceArns: [archive.queueArn, ...tellsWebhooksBy(parts)] },
  ]);
  new lambda.EventSourceMapping(target, "Stream", {
    target,
    eventSourceArn: streamArn,
    // What changed before the mapping was ready is told, too.
    filters: statusChangePatterns.map((pattern) => lambda.FilterCriteria.filter(pattern)),
    // No batching window: Lambda asks four times a second, so that changes that come often come together as it is; and where
    // they are rare, a second of waiting for each event would save fractions of a cent.
    startingPosition: lambda.StartingPosition.TRIM_HORIZON,
    batchSize: 100,
    reportBatchItemFailures: true,
    bisectBatchOnError: true,
    maxRecordAge: triedFor,
    onFailure: { bind: () => ({ destination: archive.queueArn }) },
  });
  return target;
}

/**
 * Each delivery to a webhook is a run, whose one step is on the task queue `default`. Whether there are webhooks is said in
 * the worker file, which is not read here; so the permission is always there.
 */
function tellsWebhooksBy({ queues }: StackParts): readonly string[] {
  const queue = queues.get("default");
  return queue === undefined ? [] : [queue.queueArn];
}

function readStream(streamArn: string): readonly Permission[] {
  return [
    {
      actions: ["dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator"],
      resourceArns: [streamArn],
    },
    {
      actions: ["dynamodb:ListStreams"],
      resourceArns: ["*"],
      wide: "Lambda asks for it to read a stream, and it cannot be narrowed to one",
    },
  ];
}
