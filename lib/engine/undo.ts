/**
 * What an unwinding run has to undo, and in which order: the reverse of the graph. A step is undone when everything that
 * came after it is, so that no compensation meets the work of a later step.
 *
 * A compensation that has failed for good holds up the ones before it, and only those: what does not depend on it is
 * undone all the same.
 */
import { dependants, dependencies, endsWithParent, type Graph } from "../definition/graph.ts";
import { isBeforeEnd, type RunState } from "./run-state.ts";

export interface UndoPlan {
  /** Steps whose compensation may begin. */
  readonly ready: readonly number[];
  /** Nothing is left that could still be undone. */
  readonly isOver: boolean;
}

/** Whether a run of this graph may ever have something to undo. */
export function hasCompensation(graph: Graph): boolean {
  return graph.steps.some((step) => step.compensate !== undefined);
}

/**
 * A step that took effect, or may have: its worker was lost, or it was cut off. What plainly failed is not undone, nor what
 * a fork has taken over (its undoing is `skipped` from the beginning).
 */
export function isUndoable(graph: Graph, run: RunState, index: number): boolean {
  const status = run.steps[index]?.status;
  const isOurs = graph.steps[index]?.compensate !== undefined && run.undos[index]?.status !== "skipped";
  return isOurs && (status === "succeeded" || status === "unknown");
}

/**
 * Nothing is undone before all that was in flight has ended: what it did would come after its own undoing. A child that is
 * being cancelled may still act until it has ended, too.
 */
export function isDrained(graph: Graph, run: RunState): boolean {
  return !run.steps.some(
    (step, index) => step?.status === "running" || (step?.status === "waiting" && endsWithParent(graph.steps[index])),
  );
}

type Progress = "clear" | "stuck" | "open";

export function planUndo(graph: Graph, run: RunState): UndoPlan {
  if (!hasCompensation(graph)) return { ready: [], isOver: true };
  const ready: number[] = [];
  let isOver = true;
  /** For each step: what remains to be undone of it and of everything after it. */
  const remaining: Progress[] = [];
  for (let index = graph.steps.length - 1; index >= 0; index--) {
    const later = (dependants(graph)[index] ?? []).map((dependant) => remaining[dependant] ?? "clear");
    const after: Progress = later.includes("open") ? "open" : later.includes("stuck") ? "stuck" : "clear";
    const undo = run.undos[index];
    if (!isUndoable(graph, run, index) || undo?.status === "succeeded") {
      remaining[index] = after;
    } else if (undo === undefined) {
      remaining[index] = after === "clear" ? "open" : after;
      if (after === "clear") ready.push(index);
    } else {
      remaining[index] = undo.status === "running" || undo.status === "backing_off" ? "open" : "stuck";
    }
    if (remaining[index] === "open") isOver = false;
  }
  return { ready: ready.reverse(), isOver };
}

/** What may be ready because this step has been undone: the steps before it, however far. */
export function stepsBefore(graph: Graph, index: number): ReadonlySet<number> {
  const before = new Set<number>();
  const pending = [index];
  for (let at = pending.pop(); at !== undefined; at = pending.pop()) {
    const step = graph.steps[at];
    for (const dependency of step === undefined ? [] : dependencies(step)) {
      if (before.has(dependency)) continue;
      before.add(dependency);
      pending.push(dependency);
    }
  }
  return before;
}

/** How far the undoing is; `undefined` for a run that has nothing to undo. */
export function compensationOf(graph: Graph, run: RunState): "running" | "complete" | "incomplete" | undefined {
  if (isBeforeEnd(run.status) || run.status === "succeeded") return undefined;
  const undoable = graph.steps.flatMap((_step, index) => (isUndoable(graph, run, index) ? [index] : []));
  if (undoable.length === 0) return undefined;
  if (run.status === "unwinding") return "running";
  return undoable.every((index) => run.undos[index]?.status === "succeeded") ? "complete" : "incomplete";
}
