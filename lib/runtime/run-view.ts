/** A run as its users see it: long names, ISO times, payloads as values. The same words in HTTP, client and CLI. */
import type { Graph, GraphStep } from "../definition/graph.ts";
import { deserialize } from "../definition/json.ts";
import type { StepError } from "../definition/step.ts";
import { payloadKey } from "../engine/placement.ts";
import type { PauseReason, RunError, RunState, RunStatus, StepStatus } from "../engine/run-state.ts";
import type { Question } from "./interrupt.ts";
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
  /** Of a step that waits. */
  readonly waitsFor?: "signal" | "time" | "callback" | "answer";
  /** What a step that waits for an answer asks. */
  readonly interrupt?: Question & { readonly id: string };
  /** When the wait of a step ends at the latest: the timeout of a signal or a callback, the end of a sleep. A heartbeat may put it off. */
  readonly waitsUntil?: string;
  /** The step's signal has come and is kept until the step begins to wait. */
  readonly signalKept?: true;
  /** Details of the step's last heartbeat that were kept. */
  readonly heartbeat?: unknown;
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
    ...(run.tags === undefined ? {} : { tags: run.tags }),
    createdAt: iso(run.createdAtMs),
    ...(run.startAtMs === undefined ? {} : { startAt: iso(run.startAtMs) }),
    ...(run.deadlineAtMs === undefined ? {} : { deadlineAt: iso(run.deadlineAtMs) }),
    ...(run.endedAtMs === undefined ? {} : { endedAt: iso(run.endedAtMs) }),
  };
}

function viewStep(graph: Graph, run: RunState, index: number, payloads: ReadonlyMap<string, string>): StepRunView {
  const state = run.steps[index];
  const kept = run.signals[index]?.payload === undefined ? {} : { signalKept: true as const };
  if (state === undefined) return { status: "pending", attempt: 0, ...kept };
  const { status, attempt } = state;
  const hasError = status === "failed" || readRecord("error", run, index, payloads) !== undefined;
  const error = hasError && status !== "succeeded" ? readError(graph, run, index, payloads) : undefined;
  const output = readPayload(run, run.outputs[index], payloads);
  const heartbeat = run.heartbeats[index];
  const background = readRecord("background", run, index, payloads);
  return {
    status,
    attempt,
    ...kept,
    ...("startedAtMs" in state && attempt > 0 ? { startedAt: iso(state.startedAtMs) } : {}),
    ...("endedAtMs" in state ? { endedAt: iso(state.endedAtMs) } : {}),
    ...(status === "waiting" ? { startedAt: iso(state.sinceMs), ...waitsFor(graph.steps[index]?.kind) } : {}),
    ...(status === "waiting" ? viewInterrupt(run.interrupts[index]?.pending, payloads) : {}),
    ...(status === "waiting" && state.wakeAtMs !== undefined ? { waitsUntil: iso(state.wakeAtMs) } : {}),
    ...(status === "backing_off" ? { nextAttemptAt: iso(state.wakeAtMs) } : {}),
    ...(heartbeat === undefined ? {} : { heartbeat: deserialize(heartbeat) }),
    ...(output === undefined ? {} : { output }),
    ...(error === undefined ? {} : { error }),
    ...(background === undefined ? {} : { backgroundErrors: readBackgroundErrors(background) }),
  };
}

function waitsFor(kind: GraphStep["kind"] | undefined): Pick<StepRunView, "waitsFor"> {
  switch (kind) {
    case "signal":
      return { waitsFor: "signal" };
    case "sleep":
      return { waitsFor: "time" };
    case "callback":
      return { waitsFor: "callback" };
    case "step":
      return { waitsFor: "answer" };
    case undefined:
      return {};
  }
}

function viewInterrupt(id: string | undefined, payloads: ReadonlyMap<string, string>): Pick<StepRunView, "interrupt"> {
  const json = id === undefined ? undefined : payloads.get(payloadKey.question(id));
  if (id === undefined || json === undefined) return {};
  return { interrupt: { id, ...(JSON.parse(json) as Question) } };
}

function readBackgroundErrors(json: string): StepError[] {
  return (JSON.parse(json) as ErrorRecord[]).map(({ name, message }) => ({ name, message }));
}

function iso(ms: number): string {
  return new Date(ms).toISOString();
}
