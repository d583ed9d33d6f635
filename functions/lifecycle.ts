/** Publishes each status change of each run, in the order of the table's stream, and counts them. */
import type { EventBridgeClient } from "@aws-sdk/client-eventbridge";
import type { Context, DynamoDBBatchResponse } from "aws-lambda";
import { publishEvents, type RunStatusChange } from "../lib/aws/event-bus.ts";
import type { MetricName } from "../lib/aws/metric-names.ts";
import { parseStreamEvent, type StatusChange, type StreamRecord, statusChangeOf } from "../lib/aws/stream-record.ts";
import type { Clock, Randomness } from "../lib/runtime/ports.ts";
import type { FunctionLogger } from "./logger.ts";
import type { StackMetrics } from "./metrics.ts";

export interface LifecycleParts {
  readonly eventBridge: EventBridgeClient;
  readonly eventBus: string;
  readonly clock: Clock;
  readonly random: Randomness;
  readonly logger: FunctionLogger;
  readonly metrics: StackMetrics;
}

export type LifecycleHandler = (event: unknown, context: Context) => Promise<DynamoDBBatchResponse>;

export function lifecycleHandler(parts: () => LifecycleParts): LifecycleHandler {
  return async (event, context) => {
    const { eventBridge, eventBus, logger, metrics, ...waits } = parts();
    logger.begin(context);
    const found = parseStreamEvent(event).flatMap((record) => readRecord(record, logger) ?? []);
    const changes = found.map(({ change }) => change);
    const { published, error } = await publishEvents(eventBridge, eventBus, changes, waits);
    // The stream repeats from the first that was not published; what is behind it is counted then.
    countChanges(found.slice(0, published), metrics);
    const next = found[published];
    if (next === undefined) return { batchItemFailures: [] };
    logger.error("status changes could not be published; the stream brings them again", { error, ...next.change });
    return { batchItemFailures: [{ itemIdentifier: next.sequenceNumber }] };
  };
}

/** A run that cannot be read must not hold up all others. */
function readRecord(
  record: StreamRecord,
  logger: FunctionLogger,
): (StatusChange & { readonly sequenceNumber: string }) | undefined {
  try {
    const found = statusChangeOf(record);
    return found === undefined ? undefined : { ...found, sequenceNumber: record.SequenceNumber };
  } catch (error) {
    logger.error("a record of the table's stream cannot be read; it is left out", { error, keys: record.Keys });
    return undefined;
  }
}

function countChanges(changes: readonly StatusChange[], metrics: StackMetrics): void {
  const ofUsers = changes.filter(({ isShard }) => !isShard).map(({ change }) => change);
  for (const [workflow, ofWorkflow] of Map.groupBy(ofUsers, (change) => change.workflow)) {
    const counts: Partial<Record<MetricName, number>> = {};
    for (const change of ofWorkflow) {
      const name = metricOf(change);
      if (name !== undefined) counts[name] = (counts[name] ?? 0) + 1;
    }
    metrics.count(counts, workflow);
  }
}

function metricOf({ status, previous }: RunStatusChange): MetricName | undefined {
  switch (status) {
    case "succeeded":
      return "RunsSucceeded";
    case "failed":
      return "RunsFailed";
    case "cancelled":
      return "RunsCancelled";
    case "timed_out":
      return "RunsTimedOut";
    case "running":
    case "paused":
    case "unwinding":
      return previous === undefined ? "RunsStarted" : undefined;
  }
}
