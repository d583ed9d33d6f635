/** An EventBridge rule that starts a run for each event that it matches. */
import * as events from "aws-cdk-lib/aws-events";
import * as targets from "aws-cdk-lib/aws-events-targets";
import type * as lambda from "aws-cdk-lib/aws-lambda";
import type { Workflow } from "../definition/workflow.ts";

export interface StartTargetOptions {
  /**
   * Input of the run. `EventField.fromPath("$.detail.orderId")` in it stands for a part of the event.
   *
   * @default the event's detail; none for a workflow that takes none
   */
  readonly input?: unknown;
  /**
   * Id of the run. It must tell events apart, and be the same when an event is delivered again: that then starts no second
   * run.
   *
   * @default the event's id
   */
  readonly runId?: string;
}

export function startTarget(
  apiFunction: lambda.IFunction,
  { name, inputSchema }: Workflow,
  { input, runId = events.EventField.eventId }: StartTargetOptions,
): events.IRuleTarget {
  const given = input ?? (inputSchema === undefined ? undefined : events.EventField.fromPath("$.detail"));
  const start = { action: "start", workflow: name, runId, ...(given === undefined ? {} : { input: given }) };
  return new targets.LambdaFunction(apiFunction, { event: events.RuleTargetInput.fromObject(start) });
}
