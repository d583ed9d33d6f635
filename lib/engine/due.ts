/**
 * Everything that should be in flight for a run, as messages (R5). After a commit only the part that the commit caused
 * is sent; resume and nudges send all of it. Sending twice is harmless: the claim is the fence (R7).
 */
import { dependants, endsWithParent, type Graph, type GraphStep, startsRun } from "../definition/graph.ts";
import { limits } from "../definition/limits.ts";
import { acted } from "./acted.ts";
import { parentRunId } from "./child.ts";
import type { Message, OutgoingMessage, StepMessage } from "./message.ts";
import { beganAtMs, readiness } from "./readiness.ts";
import { isBeforeEnd, isTerminal, type RunState, type RunStatus } from "./run-state.ts";
import type { Attempt, Track } from "./track.ts";
import { isDrained, planUndo, stepsBefore } from "./undo.ts";

/** All that should be in flight. */
export function due(graph: Graph, run: RunState, nowMs: number): OutgoingMessage[] {
  const messages = graph.steps.flatMap((_step, index) => dueForStep(graph, run, index, nowMs) ?? []);
  messages.push(...dueUndos(graph, run, nowMs));
  const ofRun = isTerminal(run.status) ? [] : [dueSlot(graph, run, nowMs), dueDeadline(graph, run, nowMs)];
  return oneLook([...messages, ...ofRun.filter((message) => message !== undefined), ...dueAtEnd(graph, run, nowMs)]);
}

/**
 * What the end of the run, or its unwinding, asks for: its slot is given back, the parent's step ends, and children end
 * with it. Whoever brings the run into that status sends it, and whoever may be doing so for the second time.
 */
export function dueAtEnd(graph: Graph, run: RunState, nowMs: number): OutgoingMessage[] {
  const ofRun = isTerminal(run.status) ? [dueSlot(graph, run, nowMs), noticeToParent(run, nowMs)] : [];
  const messages = ofRun.filter((message) => message !== undefined);
  if (isBeforeEnd(run.status) || run.status === "succeeded") return messages;
  graph.steps.forEach((step, index) => {
    if (!endsWithParent(step) || !mayHaveOpenChild(run, index)) return;
    messages.push(aboutChild("endChild", graph, run, index, nowMs));
  });
  return messages;
}

/**
 * Of an unwinding run, those that it waits for, and those of a run that was terminated before it unwound; later any whose
 * end it has not taken, of former epochs, too. One that was ended by hand has not taken any.
 */
export function mayHaveOpenChild(run: RunState, index: number): boolean {
  const state = run.steps[index];
  if (run.status === "unwinding") return state?.status === "waiting" || state?.status === "cancelled";
  if (run.byHand?.[index] !== undefined) return true;
  return state === undefined ? run.epoch > 0 : state.status !== "succeeded" && state.status !== "skipped";
}

function noticeToParent({ runId, parent }: RunState, nowMs: number): OutgoingMessage | undefined {
  if (parent === undefined) return undefined;
  const { workflow, fingerprint, epoch, step, taskQueue } = parent;
  const about = { v: 1, runId: parentRunId(runId), workflow, fingerprint, epoch, sentAtMs: nowMs } as const;
  return { taskQueue, message: { ...about, kind: "childEnded", step }, delayMs: 0 };
}

/** For the workers of the step: they have started the child, so they know its workflow. */
function aboutChild(
  kind: "childEnded" | "endChild",
  graph: Graph,
  run: RunState,
  index: number,
  nowMs: number,
): OutgoingMessage {
  const taskQueue = graph.steps[index]?.taskQueue ?? "default";
  return { taskQueue, message: { ...envelope(run, nowMs), kind, step: index }, delayMs: 0 };
}

/** Steps that are too far ahead for a timer share one nudge: each nudge looks at all of them. */
function oneLook(messages: readonly OutgoingMessage[]): OutgoingMessage[] {
  const first = messages.find(({ message }) => message.kind === "nudge");
  return messages.filter((outgoing) => outgoing.message.kind !== "nudge" || outgoing === first);
}

/**
 * The part of `due` that this step's last move caused: its own timer, and the steps that may begin because it ended,
 * whether they wait for it directly or for a step that was skipped or blocked because of it; in a run that unwinds, what
 * may be undone because of it; and what the run's end asks for, if that was it.
 *
 * @param before the run's status before the move; absent when the move may have been made earlier
 */
export function dueBecauseOf(
  graph: Graph,
  run: RunState,
  cause: number,
  nowMs: number,
  track: Track = "step",
  before?: RunStatus,
): OutgoingMessage[] {
  // Any step may have been the last that was waited for; an undone one makes way for those before it.
  const messages =
    track === "undo"
      ? dueUndos(graph, run, nowMs, new Set([cause, ...stepsBefore(graph, cause)]), cause)
      : [...dueUndos(graph, run, nowMs), ...dueAfter(graph, run, cause, nowMs)];
  const atEnd = run.status === before ? [] : dueAtEnd(graph, run, nowMs);
  return oneLook([...messages, ...atEnd]);
}

function dueAfter(graph: Graph, run: RunState, cause: number, nowMs: number): OutgoingMessage[] {
  const messages: OutgoingMessage[] = [];
  const seen = new Set<number>([cause]);
  const pending = [cause];
  for (let index = pending.pop(); index !== undefined; index = pending.pop()) {
    const state = run.steps[index];
    // A child that was started tells its end by itself.
    const isUnderWay = state?.status === "waiting" && run.status === "running" && startsRun(graph.steps[index]);
    const message = state?.status === "running" || isUnderWay ? undefined : dueForStep(graph, run, index, nowMs);
    if (message !== undefined) messages.push(message);
    const passesOn = index === cause || state?.attempt === 0;
    for (const dependant of passesOn ? (dependants(graph)[index] ?? []) : []) {
      if (seen.has(dependant)) continue;
      seen.add(dependant);
      pending.push(dependant);
    }
  }
  return messages;
}

function dueForStep(graph: Graph, run: RunState, index: number, nowMs: number): OutgoingMessage | undefined {
  const step = graph.steps[index];
  const state = run.steps[index];
  if (step === undefined || (run.status !== "running" && run.status !== "unwinding")) return undefined;
  if (run.slot?.status === "wanted") return undefined;
  const send = (attempt: number, atMs: number, wakeAtMs?: number, mayHaveActed?: true): OutgoingMessage =>
    attemptMessage(step, run, { track: "step", step: index }, { attempt, wakeAtMs, mayHaveActed }, atMs, nowMs);
  // Brings the step back if its worker is lost; while it lives, the message is kept until its lease ends.
  if (state?.status === "running") return send(state.attempt, nowMs);
  if (state?.status === "waiting" && startsRun(step)) {
    if (run.status === "running") return aboutChild("childEnded", graph, run, index, nowMs);
    return endsWithParent(step) ? aboutChild("endChild", graph, run, index, nowMs) : undefined;
  }
  if (run.status === "unwinding") return undefined;
  if (state?.status === "backing_off") {
    return send(state.attempt + 1, state.wakeAtMs, state.wakeAtMs, state.mayHaveActed);
  }
  if (state?.status === "waiting" && state.wakeAtMs !== undefined) {
    return send(state.attempt, state.wakeAtMs, state.wakeAtMs);
  }
  if (state !== undefined || readiness(step, run.steps) !== "ready") return undefined;
  const readyMs = beganAtMs(graph, run, index, nowMs);
  const atMs = Math.max(readyMs + (step.delayMs ?? 0), step.startAtMs ?? 0);
  // Further ahead than any timer reaches: the claim does not look at the clock, so another look is taken instead.
  return atMs - nowMs > limits.delayMs ? nudge(graph, run, nowMs, limits.delayMs) : send(1, atMs);
}

/**
 * What is to be undone now.
 *
 * @param among only these steps
 * @param except its worker is sending this, so that a running attempt of it needs no message
 */
function dueUndos(
  graph: Graph,
  run: RunState,
  nowMs: number,
  among?: ReadonlySet<number>,
  except?: number,
): OutgoingMessage[] {
  if (run.status !== "unwinding" || !isDrained(graph, run)) return [];
  const ready = new Set(planUndo(graph, run).ready);
  return graph.steps.flatMap((step, index) => {
    if (among !== undefined && !among.has(index)) return [];
    const state = run.undos[index];
    const send = (attempt: number, atMs: number, wakeAtMs?: number): OutgoingMessage =>
      attemptMessage(step, run, { track: "undo", step: index }, { attempt, wakeAtMs }, atMs, nowMs);
    if (state === undefined) return ready.has(index) ? [send(1, nowMs)] : [];
    if (state.status === "running") return index === except ? [] : [send(state.attempt, nowMs)];
    return state.status === "backing_off" ? [send(state.attempt + 1, state.wakeAtMs, state.wakeAtMs)] : [];
  });
}

function attemptMessage(
  graphStep: GraphStep,
  run: RunState,
  { track, step }: Pick<Attempt, "track" | "step">,
  {
    attempt,
    wakeAtMs,
    mayHaveActed,
  }: Pick<StepMessage, "attempt"> & {
    readonly wakeAtMs?: number | undefined;
    readonly mayHaveActed?: true | undefined;
  },
  atMs: number,
  nowMs: number,
): OutgoingMessage {
  const message: Message = {
    ...envelope(run, nowMs),
    kind: track,
    step,
    attempt,
    ...(wakeAtMs === undefined ? {} : { wakeAtMs }),
    ...acted(mayHaveActed),
  };
  return { taskQueue: graphStep.taskQueue, message, delayMs: waitMs(atMs, nowMs) };
}

/** A run that has a ticket waits for others: whoever gives its slot back finds it. */
export function dueSlot(graph: Graph | undefined, run: RunState, nowMs: number): OutgoingMessage | undefined {
  const { slot } = run;
  const isAsked = slot?.status === "wanted" && slot.ticket === undefined && isBeforeEnd(run.status);
  const isLeft = slot?.status === "held" && isTerminal(run.status);
  if (!isAsked && !isLeft) return undefined;
  const message: Message = { ...envelope(run, nowMs), kind: "slot" };
  const delayMs = isAsked ? waitMs(asksForSlotAtMs(run), nowMs) : 0;
  return { taskQueue: firstTaskQueue(graph), message, delayMs };
}

/** A run that is to start later keeps nobody waiting until then. A start asks for itself at once; this is for one that dies. */
export function asksForSlotAtMs(run: RunState): number {
  if (startsLater(run)) return run.startAtMs;
  return run.epoch > 0 ? 0 : run.createdAtMs + limits.nudgeDelayMs;
}

export function startsLater(run: RunState): run is RunState & { readonly startAtMs: number } {
  return run.startAtMs !== undefined && run.startAtMs > run.createdAtMs;
}

function dueDeadline(graph: Graph, run: RunState, nowMs: number): OutgoingMessage | undefined {
  if (run.deadlineAtMs === undefined || !isBeforeEnd(run.status)) return undefined;
  const delayMs = waitMs(run.deadlineAtMs, nowMs);
  return { taskQueue: firstTaskQueue(graph), message: { ...envelope(run, nowMs), kind: "deadline" }, delayMs };
}

/** Armed before a change from outside: if its sender dies between write and sending, this brings `due` about. */
export function nudge(
  graph: Graph | undefined,
  run: RunState,
  nowMs: number,
  delayMs: number = limits.nudgeDelayMs,
): OutgoingMessage {
  const message: Message = { ...envelope(run, nowMs), kind: "nudge" };
  return { taskQueue: firstTaskQueue(graph), message, delayMs };
}

/** Messages about the run as a whole need a worker that knows the workflow; those of its first step do. */
function firstTaskQueue(graph: Graph | undefined): string {
  return graph?.steps[0]?.taskQueue ?? "default";
}

function envelope(run: RunState, nowMs: number): Omit<Message, "kind" | "step" | "attempt" | "wakeAtMs"> {
  const { runId, workflow, fingerprint, epoch } = run;
  return { v: 1, runId, workflow, fingerprint, epoch, sentAtMs: nowMs };
}

function waitMs(atMs: number, nowMs: number): number {
  return Math.min(Math.max(0, Math.ceil(atMs - nowMs)), limits.delayMs);
}
