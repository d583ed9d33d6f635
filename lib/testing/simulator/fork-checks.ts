import { dependencies, type Graph } from "../../definition/graph.ts";
import type { ForkOrigin, RunState } from "../../engine/run-state.ts";
import { contentOf, type Evidence } from "./evidence.ts";

/** What a fork keeps is its original's, to the letter; the rest, and all that depends on its step, has not begun. */
export function checkFork(seen: Evidence, graph: Graph, is: RunState, { runId, from }: ForkOrigin): void {
  const original = seen.run(runId);
  // Removed since the fork has read it.
  if (original === undefined) return;
  const dependsOnStep = (index: number): boolean => {
    const step = graph.steps[index];
    return step?.id === from || (step !== undefined && dependencies(step).some(dependsOnStep));
  };
  is.steps.forEach((step, index) => {
    // Without an attempt, it was settled just now.
    if (step === undefined || step.attempt === 0) return;
    if (dependsOnStep(index)) seen.fail(`R7: a fork from ${from} keeps step ${index}, which depends on it`);
    if (step.status !== "succeeded" && step.status !== "skipped" && step.status !== "failed") {
      seen.fail(`R4: a fork keeps step ${index}, which is ${step.status}`);
    }
    // A failure that was tolerated may have been repeated since, and what was undone has begun anew.
    const isAnew =
      original.generations[index] === original.epoch && JSON.stringify(original.steps[index]) !== JSON.stringify(step);
    if (step.status === "failed" || isAnew) return;
    const before = [original.steps[index], contentOf(seen, original, index), original.byHand?.[index]];
    const kept = [step, contentOf(seen, is, index), is.byHand?.[index]];
    if (JSON.stringify(kept) !== JSON.stringify(before))
      seen.fail(`R6: a fork keeps step ${index} otherwise than it is`);
    const isOwn = graph.steps[index]?.compensate !== undefined && is.undos[index]?.status !== "skipped";
    if (isOwn) seen.fail(`R6: a fork would undo step ${index}, which its original has done`);
    if (step.status === "succeeded") seen.successes.set(`${is.runId}/${index}`, 1);
  });
}
