/**
 * What follows from a run's state without any code being run: steps that are skipped or blocked by their
 * dependencies, and the end of the run. Every decision ends with it, so that one write carries the whole consequence.
 *
 * Invariants:
 * 1. Settling is idempotent once nothing is left to settle (a write settles at most `limits.settledPerWrite` steps), and
 *    a settled run has either something in flight or a step to begin.
 * 2. A run that unwinds ends only in a state where no step can be claimed any more: when it has just begun to, siblings
 *    may have been claimed since it was read, so its end is left to the next look at it.
 */
import type { Graph } from "../definition/graph.ts";
import { limits } from "../definition/limits.ts";
import { withoutFurtherAttempts } from "./acted.ts";
import { endOf } from "./end.ts";
import { readiness } from "./readiness.ts";
import { withFingerprint } from "./run-error.ts";
import { type EndedStep, hasEnded, type RunError, type RunState, type StepState } from "./run-state.ts";
import { failedItems, toleratesFailures } from "./shard.ts";
import { isDrained, planUndo } from "./undo.ts";

export function settle(graph: Graph, run: RunState, nowMs: number): RunState {
  if (run.status === "unwinding") return endUnwinding(graph, run, nowMs);
  if (run.status !== "running") return run;
  const failedBefore = failingStep(graph, run);
  const settled = failedBefore === undefined ? settleSteps(graph, run, nowMs) : run;
  const failed = settled === run ? failedBefore : failingStep(graph, settled);
  const allEnded = haveAllEnded(graph, settled);
  if (failed === undefined) {
    if (!allEnded) return settled;
    // A shard tells of tolerated failures, too: whoever redrives the map repeats them.
    const status = failedItems(graph, settled) === 0 ? "succeeded" : "failed";
    return { ...settled, ...endOf(settled, status, nowMs) };
  }
  // A failed attempt has left its error; without one, the step was blocked.
  const error = settled.error ?? withFingerprint(graph, blockedError(graph, failed, settled.steps));
  const isOver = allEnded && planUndo(graph, settled).isOver;
  return isOver
    ? { ...settled, ...endOf(settled, "failed", nowMs), error }
    : { ...settled, status: "unwinding", error, turnedAtMs: nowMs };
}

/** Asked from the end, as what has not ended is there most of the time. */
function haveAllEnded(graph: Graph, { steps }: RunState): boolean {
  for (let index = graph.steps.length - 1; index >= 0; index--) if (!hasEnded(steps[index])) return false;
  return true;
}

/** The first step whose failure ends the run: by itself or, in a shard, together with the others. */
function failingStep(graph: Graph, run: RunState): number | undefined {
  // Every decision asks this, and hardly any step has failed.
  if (!run.steps.some(hasFailed)) return undefined;
  const isOver = !toleratesFailures(graph, run);
  const index = graph.steps.findIndex((step, at) => hasFailed(run.steps[at]) && (isOver || step.onFailure === "fail"));
  return index === -1 ? undefined : index;
}

function hasFailed(step: StepState | undefined): boolean {
  return step?.status === "failed" || step?.status === "unknown";
}

/** Steps are in topological order, so one pass carries a skip or a block as far as it goes. */
function settleSteps(graph: Graph, run: RunState, nowMs: number): RunState {
  const steps = [...run.steps];
  let count = 0;
  for (let index = 0; index < graph.steps.length; index++) {
    const step = graph.steps[index];
    if (step === undefined || steps[index] !== undefined || count === limits.settledPerWrite) continue;
    const verdict = readiness(step, steps);
    if (verdict !== "skipped" && verdict !== "blocked") continue;
    const status: EndedStep["status"] = verdict === "skipped" ? "skipped" : "failed";
    steps[index] = { status, attempt: 0, startedAtMs: nowMs, endedAtMs: nowMs };
    count++;
    // It ends the run; what waits for it has not begun and never will.
    if (verdict === "blocked" && step.onFailure === "fail") break;
  }
  return count === 0 ? run : { ...run, steps };
}

function endUnwinding(graph: Graph, run: RunState, nowMs: number): RunState {
  const settled = withoutFurtherAttempts(graph, run, nowMs);
  // What is left for the next write may have to be undone.
  if (withoutFurtherAttempts(graph, settled, nowMs) !== settled) return settled;
  if (!isDrained(graph, settled) || !planUndo(graph, settled).isOver) return settled;
  return { ...settled, ...endOf(settled, settled.unwindTo ?? "failed", nowMs) };
}

/** A step failed for good. The error of the first that ends the run is the run's own; of a shard, any first one. */
export function withFailure(graph: Graph, run: RunState, index: number, error: RunError): RunState {
  const counts = graph.steps[index]?.onFailure === "fail" || graph.shard !== undefined;
  return counts && run.error === undefined ? { ...run, error: withFingerprint(graph, error) } : run;
}

/** The error of a step that failed without an attempt: derived, not stored. */
export function blockedError(graph: Graph, index: number, states: readonly (StepState | undefined)[]): RunError {
  const step = graph.steps[index];
  const idOf = (dependency: number): string => `"${graph.steps[dependency]?.id ?? dependency}"`;
  const failed = [...(step?.after ?? []), ...(step?.afterAny ?? [])].filter((dependency) => {
    return hasFailed(states[dependency]);
  });
  return {
    name: "DependencyFailed",
    message: `Step "${step?.id}" cannot begin: ${failed.map(idOf).join(", ")} failed.`,
    ...(step === undefined ? {} : { step: step.id }),
  };
}
