/**
 * Steps that ask a person in the middle of their code. A question parks the step without a worker and gives its attempt
 * back; the answer lets the same attempt run again from its top, with all answers so far. The order of questions is
 * what tells them apart in the code, the pending question's id is what an answer names (R7).
 */
import { acted } from "./acted.ts";
import { encodeInterrupts, field } from "./codec.ts";
import { allowsStepMove } from "./moves.ts";
import type { RunState } from "./run-state.ts";
import type { Transition } from "./transition.ts";
import { transitionTo, withAt, withStep } from "./transition-to.ts";

export type AnswerVerdict =
  | { readonly kind: "write"; readonly transition: Transition }
  /** This very answer had been written before, and the response was lost. */
  | { readonly kind: "already" }
  | { readonly kind: "refused"; readonly because: "not_pending" | "run_ended" };

/** @param id of this answer, random */
export function answerInterrupt(
  run: RunState,
  index: number,
  questionId: string,
  id: string,
  nowMs: number,
): AnswerVerdict {
  const asked = run.interrupts[index];
  const step = run.steps[index];
  if (asked?.answers.includes(id) === true) return { kind: "already" };
  if (asked?.pending !== questionId) return { kind: "refused", because: "not_pending" };
  if (step?.status !== "waiting" || !allowsStepMove("answer", run.status, step.status)) {
    return { kind: "refused", because: "run_ended" };
  }
  const answered = withAt(run.interrupts, index, { answers: [...asked.answers, id] });
  const next = withStep(run, index, {
    status: "backing_off",
    attempt: step.attempt,
    wakeAtMs: nowMs,
    ...acted(step.mayHaveActed),
  });
  // Two waits that began in the same millisecond look the same; their questions do not.
  const isPending = { field: field.interrupts(index), is: "equal", value: encodeInterrupts(asked) } as const;
  return { kind: "write", transition: transitionTo(run, { ...next, interrupts: answered }, [isPending]) };
}
