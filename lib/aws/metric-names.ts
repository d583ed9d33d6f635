/** What the functions of a stack count in CloudWatch, and the constructs' metrics and alarms look at. */

export const metricNamespace = "Pawl";

export type MetricName =
  | "StuckRuns"
  | "OpenRuns"
  | "DeadLetters"
  | "RunsStarted"
  | "RunsSucceeded"
  | "RunsFailed"
  | "RunsCancelled"
  | "RunsTimedOut";
