/** The function behind the HTTP API, which is also invoked directly: by schedules, event rules and SDKs. */
import { Duration } from "aws-cdk-lib";
import type * as lambda from "aws-cdk-lib/aws-lambda";
import type * as sqs from "aws-cdk-lib/aws-sqs";
import type { Construct } from "constructs";
import { accessOf, permissionsFor, permit, type StackParts } from "./access.ts";
import { createFunction, type FunctionSettings } from "./function.ts";

export function createApiFunction(
  scope: Construct,
  archive: sqs.IQueue,
  parts: StackParts,
  settings: FunctionSettings,
): lambda.Function {
  const target = createFunction(scope, "Api", settings, {
    handler: "api",
    description: "Starts, shows and operates runs, over HTTP or invoked directly",
    // What the HTTP API waits, and less than `limits.nudgeDelayMs`, by which a change must have been written.
    timeout: Duration.seconds(30),
    memorySize: 512,
  });
  permit(target, [
    ...permissionsFor(accessOf.api, parts),
    { actions: ["sqs:SendMessage"], resourceArns: [archive.queueArn] },
  ]);
  // Nobody waits for the answer when a schedule or an event starts a run: what fails for good is kept.
  target.configureAsyncInvoke({
    retryAttempts: 2,
    maxEventAge: Duration.hours(6),
    onFailure: { bind: () => ({ destination: archive.queueArn }) },
  });
  return target;
}
