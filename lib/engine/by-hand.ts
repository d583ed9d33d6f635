/** Steps that a person ends instead of letting a redrive repeat them, e.g. because the work was done elsewhere. */
import { encodePayload, field } from "./codec.ts";
import { allowsStepMove } from "./moves.ts";
import type { EndedStep, PayloadRef, RunState } from "./run-state.ts";
import { encodeStep } from "./step-codec.ts";

/** How steps end, by their index. */
export type ByHand = ReadonlyMap<number, EndByHand>;

interface EndByHand {
  /** Random per redrive: names the record that says who and why, and tells this redrive from another. */
  readonly id: string;
  /** Absent: the step is skipped. */
  readonly output?: PayloadRef;
}

export const nothingByHand: ByHand = new Map();

/** The fields that end these steps. They keep the attempt that they were at. */
export function endedByHand(run: RunState, byHand: ByHand, nowMs: number): Record<string, string> {
  const fields: Record<string, string> = {};
  for (const [index, { id, output }] of byHand) {
    const state = run.steps[index];
    if (state === undefined || !mayEndByHand(run, index)) throw new Error(`Step ${index} cannot be ended by hand.`);
    const { attempt, startedAtMs } = state as EndedStep;
    const status = output === undefined ? "skipped" : "succeeded";
    fields[field.step(index)] = encodeStep({ status, attempt, startedAtMs, endedAtMs: Math.max(nowMs, startedAtMs) });
    fields[field.byHand(index)] = id;
    if (output !== undefined) fields[field.output(index)] = encodePayload(output);
  }
  return fields;
}

/** Whether the step did not end well, and its run has ended. A signal that is kept for a step is not passed over. */
export function mayEndByHand(run: RunState, index: number): boolean {
  return (
    run.signals[index]?.payload === undefined &&
    allowsStepMove("endByHand", run.status, run.steps[index]?.status ?? "pending")
  );
}

/** Whether these very records are the run's: a redrive whose answer was lost. */
export function isDoneByHand(run: RunState, byHand: ByHand): boolean {
  return [...byHand].every(([index, { id }]) => run.byHand?.[index] === id);
}
