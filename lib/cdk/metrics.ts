/** The numbers that tell how a stack does: its functions' own, and those that AWS counts. */
import { Duration } from "aws-cdk-lib";
import * as cloudwatch from "aws-cdk-lib/aws-cloudwatch";

/** Where the functions put what they count. */
const namespace = "Pawl";

/** Counted by the functions, summed up over five minutes unless said otherwise. */
export type PawlMetric =
  | "StuckRuns"
  | "OpenRuns"
  | "DeadLetters"
  | "RunsStarted"
  | "RunsSucceeded"
  | "RunsFailed"
  | "RunsCancelled"
  | "RunsTimedOut";

/** @param dimensions `stack`, and `workflow` for the runs of one */
export function metricOf(
  name: PawlMetric,
  dimensions: Readonly<Record<string, string>>,
  options: cloudwatch.MetricOptions | undefined,
): cloudwatch.Metric {
  // The audit tells how many there are, the others how many there were.
  const statistic = name === "StuckRuns" || name === "OpenRuns" ? "Maximum" : "Sum";
  return new cloudwatch.Metric({
    namespace,
    metricName: name,
    dimensionsMap: dimensions,
    statistic,
    period: Duration.minutes(5),
    ...options,
  });
}
