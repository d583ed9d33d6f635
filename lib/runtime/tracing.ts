/**
 * Traces, by the OpenTelemetry API: without an SDK that somebody registers, all of this does nothing.
 *
 * Each run is one trace, whatever processes work on it and however often: its ids follow from the run's id, so nothing has
 * to travel with the messages, and what was sent by a timer, an audit or an older version joins the same trace.
 */
import { createHash } from "node:crypto";
import {
  type Attributes,
  context,
  type Link,
  ROOT_CONTEXT,
  type Span,
  type SpanContext,
  SpanKind,
  SpanStatusCode,
  TraceFlags,
  type TracerProvider,
  trace,
} from "@opentelemetry/api";
import { parseShardFingerprint } from "../definition/shards.ts";
import { mapRunId } from "../engine/child.ts";
import { isTerminal, type RunState } from "../engine/run-state.ts";

type TracedRun = Pick<RunState, "runId" | "workflow" | "fingerprint">;

/** One attempt at a step, or at undoing it. */
export interface TracedAttempt {
  readonly track: "step" | "undo";
  readonly stepId: string;
  readonly attempt: number;
  readonly epoch: number;
  readonly taskQueue: string;
}

/** How it went, when it did not succeed. Without the stack: who may see traces need not see code. */
export interface TracedFailure {
  readonly name: string;
  readonly message: string;
}

/** Id of the run's trace: 32 hex digits. The items of a map are in the trace of the run that has the map. */
export function traceIdOf(run: Pick<RunState, "runId" | "fingerprint">): string {
  return hashOf(tracedId(run)).slice(0, 32);
}

/**
 * Does the work within a span of the run's trace: what the work does itself (requests, spans of its own) is below it. An
 * invocation that is being traced already, such as Lambda's, is linked.
 *
 * @param work may tell how it failed; what it throws is told by itself
 */
export async function traceAttempt<T>(
  run: TracedRun,
  { track, stepId, attempt, epoch, taskQueue }: TracedAttempt,
  work: (failed: (failure: TracedFailure) => void, traceId: string | undefined) => Promise<T>,
): Promise<T> {
  if (!isTraced()) return work(() => undefined, undefined);
  const attributes: Attributes = {
    ...attributesOf(run),
    "pawl.step": stepId,
    "pawl.attempt": attempt,
    "pawl.epoch": epoch,
    "pawl.task_queue": taskQueue,
  };
  const within = trace.setSpanContext(ROOT_CONTEXT, contextOf(run));
  const options = { kind: SpanKind.CONSUMER, attributes, links: linkToActive() };
  const span = tracer().startSpan(`${track} ${stepId}`, options, within);
  const failed = (failure: TracedFailure): void => fail(span, failure);
  try {
    const traceId = span.isRecording() ? span.spanContext().traceId : undefined;
    return await context.with(trace.setSpan(within, span), () => work(failed, traceId));
  } catch (error) {
    failed(error instanceof Error ? error : { name: "NonError", message: "A value that is no error was thrown" });
    throw error;
  } finally {
    span.end();
  }
}

/** Whoever starts a run while being traced is linked with the run's trace. */
export function linkStart(run: Pick<RunState, "runId" | "fingerprint">): void {
  trace.getActiveSpan()?.addLink({ context: contextOf(run) });
}

/** The run as a whole, once it has ended: one span from its creation to its end. */
export function traceEnd(run: RunState): void {
  const { status, error, createdAtMs, endedAtMs, epoch } = run;
  if (!isTraced()) return;
  if (!isTerminal(status) || endedAtMs === undefined || parseShardFingerprint(run.fingerprint) !== undefined) return;
  const attributes = { ...attributesOf(run), "pawl.status": status, "pawl.epoch": epoch };
  const options = { kind: SpanKind.INTERNAL, attributes, startTime: createdAtMs };
  const within = trace.setSpanContext(ROOT_CONTEXT, contextOf(run));
  const span = tracer().startSpan(`run ${run.workflow}`, options, within);
  if (status !== "succeeded") fail(span, error ?? { name: status, message: `The run is ${status}.` });
  span.end(endedAtMs);
}

function fail(span: Span, { name, message }: TracedFailure): void {
  span.setAttribute("error.type", name);
  span.setStatus({ code: SpanStatusCode.ERROR, message: `${name}: ${message}` });
}

function attributesOf({ runId, workflow }: TracedRun): Attributes {
  return { "pawl.workflow": workflow, "pawl.run.id": runId };
}

/** Whether somebody has registered what makes spans; also later than the first attempt. */
function isTraced(): boolean {
  // The API's own stands in for one that is registered: it has nothing to delegate to until then.
  const provider: TracerProvider & { getDelegateTracer?(name: string): unknown } = trace.getTracerProvider();
  return provider.getDelegateTracer === undefined || provider.getDelegateTracer("pawl") !== undefined;
}

function tracer(): ReturnType<typeof trace.getTracer> {
  return trace.getTracer("pawl");
}

/** The parent of all spans of the run. It is never ended, as it is nobody's: the span of the whole run is below it, too. */
function contextOf(run: Pick<RunState, "runId" | "fingerprint">): SpanContext {
  const hash = hashOf(tracedId(run));
  return {
    traceId: hash.slice(0, 32),
    spanId: hash.slice(32, 48),
    // Whether it is sampled is for the sampler to say: by the trace's id, it says the same in each process.
    traceFlags: TraceFlags.SAMPLED,
    isRemote: true,
  };
}

function tracedId({ runId, fingerprint }: Pick<RunState, "runId" | "fingerprint">): string {
  return parseShardFingerprint(fingerprint) === undefined ? runId : mapRunId(runId);
}

function linkToActive(): Link[] {
  const active = trace.getActiveSpan();
  return active === undefined ? [] : [{ context: active.spanContext() }];
}

function hashOf(runId: string): string {
  return createHash("sha256").update(runId).digest("hex");
}
