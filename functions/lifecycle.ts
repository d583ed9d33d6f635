/**
 * Takes changes of runs' statuses from the table's stream: publishes each, in the order of the stream, and keeps lists and
 * statistics by them. A record is only done when all that follows from it is; from the first that is not, the stream
 * brings all of them again, and whatever was done of these changes nothing the second time.
 */
import type { EventBridgeClient } from "@aws-sdk/client-eventbridge";
import type { Context, DynamoDBBatchResponse } from "aws-lambda";
import { publishEvents } from "../lib/aws/event-bus.ts";
import type { MetricName } from "../lib/aws/metric-names.ts";
import { type ProjectedChange, projectChange } from "../lib/aws/projection-writes.ts";
import type { Projections } from "../lib/aws/projections.ts";
import {
  parseStreamEvent,
  removedRunOf,
  runChangeOf,
  type StatusChange,
  type StreamRecord,
  statusChangeOf,
} from "../lib/aws/stream-record.ts";
import { correctExpiry } from "../lib/engine/end.ts";
import type { RunStatusChange } from "../lib/engine/lifecycle.ts";
import { isTerminal, type RunState } from "../lib/engine/run-state.ts";
import type { Clock, Randomness, RunStore } from "../lib/runtime/ports.ts";
import type { RemovedRun } from "../lib/runtime/removal.ts";
import { traceEnd } from "../lib/runtime/tracing.ts";
import type { FunctionLogger } from "./logger.ts";
import type { StackMetrics } from "./metrics.ts";

export interface LifecycleParts {
  readonly eventBridge: EventBridgeClient;
  readonly eventBus: string;
  readonly projections: Projections;
  /** Has the webhooks told of a change, once, however often it is called. @default there are none */
  readonly tell?: ((change: RunStatusChange) => Promise<void>) | undefined;
  /**
   * Finishes the removal of a run that is gone. Called again when it, or what comes before it, has failed. The removals of
   * runs that go with it come as records of their own.
   */
  readonly afterRemoval: (run: RemovedRun) => Promise<unknown>;
  readonly store: Pick<RunStore, "update">;
  readonly clock: Clock;
  readonly random: Randomness;
  readonly logger: FunctionLogger;
  readonly metrics: StackMetrics;
}

export type LifecycleHandler = (event: unknown, context: Context) => Promise<DynamoDBBatchResponse>;

export function lifecycleHandler(parts: () => LifecycleParts): LifecycleHandler {
  return async (event, context) => {
    const { logger, metrics } = parts();
    logger.begin(context);
    const records = parseStreamEvent(event).map((record) => readRecord(record, logger));
    const { done, error } = await handle(records, parts());
    // What is behind it is counted when it comes again.
    const handled = records.slice(0, done);
    countChanges(
      handled.flatMap(({ event }) => event ?? []),
      metrics,
    );
    for (const { ended } of handled) if (ended !== undefined) traceEnd(ended);
    const next = records[done];
    if (next === undefined) return { batchItemFailures: [] };
    logger.error("changes of runs could not be handled; the stream brings them again", {
      error,
      keys: next.keys,
      left: records.length - done,
    });
    return { batchItemFailures: [{ itemIdentifier: next.sequenceNumber }] };
  };
}

/** What follows from one record: all of it is absent when the record tells of no change of a status. */
interface Read {
  readonly sequenceNumber: string;
  readonly keys: StreamRecord["Keys"];
  /** When the stream saw it. */
  readonly atMs: number;
  readonly event: StatusChange | undefined;
  readonly projected: ProjectedChange | undefined;
  /** The run, when this is its end. */
  readonly ended: RunState | undefined;
  readonly removed: RemovedRun | undefined;
}

interface Progress {
  /** So many records from the beginning are done. */
  readonly done: number;
  readonly error?: Error;
}

/** Each part goes as far as the one before it has come. */
async function handle(records: readonly Read[], parts: LifecycleParts): Promise<Progress> {
  const published = await publish(records, parts);
  const told = await tellAll(records.slice(0, published.done), parts);
  const heard = told.error === undefined ? published : told;
  const kept = await parts.projections.keep(records.slice(0, heard.done).map(({ projected }) => projected));
  const reached = kept.error === undefined ? heard : kept;
  const finished = await finish(records.slice(0, reached.done), parts);
  return finished.error === undefined ? reached : finished;
}

async function publish(
  records: readonly Read[],
  { eventBridge, eventBus, clock, random }: LifecycleParts,
): Promise<Progress> {
  const events = records.flatMap(({ event }, index) => (event === undefined ? [] : [{ index, change: event.change }]));
  const changes = events.map(({ change }) => change);
  const { published, error } = await publishEvents(eventBridge, eventBus, changes, { clock, random });
  return { done: events[published]?.index ?? records.length, ...(error === undefined ? {} : { error }) };
}

async function tellAll(records: readonly Read[], { tell }: LifecycleParts): Promise<Progress> {
  for (let from = 0; tell !== undefined && from < records.length; from += toldAtOnce) {
    const some = records.slice(from, from + toldAtOnce).map(async ({ event }) => {
      if (event !== undefined && !event.isShard) await tell(event.change);
    });
    const failed = (await Promise.allSettled(some)).map((told) => (told.status === "rejected" ? told : undefined));
    const at = failed.findIndex((told) => told !== undefined);
    if (at !== -1) return { done: from + at, error: asError(failed[at]?.reason) };
  }
  return { done: records.length };
}

const toldAtOnce = 10;

async function finish(records: readonly Read[], { afterRemoval, store }: LifecycleParts): Promise<Progress> {
  for (const [index, { removed, ended, atMs }] of records.entries()) {
    try {
      if (removed !== undefined) await afterRemoval(removed);
      // The stream goes by AWS's own clock: one that was far ahead makes no run immortal.
      const correction = ended && correctExpiry(ended, atMs);
      if (ended !== undefined && correction !== undefined) await store.update(ended.runId, correction);
    } catch (error) {
      return { done: index, error: asError(error) };
    }
  }
  return { done: records.length };
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}

/** A run that cannot be read must not hold up all others. */
function readRecord(record: StreamRecord, logger: FunctionLogger): Read {
  const read = <T>(what: string, of: (record: StreamRecord) => T): T | undefined => {
    try {
      return of(record);
    } catch (error) {
      logger.error(`a record of the table's stream cannot be read; ${what}`, { error, keys: record.Keys });
      return undefined;
    }
  };
  const listed = read("lists and statistics leave it out", () => {
    const change = runChangeOf(record);
    return change && { change, projected: projectChange(change) };
  });
  const { before, after } = listed?.change ?? {};
  const isEnd = after !== undefined && isTerminal(after.status) && before?.status !== after.status;
  return {
    sequenceNumber: record.SequenceNumber,
    keys: record.Keys,
    atMs: record.ApproximateCreationDateTime * 1000,
    event: read("no event tells of it", statusChangeOf),
    projected: listed?.projected,
    ended: isEnd ? after : undefined,
    removed: read("what belongs to the run stays", removedRunOf),
  };
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
