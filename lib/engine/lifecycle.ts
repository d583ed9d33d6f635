/** Lifecycle events follow from the change of the stored run, whatever path changed it (R9). */
import { field } from "./codec.ts";
import type { RunStatus } from "./run-state.ts";
import type { Fields } from "./transition.ts";

export interface LifecycleEvent {
  /** The same for every look at the same status change, and different for every other. */
  readonly id: string;
  readonly runId: string;
  readonly workflow: string;
  readonly status: RunStatus;
  /** Absent for the start of the run. */
  readonly previous?: RunStatus;
}

/** As the world outside is told of it. Its `id` is the same each time the change is told. */
export interface RunStatusChange extends LifecycleEvent {
  /** When the status was written: ISO 8601, UTC, to the second. */
  readonly time: string;
}

export function lifecycleEvent(runId: string, before: Fields | undefined, after: Fields): LifecycleEvent | undefined {
  const status = after[field.status] as RunStatus;
  const previous = before?.[field.status] as RunStatus | undefined;
  if (status === previous) return undefined;
  return {
    id: `${runId}:${after[field.changes]}`,
    runId,
    workflow: String(after[field.workflow]),
    status,
    ...(previous === undefined ? {} : { previous }),
  };
}
