/** A run as its users see it: long names, ISO times, payloads as values. The same words in HTTP, client and CLI. */
import type { Graph } from "../definition/graph.ts";
import type { StepError } from "../definition/step.ts";
import { payloadKey } from "../engine/placement.ts";
import type { PauseReason, PayloadRef, RunError, RunState, RunStatus, StepStatus } from "../engine/run-state.ts";
import type { StoredPayloads } from "./ports.ts";
import type { ByHandRecord } from "./repairs.ts";
import { type ErrorRecord, idOf, readError, readPayload, readRecord } from "./step-data.ts";

/** Stands for a payload that is too large to be shown with its run; it is asked for by itself. */
export interface PayloadSize {
  /** As JSON. */
  readonly bytes: number;
}

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
  /** The step's signal has come and is kept until the step begins to wait. */
  readonly signalKept?: true;
  /** Absent until the step has succeeded, and when it returned nothing. */
  readonly output?: unknown;
  /** Instead of an output above 64 KiB: `commands.output` has it. */
  readonly outputRef?: PayloadSize;
  /** Of the last attempt that failed, also while the step waits for the next. */
  readonly error?: StepError;
  /** Who ended the step in a redrive, and why: nobody ran it to this end. */
  readonly byHand?: { readonly by: string; readonly reason: string; readonly at: string };
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
  /** Instead of an input above 64 KiB: `commands.input` has it. */
  readonly inputRef?: PayloadSize;
  /** Of a succeeded run; absent when its workflow returns nothing, or the step that it returns was skipped. */
  readonly output?: unknown;
  /** Instead of an output above 64 KiB: `commands.output` has it. */
  readonly outputRef?: PayloadSize;
  readonly error?: RunError;
  /** Why the run is paused. */
  readonly pause?: PauseReason;
  /** How often the run has been redriven. */
  readonly redrives: number;
  /** Of a forked run: where it comes from, and the step that began anew. */
  readonly forkedFrom?: { readonly runId: string; readonly from: string };
  /** In the order of the definition. */
  readonly steps: Readonly<Record<string, StepRunView>>;
  readonly tags?: Readonly<Record<string, string>>;
  readonly createdAt: string;
  readonly startAt?: string;
  readonly deadlineAt?: string;
  readonly endedAt?: string;
}

/** @param graph `undefined` when it is in neither code nor store; steps are then named by their number */
export function viewRun(graph: Graph | undefined, run: RunState, stored: StoredPayloads): RunView {
  const known: Graph = graph ?? { schema: 1, workflow: run.workflow, steps: [] };
  const count = Math.max(known.steps.length, run.steps.length);
  const steps: Record<string, StepRunView> = {};
  for (let index = 0; index < count; index++) steps[idOf(known, index)] = viewStep(known, run, index, stored);
  const returned = outputStep(known, run);
  const { output, outputRef } = returned === undefined ? {} : (steps[idOf(known, returned)] ?? {});
  const input = viewPayload(run, run.input, stored);
  return {
    runId: run.runId,
    workflow: run.workflow,
    fingerprint: run.fingerprint,
    status: run.status,
    ...(input.value === undefined ? {} : { input: input.value }),
    ...(input.ref === undefined ? {} : { inputRef: input.ref }),
    ...(output === undefined ? {} : { output }),
    ...(outputRef === undefined ? {} : { outputRef }),
    ...(run.error === undefined ? {} : { error: run.error }),
    ...(run.pause === undefined ? {} : { pause: run.pause }),
    redrives: run.epoch,
    ...(run.forkedFrom === undefined ? {} : { forkedFrom: { runId: run.forkedFrom.runId, from: run.forkedFrom.from } }),
    steps,
    ...(run.tags === undefined ? {} : { tags: run.tags }),
    createdAt: iso(run.createdAtMs),
    ...(run.startAtMs === undefined ? {} : { startAt: iso(run.startAtMs) }),
    ...(run.deadlineAtMs === undefined ? {} : { deadlineAt: iso(run.deadlineAtMs) }),
    ...(run.endedAtMs === undefined ? {} : { endedAt: iso(run.endedAtMs) }),
  };
}

/** The step whose output is the run's, once the run has one. */
export function outputStep(graph: Graph, run: RunState): number | undefined {
  return run.status === "succeeded" ? graph.output : undefined;
}

function viewPayload(
  run: RunState,
  payload: PayloadRef | undefined,
  { payloads, larger }: StoredPayloads,
): { readonly value?: unknown; readonly ref?: PayloadSize } {
  const bytes = payload !== undefined && "key" in payload ? larger.get(payload.key) : undefined;
  return bytes === undefined ? { value: readPayload(run, payload, payloads) } : { ref: { bytes } };
}

function viewStep(graph: Graph, run: RunState, index: number, stored: StoredPayloads): StepRunView {
  const { payloads } = stored;
  const state = run.steps[index];
  const kept = run.signals[index]?.payload === undefined ? {} : { signalKept: true as const };
  if (state === undefined) return { status: "pending", attempt: 0, ...kept };
  const { status, attempt } = state;
  const hasError = status === "failed" || readRecord("error", run, index, payloads) !== undefined;
  const error = hasError && status !== "succeeded" ? readError(graph, run, index, payloads) : undefined;
  const output = viewPayload(run, run.outputs[index], stored);
  const byHand = viewByHand(run, index, payloads);
  const background = readRecord("background", run, index, payloads);
  return {
    status,
    attempt,
    ...kept,
    ...("startedAtMs" in state && attempt > 0 ? { startedAt: iso(state.startedAtMs) } : {}),
    ...("endedAtMs" in state ? { endedAt: iso(state.endedAtMs) } : {}),
    ...(status === "waiting" ? { startedAt: iso(state.sinceMs) } : {}),
    ...(status === "waiting" && state.wakeAtMs !== undefined ? { waitsUntil: iso(state.wakeAtMs) } : {}),
    ...(status === "backing_off" ? { nextAttemptAt: iso(state.wakeAtMs) } : {}),
    ...(output.value === undefined ? {} : { output: output.value }),
    ...(output.ref === undefined ? {} : { outputRef: output.ref }),
    ...(error === undefined ? {} : { error }),
    ...(byHand === undefined ? {} : { byHand }),
    ...(background === undefined ? {} : { backgroundErrors: readBackgroundErrors(background) }),
  };
}

function viewByHand(run: RunState, index: number, payloads: ReadonlyMap<string, string>): StepRunView["byHand"] {
  const id = run.byHand?.[index];
  const json = id === undefined ? undefined : payloads.get(payloadKey.byHand(index, id));
  if (json === undefined) return undefined;
  const { by, reason, atMs } = JSON.parse(json) as ByHandRecord;
  return { by, reason, at: iso(atMs) };
}

function readBackgroundErrors(json: string): StepError[] {
  return (JSON.parse(json) as ErrorRecord[]).map(({ name, message }) => ({ name, message }));
}

function iso(ms: number): string {
  return new Date(ms).toISOString();
}
