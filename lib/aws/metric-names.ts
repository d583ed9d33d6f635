/**
 * What the functions of a stack count in CloudWatch, and the constructs' metrics and alarms look at. What each of them
 * means is told in docs/observability.md.
 */

export const metricNamespace = "Pawl";

export const metricNames = [
  "StuckRuns",
  "OpenRuns",
  "DeadLetters",
  "RunsStarted",
  "RunsSucceeded",
  "RunsFailed",
  "RunsCancelled",
  "RunsTimedOut",
] as const;

export type MetricName = (typeof metricNames)[number];
