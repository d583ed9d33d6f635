/** The runs that a bulk operation is about. */

import { limits } from "../definition/limits.ts";
import { isSystemName } from "../definition/option-checks.ts";
import { field } from "../engine/codec.ts";
import type { RunStatus } from "../engine/run-state.ts";
import type { FoundRun, RunIndex } from "../runtime/run-index.ts";
import { bulkName } from "./names.ts";
import { type BulkInput, filterOf } from "./operation-request.ts";

/**
 * Newest first, of those that were created before the time. The index may lag behind, so each is judged by what it is
 * when it is read; and what becomes of it later is for the acting to see.
 */
export async function* matchingRuns(index: RunIndex, input: BulkInput, beforeMs: number): AsyncGenerator<FoundRun> {
  const filter = filterOf(input, beforeMs);
  let cursor: string | undefined;
  do {
    const page = await index.list({ filter, limit: limits.listedRuns, ...(cursor === undefined ? {} : { cursor }) });
    for (const run of page.runs) if (isMeant(run, input)) yield run;
    cursor = page.cursor;
  } while (cursor !== undefined);
}

function isMeant({ fields }: FoundRun, { action, filter }: BulkInput): boolean {
  const workflow = String(fields[field.workflow]);
  // Whoever means Pawl's own runs says so; and an operation that acted on operations might act on itself.
  if (workflow === bulkName || (isSystemName(workflow) && filter.workflow !== workflow)) return false;
  // What a run has started goes with it.
  if (action === "purge" && fields[field.parent] !== undefined) return false;
  return filter.status.includes(fields[field.status] as RunStatus);
}
