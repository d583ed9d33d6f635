/** What becomes of messages that no worker could handle: their step fails with the reason, and they are kept. */
import type * as lambda from "aws-cdk-lib/aws-lambda";
import type * as sqs from "aws-cdk-lib/aws-sqs";
import type { Construct } from "constructs";
import { environmentNames } from "../aws/environment.ts";
import { accessOf, consume, permissionsFor, permit, type StackParts } from "./access.ts";
import { createFunction, type FunctionSettings } from "./function.ts";
import { deadLettersTimeout, feed, type TaskQueue } from "./task-queue.ts";

/** One function for all task queues: dead letters are few, and what is done about them is the same. */
export function createDeadLetters(
  scope: Construct,
  taskQueues: ReadonlyMap<string, TaskQueue>,
  archive: sqs.IQueue,
  parts: StackParts,
  settings: FunctionSettings,
): lambda.Function {
  const target = createFunction(scope, "DeadLetters", settings, {
    handler: "deadLetters",
    description: "Fails the steps whose messages no worker could handle, and keeps the messages",
    timeout: deadLettersTimeout,
    memorySize: 256,
    environment: { [environmentNames.archive]: archive.queueUrl },
  });
  permit(target, [
    ...permissionsFor(accessOf.deadLetters, parts),
    ...[...taskQueues.values()].map(({ deadLetters }) => consume(deadLetters)),
    { actions: ["sqs:SendMessage"], resourceArns: [archive.queueArn] },
  ]);
  for (const [name, { deadLetters }] of taskQueues) feed(target, `Messages-${name}`, deadLetters, { batchSize: 10 });
  return target;
}
