/** Looks at all open runs now and then, and sets those going again whose messages were lost. */
import { Duration } from "aws-cdk-lib";
import * as events from "aws-cdk-lib/aws-events";
import * as targets from "aws-cdk-lib/aws-events-targets";
import type * as lambda from "aws-cdk-lib/aws-lambda";
import type { Construct } from "constructs";
import { accessOf, permissionsFor, permit, type StackParts } from "./access.ts";
import { createFunction, type FunctionSettings } from "./function.ts";

export function createAudit(
  scope: Construct,
  interval: Duration,
  parts: StackParts,
  settings: FunctionSettings,
): lambda.Function {
  const target = createFunction(scope, "Audit", settings, {
    handler: "audit",
    description: "Sets runs going again that do not go on although they should",
    timeout: Duration.minutes(5),
    memorySize: 512,
  });
  permit(target, permissionsFor(accessOf.audit, parts));
  new events.Rule(target, "Interval", {
    description: "Pawl: look for runs that do not go on",
    schedule: events.Schedule.rate(interval),
    // The next look makes up for one that failed.
    targets: [new targets.LambdaFunction(target, { retryAttempts: 0 })],
  });
  return target;
}
