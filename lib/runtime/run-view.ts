/** A run as its users see it: long names, ISO times, payloads as values. The same words in HTTP, client and CLI. */
import { type Graph, startsRun } from "../definition/graph.ts";
import type { StepError } from "../definition/step.ts";
import { childRunId, parentRunId, parentStepId } from "../engine/child.ts";
import type { PauseReason, RunError, RunState, RunStatus, StepStatus } from "../engine/run-state.ts";
import { readSummary, type StoredSummary } from "./child-end.ts";
import { type ErrorRecord, idOf, readError, readPayload, readRecord } from "./step-data.ts";

export interface StepRunView {
  /** `pending`: not begun. */
  readonly status: StepStatus;
  /** The last attempt; 0 before the first. */
  readonly attempt: number;
  /** Of the last attempt. ISO 8601, as all times here. */
  readonly startedAt?: string;
  readonly endedAt?: string;
  /** When a step that backs off begins its next attempt. */
  readonly nextAttemptAt?: string;
  /** When the wait of a step ends at the latest: the timeout of a signal, the end of a sleep. */
  readonly waitsUntil?: string;
  /** Id of the run that the step started. */
  readonly child?: string;
  /** The step's signal has come and is kept until the step begins to wait. */
  readonly signalKept?: true;
  /** Absent until the step has succeeded, and when it returned nothing. */
  readonly output?: unknown;
  /** Of the last attempt that failed, also while the step waits for the next. */
  readonly error?: StepError;
  /** What the step's background work failed with. */
  readonly backgroundErrors?: readonly StepError[];
}

export interface RunView {
  readonly runId: string;
  readonly workflow: string;
  /** Of the graph that the run is pinned to. */
  readonly fingerprint: string;
  readonly status: RunStatus;
  readonly input?: unknown;
  /** Of a succeeded run; absent when its workflow returns nothing, or the step that it returns was skipped. */
  readonly output?: unknown;
  readonly error?: RunError;
  /** Why the run is paused. */
  readonly pause?: PauseReason;
  /** In the order of the definition. */
  readonly steps: Readonly<Record<string, StepRunView>>;
  /** The step of another run that started this one. */
  readonly parent?: { readonly runId: string; readonly step: string };
  readonly tags?: Readonly<Record<string, string>>;
  readonly createdAt: string;
  readonly startAt?: string;
  readonly deadlineAt?: string;
  readonly endedAt?: string;
}

/** @param graph `undefined` when it is in neither code nor store; steps are then named by their number */
export function viewRun(graph: Graph | undefined, run: RunState, payloads: ReadonlyMap<string, string>): RunView {
  const known: Graph = graph ?? { schema: 1, workflow: run.workflow, steps: [] };
  const count = Math.max(known.steps.length, run.steps.length);
  const steps: Record<string, StepRunView> = {};
  for (let index = 0; index < count; index++) steps[idOf(known, index)] = viewStep(known, run, index, payloads);
  const output =
    run.status === "succeeded" && known.output !== undefined ? steps[idOf(known, known.output)]?.output : undefined;
  const input = readPayload(run, run.input, payloads);
  return {
    runId: run.runId,
    workflow: run.workflow,
    fingerprint: run.fingerprint,
    status: run.status,
    ...(input === undefined ? {} : { input }),
    ...(output === undefined ? {} : { output }),
    ...(run.error === undefined ? {} : { error: run.error }),
    ...(run.pause === undefined ? {} : { pause: run.pause }),
    steps,
    ...(run.parent === undefined ? {} : { parent: { runId: parentRunId(run.runId), step: parentStepId(run.runId) } }),
    ...(run.tags === undefined ? {} : { tags: run.tags }),
    createdAt: iso(run.createdAtMs),
    ...(run.startAtMs === undefined ? {} : { startAt: iso(run.startAtMs) }),
    ...(run.deadlineAtMs === undefined ? {} : { deadlineAt: iso(run.deadlineAtMs) }),
    ...(run.endedAtMs === undefined ? {} : { endedAt: iso(run.endedAtMs) }),
  };
}

function viewStep(graph: Graph, run: RunState, index: number, payloads: ReadonlyMap<string, string>): StepRunView {
  const step = graph.steps[index];
  const state = run.steps[index];
  const kept = run.signals[index]?.payload === undefined ? {} : { signalKept: true as const };
  if (state === undefined) return { status: "pending", attempt: 0, ...kept };
  const { status, attempt } = state;
  const hasError = status === "failed" || readRecord("error", run, index, payloads) !== undefined;
  const error = hasError && status !== "succeeded" ? readError(graph, run, index, payloads) : undefined;
  const stored = status === "succeeded" ? readPayload(run, run.outputs[index], payloads) : undefined;
  const isMap = step?.kind === "map" && stored !== undefined;
  const output = isMap ? readSummary(stored as StoredSummary) : stored;
  const background = readRecord("background", run, index, payloads);
  return {
    status,
    attempt,
    ...(step !== undefined && startsRun(step) && attempt > 0 && status !== "skipped"
      ? { child: childRunId(run.runId, step) }
      : {}),
    ...kept,
    ...("startedAtMs" in state && attempt > 0 ? { startedAt: iso(state.startedAtMs) } : {}),
    ...("endedAtMs" in state ? { endedAt: iso(state.endedAtMs) } : {}),
    ...(status === "waiting" ? { startedAt: iso(state.sinceMs) } : {}),
    ...(status === "waiting" && state.wakeAtMs !== undefined ? { waitsUntil: iso(state.wakeAtMs) } : {}),
    ...(status === "backing_off" ? { nextAttemptAt: iso(state.wakeAtMs) } : {}),
    ...(output === undefined ? {} : { output }),
    ...(error === undefined ? {} : { error }),
    ...(background === undefined ? {} : { backgroundErrors: readBackgroundErrors(background) }),
  };
}

function readBackgroundErrors(json: string): StepError[] {
  return (JSON.parse(json) as ErrorRecord[]).map(({ name, message }) => ({ name, message }));
}

function iso(ms: number): string {
  return new Date(ms).toISOString();
}
