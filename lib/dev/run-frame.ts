/** What the live display shows, as lines: pure, so that it can be looked at without a terminal. */
import { bold, cyan, dim, green, red, yellow } from "yoctocolors";
import type { RunState, RunStatus, StepState, StepStatus } from "../engine/run-state.ts";
import { describeStatus, describeWait, kindOf } from "./describe-update.ts";
import type { CompensationProgress, StepKind } from "./run-feed.ts";
import { formatElapsed, formatSecond, formatTime, oneLine } from "./text.ts";

export interface ShownRun {
  readonly run: RunState;
  /** By index. */
  readonly stepIds: readonly string[];
  /** By index; may be empty. */
  readonly stepKinds: readonly StepKind[];
  /** The newest error of each step, by index. */
  readonly notes: ReadonlyMap<number, string>;
  readonly compensation?: CompensationProgress;
}

/** Part of a line: its text, and how it is coloured. Cutting to the width of the terminal counts text only. */
type Piece = readonly [text: string, style?: (text: string) => string];
export type Line = readonly Piece[];

/** All open runs in at most `maxLines` lines: in full while there is room, then in one line each, then as a number. */
export function frameOf(runs: readonly ShownRun[], nowMs: number, maxLines: number): Line[] {
  const inOrder = [...runs].sort((a, b) => a.run.createdAtMs - b.run.createdAtMs);
  const hidden = inOrder.length <= maxLines ? 0 : inOrder.length - (maxLines - 1);
  const shown = inOrder.slice(0, inOrder.length - hidden);
  let room = maxLines - shown.length - (hidden === 0 ? 0 : 1);
  const lines = shown.flatMap((one) => {
    const steps = room < fewestSteps ? [] : stepLines(one, nowMs, room);
    room -= steps.length;
    return [runLine(one, nowMs), ...steps];
  });
  return hidden === 0 ? lines : [...lines, [[`… and ${hidden} more runs`, dim]]];
}

/** Less than this tells nothing about a run. */
const fewestSteps = 2;

/** A run with its steps, as it stays on the terminal when it has ended. */
export function blockOf(shown: ShownRun, nowMs: number, maxLines: number): Line[] {
  return [runLine(shown, nowMs), ...stepLines(shown, nowMs, maxLines - 1)];
}

export function runLine({ run, compensation }: ShownRun, nowMs: number): Line {
  const { workflow, runId, status } = run;
  const look = looks[status];
  const beginsAtMs = Math.max(run.createdAtMs, run.startAtMs ?? 0);
  const text =
    status !== "running"
      ? oneLine(describeStatus(run, compensation)).replace(/^run /, "")
      : beginsAtMs > nowMs
        ? `begins at ${formatTime(beginsAtMs, nowMs)}`
        : run.slot?.status === "wanted"
          ? `waiting for its turn since ${formatSecond(beginsAtMs, nowMs)}`
          : isMoving(run)
            ? `running ${formatElapsed(nowMs - beginsAtMs)}`
            : `running since ${formatSecond(beginsAtMs, nowMs)}`;
  return [
    [`${look.symbol} `, look.style],
    [workflow, bold],
    [` ${runId} `, dim],
    [text, look.style],
  ];
}

/** Whether its times move on; what stands still is not drawn again. */
export function isMoving(run: RunState): boolean {
  return [...run.steps, ...run.undos].some((state) => state?.status === "running" || state?.status === "backing_off");
}

export function renderLine(line: Line, columns: number): string {
  let room = columns;
  return line
    .map(([text, style]) => {
      const cut = text.length <= room ? text : `${text.slice(0, Math.max(0, room - 1))}…`.slice(0, room);
      room -= cut.length;
      return cut === "" || style === undefined ? cut : style(cut);
    })
    .join("");
}

function stepLines({ run, stepIds, stepKinds, notes }: ShownRun, nowMs: number, maxLines: number): Line[] {
  const all = stepIds.map((_id, index) => index);
  const picked = all.length <= maxLines ? all : pickSteps(run, all, maxLines - 1);
  const idLength = Math.min(32, Math.max(...stepIds.map((id) => id.length)));
  const lines = picked.map((index) => {
    const id = stepIds[index] ?? String(index);
    const undo = run.undos[index];
    if (undo !== undefined && undo.status !== "waiting") {
      return undoLine(id.padEnd(idLength), undo, notes.get(index), nowMs);
    }
    const state = run.steps[index];
    if (state?.status === "waiting") {
      const what = `since ${formatSecond(state.sinceMs, nowMs)} ${describeWait(state, kindOf(run, index, stepKinds), id, nowMs)}`;
      return waitLine(id.padEnd(idLength), what);
    }
    return stepLine(id.padEnd(idLength), state, notes.get(index), nowMs);
  });
  const left = all.filter((index) => !picked.includes(index));
  return left.length === 0 ? lines : [...lines, [[`  … ${countStatuses(run, left)}`, dim]]];
}

/** Those that something happens with first, then the newest ends; shown in the order of the definition. */
function pickSteps(run: RunState, all: readonly number[], count: number): number[] {
  const interest = (index: number): number => {
    const state = run.undos[index] ?? run.steps[index];
    if (state === undefined) return 0;
    if (state.status === "running" || state.status === "backing_off") return Infinity;
    if (state.status === "failed") return Number.MAX_VALUE;
    return state.status === "waiting" ? Number.MAX_SAFE_INTEGER : state.endedAtMs;
  };
  const byInterest = [...all].sort((a, b) => (interest(a) === interest(b) ? a - b : interest(b) - interest(a)));
  return byInterest.slice(0, Math.max(0, count)).sort((a, b) => a - b);
}

function countStatuses(run: RunState, indexes: readonly number[]): string {
  const counts = new Map<string, number>();
  for (const index of indexes) {
    const undo = run.undos[index];
    const word = undo === undefined ? wordOf(run.steps[index]?.status ?? "pending") : undoWords[undo.status];
    counts.set(word, (counts.get(word) ?? 0) + 1);
  }
  return `${indexes.length} more: ${[...counts].map(([word, count]) => `${count} ${word}`).join(", ")}`;
}

type ShownState = Exclude<StepState, { readonly status: "waiting" }> | undefined;

function waitLine(id: string, what: string): Line {
  const { symbol, style } = looks.waiting;
  return [[`  ${symbol} `, style], [id], ["  "], [wordOf("waiting").padEnd(12), style], [what]];
}

function stepLine(id: string, state: ShownState, note: string | undefined, nowMs: number): Line {
  const status = state?.status ?? "pending";
  return attemptLine(id, state, looks[status], wordOf(status), note, nowMs);
}

/** In place of the step's own line: what became of the step is told by its being undone. */
function undoLine(id: string, undo: NonNullable<ShownState>, note: string | undefined, nowMs: number): Line {
  const { status } = undo;
  const look = status === "running" || status === "succeeded" ? looks.unwinding : looks[status];
  return attemptLine(id, undo, look, undoWords[status], note, nowMs);
}

function attemptLine(
  id: string,
  state: ShownState,
  { symbol, style }: Look,
  word: string,
  note: string | undefined,
  nowMs: number,
): Line {
  const status = state?.status ?? "pending";
  const showsNote = note !== undefined && status !== "succeeded" && status !== "skipped";
  const pieces: Piece[] = [
    [`  ${symbol} `, style],
    status === "pending" ? [id, dim] : [id],
    ["  "],
    [word.padEnd(12), style],
    [attemptOf(state).padEnd(11), dim],
    [timeOf(state, nowMs)],
  ];
  return showsNote ? [...pieces, [`  ${note}`, dim]] : pieces;
}

function attemptOf(state: ShownState): string {
  if (state === undefined || state.attempt === 0 || state.status === "skipped") return "";
  return `attempt ${state.attempt}`;
}

function timeOf(state: ShownState, nowMs: number): string {
  if (state?.status === "backing_off") {
    const leftMs = state.wakeAtMs - nowMs;
    return `next ${leftMs < 60_000 ? `in ${formatElapsed(leftMs)}` : `at ${formatTime(state.wakeAtMs, nowMs)}`}`;
  }
  if (state === undefined || attemptOf(state) === "") return "";
  return formatElapsed((state.status === "running" ? nowMs : state.endedAtMs) - state.startedAtMs);
}

function wordOf(status: StepStatus): string {
  return status.replace("_", " ");
}

const undoWords: Record<StepState["status"], string> = {
  running: "undoing",
  backing_off: "undoing",
  waiting: "undoing",
  succeeded: "undone",
  failed: "not undone",
  cancelled: "not undone",
  skipped: "not undone",
  unknown: "not undone",
};

export interface Look {
  readonly symbol: string;
  readonly style: (text: string) => string;
}

/** Of any status, also one that only a newer server knows. */
export function lookOf(status: RunStatus | StepStatus): Look {
  return (looks as Partial<typeof looks>)[status] ?? { symbol: "?", style: (text) => text };
}

const looks: Record<RunStatus | StepStatus, Look> = {
  pending: { symbol: "·", style: dim },
  running: { symbol: "●", style: cyan },
  backing_off: { symbol: "↻", style: yellow },
  waiting: { symbol: "◷", style: cyan },
  paused: { symbol: "‖", style: yellow },
  unwinding: { symbol: "↶", style: yellow },
  succeeded: { symbol: "✓", style: green },
  failed: { symbol: "✗", style: red },
  timed_out: { symbol: "✗", style: red },
  cancelled: { symbol: "⊘", style: dim },
  skipped: { symbol: "–", style: dim },
  unknown: { symbol: "?", style: yellow },
};
