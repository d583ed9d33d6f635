// Undoing: after all that was in flight, in reverse order, once, and of nothing that plainly failed.
import { dependencies, type Graph } from "../../definition/graph.ts";
import { hasEnded, isTerminal, type RunState } from "../../engine/run-state.ts";
import { decodeStep } from "../../engine/step-codec.ts";
import { isAtWork } from "./child-checks.ts";
import type { Evidence } from "./evidence.ts";

export function checkUndos(
  seen: Evidence,
  graph: Graph,
  was: RunState | undefined,
  is: RunState,
  isRedrive: boolean,
): void {
  graph.steps.forEach((step, index) => {
    const before = was?.undos[index];
    const after = is.undos[index];
    if (JSON.stringify(before) === JSON.stringify(after)) return;
    const at = `the undoing of step ${index}`;
    if (after === undefined) {
      if (!isRedrive) seen.fail(`R6: ${at} lost its state`);
      const isAnew = is.generations[index] === is.epoch || is.byHand?.[index] !== was?.byHand?.[index];
      if (before?.status === "succeeded" && !isAnew) seen.fail(`R6: ${at} was done, and would be done again`);
      return;
    }
    // What a fork has taken over is not its own to undo.
    if (was === undefined && after.status === "skipped" && is.forkedFrom !== undefined) return;
    if (hasEnded(before)) seen.fail(`R6: ${at} had ended and changed`);
    const maxAttempts = step.compensate?.retry.maxAttempts ?? 0;
    if (maxAttempts !== "unlimited" && after.attempt > maxAttempts) {
      seen.fail(`R3: ${at} made attempt ${after.attempt} of ${maxAttempts}`);
    }
    if (Math.abs(after.attempt - (before?.attempt ?? 0)) > 1) seen.fail(`R3: ${at} left out an attempt`);
    if (before === undefined) checkUndoBegins(seen, graph, was, is, index);
    if (after.status === "succeeded" && before?.status !== "running") seen.fail(`R4: ${at} was not claimed`);
  });
  const hasEndedBadly = was !== undefined && isTerminal(is.status) && is.status !== "succeeded";
  if (!hasEndedBadly || seen.terminated.has(is.runId)) return;
  graph.steps.forEach((step, index) => {
    const stored = decodeStep(String(seen.runs.get(is.runId)?.[`s${index}`] ?? ""));
    if (step.compensate !== undefined && stored?.status === "backing_off" && stored.mayHaveActed === true) {
      seen.fail(`step ${index} may have taken effect, and the run is ${is.status} without having undone it`);
    }
    const isStuck = [...after(graph, index)].some((later) => is.undos[later]?.status === "failed");
    if (mayHaveTakenEffect(graph, is, index) && !hasEnded(is.undos[index]) && !isStuck) {
      seen.fail(`the run is ${is.status} and step ${index} was not undone`);
    }
  });
}

function checkUndoBegins(seen: Evidence, graph: Graph, was: RunState | undefined, is: RunState, index: number): void {
  const at = `step ${index}`;
  if (was?.status !== "unwinding") seen.fail(`${at} was undone while the run was ${was?.status}`);
  const status = is.steps[index]?.status;
  if (status !== "succeeded" && status !== "unknown") seen.fail(`${at} was undone, and it is ${status}`);
  const busy = is.steps.findIndex((step, other) => {
    // Of a step that was ended by hand, or that a redrive repeats and that has not begun, nobody waits for the child.
    const hasChild = step !== undefined && is.byHand?.[other] === undefined;
    return step?.status === "running" || (hasChild && isAtWork(seen, graph, is, other));
  });
  if (busy !== -1) seen.fail(`${at} was undone while step ${busy} runs`);
  for (const later of after(graph, index)) {
    const isUndone = !mayHaveTakenEffect(graph, is, later) || is.undos[later]?.status === "succeeded";
    if (!isUndone) seen.fail(`${at} was undone before step ${later}, which came after it`);
  }
}

function mayHaveTakenEffect(graph: Graph, is: RunState, index: number): boolean {
  const status = is.steps[index]?.status;
  if (graph.steps[index]?.compensate === undefined || is.undos[index]?.status === "skipped") return false;
  return status === "succeeded" || status === "unknown";
}

function after(graph: Graph, index: number): ReadonlySet<number> {
  const after = new Set<number>();
  graph.steps.forEach((step, at) => {
    if (dependencies(step).some((dependency) => dependency === index || after.has(dependency))) after.add(at);
  });
  return after;
}
