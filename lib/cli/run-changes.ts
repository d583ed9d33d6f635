/** What has changed between two looks at a run, one line per change. */
import { formatCompensation, formatElapsed, formatError } from "../dev/text.ts";
import { isTerminal } from "../engine/run-state.ts";
import type { RunView, StepRunView } from "../runtime/run-view.ts";

export interface RunChange {
  /** ISO 8601: as the run tells it, else when it was seen. */
  readonly at: string;
  readonly runId: string;
  /** Absent: about the run itself. */
  readonly step?: string;
  readonly status: RunView["status"] | StepRunView["status"];
  readonly attempt?: number;
  /** Status and attempt are of the step's being undone. */
  readonly undoing?: true;
  readonly error?: { readonly name: string; readonly message: string };
  /** All of it, in words. */
  readonly text: string;
}

/** @param before `undefined`: what has happened until now, as far as the run tells */
export function changesOf(before: RunView | undefined, after: RunView, nowMs: number): RunChange[] {
  const seenAt = new Date(nowMs).toISOString();
  const { runId } = after;
  // A redrive begins a new count of attempts.
  const former = before?.redrives === after.redrives ? before : undefined;
  const steps = Object.entries(after.steps).flatMap(([step, state]) => {
    const known = former?.steps[step];
    return [...stepChanges(known, state, seenAt), ...undoChanges(known, state, seenAt)].map(
      ({ at, ...change }): RunChange => ({ at, runId, step, ...change }),
    );
  });
  const isRedriven = before !== undefined && former === undefined;
  const begun = { runId, status: "running" } as const;
  const isSame = before?.status === after.status && before.unwindsTo === after.unwindsTo;
  const isTold = after.status === "running" && (before === undefined || isRedriven);
  return [
    ...(before === undefined ? [{ at: after.createdAt, ...begun, text: "run started" }] : []),
    ...(isRedriven ? [{ at: seenAt, ...begun, text: "run redriven" }] : []),
    // Sorting is stable: what happened within a millisecond stays in the order of the definition.
    ...steps.toSorted((a, b) => (a.at < b.at ? -1 : a.at > b.at ? 1 : 0)),
    ...(isSame || isTold ? [] : [runChange(after, seenAt)]),
  ];
}

function runChange(run: RunView, seenAt: string): RunChange {
  const { runId, status, error, endedAt } = run;
  return { at: endedAt ?? seenAt, runId, status, ...(error === undefined ? {} : { error }), text: describeRun(run) };
}

export function describeRun(run: RunView): string {
  const { status, error, unwindsTo, pause, createdAt, startAt, endedAt } = run;
  const why =
    error === undefined ? "" : `: ${formatError(error)}${error.step === undefined ? "" : ` (step ${error.step})`}`;
  if (isTerminal(status)) {
    const tookMs = endedAt === undefined ? 0 : Date.parse(endedAt) - Date.parse(startAt ?? createdAt);
    return `run ${status.replace("_", " ")} after ${formatElapsed(tookMs)}${formatCompensation(run.compensation)}${why}`;
  }
  if (unwindsTo !== undefined) return `run ${status} to ${unwindsTo.replace("_", " ")}${why}`;
  return `run ${status}${pause === undefined ? "" : `: ${pause.message}`}`;
}

type StepChange = Omit<RunChange, "runId" | "step">;

function stepChanges(former: StepRunView | undefined, state: StepRunView, seenAt: string): StepChange[] {
  const { status, attempt, error, startedAt, endedAt } = state;
  if (status === (former?.status ?? "pending") && attempt === (former?.attempt ?? 0)) return [];
  const change = { at: endedAt ?? startedAt ?? seenAt, status, text: describeStep(state) };
  return [{ ...change, ...(attempt === 0 ? {} : { attempt }), ...(error === undefined ? {} : { error }) }];
}

function describeStep(state: StepRunView): string {
  const { status, attempt, startedAt, endedAt, nextAttemptAt, error, byHand, child } = state;
  const took =
    startedAt === undefined || endedAt === undefined
      ? ""
      : `, after ${formatElapsed(Date.parse(endedAt) - Date.parse(startedAt))}`;
  const why = error === undefined || status === "succeeded" ? "" : `: ${formatError(error)}`;
  const nth = attempt === 0 ? "" : `, attempt ${attempt}`;
  switch (status) {
    case "backing_off":
      return `backing off${nextAttemptAt === undefined ? "" : `, attempt ${attempt + 1} at ${nextAttemptAt}`}${why}`;
    case "waiting":
      return `waiting ${waitText(state)}`.trimEnd();
    case "unknown":
      return `cut off${nth}: whether it took effect is unknown`;
    case "pending":
    case "running":
    case "succeeded":
    case "failed":
    case "skipped":
    case "cancelled":
      return byHand === undefined
        ? `${status}${nth}${took}${child === undefined || status !== "running" ? "" : `, run ${child}`}${why}`
        : `${status} by hand, ${byHand.by}: ${byHand.reason}`;
  }
}

/** What a step waits for, and until when. */
export function waitText({ waitsFor, waitsUntil, child, interrupt }: StepRunView): string {
  const what = {
    signal: "for its signal",
    callback: "for callback",
    answer: "for an answer",
    run: "for run",
    time: "",
  };
  return [
    ...(waitsFor === undefined ? [] : [what[waitsFor]]),
    ...(waitsFor === "run" && child !== undefined ? [child] : []),
    ...(interrupt === undefined ? [] : [`(${interrupt.id})`]),
    ...(waitsUntil === undefined ? [] : [`until ${waitsUntil}`]),
  ]
    .filter((part) => part !== "")
    .join(" ");
}

function undoChanges(
  former: StepRunView | undefined,
  { compensation: undo }: StepRunView,
  seenAt: string,
): StepChange[] {
  if (undo === undefined || undo.status === "skipped") return [];
  const { status, attempt, error, startedAt, endedAt } = undo;
  const known = former?.compensation;
  if (known?.status === status && known.attempt === attempt) return [];
  const why = error === undefined ? "" : `: ${formatError(error)}`;
  const change = { at: endedAt ?? startedAt ?? seenAt, status, attempt, undoing: true as const };
  return [
    { ...change, ...(error === undefined ? {} : { error }), text: `${undoWord(status)}, attempt ${attempt}${why}` },
  ];
}

/** Of an attempt to undo a step. */
export function undoWord(status: StepRunView["status"]): string {
  if (status === "succeeded") return "undone";
  return status === "running" || status === "backing_off" || status === "waiting" ? "undoing" : "not undone";
}
