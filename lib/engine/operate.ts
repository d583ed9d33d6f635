/** Moves of a run that come from outside: by its users, its deadline, or a worker that cannot go on with it. */
import type { Graph } from "../definition/graph.ts";
import { field } from "./codec.ts";
import { allowsRunMove, type RunMove } from "./moves.ts";
import type { PauseReason, RunState, RunStatus } from "./run-state.ts";
import { settle } from "./settle.ts";
import type { Transition } from "./transition.ts";
import { transitionTo } from "./transition-to.ts";

export type OperateVerdict =
  | { readonly kind: "write"; readonly transition: Transition }
  /** The run already is what the move would make it: the same request again. */
  | { readonly kind: "already" }
  | { readonly kind: "refused"; readonly status: RunStatus };

/** Ends the run at once: whatever is in flight is refused when it commits (R2). */
export function cancel(run: RunState, nowMs: number): OperateVerdict {
  return move("cancel", run, { status: "cancelled", endedAtMs: Math.max(nowMs, run.createdAtMs) });
}

/** Ends the run at once, also one that is about to end by itself. */
export function terminate(run: RunState, nowMs: number): OperateVerdict {
  return move("terminate", run, { status: "cancelled", endedAtMs: Math.max(nowMs, run.createdAtMs) });
}

/**
 * Goes on with a run that ended without success, in a new epoch: steps that succeeded or were skipped keep what they
 * have, all others begin again with their first attempt. A run timeout begins again, too.
 */
export function redrive(graph: Graph, run: RunState, nowMs: number): OperateVerdict {
  if (!allowsRunMove("redrive", run.status)) return { kind: "refused", status: run.status };
  const again = new Set(stepsToRepeat(graph, run));
  const remove = [field.error, field.endedAt, ...[...again].map((index) => field.step(index))];
  const set: Record<string, string | number> = { [field.status]: "running", [field.epoch]: run.epoch + 1 };
  if (graph.timeoutMs !== undefined) set[field.deadlineAt] = nowMs + graph.timeoutMs;
  // Status and epoch suffice: nothing else of an ended run can change.
  const guard = [
    { field: field.status, is: "equal", value: run.status },
    { field: field.epoch, is: "equal", value: run.epoch },
  ] as const;
  return { kind: "write", transition: { guard, set, remove, add: { [field.changes]: 1 } } };
}

/**
 * What did not end well, except failures that were tolerated and that nothing has missed: their handlers may have run.
 */
function stepsToRepeat(graph: Graph, run: RunState): number[] {
  const missed = new Set<number>();
  graph.steps.forEach((step, index) => {
    const state = run.steps[index];
    if (state?.status !== "failed" || state.attempt > 0) return;
    for (const dependency of [...step.after, ...step.afterAny]) missed.add(dependency);
  });
  return graph.steps.flatMap((step, index) => {
    const state = run.steps[index];
    if (state === undefined || state.status === "succeeded" || state.status === "skipped") return [];
    // What a map tolerates is decided on anew each time.
    const mayStay = graph.shard === undefined && !missed.has(index);
    const isTolerated = state.status === "failed" && step.onFailure === "continue" && mayStay;
    return isTolerated ? [] : [index];
  });
}

/** The run's deadline has passed. An early or foreign timer changes nothing. */
export function timeOut(run: RunState, nowMs: number): OperateVerdict {
  if (run.deadlineAtMs === undefined || nowMs < run.deadlineAtMs) return { kind: "refused", status: run.status };
  const seconds = Math.round((run.deadlineAtMs - Math.max(run.createdAtMs, run.startAtMs ?? 0)) / 1000);
  const error = { name: "RunTimeout", message: `The run did not end within its timeout of ${seconds} s.` };
  return move("timeOut", run, { status: "timed_out", endedAtMs: nowMs, error });
}

/** No step begins any more; what is in flight may commit. */
export function pause(run: RunState, reason: PauseReason): OperateVerdict {
  return move("pause", run, { status: "paused", pause: reason });
}

/** What happened meanwhile takes its course: the run may unwind or end in the same write. */
export function resume(graph: Graph, run: RunState, nowMs: number): OperateVerdict {
  if (run.status === "running") return { kind: "already" };
  if (!allowsRunMove("resume", run.status)) return { kind: "refused", status: run.status };
  const { pause: _pause, ...rest } = run;
  const resumed: RunState = { ...rest, status: "running" };
  return { kind: "write", transition: transitionTo(run, settle(graph, resumed, nowMs)) };
}

function move(name: RunMove, run: RunState, change: Partial<RunState> & { status: RunStatus }): OperateVerdict {
  if (run.status === change.status) return { kind: "already" };
  if (!allowsRunMove(name, run.status)) return { kind: "refused", status: run.status };
  const { pause: _pause, ...rest } = run;
  return { kind: "write", transition: transitionTo(run, { ...rest, ...change }) };
}
