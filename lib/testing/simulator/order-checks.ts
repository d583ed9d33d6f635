import type { GraphStep } from "../../definition/graph.ts";
import { hasEnded, type StepState } from "../../engine/run-state.ts";

/**
 * What is wrong about a step that begins, if anything is: what its dependencies say, told without the engine's own verdict
 * on them.
 */
export function faultOfOrder(step: GraphStep, states: readonly (StepState | undefined)[]): string | undefined {
  const isOpen = (index: number): boolean => !hasEnded(states[index]);
  const isGood = (index: number): boolean => ["succeeded", "skipped"].includes(states[index]?.status ?? "");
  const isBad = (index: number): boolean => !isOpen(index) && !isGood(index);
  const { after, afterAny, afterFailed, afterSettled } = step;
  const lacking = after.find((index) => !isGood(index));
  if (lacking !== undefined) return `began after step ${lacking}, which is ${states[lacking]?.status ?? "pending"}`;
  const open = afterSettled.find(isOpen);
  if (open !== undefined) return `began after step ${open}, which has not ended`;
  const isEarly = afterAny.some(isOpen) && !afterAny.some((index) => states[index]?.status === "succeeded");
  if (isEarly) return "began before any step that it waits for had succeeded";
  return afterFailed.length > 0 && !afterFailed.some(isBad)
    ? "began, and nothing that it handles has failed"
    : undefined;
}
