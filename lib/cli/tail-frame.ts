/** A run as `pawl tail` shows it on a terminal: how far it is, and its steps. Pure, so that it can be looked at without one. */
import { bold, dim, green } from "yoctocolors";
import { type Line, lookOf } from "../dev/run-frame.ts";
import { formatElapsed, formatError, oneLine } from "../dev/text.ts";
import { isTerminal, type StepStatus } from "../engine/run-state.ts";
import type { RunView, StepRunView } from "../runtime/run-view.ts";
import { describeRun, undoWord, waitText } from "./run-changes.ts";

/** @param maxLines of the terminal, from 3 on; of more steps, those that something happens with are shown */
export function tailFrame(run: RunView, nowMs: number, maxLines: number): Line[] {
  const steps = Object.entries(run.steps);
  const room = maxLines - 1;
  const shown = steps.length <= room ? steps : pick(steps, room - 1);
  const width = Math.min(32, Math.max(0, ...steps.map(([id]) => id.length)));
  const left = steps.length - shown.length;
  return [
    headLine(run, nowMs),
    ...shown.map(([id, step]) => stepLine(oneLine(id).padEnd(width), step, nowMs)),
    ...(left === 0
      ? []
      : [[[`  … ${left} more: ${countText(steps.filter((one) => !shown.includes(one)))}`, dim]] as Line]),
  ];
}

function headLine(run: RunView, nowMs: number): Line {
  const { status, workflow, runId, createdAt, startAt, waitsForTurn } = run;
  const { symbol, style } = lookOf(status);
  const beginsAtMs = Date.parse(startAt ?? createdAt);
  const text =
    status !== "running"
      ? oneLine(describeRun(run)).replace(/^run /, "")
      : beginsAtMs > nowMs
        ? `begins at ${startAt ?? createdAt}`
        : waitsForTurn === undefined
          ? `running ${formatElapsed(nowMs - beginsAtMs)}`
          : "waiting for its turn";
  return [
    [`${symbol} `, style],
    [oneLine(workflow), bold],
    [` ${oneLine(runId)} `, dim],
    [text, style],
    ...progress(run),
  ];
}

/** Characters of the bar. */
const barLength = 20;

function progress({ status, steps }: RunView): Line {
  const all = Object.values(steps);
  const ended = all.filter((step) => hasEnded(step.status)).length;
  if (all.length === 0 || isTerminal(status)) return [];
  const full = Math.floor((ended / all.length) * barLength);
  return [
    ["  "],
    ["━".repeat(full), green],
    ["━".repeat(barLength - full), dim],
    [` ${ended} of ${all.length} steps`, dim],
  ];
}

function stepLine(id: string, step: StepRunView, nowMs: number): Line {
  const { compensation: undo } = step;
  if (undo !== undefined && undo.status !== "skipped") {
    const { symbol, style } = lookOf(undo.status === "running" ? "unwinding" : undo.status);
    return lineOf(id, symbol, style, undoWord(undo.status), { ...undo }, nowMs);
  }
  const { symbol, style } = lookOf(step.status);
  return lineOf(id, symbol, style, step.status.replace("_", " "), step, nowMs);
}

function lineOf(
  id: string,
  symbol: string,
  style: (text: string) => string,
  word: string,
  step: StepRunView,
  nowMs: number,
): Line {
  const { status, attempt, startedAt, endedAt, nextAttemptAt, error } = step;
  const took =
    startedAt === undefined
      ? ""
      : formatElapsed((endedAt === undefined ? nowMs : Date.parse(endedAt)) - Date.parse(startedAt));
  const notes = [
    ...(status === "waiting" ? [waitText(step)] : []),
    ...(nextAttemptAt === undefined ? [] : [`next in ${formatElapsed(Date.parse(nextAttemptAt) - nowMs)}`]),
    ...(error === undefined || status === "succeeded" ? [] : [formatError(error)]),
  ];
  return [
    [`  ${symbol} `, style],
    status === "pending" ? [id, dim] : [id],
    ["  "],
    [word.padEnd(12), style],
    [(attempt === 0 ? "" : `attempt ${attempt}`).padEnd(11), dim],
    [took.padEnd(8)],
    [oneLine(notes.join("  ")), dim],
  ];
}

/** Those that something happens with, then those that ended last; in the order of the definition. */
function pick(steps: readonly (readonly [string, StepRunView])[], room: number): (readonly [string, StepRunView])[] {
  const interest = ({ status, endedAt, compensation }: StepRunView): number => {
    if (status === "running" || status === "backing_off" || compensation?.status === "running") return Infinity;
    if (status === "waiting") return Number.MAX_SAFE_INTEGER;
    return endedAt === undefined ? 0 : Date.parse(endedAt);
  };
  const byInterest = steps.toSorted(([, a], [, b]) =>
    interest(a) < interest(b) ? 1 : interest(a) > interest(b) ? -1 : 0,
  );
  const picked = new Set(byInterest.slice(0, Math.max(0, room)));
  return steps.filter((one) => picked.has(one));
}

function countText(steps: readonly (readonly [string, StepRunView])[]): string {
  const counts = new Map<string, number>();
  for (const [, { status }] of steps) counts.set(status, (counts.get(status) ?? 0) + 1);
  return [...counts].map(([status, count]) => `${count} ${status.replace("_", " ")}`).join(", ");
}

function hasEnded(status: StepStatus): boolean {
  return !["pending", "running", "backing_off", "waiting"].includes(status);
}
