/** What an update of a run means, one line per change. */
import { isTerminal, type RunState, type StepState } from "../engine/run-state.ts";
import type { NamedUpdate } from "./run-feed.ts";
import { formatElapsed, formatError, formatTime } from "./text.ts";

export interface DescribedChange {
  /** Absent: about the run itself. */
  readonly step?: string;
  readonly text: string;
}

export function describeUpdate({ before, after, stepIds, goesOn }: NamedUpdate, nowMs: number): DescribedChange[] {
  const changes: DescribedChange[] = [];
  if (before === undefined) changes.push({ text: describeStart(after, nowMs) });
  if (goesOn) changes.push({ text: "run goes on from an earlier start of the server" });
  after.steps.forEach((state, index) => {
    const former = before?.steps[index];
    // A lease that is renewed is no change.
    if (state === undefined || (state.status === former?.status && state.attempt === former.attempt)) return;
    changes.push({ step: stepIds[index] ?? String(index), text: describeStep(state, nowMs) });
  });
  if (after.status !== (before?.status ?? "running")) changes.push({ text: describeStatus(after) });
  return changes;
}

function describeStart({ startAtMs }: RunState, nowMs: number): string {
  return startAtMs === undefined || startAtMs <= nowMs
    ? "run started"
    : `run started; its steps begin at ${formatTime(startAtMs, nowMs)}`;
}

function describeStep(state: StepState, nowMs: number): string {
  const { status, attempt } = state;
  switch (status) {
    case "running":
      return `running, attempt ${attempt}`;
    case "backing_off": {
      const at = `${formatTime(state.wakeAtMs, nowMs)} (in ${formatElapsed(state.wakeAtMs - nowMs)})`;
      return `backing off, attempt ${attempt + 1} at ${at}`;
    }
    case "succeeded":
      return `succeeded, attempt ${attempt}, after ${formatElapsed(state.endedAtMs - state.startedAtMs)}`;
    case "failed":
      return attempt === 0 ? "failed without an attempt" : `failed, attempt ${attempt}`;
    case "skipped":
    case "unknown":
    case "cancelled":
      return status;
  }
}

export function describeStatus(run: RunState): string {
  const { status, error, pause } = run;
  const elapsed = formatElapsed((run.endedAtMs ?? run.createdAtMs) - Math.max(run.createdAtMs, run.startAtMs ?? 0));
  const why =
    error === undefined ? "" : `: ${formatError(error)}${error.step === undefined ? "" : ` (step ${error.step})`}`;
  if (isTerminal(status)) return `run ${status.replace("_", " ")} after ${elapsed}${why}`;
  if (status === "running") return "run resumed";
  return `run ${status}${pause === undefined ? why : `: ${pause.message}`}`;
}
