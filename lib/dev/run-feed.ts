/** Updates of runs with the names of their steps, whichever definition they began with. */
import type { Workflow } from "../definition/workflow.ts";
import type { RunUpdate } from "../embedded/engine.ts";
import { isTerminal, type RunState } from "../engine/run-state.ts";

export interface NamedUpdate extends RunUpdate {
  /** By index. */
  readonly stepIds: readonly string[];
  /** The first news of a run that an earlier process began. */
  readonly goesOn: boolean;
}

export interface RunFeedOptions {
  readonly workflows: readonly Workflow[];
  /** For runs of definitions that are no longer in the code. */
  readonly loadStepIds: (runId: string) => Promise<readonly string[]>;
  /** Runs created before are an earlier process's. */
  readonly startedAtMs: number;
  readonly deliver: (update: NamedUpdate) => void;
}

/** Returns what takes the engine's updates. Those of one run are delivered in their order. */
export function createRunFeed({
  workflows,
  loadStepIds,
  startedAtMs,
  deliver,
}: RunFeedOptions): (update: RunUpdate) => void {
  const stepIdsOf = new Map(workflows.map(({ fingerprint, graph }) => [fingerprint, graph.steps.map(({ id }) => id)]));
  const waiting = new Map<string, RunUpdate[]>();
  const announced = new Set<string>();

  function isGoingOn({ before, after }: RunUpdate): boolean {
    const isEarlier = before !== undefined && after.createdAtMs < startedAtMs;
    const goesOn = isEarlier && !announced.has(after.runId);
    if (isEarlier && !isTerminal(after.status)) announced.add(after.runId);
    else announced.delete(after.runId);
    return goesOn;
  }

  async function nameAndDeliver(run: RunState): Promise<void> {
    const { runId, fingerprint } = run;
    let stepIds: readonly string[];
    try {
      stepIds = await loadStepIds(runId);
    } catch {
      // The server is stopping, or the store fails: numbers will do.
      stepIds = [];
    }
    stepIdsOf.set(fingerprint, [...stepIds]);
    for (const update of waiting.get(fingerprint) ?? []) deliver({ ...update, stepIds, goesOn: isGoingOn(update) });
    waiting.delete(fingerprint);
  }

  return (update) => {
    const { fingerprint } = update.after;
    const stepIds = stepIdsOf.get(fingerprint);
    if (stepIds !== undefined) {
      deliver({ ...update, stepIds, goesOn: isGoingOn(update) });
      return;
    }
    const others = waiting.get(fingerprint);
    if (others !== undefined) {
      others.push(update);
      return;
    }
    waiting.set(fingerprint, [update]);
    void nameAndDeliver(update.after);
  };
}
