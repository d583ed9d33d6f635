/** What happened to a run, in the order in which it was committed: told by the engine's own writes. */
import type { Graph } from "../definition/graph.ts";
import type { StepError } from "../definition/step.ts";
import type { RunState, RunStatus, StepState, StepStatus } from "../engine/run-state.ts";
import { stateOn, type Track, tracks } from "../engine/track.ts";
import { waitsFor } from "../runtime/run-view.ts";
import { idOf, readError, readRecord } from "../runtime/step-data.ts";

/** One thing that happened. Absent fields are left out, so that entries compare with `toEqual`. */
export type HistoryEntry = RunEntry | StepEntry | SignalEntry;

/** The run began, or its status changed. */
export interface RunEntry {
  /** ISO 8601, in virtual time. */
  readonly at: string;
  readonly run: RunStatus;
  /** Of a run that was redriven just now: how often it has been. */
  readonly redrives?: number;
  /** Of a run that fails, or unwinds because of it. */
  readonly error?: StepError & { readonly step?: string };
  /** Why the run is paused. */
  readonly pause?: string;
}

/** An attempt of a step, or of its compensation, began, waits, or ended. */
export interface StepEntry {
  readonly at: string;
  readonly step: string;
  /** It is the step's compensation that is told of. */
  readonly undo?: true;
  /** `backing_off`: the attempt failed, or found nothing yet, and the next begins at `until`. */
  readonly status: StepStatus;
  readonly attempt: number;
  readonly waitsFor?: "signal" | "time" | "callback" | "answer" | "run";
  /** When the pause or the wait ends by itself. */
  readonly until?: string;
  readonly error?: StepError;
}

/** A signal came before its step waited for it, and is kept. */
export interface SignalEntry {
  readonly at: string;
  readonly signal: string;
}

/** What one committed write of a run says. */
export function entriesOf(
  graph: Graph,
  before: RunState | undefined,
  after: RunState,
  nowMs: number,
  payloads: ReadonlyMap<string, string>,
): readonly HistoryEntry[] {
  const at = new Date(nowMs).toISOString();
  const steps = Array.from({ length: Math.max(after.steps.length, after.undos.length) }, (_, index) =>
    tracks.flatMap((track) => stepEntry(graph, before, after, index, track, payloads)),
  ).flat();
  const signals = after.signals.flatMap((signal, index) => {
    const { id, payload } = signal ?? {};
    const isKnown = before?.signals[index]?.id === id;
    return payload === undefined || isKnown ? [] : [{ at, signal: idOf(graph, index) }];
  });
  const run = runEntry(before, after);
  // A run begins before its steps do, and ends after them.
  const isFirst = before?.epoch !== after.epoch;
  const told = [...signals, ...steps.map((step) => ({ at, ...step }))];
  const status = run === undefined ? [] : [{ at, ...run }];
  return isFirst ? [...status, ...told] : [...told, ...status];
}

function runEntry(before: RunState | undefined, after: RunState): Omit<RunEntry, "at"> | undefined {
  const isRedriven = before !== undefined && before.epoch !== after.epoch;
  if (before?.status === after.status && !isRedriven) return undefined;
  const { name, message, step } = after.error ?? {};
  const isFailing = after.status === "failed" || after.status === "unwinding";
  return {
    run: after.status,
    ...(isRedriven ? { redrives: after.epoch } : {}),
    ...(isFailing && name !== undefined && message !== undefined
      ? { error: { name, message, ...(step === undefined ? {} : { step }) } }
      : {}),
    ...(after.status === "paused" && after.pause !== undefined ? { pause: after.pause.message } : {}),
  };
}

function stepEntry(
  graph: Graph,
  before: RunState | undefined,
  after: RunState,
  index: number,
  track: Track,
  payloads: ReadonlyMap<string, string>,
): readonly Omit<StepEntry, "at">[] {
  const was = before === undefined ? undefined : stateOn(track, before, index);
  const is = stateOn(track, after, index);
  if (is === undefined || isSame(was, is)) return [];
  const untilMs = "wakeAtMs" in is ? is.wakeAtMs : undefined;
  const error = errorOf(graph, after, index, track, is, payloads);
  return [
    {
      step: idOf(graph, index),
      ...(track === "undo" ? { undo: true as const } : {}),
      status: is.status,
      attempt: is.attempt,
      ...(is.status === "waiting" ? waitsFor(graph.steps[index]?.kind) : {}),
      ...(untilMs === undefined ? {} : { until: new Date(untilMs).toISOString() }),
      ...(error === undefined ? {} : { error }),
    },
  ];
}

/** Renewals of leases, heartbeats and the like are nothing that happens to a run. */
function isSame(was: StepState | undefined, is: StepState): boolean {
  if (was?.status !== is.status || was.attempt !== is.attempt) return false;
  return is.status !== "running" || (was.status === "running" && was.owner === is.owner);
}

function errorOf(
  graph: Graph,
  run: RunState,
  index: number,
  track: Track,
  { status }: StepState,
  payloads: ReadonlyMap<string, string>,
): StepError | undefined {
  if (status === "failed" && track === "step") return readError(graph, run, index, payloads);
  if (status !== "failed" && status !== "backing_off" && status !== "unknown") return undefined;
  const json = readRecord("error", run, index, payloads, track);
  if (json === undefined) return undefined;
  const { name, message } = JSON.parse(json) as StepError;
  return { name, message };
}

/** A history as text, one line per entry, with the time since its first: for people and for snapshots. */
export function formatHistory(history: readonly HistoryEntry[]): string {
  const startMs = Date.parse(history[0]?.at ?? "");
  const since = (at: string): string => elapsed(Date.parse(at) - startMs);
  const lines = history.map((entry): [string, string] => [`+${since(entry.at)}`, describeEntry(entry, since)]);
  const width = Math.max(0, ...lines.map(([time]) => time.length));
  return lines.map(([time, what]) => `${time.padStart(width)}  ${what}`).join("\n");
}

/** 2678523400 is `31d 2m 3.4s`. */
function elapsed(ms: number): string {
  const whole = [
    [Math.floor(ms / 86_400_000), "d"],
    [Math.floor(ms / 3_600_000) % 24, "h"],
    [Math.floor(ms / 60_000) % 60, "m"],
    [(ms % 60_000) / 1_000, "s"],
  ] as const;
  const parts = whole.filter(([amount]) => amount > 0).map(([amount, unit]) => `${amount}${unit}`);
  return parts.length === 0 ? "0s" : parts.join(" ");
}

/** @param since says how an ISO time is to be told */
export function describeEntry(entry: HistoryEntry, since: (at: string) => string): string {
  if ("run" in entry) {
    const { run, redrives, error, pause } = entry;
    const because = error === undefined ? (pause ?? "") : describeError(error);
    return `run ${run}${redrives === undefined ? "" : ` (redrive ${redrives})`}${because === "" ? "" : `: ${because}`}`;
  }
  if ("signal" in entry) return `signal ${entry.signal} came early and is kept`;
  const { step, undo, status, attempt, waitsFor: awaited, until, error } = entry;
  const waits =
    awaited === undefined
      ? ""
      : ` for ${awaited === "time" ? "a time" : `a${awaited === "answer" ? "n" : ""} ${awaited}`}`;
  const end = until === undefined ? "" : ` until +${since(until)}`;
  const because = error === undefined ? "" : `: ${describeError(error)}`;
  return `${undo === true ? "undo of " : ""}${step} ${status} (attempt ${attempt})${waits}${end}${because}`;
}

function describeError({ name, message, step }: StepError & { readonly step?: string }): string {
  return `${name}: ${message}${step === undefined ? "" : ` (step ${step})`}`;
}
