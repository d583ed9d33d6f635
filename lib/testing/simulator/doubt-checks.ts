// A step that may have taken effect although no attempt of it succeeded: nothing forgets it, so that it is undone.
import type { GraphStep } from "../../definition/graph.ts";
import { hasEnded, isTerminal, type RunState, type StepState } from "../../engine/run-state.ts";
import type { Evidence } from "./evidence.ts";

/** Ends of an attempt that say nothing about what its code has done. */
const cutOff = ["StepTimeout", "HeartbeatTimeout", "AttemptAborted"];

export function faultOfDoubt(
  seen: Evidence,
  step: GraphStep,
  was: RunState | undefined,
  is: RunState,
  index: number,
): string | undefined {
  const before = was?.steps[index];
  const after = is.steps[index];
  // Of what a step has started, that run's end tells. An ended run shows what it cut off as cancelled.
  if (step.compensate === undefined || step.kind !== "step" || before === after) return undefined;
  if (was?.epoch !== is.epoch || before === undefined || isTerminal(is.status)) return undefined;
  // Its condition says no, and said so to the attempts before.
  if (before.status === "running" && after?.status === "skipped") return undefined;
  if (!isInDoubt(seen, is, index, before, after) || !forgets(after)) return undefined;
  return `R6: an attempt of step ${index} was cut off, and is forgotten by its being ${after?.status}`;
}

function isInDoubt(
  seen: Evidence,
  is: RunState,
  index: number,
  before: StepState,
  after: StepState | undefined,
): boolean {
  if ("mayHaveActed" in before) return true;
  if (before.status !== "running") return false;
  if (after?.status === "running") return after.owner !== before.owner;
  const error = seen.payload(is.runId, `err#${index}#${is.epoch}.${before.attempt}`);
  return error !== undefined && cutOff.includes((JSON.parse(error) as { name: string }).name);
}

function forgets(after: StepState | undefined): boolean {
  if (after === undefined) return true;
  if (hasEnded(after)) return after.status !== "succeeded" && after.status !== "unknown";
  return after.mayHaveActed !== true;
}
