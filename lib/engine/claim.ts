/**
 * Who may work on an attempt (R3, R4). The first try needs no read: everything it relies on is in the message. When it
 * is refused, the image that comes back decides what becomes of the message; the rows are those of the delivery rule.
 */
import { endsWithParent, type Graph, type GraphStep } from "../definition/graph.ts";
import { limits } from "../definition/limits.ts";
import { acted, failedEnd, leavesDoubt } from "./acted.ts";
import { callbackTimeout } from "./callback.ts";
import { field, runSchemas } from "./codec.ts";
import { mayPrecedeRun, type StepMessage } from "./message.ts";
import { allowsStepMove } from "./moves.ts";
import { mayAttempt } from "./retry.ts";
import {
  type EndedStep,
  hasEnded,
  isBeforeEnd,
  type RunError,
  type RunState,
  type StepState,
  type WaitingStep,
} from "./run-state.ts";
import { settle, withFailure } from "./settle.ts";
import { decodeStep, encodeStep } from "./step-codec.ts";
import { type Attempt, fieldOn, policyOn, stateOn, statusOn, withState } from "./track.ts";
import type { Fields, Transition } from "./transition.ts";
import { endedStep, stepIs, transitionTo, withAt, withStep } from "./transition-to.ts";
import { wake } from "./waiting.ts";

export interface Claimant {
  /** Random per delivery. */
  readonly owner: string;
  readonly nowMs: number;
  /** Owners whose process is known to be gone: their leases end at once. */
  readonly isOwnerGone: (owner: string) => boolean;
  /** Random in [0, 1), for the pause after an attempt that waited in vain. */
  readonly fraction: number;
  /** Of a callback: hash of the task token that this claim's attempt will have; all former ones are dead then. */
  readonly tokenHash?: string;
}

export function claim(message: StepMessage, by: Claimant): Transition {
  return {
    guard: [
      // Nothing is written to a run of a shape that is not known: the claim alone reads nothing first.
      { field: field.schema, is: "oneOf", values: runSchemas },
      { field: field.status, is: "equal", value: statusOn(message.kind) },
      { field: field.epoch, is: "equal", value: message.epoch },
      { field: field.fingerprint, is: "equal", value: message.fingerprint },
      // A run that waits for its turn begins nothing, whatever message comes; what it did in a former epoch can be undone.
      ...(message.kind === "step" ? [{ field: field.slotWanted, is: "absent" } as const] : []),
      stepIs(message.step, stateBefore(message), message.kind),
    ],
    set: {
      [fieldOn(message.kind, message.step)]: encodeStep(claimed(message.attempt, by, message.mayHaveActed)),
      ...(by.tokenHash === undefined ? {} : { [field.token(message.step)]: by.tokenHash }),
    },
  };
}

/** Is refused by every run, and so brings it as it is after all writes that were asked for before: a read may be early. */
export const look: Transition = { guard: [{ field: field.status, is: "equal", value: "" }], set: {} };

/** A timer may claim only a step that waits for exactly its time; every other message only one that has not begun. */
function stateBefore({ attempt, wakeAtMs, mayHaveActed }: StepMessage): StepState | undefined {
  if (wakeAtMs === undefined) return undefined;
  return { status: "backing_off", attempt: attempt - 1, wakeAtMs, ...acted(mayHaveActed) };
}

function claimed(attempt: number, by: Claimant, mayHaveActed: boolean | undefined): StepState {
  const { owner, nowMs } = by;
  const leaseUntilMs = nowMs + limits.leaseMs;
  return { status: "running", attempt, owner, startedAtMs: nowMs, leaseUntilMs, ...acted(mayHaveActed) };
}

export type ClaimVerdict =
  /** The refused write had happened before, and its answer was lost. */
  | { readonly kind: "won" }
  /** Nothing stands in the way: claim it as the message says. */
  | { readonly kind: "claimable" }
  /** The time has come that the step waits for; an attempt that waited in vain for its callback has this error. */
  | { readonly kind: "wake"; readonly transition: Transition; readonly error?: RunError; readonly attempt: number }
  /** Take over as the next attempt. */
  | { readonly kind: "takeOver"; readonly transition: Transition }
  /** The lost worker's attempt was the last one, or its run is ending: end the step. */
  | { readonly kind: "giveUp"; readonly transition: Transition; readonly error?: RunError; readonly attempt: number }
  /** This attempt is over: send what is due because of it, as its worker may have died before it could, and acknowledge. */
  | { readonly kind: "over" }
  /** Keep the message. */
  | { readonly kind: "later"; readonly delayMs: number }
  | { readonly kind: "drop"; readonly because: string };

export function reconsiderClaim(
  graph: Graph,
  run: RunState | undefined,
  message: StepMessage,
  by: Claimant,
): ClaimVerdict {
  if (run === undefined) {
    return mayPrecedeRun(message, by.nowMs)
      ? { kind: "later", delayMs: limits.startRetryMs }
      : { kind: "drop", because: "no such run" };
  }
  if (run.fingerprint !== message.fingerprint || run.epoch !== message.epoch) {
    return { kind: "drop", because: "the message belongs to another graph or epoch of this run" };
  }
  // Whoever gives it its slot sends everything that is due then.
  if (run.slot?.status === "wanted" && isBeforeEnd(run.status)) {
    return { kind: "drop", because: "the run waits for its turn" };
  }
  const step = stateOn(message.kind, run, message.step);
  if (step?.status === "running") return reconsiderRunning(graph, run, message, by, step);
  // A paused run begins nothing; resuming it sends everything that is due.
  if (run.status === "paused" && !hasEnded(step)) return { kind: "drop", because: "the run is paused" };
  if (step?.status === "waiting") {
    const verdict = reconsiderWaiting(graph, run, message, by, step);
    if (verdict !== undefined) return verdict;
  }
  return run.status === statusOn(message.kind) && isAsBefore(message, step) ? { kind: "claimable" } : { kind: "over" };
}

function reconsiderWaiting(
  graph: Graph,
  run: RunState,
  message: StepMessage,
  by: Claimant,
  step: WaitingStep,
): ClaimVerdict | undefined {
  // A timer of a wait that was prolonged since is over, and so is answered with another: heartbeats need send none.
  if (step.wakeAtMs === undefined || message.wakeAtMs !== step.wakeAtMs) return undefined;
  const transition = wake(graph, run, message.step, by.nowMs, by.fraction);
  if (transition === undefined) return undefined;
  const graphStep = graph.steps[message.step];
  const error = graphStep?.kind === "callback" ? callbackTimeout(graphStep, step) : undefined;
  return { kind: "wake", transition, attempt: step.attempt, ...(error === undefined ? {} : { error }) };
}

/** Whether the step is what a claim by this message relies on. */
function isAsBefore(message: StepMessage, step: StepState | undefined): boolean {
  const before = stateBefore(message);
  if (before === undefined || step === undefined) return before === step;
  return encodeStep(before) === encodeStep(step);
}

function reconsiderRunning(
  graph: Graph,
  run: RunState,
  message: StepMessage,
  by: Claimant,
  step: Extract<StepState, { status: "running" }>,
): ClaimVerdict {
  if (step.owner === by.owner) return { kind: "won" };
  const remainingMs = leaseRemainingMs(step, by);
  if (remainingMs > 0) return { kind: "later", delayMs: remainingMs };
  const graphStep = graph.steps[message.step];
  if (graphStep === undefined) return { kind: "drop", because: `the graph has no step ${message.step}` };

  const track = message.kind;
  if (allowsStepMove("markUnknown", run.status, step.status, track)) {
    const { attempt, startedAtMs } = step;
    // If it has started a child, that one's end will tell.
    const left: StepState = endsWithParent(graphStep)
      ? { status: "waiting", attempt, sinceMs: startedAtMs }
      : endedStep(step, "unknown", by.nowMs);
    const next = withStep(run, message.step, left);
    return { kind: "giveUp", transition: transitionTo(run, settle(graph, next, by.nowMs)), attempt: step.attempt };
  }
  if (!allowsStepMove("claim", run.status, step.status, track))
    return { kind: "drop", because: `the run is ${run.status}` };
  const policy = policyOn(track, graphStep);
  if (policy !== undefined && mayAttempt(policy, step.attempt + 1)) {
    const next = withState(track, run, message.step, claimed(step.attempt + 1, by, leavesDoubt(track, graphStep)));
    const { tokenHash } = by;
    const own = tokenHash === undefined ? next : { ...next, tokens: withAt(run.tokens, message.step, tokenHash) };
    return { kind: "takeOver", transition: transitionTo(run, own) };
  }
  const error = workerCrashed(graphStep, step.attempt);
  const failed = withEnd(
    graph,
    run,
    { track, step: message.step },
    failedEnd(step, leavesDoubt(track, graphStep), by.nowMs),
    error,
  );
  return {
    kind: "giveUp",
    transition: transitionTo(run, settle(graph, failed, by.nowMs)),
    error,
    attempt: step.attempt,
  };
}

/** The step has failed for good. What fails to be undone says nothing about why its run failed. */
export function withEnd(
  graph: Graph,
  run: RunState,
  { track, step }: Pick<Attempt, "track" | "step">,
  state: EndedStep,
  error: RunError,
): RunState {
  const next = withState(track, run, step, state);
  return track === "step" ? withFailure(graph, next, step, error) : next;
}

/**
 * How long workers may still be at work on a run that has ended: their leases are those that it ended with. 0: none is.
 *
 * @param fields as they are stored: the decoded run has no lease any more
 */
export function longestLeaseMs(fields: Fields, nowMs: number): number {
  return Object.entries(fields).reduce<number>((longest, [name, value]) => {
    const step = /^[su]\d/.test(name) ? decodeStep(String(value)) : undefined;
    if (step?.status !== "running") return longest;
    return Math.max(longest, leaseRemainingMs(step, { nowMs, isOwnerGone: () => false }));
  }, 0);
}

/** A lease that ends later than any honest clock could have set it counts as expired: the fence makes that safe. */
export function leaseRemainingMs(
  step: Extract<StepState, { status: "running" }>,
  by: Pick<Claimant, "nowMs" | "isOwnerGone">,
): number {
  if (by.isOwnerGone(step.owner)) return 0;
  const remainingMs = step.leaseUntilMs - by.nowMs;
  return remainingMs > limits.leaseMs + limits.clockSkewMs ? 0 : Math.max(0, remainingMs);
}

function workerCrashed(step: GraphStep, attempt: number): RunError {
  const message = `The worker of attempt ${attempt} of step "${step.id}" was lost (crash, out of memory, or its machine went away), and that was the last of ${attempt} attempts.`;
  return { name: "WorkerCrashed", message, step: step.id };
}
