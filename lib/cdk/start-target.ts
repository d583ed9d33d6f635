/** An EventBridge rule that starts a run for each event that it matches. */
import * as events from "aws-cdk-lib/aws-events";
import * as targets from "aws-cdk-lib/aws-events-targets";
import type * as lambda from "aws-cdk-lib/aws-lambda";

export interface StartTargetOptions {
  /**
   * Input of the run. `EventField.fromPath("$.detail.orderId")` in it stands for a part of the event.
   *
   * @default the event's detail
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
  workflow: string,
  { input = events.EventField.fromPath("$.detail"), runId = events.EventField.eventId }: StartTargetOptions,
): events.IRuleTarget {
  return new targets.LambdaFunction(apiFunction, {
    event: events.RuleTargetInput.fromObject({ action: "start", workflow, runId, input }),
  });
}
