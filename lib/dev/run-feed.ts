/** Updates of runs with the names and kinds of their steps, whichever definition they began with. */
import type { Graph, GraphStep } from "../definition/graph.ts";
import { parseShardFingerprint } from "../definition/shards.ts";
import type { Workflow } from "../definition/workflow.ts";
import type { RunUpdate } from "../embedded/engine.ts";
import { isTerminal, type RunState } from "../engine/run-state.ts";
import { compensationOf } from "../engine/undo.ts";
import type { RunView } from "../runtime/run-view.ts";
import type { UnderWay } from "../runtime/under-way.ts";
import { webhookName } from "../system/names.ts";

export type StepKind = GraphStep["kind"];

interface Names {
  readonly stepIds: readonly string[];
  readonly stepKinds: readonly StepKind[];
  readonly graph?: Graph;
}

export type CompensationProgress = RunView["compensation"];

export interface NamedUpdate extends RunUpdate {
  /** By index. */
  readonly stepIds: readonly string[];
  /** By index; empty for runs of definitions that are no longer in the code. */
  readonly stepKinds: readonly StepKind[];
  /** The first news of a run that an earlier process began. */
  readonly goesOn: boolean;
  /** How far the undoing is; absent when there is nothing to undo, or the definition is no longer in the code. */
  readonly compensation?: CompensationProgress;
}

export interface RunFeedOptions {
  readonly workflows: readonly Workflow[];
  /** For runs of definitions that are no longer in the code. */
  readonly loadStepIds: (runId: string) => Promise<readonly string[]>;
  /** Runs created before are an earlier process's. */
  readonly startedAtMs: number;
  /** Keeps the looking up of names, for whoever closes what is delivered to. */
  readonly underWay: UnderWay;
  readonly deliver: (update: NamedUpdate) => void;
}

/** Returns what takes the engine's updates. Those of one run are delivered in their order. */
export function createRunFeed({
  workflows,
  loadStepIds,
  startedAtMs,
  underWay,
  deliver,
}: RunFeedOptions): (update: RunUpdate) => void {
  const namesOf = new Map<string, Names>(
    workflows.map(({ fingerprint, graph }) => {
      const { steps } = graph;
      return [fingerprint, { stepIds: steps.map(({ id }) => id), stepKinds: steps.map(({ kind }) => kind), graph }];
    }),
  );
  const waiting = new Map<string, RunUpdate[]>();
  const announced = new Set<string>();

  function isGoingOn({ before, after }: RunUpdate): boolean {
    const isEarlier = before !== undefined && after.createdAtMs < startedAtMs;
    // A run that had ended goes on because somebody redrives it now.
    const goesOn = isEarlier && after.epoch === before.epoch && !announced.has(after.runId);
    if (isEarlier && !isTerminal(after.status)) announced.add(after.runId);
    else announced.delete(after.runId);
    return goesOn;
  }

  function deliverNamed(update: RunUpdate, { stepIds, stepKinds, graph }: Names): void {
    const compensation = graph === undefined ? undefined : compensationOf(graph, update.after);
    deliver({ ...update, stepIds, stepKinds, goesOn: isGoingOn(update), compensation });
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
    const names: Names = { stepIds, stepKinds: [] };
    namesOf.set(fingerprint, names);
    for (const update of waiting.get(fingerprint) ?? []) deliverNamed(update, names);
    waiting.delete(fingerprint);
  }

  return (update) => {
    const { fingerprint } = update.after;
    // A map of thousands of items has hundreds of shards; it is shown as the one step that it is.
    // And what webhooks are told would outnumber what it is about: a delivery that fails is in the log.
    if (parseShardFingerprint(fingerprint) !== undefined || update.after.workflow === webhookName) return;
    const names = namesOf.get(fingerprint);
    if (names !== undefined) {
      deliverNamed(update, names);
      return;
    }
    const others = waiting.get(fingerprint);
    if (others !== undefined) {
      others.push(update);
      return;
    }
    waiting.set(fingerprint, [update]);
    underWay.add(nameAndDeliver(update.after));
  };
}
