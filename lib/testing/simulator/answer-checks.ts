// What comes from outside (signals, answers to questions, uses of task tokens) counts once, and is not lost.
import { hasEnded, isBeforeEnd, type RunState } from "../../engine/run-state.ts";
import type { Evidence } from "./evidence.ts";

/** A signal is taken once, and is the output of the step that took it. */
export function checkSignals(seen: Evidence, was: RunState | undefined, is: RunState): void {
  is.signals.forEach((after, index) => {
    const isNew = after !== undefined && was?.signals[index] === undefined;
    if (isNew && after.payload === undefined && is.steps[index]?.status !== "succeeded")
      seen.fail(`R6: the signal of step ${index} was dropped`);
  });
  was?.signals.forEach((before, index) => {
    const after = is.signals[index];
    const isAnew = was.epoch !== is.epoch && is.generations[index] === is.epoch;
    if (isAnew) return;
    if (before !== undefined && after?.id !== before.id)
      seen.fail(`R6: the signal of step ${index} was replaced or lost`);
    // A kept signal is taken when its step begins to wait; the step cannot end without it.
    const step = is.steps[index];
    if (before?.payload !== undefined && after?.payload !== undefined && hasEnded(step) && step.attempt > 0) {
      if (is.status === "running" || is.status === "paused")
        seen.fail(`R6: step ${index} ended without the signal that was kept for it`);
    }
    const isWaiting = after?.payload !== undefined && step?.status === "waiting";
    if (isWaiting) seen.fail(`R6: step ${index} waits although its signal is there`);
    const isTaken = before?.payload !== undefined && after?.payload === undefined;
    if (isTaken && is.steps[index]?.status !== "succeeded")
      seen.fail(`R6: the signal of step ${index} was taken by nobody`);
  });
}

/** Answers are kept in their order, one for each question, and a step is parked exactly while it asks. */
export function checkInterrupts(seen: Evidence, was: RunState | undefined, is: RunState): void {
  is.interrupts.forEach((after, index) => {
    const before = was?.interrupts[index];
    const given = before?.answers ?? [];
    if (after === undefined || after === before) return;
    if (JSON.stringify(after.answers.slice(0, given.length)) !== JSON.stringify(given))
      seen.fail(`R6: step ${index} lost an answer`);
    if (after.answers.length > given.length + (before?.pending === undefined ? 0 : 1))
      seen.fail(`R6: step ${index} has an answer without a question`);
    const [from, to] = [was?.steps[index], is.steps[index]];
    if (from?.status === "running" && to?.status === "waiting" && to.attempt !== from.attempt - 1)
      seen.fail(`R3: step ${index} used attempt ${from.attempt} up with a question`);
    const status = to?.status;
    if (after.pending !== undefined && status !== "waiting" && isBeforeEnd(is.status))
      seen.fail(`R5: step ${index} is ${status} while its question is open`);
  });
}

/** An attempt has a token of its own, and what ends it from outside takes the token. Whether it is such an end. */
export function checkToken(seen: Evidence, was: RunState | undefined, is: RunState, index: number): boolean {
  const [before, after] = [was?.steps[index], is.steps[index]];
  if (was !== undefined && was.epoch !== is.epoch) return false;
  const isNewToken = was?.tokens[index] !== is.tokens[index];
  const begins = after?.status === "running" && (before?.status !== "running" || before.owner !== after.owner);
  if (begins && !isNewToken) seen.fail(`R7: attempt ${after.attempt} of step ${index} has the token of another`);
  if (begins) return false;
  if (after?.status === "succeeded" && before?.status !== "succeeded" && !isNewToken)
    seen.fail(`R6: step ${index} succeeded and its token is as it was`);
  if (!isNewToken) return false;
  const isOpen = before?.status === "running" || before?.status === "waiting";
  if (!isOpen || after?.status === "running" || after?.status === "waiting")
    seen.fail(`R6: the token of step ${index} was taken, and its attempt goes on`);
  return true;
}
