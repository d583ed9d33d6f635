/** Removes a run that has ended, on request. What goes with it: `removal.ts`. */
import { rootRunId } from "../engine/child.ts";
import { longestLeaseMs } from "../engine/claim.ts";
import type { Mark } from "../engine/operate.ts";
import { isTerminal } from "../engine/run-state.ts";
import type { Acted } from "./acting.ts";
import { PawlError } from "./errors.ts";
import type { Image } from "./image.ts";
import type { Clock } from "./ports.ts";
import type { Removal } from "./removal.ts";
import { gateIsBusy, type Slots } from "./slots.ts";

/**
 * The deletion is conditional on the run as it was read; afterwards there is nothing that could carry a mark. `changed`: it
 * is not as it was selected, or read.
 *
 * @throws {PawlError} status_conflict, unavailable
 */
export async function purgeRun(
  { slots, removal, clock }: { readonly slots: Slots; readonly removal: Removal; readonly clock: Clock },
  image: Image,
  mark: Mark | undefined,
): Promise<Acted> {
  const { run } = image;
  if (mark !== undefined && run.changes !== mark.changes) return "changed";
  const refusal = refusalOf(image, clock.now());
  if (refusal !== undefined) throw new PawlError("status_conflict", refusal, { status: run.status });
  // Nobody would know of it any more.
  if (!(await slots.leave(run))) throw gateIsBusy(run.runId);
  return (await removal.remove(image)) ? "done" : "changed";
}

/** Why the run cannot be removed now, and what to do. */
function refusalOf({ run, fields }: Image, nowMs: number): string | undefined {
  const { runId, status } = run;
  if (!isTerminal(status)) {
    return `Run ${runId} is ${status}; only a run that has ended can be purged. Cancel or terminate it first.`;
  }
  if (run.parent !== undefined) {
    const parent = rootRunId(runId);
    return `Run ${runId} was started by another run, and goes with it. Purge run ${parent}.`;
  }
  const leaseMs = longestLeaseMs(fields, nowMs);
  if (leaseMs === 0) return undefined;
  return `Run ${runId} has ended, but the code of one of its steps may still be at work for up to ${Math.ceil(leaseMs / 1000)} s. Purge it then.`;
}
