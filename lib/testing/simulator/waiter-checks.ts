// Whoever waits for the end of a run is told of it.
import { isTerminal, type RunState } from "../../engine/run-state.ts";
import type { Evidence } from "./evidence.ts";

export function checkWaiters(seen: Evidence, was: RunState | undefined, is: RunState): void {
  if (was?.waiters === undefined) return;
  const isRedrive = was.epoch !== is.epoch;
  if (isRedrive) checkTold(seen, was);
  const gone = Object.keys(was.waiters).find((replyTo) => is.waiters?.[replyTo] === undefined);
  if (gone !== undefined && !isRedrive) seen.fail(`the run forgot that ${gone} waits for it`);
}

/** Of a run for which nothing is in flight any more. */
export function checkTold(seen: Evidence, { runId, status, epoch, waiters = {} }: RunState): void {
  if (!isTerminal(status)) return;
  for (const replyTo of Object.keys(waiters)) {
    if (!seen.told.has(`${runId} ${epoch} ${replyTo}`)) seen.fail(`nobody told ${replyTo} that ${runId} is ${status}`);
  }
}
