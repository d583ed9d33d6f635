/**
 * Runs as they are, redrawn in place below what scrolls by: log lines, and the runs that have ended.
 *
 * Draws at most ten times a second, and not at all while nothing runs.
 */
import { format } from "node:util";
import { createLogUpdate } from "log-update";
import { bold, dim, red, yellow } from "yoctocolors";
import { isTerminal } from "../engine/run-state.ts";
import type { Display } from "./display.ts";
import { blockOf, frameOf, isMoving, type Line, renderLine, runLine, type ShownRun } from "./run-frame.ts";
import type { LogEntry } from "./server-log.ts";
import { formatError, formatLogEntry, formatTime, isErrorLike, oneLine } from "./text.ts";

const drawAfterMs = 100;
/** While something runs, times move on. */
const tickMs = 200;
/** Runs that are followed; of more, those that moved last. */
const mostRuns = 200;
/** Lines and ended runs that may scroll by in one drawing. */
const mostPassing = 100;
/** So many runs that ended since the last drawing are shown with their steps; of more, one line each. */
const mostBlocks = 3;
const blockLines = 30;

export function createLiveDisplay(out: NodeJS.WriteStream): Display {
  const runs = new Map<string, ShownRun & { readonly notes: Map<number, string> }>();
  // The cursor stays: a killed process could not bring it back.
  const draw = createLogUpdate(out, { showCursor: true });
  /** In their order: lines, and runs that have ended. */
  let passing: (string | ShownRun)[] = [];
  let dropped = 0;
  let timer: NodeJS.Timeout | undefined;
  const restoreConsole = captureConsole(pass);

  function schedule(delayMs: number): void {
    // eslint-disable-next-line no-restricted-globals -- it only draws, and close() draws the last time and ends it
    timer ??= setTimeout(flush, delayMs);
  }

  function pass(item: string | ShownRun): void {
    if (passing.length < mostPassing) passing.push(item);
    else dropped++;
    schedule(drawAfterMs);
  }

  function flush(): void {
    timer = undefined;
    const nowMs = Date.now();
    const columns = Math.max(20, out.columns);
    const render = (lines: readonly Line[]): string[] => lines.map((line) => renderLine(line, columns));
    const showsSteps = passing.filter((item) => typeof item !== "string").length <= mostBlocks;
    const above = passing.flatMap((item) => {
      if (typeof item === "string") return [item];
      return render(showsSteps ? blockOf(item, nowMs, blockLines) : [runLine(item, nowMs)]);
    });
    if (dropped > 0) above.push(dim(`… and ${dropped} more lines and ended runs`));
    if (above.length > 0) draw.persist(above.join("\n"));
    passing = [];
    dropped = 0;
    const frame = render(frameOf([...runs.values()], nowMs, Math.max(5, out.rows - 2)));
    if (frame.length === 0) draw.clear();
    else draw(`\n${frame.join("\n")}`);
    if ([...runs.values()].some(({ run }) => isMoving(run))) schedule(tickMs);
  }

  return {
    print: pass,
    log(entry) {
      noteError(entry, runs.get(String(entry.fields.runId)));
      pass(logLine(entry));
    },
    update(update) {
      const { before, after, stepIds, stepKinds, goesOn, compensation } = update;
      const { runId } = after;
      const notes = runs.get(runId)?.notes ?? new Map<number, string>();
      runs.delete(runId);
      after.undos.forEach((undo, index) => {
        // What went wrong with the step itself is no news of its undoing.
        if (undo !== undefined && before?.undos[index] === undefined) notes.delete(index);
      });
      const shown = { run: after, stepIds, stepKinds, notes, compensation };
      if (goesOn) pass(`${bold(after.workflow)} ${dim(runId)} goes on from an earlier start of the server`);
      if (isTerminal(after.status)) pass(shown);
      else runs.set(runId, shown);
      if (runs.size > mostRuns) runs.delete(runs.keys().next().value ?? "");
      schedule(drawAfterMs);
    },
    close() {
      clearTimeout(timer);
      flush();
      clearTimeout(timer);
      restoreConsole();
      draw.done();
    },
  };
}

/** What went wrong is also shown beside its step. */
function noteError(
  { fields }: LogEntry,
  shown: { stepIds: readonly string[]; notes: Map<number, string> } | undefined,
): void {
  const { step, error } = fields;
  const index = shown?.stepIds.indexOf(String(step)) ?? -1;
  if (index !== -1 && isErrorLike(error)) shown?.notes.set(index, oneLine(formatError(error)));
}

function logLine(entry: LogEntry): string {
  const { level, fields } = entry;
  const nowMs = Date.now();
  const style = level === "error" ? red : level === "warn" ? yellow : (text: string): string => text;
  const where = typeof fields.step === "string" ? ` ${fields.step}` : "";
  const word = level === "info" ? "" : `${level}: `;
  return `${dim(formatTime(nowMs, nowMs))}${bold(where)} ${style(word + formatLogEntry(entry))}`;
}

/** What steps write with console.log would tear the drawing apart: it scrolls by above instead. */
function captureConsole(print: (text: string) => void): () => void {
  const { log, info, warn, error, debug } = console;
  const own = (...values: unknown[]): void => print(format(...values));
  Object.assign(console, { log: own, info: own, warn: own, error: own, debug: own });
  return () => void Object.assign(console, { log, info, warn, error, debug });
}
