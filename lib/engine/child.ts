/**
 * Runs that steps of other runs start. A child has an id that follows from its parent's and the step's, so that it is
 * started once whatever becomes of the worker, and a link to the attempt that waits for it.
 *
 * Invariants:
 * 1. A child's end ends the attempt that its link names, and no other: a redrive of the parent begins a new epoch, and
 *    its step puts a new link into the child before it waits for it.
 * 2. Who ends a child relies on its link: a child that a newer epoch of the parent has taken over is left alone.
 */
import { endsWithParent, type Graph, type GraphStep, startsRun } from "../definition/graph.ts";
import { limits } from "../definition/limits.ts";
import { encodeLink, field } from "./codec.ts";
import { cancel, redrive } from "./operate.ts";
import { becauseOf } from "./run-error.ts";
import { isTerminal, type ParentLink, type RunError, type RunState } from "./run-state.ts";
import type { Condition, Transition } from "./transition.ts";
import { transitionTo } from "./transition-to.ts";

/** Users cannot give a run an id with this character, and URLs need not escape it. */
const separator = "~";
/** Between a shard and the number of a shard of its own: behind the last `~`, step ids have no dots. */
const shardSeparator = ".";
/** Behind the id of a child whose step began anew after it, or something before it, had been undone. */
const generationForm = /\.r\d+$/;

/** @param index of the step that starts the child */
export function childRunId(graph: Graph, run: RunState, index: number): string {
  return childOfGeneration(graph, run.runId, index, run.generations[index]);
}

function childOfGeneration(graph: Graph, runId: string, index: number, generation: number | undefined): string {
  const { kind, id } = graph.steps[index] ?? { kind: "child", id: String(index) };
  if (kind === "shard") return shardRunId(runId, Number(id));
  return `${runId}${separator}${id}${generation === undefined ? "" : `.r${generation}`}`;
}

/**
 * Ids of all runs that steps of this one may have started, also before they began anew.
 *
 * @param run as it is, or as it was before it was removed
 */
export function startedRuns(graph: Graph, run: RunState): readonly string[] {
  const { epoch, steps, generations } = run;
  return graph.steps.flatMap((step, index) => {
    // A redrive forgets the steps that it repeats.
    if (!startsRun(step) || (epoch === 0 && steps[index] === undefined)) return [];
    return childrenOf(graph, run.runId, index, generations[index] ?? 0);
  });
}

/** Ids of the runs that a step may have started, up to this generation of it. */
export function childrenOf(graph: Graph, runId: string, index: number, newest: number): readonly string[] {
  const numbers = Array.from({ length: newest }, (_, number) => number + 1);
  const all = [undefined, ...numbers].map((generation) => childOfGeneration(graph, runId, index, generation));
  // Of shards there are none.
  return [...new Set(all)];
}

/** @param number of the shard among those of its parent */
export function shardRunId(runId: string, number: number): string {
  return `${runId}${shardSeparator}${number}`;
}

export function parentRunId(runId: string): string {
  return runId.slice(0, parentEnd(runId));
}

export function parentStepId(runId: string): string {
  return withoutGeneration(runId).slice(parentEnd(runId) + 1);
}

function parentEnd(runId: string): number {
  const id = withoutGeneration(runId);
  return Math.max(id.lastIndexOf(separator), id.lastIndexOf(shardSeparator));
}

function withoutGeneration(runId: string): string {
  return runId.replace(generationForm, "");
}

/** The run that has the map of this shard. */
export function mapRunId(runId: string): string {
  return runId.slice(0, runId.lastIndexOf(separator));
}

/** The run that a user started, and that this one goes with. */
export function rootRunId(runId: string): string {
  const end = runId.indexOf(separator);
  return end === -1 ? runId : runId.slice(0, end);
}

/** Levels below the run that a user started. */
export function nestingOf(runId: string): number {
  return runId.split(separator).length - 1;
}

/** From the child back to the attempt that waits for it. */
export function linkTo(graph: Graph, run: RunState, index: number, attempt: number): ParentLink {
  const { workflow, fingerprint, epoch } = run;
  const taskQueue = graph.steps[index]?.taskQueue ?? "default";
  return { workflow, fingerprint, step: index, taskQueue, epoch, attempt };
}

export type AdoptVerdict =
  /** The child is under way, and its end will come to this attempt. */
  | { readonly kind: "waits" }
  /** Make it so: write the link into the child, or redrive it. */
  | { readonly kind: "write"; readonly transition: Transition }
  /** It ended before this attempt could wait for it: its end is the attempt's. */
  | { readonly kind: "ended" }
  /** It was started by another step, or with another input. */
  | { readonly kind: "conflict" }
  | { readonly kind: "exhausted" };

/**
 * What an attempt does with the child that a former attempt has started. One that ended badly is redriven when the
 * parent was, so that what had succeeded in it is kept; within the same epoch its end counts.
 */
export function adopt(
  graph: Graph,
  child: RunState,
  wanted: Pick<RunState, "workflow" | "inputHash"> & { readonly parent: ParentLink },
  nowMs: number,
): AdoptVerdict {
  const { parent } = wanted;
  if (child.workflow !== wanted.workflow || child.inputHash !== wanted.inputHash || child.parent === undefined) {
    return { kind: "conflict" };
  }
  const isOlder = child.parent.epoch < parent.epoch;
  if (!isTerminal(child.status)) {
    if (!isOlder && (child.parent.epoch > parent.epoch || child.parent.attempt >= parent.attempt)) {
      return { kind: "waits" };
    }
    return { kind: "write", transition: transitionTo(child, { ...child, parent }, [linkIs(child.parent)]) };
  }
  if (child.status === "succeeded" || !isOlder) return { kind: "ended" };
  if (child.epoch >= limits.redrives) return { kind: "exhausted" };
  const verdict = redrive(graph, child, nowMs);
  if (verdict.kind !== "write") return { kind: "ended" };
  const { transition } = verdict;
  const set = { ...transition.set, [field.parent]: encodeLink(parent) };
  return { kind: "write", transition: { ...transition, set } };
}

/**
 * Whether the child's end is that of the step's attempt. A run that unwinds starts nothing any more, and its attempts may
 * have been cut off before they wrote their link: it waits for the child that is there. One that is left alone it does not
 * wait for: an end that came now would come in between while other steps are undone.
 */
export function isAwaited(graph: Graph, parent: RunState, index: number, child: RunState): boolean {
  const state = parent.steps[index];
  if (!isTerminal(child.status) || child.parent === undefined || state === undefined) return false;
  if (parent.status === "unwinding" && state.status === "waiting") return endsWithParent(graph.steps[index]);
  return child.parent.epoch === parent.epoch && child.parent.attempt === state.attempt;
}

/** What ends the child because its parent ends; `undefined` when it goes on, or has ended. */
export function endWithParent(
  step: GraphStep | undefined,
  parent: RunState,
  { graph, run: child }: { readonly graph: Graph; readonly run: RunState },
  nowMs: number,
): Transition | undefined {
  const isEnding = parent.status === "unwinding" || (isTerminal(parent.status) && parent.status !== "succeeded");
  if (!isEnding || !endsWithParent(step)) return undefined;
  return endOrphan(graph, child, parent.epoch, nowMs);
}

/** The same, when all that is known of the parent is the epoch in which it ended. */
export function endOrphan(graph: Graph, child: RunState, parentEpoch: number, nowMs: number): Transition | undefined {
  if (child.parent === undefined || child.parent.epoch > parentEpoch) return undefined;
  const verdict = cancel(graph, child, nowMs);
  if (verdict.kind !== "write") return undefined;
  const { transition } = verdict;
  return { ...transition, guard: [...transition.guard, linkIs(child.parent)] };
}

function linkIs(link: ParentLink): Condition {
  return { field: field.parent, is: "equal", value: encodeLink(link) };
}

/** How the step of a child that did not succeed fails. @param graph of the step */
export function childError(graph: Graph, { id }: GraphStep, child: RunState): RunError {
  const { runId, workflow, error } = child;
  const run = `Run ${runId} of workflow "${workflow}"`;
  const at = error?.step === undefined ? "" : ` (step ${error.step})`;
  const why = error === undefined ? "." : `: ${error.name}: ${error.message}${at}`;
  const [name, what] =
    child.status === "cancelled"
      ? ["ChildCancelled", "was cancelled"]
      : child.status === "timed_out"
        ? ["ChildTimedOut", "timed out"]
        : ["ChildFailed", "failed"];
  return becauseOf(graph, { name, message: `${run} ${what}${why}`, step: id }, error);
}
