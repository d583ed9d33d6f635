/**
 * Whether a step that did not succeed may have taken effect all the same. An attempt that was cut off (its worker was lost,
 * it timed out, its run was ended under it) may have; one that threw is believed to have done nothing. What can be undone
 * remembers it over its later attempts, and is `unknown` in the end instead of failed.
 */
import { type GraphStep, startsRun } from "../definition/graph.ts";
import type { EndedStep, RunState } from "./run-state.ts";
import type { Track } from "./track.ts";

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

export function endedStep(
  step: Pick<EndedStep, "attempt" | "startedAtMs">,
  status: EndedStep["status"],
  nowMs: number,
): EndedStep {
  const { attempt, startedAtMs } = step;
  return { status, attempt, startedAtMs, endedAtMs: Math.max(nowMs, startedAtMs) };
}

export function failedEnd(
  step: Pick<EndedStep, "attempt" | "startedAtMs">,
  mayHaveActed: boolean | undefined,
  nowMs: number,
): EndedStep {
  return endedStep(step, mayHaveActed === true ? "unknown" : "failed", nowMs);
}

/** A run that unwinds begins no further attempt: steps that wait for one have ended, and some are to be undone. */
export function withoutFurtherAttempts(run: RunState, nowMs: number): RunState {
  if (!run.steps.some((step) => step?.status === "backing_off" && step.mayHaveActed)) return run;
  const steps = run.steps.map((step) =>
    step?.status === "backing_off" && step.mayHaveActed === true
      ? endedStep({ attempt: step.attempt, startedAtMs: Math.min(step.wakeAtMs, nowMs) }, "unknown", nowMs)
      : step,
  );
  return { ...run, steps };
}
