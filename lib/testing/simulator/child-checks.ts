// Between a run and those that its steps started.
import { endsWithParent, type Graph, startsRun } from "../../definition/graph.ts";
import { isBarred, runIn } from "../../engine/barred.ts";
import { childRunId, parentRunId } from "../../engine/child.ts";
import { field } from "../../engine/codec.ts";
import { hasEnded, isTerminal, type RunState } from "../../engine/run-state.ts";
import type { Fields } from "../../engine/transition.ts";
import type { Evidence } from "./evidence.ts";
import { checkMap } from "./map-checks.ts";

/** A step has its child's end, and a run that has unwound has none of its children still at work. */
export function checkChildren(
  seen: Evidence,
  graph: Graph,
  was: RunState | undefined,
  is: RunState,
  writer: string,
): void {
  graph.steps.forEach((step, index) => {
    if (!startsRun(step)) return;
    const childId = childRunId(graph, is, index);
    const child = seen.run(childId);
    const before = was?.steps[index];
    const after = is.steps[index];
    // A run that unwinds asks whether the lost worker had started it.
    if (after?.status === "waiting" && child === undefined && is.status !== "unwinding")
      seen.fail(`R5: step ${index} waits for a child that is not there`);
    if (
      after?.status === "succeeded" &&
      before?.status !== "succeeded" &&
      is.byHand?.[index] === undefined &&
      step.kind !== "map" &&
      child?.status !== "succeeded"
    )
      seen.fail(`R6: step ${index} succeeded, and its child is ${child?.status}`);
    const hasMapped = after?.status === "succeeded" && before?.status !== "succeeded";
    if (step.kind === "map" && hasMapped) checkMap(seen, childId, index, is);
    const hasFailed = after?.status === "failed" || after?.status === "unknown";
    // Whoever works on the step may fail it; anybody else only tells the end of its child, or that its last worker is lost.
    const isTold =
      before?.status === "running" && was?.status !== "unwinding" && !before.owner.startsWith(`${writer}-`);
    const error = seen.payload(is.runId, `err#${index}#${is.epoch}.${after?.attempt}`);
    const isLost = isTold && error?.includes("WorkerCrashed") === true;
    const isFailed = hasFailed && (before?.status === "waiting" || isTold) && !isLost && was?.epoch === is.epoch;
    // In a run that unwinds, the last attempt may have been lost before it took the child over from an earlier one.
    const hasEndedBadly =
      was?.status === "unwinding"
        ? [...seen.badEnds].some((end) => end.startsWith(`${childId} `))
        : seen.badEnds.has(`${childId} ${is.epoch}.${after?.attempt}`);
    const wasNotThere = was?.status === "unwinding" && error?.includes("was not started any more") === true;
    if (isFailed && wasNotThere && Number(seen.runs.get(childId)?.[field.barred] ?? -1) < is.epoch)
      seen.fail(`R4: step ${index} failed without its child, and a worker that stalls may still start it`);
    if (isFailed && !hasEndedBadly && !wasNotThere) seen.fail(`R6: step ${index} failed, and its child has not`);
    const hasUnwound = was?.status === "unwinding" && isTerminal(is.status) && !seen.terminated.has(is.runId);
    if (hasUnwound && !hasEnded(before) && isAtWork(seen, graph, is, index))
      seen.fail(`the run has unwound, and child ${index} is at work`);
  });
  const { parent } = is;
  if (parent !== undefined && isTerminal(is.status) && is.status !== "succeeded")
    seen.badEnds.add(`${is.runId} ${parent.epoch}.${parent.attempt}`);
  if (parent !== undefined && was === undefined) {
    const starter = seen.run(parentRunId(is.runId));
    // Unless the parent has been redriven since: then its step takes the child over when it begins.
    if (starter?.epoch === parent.epoch && starter.steps[parent.step] === undefined)
      seen.fail(`${is.runId} was started by a step that has not begun`);
  }
}

/** An id that is barred for an epoch of the parent has no run, and gets none from an attempt of that epoch. */
export function faultOfBar(before: Fields | undefined, after: Fields): string | undefined {
  if (isBarred(after)) return runIn(before) === undefined ? undefined : "R1: the id of a run was barred";
  const barred = before === undefined || !isBarred(before) ? undefined : Number(before[field.barred]);
  const epoch = Number(String(after[field.parent]).split(".")[0]);
  return barred === undefined || epoch > barred ? undefined : "R4: a child was started whose id is barred";
}

/** Whether the step's child must end before its run has unwound, and has not. */
export function isAtWork(seen: Evidence, graph: Graph, is: RunState, index: number): boolean {
  const childId = childRunId(graph, is, index);
  const child = seen.run(childId);
  if (child === undefined || !endsWithParent(graph.steps[index])) return false;
  // One whose end was taken may have been redriven by hand; it ends with its parent, too, and nobody waits for it.
  const hasEndedBefore = seen.badEnds.has(`${childId} ${child.parent?.epoch}.${child.parent?.attempt}`);
  return !isTerminal(child.status) && !hasEndedBefore;
}

/** Runs that have not ended, though their parents have, and end with them. */
export function orphans(seen: Evidence): string[] {
  return [...seen.allRuns()].flatMap(({ runId, parent: link, status }) => {
    const parent = link === undefined || isTerminal(status) ? undefined : seen.run(parentRunId(runId));
    if (link === undefined || parent === undefined) return [];
    // It had ended, and was redriven by hand since.
    if (seen.badEnds.has(`${runId} ${link.epoch}.${link.attempt}`)) return [];
    const isLeft = !endsWithParent(seen.graphOf(parent).steps[link.step]);
    return isTerminal(parent.status) && parent.status !== "succeeded" && !isLeft ? [runId] : [];
  });
}
