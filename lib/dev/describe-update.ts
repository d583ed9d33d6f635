/** What an update of a run means, one line per change. */
import { isTerminal, type RunState, type StepState, type WaitingStep } from "../engine/run-state.ts";
import type { CompensationProgress, NamedUpdate, StepKind } from "./run-feed.ts";
import { formatCompensation, formatElapsed, formatError, formatSecond, formatTime } from "./text.ts";

export interface DescribedChange {
  /** Absent: about the run itself. */
  readonly step?: string;
  readonly text: string;
}

export function describeUpdate(update: NamedUpdate, nowMs: number): DescribedChange[] {
  const { before, after, goesOn, compensation } = update;
  const changes: DescribedChange[] = [];
  if (before === undefined) changes.push({ text: describeStart(after, nowMs) });
  // What a fork keeps has not happened now.
  if (before === undefined && after.forkedFrom !== undefined) return changes;
  if (goesOn) changes.push({ text: "run goes on from an earlier start of the server" });
  const isRedriven = before !== undefined && after.epoch !== before.epoch;
  if (isRedriven) changes.push({ text: describeRedrive(after) });
  changes.push(...describeTurn(before, after));
  for (let index = 0; index < Math.max(after.steps.length, after.signals.length); index++) {
    changes.push(...describeStep(update, index, nowMs), ...describeUndo(update, index, nowMs));
  }
  if (!isRedriven && after.status !== (before?.status ?? "running")) {
    changes.push({ text: describeStatus(after, compensation) });
  }
  return changes;
}

function describeStart({ startAtMs, forkedFrom }: RunState, nowMs: number): string {
  if (forkedFrom !== undefined) return `run forked from ${forkedFrom.runId}, step ${forkedFrom.from}`;
  return startAtMs === undefined || startAtMs <= nowMs
    ? "run started"
    : `run started; its steps begin at ${formatTime(startAtMs, nowMs)}`;
}

/** Only of a run that has to wait: what has its turn at once is like any other. */
function describeTurn(before: RunState | undefined, { slot }: RunState): DescribedChange[] {
  const former = before?.slot?.status === "wanted" ? before.slot.ticket : undefined;
  if (slot?.status === "held") return former === undefined ? [] : [{ text: "its turn has come" }];
  if (slot?.ticket === undefined || slot.ticket === former) return [];
  return [{ text: `waiting for its turn${slot.key === "" ? "" : ` among the runs of ${slot.key}`}` }];
}

function describeRedrive({ status }: RunState): string {
  return status === "unwinding" ? "run redriven, to undo what could not be undone" : "run redriven";
}

function describeStep(
  { before, after, stepIds, stepKinds }: NamedUpdate,
  index: number,
  nowMs: number,
): DescribedChange[] {
  const step = stepIds[index] ?? String(index);
  const kind = kindOf(after, index, stepKinds);
  const former = before?.steps[index];
  const state = after.steps[index];
  const changes: DescribedChange[] = [];
  const isAnswered = after.signals[index] !== undefined;
  if (isAnswered && before?.signals[index] === undefined) {
    changes.push({ step, text: former?.status === "waiting" ? "signal received" : "signal received early, and kept" });
  }
  if (countAnswers(after, index) > countAnswers(before, index)) return [...changes, { step, text: "answer received" }];
  // A lease that is renewed is no change, and what waits is claimed for a moment only.
  const isSame = state?.status === former?.status && state?.attempt === former?.attempt;
  if (state === undefined || isSame || (state.status === "running" && waits(kind))) return changes;
  if (after.byHand?.[index] !== before?.byHand?.[index] && "endedAtMs" in state) {
    return [...changes, { step, text: `${state.status} by hand` }];
  }
  const why = kind === "signal" && !isAnswered && hasWaitedInVain(former, state) ? "no signal came in time: " : "";
  return [...changes, { step, text: why + describeState(state, kind, step, nowMs) }];
}

function describeState(state: StepState, kind: StepKind | undefined, id: string, nowMs: number): string {
  const { status, attempt } = state;
  switch (status) {
    case "running":
      return `running, attempt ${attempt}`;
    case "backing_off":
      return `backing off, ${describeNext(state, nowMs)}`;
    case "waiting":
      return `waiting ${describeWait(state, kind, id, nowMs)}`;
    case "succeeded": {
      const elapsed = formatElapsed(state.endedAtMs - state.startedAtMs);
      return waits(kind) ? `succeeded after ${elapsed}` : `succeeded, attempt ${attempt}, after ${elapsed}`;
    }
    case "failed":
      if (attempt === 0) return "failed without an attempt";
      return waits(kind) ? "failed" : `failed, attempt ${attempt}`;
    case "unknown":
      return `cut off, attempt ${attempt}: whether it took effect is unknown`;
    case "skipped":
    case "cancelled":
      return status;
  }
}

function describeUndo({ before, after, stepIds }: NamedUpdate, index: number, nowMs: number): DescribedChange[] {
  const former = before?.undos[index];
  const undo = after.undos[index];
  if (undo === undefined || (undo.status === former?.status && undo.attempt === former.attempt)) return [];
  return [{ step: stepIds[index] ?? String(index), text: describeUndoing(undo, nowMs) }];
}

function describeUndoing(undo: StepState, nowMs: number): string {
  const { status, attempt } = undo;
  switch (status) {
    case "running":
      return `undoing, attempt ${attempt}`;
    case "backing_off":
      return `undoing backs off, ${describeNext(undo, nowMs)}`;
    case "succeeded":
      return `undone, attempt ${attempt}, after ${formatElapsed(undo.endedAtMs - undo.startedAtMs)}`;
    case "failed":
      return attempt === 0 ? "undoing failed without an attempt" : `undoing failed, attempt ${attempt}`;
    case "cancelled":
    case "skipped":
    case "unknown":
    case "waiting":
      return `undoing ${status}`;
  }
}

function describeNext({ attempt, wakeAtMs }: Extract<StepState, { status: "backing_off" }>, nowMs: number): string {
  return `attempt ${attempt + 1} at ${formatTime(wakeAtMs, nowMs)} (in ${formatElapsed(wakeAtMs - nowMs)})`;
}

/** The step's kind; when its definition is gone, what its run tells of it. */
export function kindOf(
  { tokens, interrupts }: RunState,
  index: number,
  stepKinds: readonly StepKind[],
): StepKind | undefined {
  if (stepKinds[index] !== undefined) return stepKinds[index];
  if (tokens[index] !== undefined) return "callback";
  return interrupts[index] === undefined ? undefined : "step";
}

/** What a step waits for: `for signal approval, until 18:00:00`, or `until 18:00:00` when it sleeps. */
export function describeWait({ wakeAtMs }: WaitingStep, kind: StepKind | undefined, id: string, nowMs: number): string {
  // Mostly it is a signal that is waited for without an end: the best guess for runs whose definition is gone.
  const isSignal = kind === "signal" || (kind === undefined && wakeAtMs === undefined);
  return [
    ...(startsRunOf(kind) ? [`for its ${kind}`] : []),
    ...(isSignal ? [`for signal ${id}`] : []),
    ...(kind === "callback" ? ["for callback"] : []),
    ...(kind === "step" ? ["for an answer"] : []),
    ...(wakeAtMs === undefined ? [] : [`until ${formatSecond(wakeAtMs, nowMs)}`]),
  ].join(", ");
}

function countAnswers(run: RunState | undefined, index: number): number {
  return run?.interrupts[index]?.answers.length ?? 0;
}

function hasWaitedInVain(former: StepState | undefined, state: StepState): boolean {
  if (former?.status !== "waiting" || former.wakeAtMs === undefined) return false;
  return "endedAtMs" in state && state.endedAtMs >= former.wakeAtMs;
}

function waits(kind: StepKind | undefined): boolean {
  return kind === "signal" || kind === "sleep" || startsRunOf(kind);
}

function startsRunOf(kind: StepKind | undefined): boolean {
  return kind === "child" || kind === "map";
}

export function describeStatus(run: RunState, compensation?: CompensationProgress): string {
  const { status, error, pause } = run;
  const elapsed = formatElapsed((run.endedAtMs ?? run.createdAtMs) - Math.max(run.createdAtMs, run.startAtMs ?? 0));
  const why =
    error === undefined ? "" : `: ${formatError(error)}${error.step === undefined ? "" : ` (step ${error.step})`}`;
  if (isTerminal(status)) {
    return `run ${status.replace("_", " ")} after ${elapsed}${formatCompensation(compensation)}${why}`;
  }
  if (status === "running") return "run resumed";
  if (run.unwindTo !== undefined) return `run ${status} to ${run.unwindTo.replace("_", " ")}${why}`;
  return `run ${status}${pause === undefined ? why : `: ${pause.message}`}`;
}
