// Nothing comes before its time, by the fastest of the clocks.
import { hasEnded, isTerminal, type RunState, type StepState } from "../../engine/run-state.ts";

/**
 * @param nowMs by the true clock
 * @param skewMs clocks are off by so much, at most
 */
export function faultOfTime(was: RunState, is: RunState, nowMs: number, skewMs: number): string | undefined {
  const latestMs = nowMs + skewMs;
  const timesOut = (is.status === "timed_out" && was.unwindTo !== "timed_out") || isTurned(was, is);
  if (timesOut && was.epoch === is.epoch && latestMs < (was.deadlineAtMs ?? Number.POSITIVE_INFINITY))
    return `R7: ${is.runId} timed out ${(was.deadlineAtMs ?? 0) - nowMs} ms early`;
  if (was.epoch !== is.epoch || was.status !== "running" || (isTerminal(is.status) && is.status !== "succeeded"))
    return undefined;
  const early = was.steps.findIndex((before, index) => {
    if (before?.status !== "waiting" && before?.status !== "backing_off") return false;
    if (before.wakeAtMs === undefined || before.wakeAtMs <= latestMs) return false;
    const after = is.steps[index];
    if (before.status === "backing_off") return hasBegun(before, after);
    // By an answer or a signal it may end at any time.
    const isByOthers = was.tokens[index] !== is.tokens[index] || was.signals[index] !== is.signals[index];
    return (hasEnded(after) || after?.status === "backing_off") && !isByOthers;
  });
  return early === -1 ? undefined : `R7: step ${early} went on before the time that it waited for`;
}

function isTurned(was: RunState, is: RunState): boolean {
  return was.status !== "unwinding" && is.status === "unwinding" && is.unwindTo === "timed_out";
}

/** An attempt that was not claimed shows by how it ends. */
function hasBegun(before: Extract<StepState, { status: "backing_off" }>, after: StepState | undefined): boolean {
  if (after?.status === "backing_off") return after.wakeAtMs !== before.wakeAtMs;
  return after?.status === "running" || (after !== undefined && after.attempt > before.attempt);
}
