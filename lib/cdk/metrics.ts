/** The numbers that tell how a stack does: its functions' own, and those that AWS counts. */
import { Duration } from "aws-cdk-lib";
import * as cloudwatch from "aws-cdk-lib/aws-cloudwatch";
import { type MetricName, metricNamespace } from "../aws/metric-names.ts";

/** @param dimensions `stack`, and `workflow` for the runs of one */
export function metricOf(
  name: MetricName,
  dimensions: Readonly<Record<string, string>>,
  options: cloudwatch.MetricOptions | undefined,
): cloudwatch.Metric {
  // The audit tells how many there are, the others how many there were.
  const statistic = name === "StuckRuns" || name === "OpenRuns" ? "Maximum" : "Sum";
  return new cloudwatch.Metric({
    namespace: metricNamespace,
    metricName: name,
    dimensionsMap: dimensions,
    statistic,
    period: Duration.minutes(5),
    ...options,
  });
}
