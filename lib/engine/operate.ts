/** Moves of a run that come from outside: by its users, its deadline, or a worker that cannot go on with it. */
import { dependencies, type Graph } from "../definition/graph.ts";
import { isArchived, withoutArchived } from "./archive.ts";
import { type ByHand, endedByHand, nothingByHand } from "./by-hand.ts";
import { encodeSlot, field } from "./codec.ts";
import { endOf } from "./end.ts";
import { allowsRunMove, type RunMove } from "./moves.ts";
import { withFingerprint } from "./run-error.ts";
import type { PauseReason, RunError, RunState, RunStatus, UnwindTarget } from "./run-state.ts";
import { settle } from "./settle.ts";
import { encodeStep } from "./step-codec.ts";
import type { Transition } from "./transition.ts";
import { transitionTo } from "./transition-to.ts";
import { compensationOf, hasCompensation } from "./undo.ts";
import { waiterFields } from "./waiter.ts";

export type OperateVerdict =
  | { readonly kind: "write"; readonly transition: Transition }
  /** The run already is what the move would make it: the same request again. */
  | { readonly kind: "already" }
  | { readonly kind: "refused"; readonly status: RunStatus };

/** Of a bulk operation: which one, and the run's number of status changes when it was selected. */
export interface Mark {
  readonly operation: string;
  readonly changes: number;
}

/**
 * The move, as a bulk operation makes it: once, and only while the run is as it was selected. An operation that comes
 * again, after a crash, knows by its mark what it has done; its own move may have led to others since.
 */
export function onceMarked<Verdict extends Write | { readonly kind: "already" | "refused" }>(
  run: RunState,
  mark: Mark,
  decide: (run: RunState) => Verdict,
):
  | Exclude<Verdict, { readonly kind: "write" | "already" }>
  | Write
  | { readonly kind: "already" }
  /** The run is not what it was when it was selected; the operation leaves it alone. */
  | { readonly kind: "changed" } {
  if (run.operation === mark.operation) return { kind: "already" };
  if (run.changes !== mark.changes) return { kind: "changed" };
  const verdict = decide(run);
  if (verdict.kind === "already") return { kind: "changed" };
  if (isWrite(verdict)) return { kind: "write", transition: marked(verdict.transition, mark) };
  return verdict as Exclude<Verdict, { readonly kind: "write" | "already" }>;
}

interface Write {
  readonly kind: "write";
  readonly transition: Transition;
}

function isWrite(verdict: { readonly kind: string }): verdict is Write {
  return verdict.kind === "write";
}

function marked({ guard, set, ...rest }: Transition, { operation, changes }: Mark): Transition {
  const isAsSelected = { field: field.changes, is: "equal", value: changes } as const;
  return { ...rest, guard: [...guard, isAsSelected], set: { ...set, [field.operation]: operation } };
}

/**
 * Ends the run: at once, when nothing of it can be undone, and whatever is in flight is refused when it commits (R2).
 * Otherwise the run unwinds first.
 */
export function cancel(graph: Graph, run: RunState, nowMs: number): OperateVerdict {
  return stop(graph, "cancel", run, { status: "cancelled" }, nowMs);
}

/** Ends the run at once, also one that unwinds, and undoes nothing. */
export function terminate(run: RunState, nowMs: number): OperateVerdict {
  return move("terminate", run, endOf(run, "cancelled", nowMs));
}

/**
 * Goes on with a run that ended without success, in a new epoch. A run whose undoing has begun and is not complete goes
 * on with that; every other one goes forward, and waits for its turn anew: it must have given its slot back.
 */
export function redrive(graph: Graph, run: RunState, nowMs: number, byHand: ByHand = nothingByHand): OperateVerdict {
  if (!allowsRunMove("redrive", run.status)) return { kind: "refused", status: run.status };
  const change = isUndoIncomplete(graph, run) ? undoAgain(run) : goForward(graph, run, nowMs, byHand);
  const { set, remove } = withoutSlot(run, change);
  // It is open again, and what is open is never deleted.
  const removed = run.expiresAtMs === undefined ? remove : [...remove, field.expiresAt];
  // Status and epoch suffice: nothing else of an ended run can change.
  const guard = [
    { field: field.status, is: "equal", value: run.status },
    { field: field.epoch, is: "equal", value: run.epoch },
  ] as const;
  const epoch = { [field.epoch]: run.epoch + 1, [field.redrivenAt]: nowMs };
  const transition: Transition = {
    guard,
    set: { ...set, ...epoch },
    // They were told of the former end.
    remove: [...removed, ...waiterFields(run)],
    add: { [field.changes]: 1 },
  };
  return { kind: "write", transition };
}

/** Whether a redrive goes on with undoing, as something of it is left. */
export function isUndoIncomplete(graph: Graph, run: RunState): boolean {
  return run.undos.some((undo) => undo !== undefined) && compensationOf(graph, run) === "incomplete";
}

type Change = Required<Pick<Transition, "set" | "remove">>;

/** It asks for another when it goes forward; what is undone waits for nobody. */
function withoutSlot(run: RunState, { set, remove }: Change): Change {
  if (run.slot === undefined) return { set, remove };
  const wanted = encodeSlot({ status: "wanted", key: run.slot.key });
  return { set: { ...set, [field.slotWanted]: wanted }, remove: [...remove, field.slotHeld] };
}

/** Compensations that did not succeed begin again with their first attempt; the run then ends as it had. */
function undoAgain(run: RunState): Change {
  const open = run.undos.flatMap((undo, index) => (undo?.status === "succeeded" ? [] : [field.undo(index)]));
  const set: Record<string, string> = { [field.status]: "unwinding" };
  if (run.status !== "failed") set[field.unwindTo] = run.status;
  // Only its end had closed them: in an open run they would be open again.
  run.steps.forEach((step, index) => {
    if (step?.status === "cancelled") set[field.step(index)] = encodeStep(step);
  });
  return { set, remove: [field.endedAt, ...open] };
}

/**
 * Steps that succeeded or were skipped keep what they have; all others begin again with their first attempt, and so does
 * what was undone, with everything that built on it. A run timeout begins again, too.
 */
function goForward(graph: Graph, run: RunState, nowMs: number, byHand: ByHand): Change {
  const isRepeated = (index: number): boolean => !byHand.has(index);
  const anew = [...stepsToRenew(graph, run)].filter(isRepeated);
  const remove: string[] = [field.error, field.endedAt, field.unwindTo];
  for (const index of [...stepsToRepeat(graph, run).filter(isRepeated), ...anew]) {
    remove.push(field.step(index), field.byHand(index), ...leftBy(run, index));
  }
  // What a person says of them counts, whether or not they had taken effect.
  for (const index of byHand.keys()) remove.push(field.undo(index), ...leftBy(run, index));
  const set: Record<string, string | number> = { [field.status]: "running", ...endedByHand(run, byHand, nowMs) };
  for (const index of anew) {
    remove.push(field.undo(index), field.output(index));
    // One that was sent early is still wanted; one that was taken must be sent again.
    if (run.signals[index] !== undefined && run.signals[index].payload === undefined) remove.push(field.signal(index));
    set[field.generation(index)] = run.epoch + 1;
  }
  if (graph.timeoutMs !== undefined) set[field.deadlineAt] = nowMs + graph.timeoutMs;
  const archived = withoutArchived(run.outputs, new Set(anew));
  if (archived !== undefined) set[field.archived] = archived;
  else if (run.outputs.some(isArchived)) remove.push(field.archived);
  return { set, remove: [...new Set(remove)] };
}

/** What code that is under way leaves beside the state of its step. */
function leftBy(run: RunState, index: number): string[] {
  return [
    ...(run.tokens[index] === undefined ? [] : [field.token(index)]),
    ...(run.interrupts[index] === undefined ? [] : [field.interrupts(index)]),
    ...(run.heartbeats[index] === undefined ? [] : [field.heartbeat(index)]),
  ];
}

/** What has been undone, and everything after it that had begun: it was built on something that is no more. */
export function stepsToRenew(graph: Graph, run: RunState): ReadonlySet<number> {
  const anew = new Set<number>();
  graph.steps.forEach((step, index) => {
    const isUndone = run.undos[index]?.status === "succeeded";
    const isBuiltOn = run.steps[index] !== undefined && dependencies(step).some((dependency) => anew.has(dependency));
    if (isUndone || isBuiltOn) anew.add(index);
  });
  return anew;
}

/**
 * What did not end well, except failures that were tolerated and that nothing which is repeated has missed: their
 * handlers may have run.
 */
export function stepsToRepeat(graph: Graph, run: RunState): number[] {
  const repeated: number[] = [];
  const missed = new Set<number>();
  // Against the graph: whether a step was missed is known once everything after it is.
  for (let index = graph.steps.length - 1; index >= 0; index--) {
    const step = graph.steps[index];
    const state = run.steps[index];
    if (step === undefined || state === undefined) continue;
    if (state.status === "succeeded" || state.status === "skipped") continue;
    // What a map tolerates is decided on anew each time.
    const mayStay = graph.shard === undefined && !missed.has(index);
    if (state.status === "failed" && step.onFailure === "continue" && mayStay) continue;
    repeated.push(index);
    const isBlocked = state.status === "failed" && state.attempt === 0;
    for (const dependency of isBlocked ? [...step.after, ...step.afterAny] : []) missed.add(dependency);
  }
  return repeated.reverse();
}

/** The run's deadline has passed. An early or foreign timer changes nothing. */
export function timeOut(graph: Graph, run: RunState, nowMs: number): OperateVerdict {
  if (run.deadlineAtMs === undefined || nowMs < run.deadlineAtMs) return { kind: "refused", status: run.status };
  const seconds = (graph.timeoutMs ?? 0) / 1_000;
  const error = { name: "RunTimeout", message: `The run did not end within its timeout of ${seconds} s.` };
  return stop(graph, "timeOut", run, { status: "timed_out", error: withFingerprint(graph, error) }, nowMs);
}

/**
 * A step that can be undone may be claimed between the look at the run and the write, so whether there is something to
 * undo is asked of the graph; the first look at the unwinding run ends it when there is nothing.
 */
function stop(
  graph: Graph,
  name: "cancel" | "timeOut",
  run: RunState,
  { status, ...change }: { readonly status: UnwindTarget; readonly error?: RunError },
  nowMs: number,
): OperateVerdict {
  if (run.status === "unwinding") {
    return run.unwindTo === status ? { kind: "already" } : { kind: "refused", status: run.status };
  }
  if (hasCompensation(graph) && run.status !== status)
    return move(name, run, { ...change, status: "unwinding", unwindTo: status, turnedAtMs: nowMs });
  return move(name, run, { ...change, ...endOf(run, status, nowMs) });
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
  const resumed: RunState = { ...rest, status: "running", turnedAtMs: nowMs };
  return { kind: "write", transition: transitionTo(run, settle(graph, resumed, nowMs)) };
}

function move(name: RunMove, run: RunState, change: Partial<RunState> & { status: RunStatus }): OperateVerdict {
  if (run.status === change.status) return { kind: "already" };
  if (!allowsRunMove(name, run.status)) return { kind: "refused", status: run.status };
  const { pause: _pause, ...rest } = run;
  return { kind: "write", transition: transitionTo(run, { ...rest, ...change }) };
}
