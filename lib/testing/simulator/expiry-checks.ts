// What holds for the expiry of a run after each write: nothing open is deleted, and nothing that has ended lives for ever.
import { isTerminal, type RunState } from "../../engine/run-state.ts";

export function faultOfExpiry(was: RunState | undefined, is: RunState): string | undefined {
  const { runId, status, retentionMs, expiresAtMs, createdAtMs, parent } = is;
  if (parent === undefined && retentionMs === undefined) return `${runId} would never expire`;
  if (was?.retentionMs !== undefined && was.retentionMs !== retentionMs) return `the retention of ${runId} was changed`;
  if (!isTerminal(status)) return expiresAtMs === undefined ? undefined : `${runId} is ${status} and expires`;
  if (retentionMs === undefined) return expiresAtMs === undefined ? undefined : `${runId} expires without its parent`;
  if (expiresAtMs === undefined) return `${runId} has ended and never expires`;
  if (expiresAtMs % 1000 !== 0) return `${runId} does not expire at a full second`;
  if (expiresAtMs < createdAtMs + retentionMs) return `${runId} expires before its time`;
  const isSameEnd = was !== undefined && isTerminal(was.status) && was.epoch === is.epoch;
  return isSameEnd && was.expiresAtMs !== expiresAtMs ? `the expiry of ${runId} was set twice` : undefined;
}
