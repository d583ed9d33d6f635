/** Metrics of a stack: CloudWatch reads them from the function's log lines. */
import { Metrics, MetricUnit } from "@aws-lambda-powertools/metrics";
import { type MetricName, metricNamespace } from "../lib/aws/metric-names.ts";

export type Counts = Readonly<Partial<Record<MetricName, number>>>;

export interface StackMetrics {
  /** With the dimension `stack`; when a workflow is named, also with `stack` and `workflow`. */
  count(counts: Counts, workflow?: string): void;
}

export function stackMetrics(stack: string): StackMetrics {
  const metrics = new Metrics({ namespace: metricNamespace });
  // It begins with a dimension `service`, and the dimensions of a metric are part of its identity.
  metrics.clearDefaultDimensions();
  metrics.setDefaultDimensions({ stack });
  return {
    count(counts, workflow) {
      const entries = Object.entries(counts);
      if (entries.length === 0) return;
      for (const [name, value] of entries) metrics.addMetric(name, MetricUnit.Count, value);
      if (workflow !== undefined) metrics.addDimensions({}).addDimensions({ workflow });
      metrics.publishStoredMetrics();
    },
  };
}
