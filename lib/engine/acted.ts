/**
 * Whether a step that did not succeed may have taken effect all the same. An attempt that was cut off (its worker was lost,
 * it timed out, its run was ended under it) may have; one that threw is believed to have done nothing. What can be undone
 * remembers it over its later attempts, and is `unknown` in the end instead of failed.
 */
import { type Graph, type GraphStep, startsRun } from "../definition/graph.ts";
import { limits } from "../definition/limits.ts";
import type { EndedStep, RunState } from "./run-state.ts";
import type { Track } from "./track.ts";
import { endedStep } from "./transition-to.ts";

/** Only then it matters what became of an attempt that was cut off. */
export function canBeUndone(track: Track, step: GraphStep | undefined): boolean {
  return track === "step" && step?.compensate !== undefined;
}

/** Whether an attempt that was cut off may have acted. One that starts a run may not: the end of that run tells. */
export function leavesDoubt(track: Track, step: GraphStep | undefined): boolean {
  return canBeUndone(track, step) && !startsRun(step);
}

export function acted(mayHaveActed: boolean | undefined): { readonly mayHaveActed?: true } {
  return mayHaveActed === true ? { mayHaveActed } : {};
}

export function failedEnd(
  step: Pick<EndedStep, "attempt" | "startedAtMs">,
  mayHaveActed: boolean | undefined,
  nowMs: number,
): EndedStep {
  return endedStep(step, mayHaveActed === true ? "unknown" : "failed", nowMs);
}

/**
 * A run that unwinds begins no further attempt: steps that wait have ended, and some of them are to be undone. At most
 * `limits.settledPerWrite` end at once; asked again, it ends more.
 */
export function withoutFurtherAttempts(graph: Graph, run: RunState, nowMs: number): RunState {
  let count = 0;
  const ends = run.steps.map((step, index) => {
    if (count === limits.settledPerWrite) return step;
    if (step?.status !== "backing_off" && step?.status !== "waiting") return step;
    // Whoever holds its task token may have done what it was asked for.
    const isHandedOut = step.status === "waiting" && graph.steps[index]?.kind === "callback";
    const mayHaveActed = step.mayHaveActed === true || (isHandedOut && canBeUndone("step", graph.steps[index]));
    if (!mayHaveActed) return step;
    count++;
    const startedAtMs = step.status === "waiting" ? step.sinceMs : Math.min(step.wakeAtMs, nowMs);
    return endedStep({ attempt: step.attempt, startedAtMs }, "unknown", nowMs);
  });
  return ends.some((step, index) => step !== run.steps[index]) ? { ...run, steps: ends } : run;
}
