/**
 * Attempts of idempotent steps, which begin without a claim: a read shows that nothing stands in their way, and their first
 * write is their commit. It relies on the step as it was before the attempt, so that of several executions of one attempt the
 * first that commits is the one that counts (R4, R6). One that goes on for long is claimed when its lease would be renewed.
 *
 * The same attempt may run twice, and nothing in the run tells that it is under way: its step is as it was before.
 */
import type { GraphStep } from "../definition/graph.ts";
import { encodeInterrupts, field } from "./codec.ts";
import { allowsStepMove } from "./moves.ts";
import type { Interrupts, RunState, StepState } from "./run-state.ts";
import { encodeStep } from "./step-codec.ts";
import { type Attempt, stateOn, type Unclaimed } from "./track.ts";
import type { Condition } from "./transition.ts";

type RunningStep = Extract<StepState, { status: "running" }>;

export function isIdempotent(step: GraphStep | undefined): boolean {
  return step?.kind === "step" && step.idempotent === true;
}

/** @param run as it was read: its step may begin now */
export function beginUnclaimed(run: RunState, step: number, nowMs: number): Unclaimed {
  const { epoch, createdAtMs } = run;
  return {
    sinceMs: nowMs,
    epoch,
    runCreatedAtMs: createdAtMs,
    before: stateText(run, step),
    asked: askedText(run, step),
  };
}

/** The attempt while it is its owner's: as it was claimed, or as it would have been. */
export function inHand(run: RunState, mine: Attempt): RunningStep | undefined {
  const state = stateOn(mine.track, run, mine.step);
  if (state?.status === "running") {
    return state.attempt === mine.attempt && state.owner === mine.owner ? state : undefined;
  }
  const { attempt, owner, unclaimed } = mine;
  if (unclaimed === undefined || !isAsBefore(run, mine.step, unclaimed)) return undefined;
  if (!allowsStepMove("endUnclaimed", run.status, state?.status ?? "pending", mine.track)) return undefined;
  const { sinceMs } = unclaimed;
  return { status: "running", attempt, owner, startedAtMs: sinceMs, leaseUntilMs: sinceMs };
}

function isAsBefore(run: RunState, step: number, { epoch, runCreatedAtMs, before, asked }: Unclaimed): boolean {
  const isSameRun = run.epoch === epoch && run.createdAtMs === runCreatedAtMs;
  return isSameRun && stateText(run, step) === before && askedText(run, step) === asked;
}

/** What its writes rely on beside the step, whose former state says less than a claim would: no owner is in it. */
export function reliedOn({ step, unclaimed }: Attempt): readonly Condition[] {
  if (unclaimed === undefined) return [];
  const { runCreatedAtMs, asked } = unclaimed;
  const isAsked = { field: field.interrupts(step) };
  return [
    { field: field.createdAt, is: "equal", value: runCreatedAtMs },
    // A question that was answered gives its attempt back, and the step is as it was before.
    asked === undefined ? { ...isAsked, is: "absent" } : { ...isAsked, is: "equal", value: asked },
  ];
}

function stateText({ steps }: RunState, index: number): string | undefined {
  const state = steps[index];
  return state && encodeStep(state);
}

function askedText({ interrupts }: RunState, index: number): string | undefined {
  const asked: Interrupts | undefined = interrupts[index];
  return asked && encodeInterrupts(asked);
}
