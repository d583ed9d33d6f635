/** A run as its users see it: long names, ISO times, payloads as values. The same words in HTTP, client and CLI. */
import { type Graph, type GraphStep, startsRun } from "../definition/graph.ts";
import type { StepError } from "../definition/step.ts";
import { childRunId, parentRunId, parentStepId } from "../engine/child.ts";
import { payloadKey } from "../engine/placement.ts";
import {
  hasEnded,
  isBeforeEnd,
  type PauseReason,
  type PayloadRef,
  type RunError,
  type RunState,
  type RunStatus,
  type StepState,
  type StepStatus,
  type UnwindTarget,
} from "../engine/run-state.ts";
import type { Track } from "../engine/track.ts";
import { compensationOf } from "../engine/undo.ts";
import { readSummary, type StoredSummary } from "./child-end.ts";
import type { Question } from "./interrupt.ts";
import type { StoredPayloads } from "./ports.ts";
import type { ByHandRecord } from "./repairs.ts";
import { type ErrorRecord, idOf, readError, readPayload, readRecord, storedJson } from "./step-data.ts";

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
  /** Of a step that waits. */
  readonly waitsFor?: "signal" | "time" | "callback" | "answer" | "run";
  /** What a step that waits for an answer asks. */
  readonly interrupt?: Question & { readonly id: string };
  /** When the wait of a step ends at the latest: the timeout of a signal or a callback, the end of a sleep. A heartbeat may put it off. */
  readonly waitsUntil?: string;
  /** Id of the run that the step started. */
  readonly child?: string;
  /** The step's signal has come and is kept until the step begins to wait. */
  readonly signalKept?: true;
  /** Details of the step's last heartbeat that were kept. */
  readonly heartbeat?: unknown;
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
  /** How the step is undone, from the first attempt on; `skipped` when a fork took it over: its original undoes it. */
  readonly compensation?: CompensationView;
}

export interface CompensationView {
  readonly status: StepStatus;
  readonly attempt: number;
  /** Of the last attempt. */
  readonly startedAt?: string;
  readonly endedAt?: string;
  readonly nextAttemptAt?: string;
  /** Of the last attempt that failed. */
  readonly error?: StepError;
  readonly backgroundErrors?: readonly StepError[];
}

/** A run that waits for its turn: as many others as may go on at the same time do. */
export interface TurnView {
  /** What the runs that it waits for have in common with it; absent when these are all runs of its workflow. */
  readonly key?: string;
  /** Runs that asked before it and have not had their turn, at most: some may have ended. Absent until it has asked. */
  readonly ahead?: number;
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
  /** Of an unwinding run: the status that it ends with. */
  readonly unwindsTo?: "failed" | UnwindTarget;
  /** Of a run that unwinds or has unwound, when it had something to undo. An incomplete one can be redriven. */
  readonly compensation?: "running" | "complete" | "incomplete";
  /** Why the run is paused. */
  readonly pause?: PauseReason;
  /** Present while the run waits for its turn; no step has begun then. */
  readonly waitsForTurn?: TurnView;
  /** How often the run has been redriven. */
  readonly redrives: number;
  /** Of a forked run: where it comes from, and the step that began anew. */
  readonly forkedFrom?: { readonly runId: string; readonly from: string };
  /** In the order of the definition. */
  readonly steps: Readonly<Record<string, StepRunView>>;
  /** The step of another run that started this one. */
  readonly parent?: { readonly runId: string; readonly step: string };
  readonly tags?: Readonly<Record<string, string>>;
  readonly createdAt: string;
  readonly startAt?: string;
  readonly deadlineAt?: string;
  readonly endedAt?: string;
  /** Of a run that has ended: when it may be deleted. */
  readonly expiresAt?: string;
}

/**
 * @param graph `undefined` when it is in neither code nor store; steps are then named by their number
 * @param ahead of a run that waits for its turn and has asked for it
 */
export function viewRun(graph: Graph | undefined, run: RunState, stored: StoredPayloads, ahead?: number): RunView {
  const known: Graph = graph ?? { schema: 1, workflow: run.workflow, steps: [] };
  const count = Math.max(known.steps.length, run.steps.length);
  const steps: Record<string, StepRunView> = {};
  for (let index = 0; index < count; index++) steps[idOf(known, index)] = viewStep(known, run, index, stored);
  const returned = outputStep(known, run);
  const { output, outputRef } = returned === undefined ? {} : (steps[idOf(known, returned)] ?? {});
  const input = viewPayload(run, run.input, stored);
  const compensation = compensationOf(known, run);
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
    ...(run.status === "unwinding" ? { unwindsTo: run.unwindTo ?? "failed" } : {}),
    ...(compensation === undefined ? {} : { compensation }),
    ...(run.pause === undefined ? {} : { pause: run.pause }),
    ...viewTurn(run, ahead),
    redrives: run.epoch,
    ...(run.forkedFrom === undefined ? {} : { forkedFrom: { runId: run.forkedFrom.runId, from: run.forkedFrom.from } }),
    steps,
    ...(run.parent === undefined ? {} : { parent: { runId: parentRunId(run.runId), step: parentStepId(run.runId) } }),
    ...(run.tags === undefined ? {} : { tags: run.tags }),
    createdAt: iso(run.createdAtMs),
    ...(run.startAtMs === undefined ? {} : { startAt: iso(run.startAtMs) }),
    ...(run.deadlineAtMs === undefined ? {} : { deadlineAt: iso(run.deadlineAtMs) }),
    ...(run.endedAtMs === undefined ? {} : { endedAt: iso(run.endedAtMs) }),
    ...(run.expiresAtMs === undefined ? {} : { expiresAt: iso(run.expiresAtMs) }),
  };
}

function viewTurn({ status, slot }: RunState, ahead: number | undefined): Pick<RunView, "waitsForTurn"> {
  if (slot?.status !== "wanted" || !isBeforeEnd(status)) return {};
  const { key } = slot;
  return { waitsForTurn: { ...(key === "" ? {} : { key }), ...(ahead === undefined ? {} : { ahead }) } };
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
  const step = graph.steps[index];
  const state = run.steps[index];
  const kept = run.signals[index]?.payload === undefined ? {} : { signalKept: true as const };
  if (state === undefined) return { status: "pending", attempt: 0, ...kept };
  const { status } = state;
  const hasError = status === "failed" || readRecord("error", run, index, payloads) !== undefined;
  const error = hasError && status !== "succeeded" ? readError(graph, run, index, payloads) : undefined;
  const output = status === "succeeded" ? viewOutput(run, step, run.outputs[index], stored) : {};
  const byHand = viewByHand(run, index, payloads);
  const heartbeat = run.heartbeats[index];
  const undo = run.undos[index];
  return {
    ...viewAttempt(state),
    ...viewChild(graph, run, index, state),
    ...kept,
    ...(status === "waiting" ? { startedAt: iso(state.sinceMs), ...waitsFor(graph.steps[index]?.kind) } : {}),
    ...(status === "waiting" ? viewInterrupt(run, index, payloads) : {}),
    ...(status === "waiting" && state.wakeAtMs !== undefined ? { waitsUntil: iso(state.wakeAtMs) } : {}),
    ...(heartbeat === undefined ? {} : { heartbeat: storedJson(run, heartbeat) }),
    ...(output.value === undefined ? {} : { output: output.value }),
    ...(output.ref === undefined ? {} : { outputRef: output.ref }),
    ...(error === undefined ? {} : { error }),
    ...(byHand === undefined ? {} : { byHand }),
    ...viewBackground(run, index, payloads, "step"),
    ...(undo === undefined ? {} : { compensation: viewUndo(run, index, undo, payloads) }),
  };
}

/** A map shows how many items it had; what came of them is with the runs that have them. */
function viewOutput(
  run: RunState,
  step: GraphStep | undefined,
  payload: PayloadRef | undefined,
  stored: StoredPayloads,
): ReturnType<typeof viewPayload> {
  const shown = viewPayload(run, payload, stored);
  const isMap = step?.kind === "map" && shown.value !== undefined;
  return isMap ? { value: readSummary(shown.value as StoredSummary) } : shown;
}

/** Of a step that a fork has kept, the child is its original's. */
function viewChild(graph: Graph, run: RunState, index: number, state: StepState): Pick<StepRunView, "child"> {
  const { status, attempt } = state;
  const isKept = run.forkedFrom !== undefined && hasEnded(state) && state.startedAtMs < run.createdAtMs;
  if (!startsRun(graph.steps[index]) || attempt === 0 || status === "skipped" || isKept) return {};
  return { child: childRunId(graph, run, index) };
}

function viewUndo(
  run: RunState,
  index: number,
  undo: StepState,
  payloads: ReadonlyMap<string, string>,
): CompensationView {
  const record = undo.status === "succeeded" ? undefined : readRecord("error", run, index, payloads, "undo");
  const error = record === undefined ? undefined : (storedJson(run, record) as ErrorRecord);
  return {
    ...viewAttempt(undo),
    ...(error === undefined ? {} : { error: { name: error.name, message: error.message } }),
    ...viewBackground(run, index, payloads, "undo"),
  };
}

function viewAttempt(
  state: StepState,
): Pick<StepRunView, "status" | "attempt" | "startedAt" | "endedAt" | "nextAttemptAt"> {
  const { status, attempt } = state;
  return {
    status,
    attempt,
    ...("startedAtMs" in state && attempt > 0 ? { startedAt: iso(state.startedAtMs) } : {}),
    ...("endedAtMs" in state ? { endedAt: iso(state.endedAtMs) } : {}),
    ...(status === "backing_off" ? { nextAttemptAt: iso(state.wakeAtMs) } : {}),
  };
}

function viewBackground(
  run: RunState,
  index: number,
  payloads: ReadonlyMap<string, string>,
  track: Track,
): { readonly backgroundErrors?: readonly StepError[] } {
  const json = readRecord("background", run, index, payloads, track);
  return json === undefined ? {} : { backgroundErrors: readBackgroundErrors(run, json) };
}

function viewByHand(run: RunState, index: number, payloads: ReadonlyMap<string, string>): StepRunView["byHand"] {
  const id = run.byHand?.[index];
  const json = id === undefined ? undefined : payloads.get(payloadKey.byHand(index, id));
  if (json === undefined) return undefined;
  const { by, reason, atMs } = storedJson(run, json) as ByHandRecord;
  return { by, reason, at: iso(atMs) };
}

/** What a waiting step of that kind waits for. */
export function waitsFor(kind: GraphStep["kind"] | undefined): Pick<StepRunView, "waitsFor"> {
  switch (kind) {
    case "signal":
      return { waitsFor: "signal" };
    case "sleep":
      return { waitsFor: "time" };
    case "callback":
      return { waitsFor: "callback" };
    case "step":
      return { waitsFor: "answer" };
    case "child":
    case "map":
    case "shard":
      return { waitsFor: "run" };
    case undefined:
      return {};
  }
}

function viewInterrupt(
  run: RunState,
  index: number,
  payloads: ReadonlyMap<string, string>,
): Pick<StepRunView, "interrupt"> {
  const id = run.interrupts[index]?.pending;
  const json = id === undefined ? undefined : payloads.get(payloadKey.question(id));
  if (id === undefined || json === undefined) return {};
  return { interrupt: { id, ...(storedJson(run, json) as Question) } };
}

function readBackgroundErrors(run: RunState, json: string): StepError[] {
  return (storedJson(run, json) as ErrorRecord[]).map(({ name, message }) => ({ name, message }));
}

function iso(ms: number): string {
  return new Date(ms).toISOString();
}
