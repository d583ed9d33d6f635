/** How an attempt ends. Its fence is the step exactly as it was claimed: a worker that lost its lease commits nothing (R4, R6). */
import { endsWithParent, type Graph, startsRun } from "../definition/graph.ts";
import { limits } from "../definition/limits.ts";
import { acted, canBeUndone, failedEnd, leavesDoubt } from "./acted.ts";
import { withEnd } from "./claim.ts";
import { field } from "./codec.ts";
import { allowsStepMove } from "./moves.ts";
import { beganAtMs } from "./readiness.ts";
import { decideRetry, type Failure } from "./retry.ts";
import {
  type EndedStep,
  hasEnded,
  type Interrupts,
  isTerminal,
  type PayloadRef,
  type RunError,
  type RunState,
  type StepState,
} from "./run-state.ts";
import { settle } from "./settle.ts";
import { type Attempt, policyOn, stateOn, withState } from "./track.ts";
import type { Transition } from "./transition.ts";
import { endedStep, transitionTo, withAt, withOutput, withStep } from "./transition-to.ts";
import { inHand, reliedOn } from "./unclaimed.ts";

export type Outcome =
  | { readonly kind: "succeeded"; readonly output: PayloadRef }
  /** @param fraction random in [0, 1), for the backoff's jitter */
  | {
      readonly kind: "failed";
      readonly error: RunError;
      readonly failure: Failure;
      readonly fraction: number;
      /** What it left all the same. */
      readonly output?: PayloadRef;
    }
  /** A poll's look did not find what is waited for. @param fraction as of `failed` */
  | { readonly kind: "notYet"; readonly fraction: number }
  /** `when` was false. */
  | { readonly kind: "skipped" }
  /** `startAt` is ahead: the attempt was not used, and begins again then. */
  | { readonly kind: "deferred"; readonly wakeAtMs: number }
  /** The step waits without a worker; a signal that was sent before ends the wait at once. */
  | { readonly kind: "waits"; readonly forMs?: number; readonly untilMs?: number }
  /** Its run is being ended, and the attempt ended before it had a result. */
  | { readonly kind: "cutOff" }
  /** The code asked a question that has no answer yet: the attempt is given back, and the step waits for a person. */
  | { readonly kind: "interrupted"; readonly interrupts: Interrupts }
  /** The worker shuts down: the attempt is given back. */
  | { readonly kind: "released" };

export type CommitVerdict =
  | { readonly kind: "write"; readonly transition: Transition; readonly ends: StepState["status"] }
  /** This very commit had happened before, and its answer was lost. */
  | { readonly kind: "committed" }
  /** Someone else has ended this very attempt, and nothing is left to commit. */
  | { readonly kind: "endedElsewhere" }
  /** Another attempt has taken over: the message is its own now and is not acknowledged. */
  | { readonly kind: "lost"; readonly leaseUntilMs?: number }
  /** The run ended first. */
  | { readonly kind: "runEnded" };

export function commit(graph: Graph, run: RunState, mine: Attempt, outcome: Outcome, nowMs: number): CommitVerdict {
  const step = inHand(run, mine);
  if (step === undefined) return commitRefused(run, stateOn(mine.track, run, mine.step), mine, outcome);
  if (!allowsStepMove("succeed", run.status, step.status, mine.track)) return { kind: "lost" };
  if (outcome.kind === "waits") return beginWaiting(graph, run, mine.step, step, outcome, nowMs);
  const state = endOf(graph, run, mine, step, outcome, nowMs);
  const settled = settle(graph, afterEnd(graph, run, mine, state, outcome), nowMs);
  return { kind: "write", transition: transitionTo(run, settled, reliedOn(mine)), ends: state.status };
}

function afterEnd(graph: Graph, run: RunState, mine: Attempt, state: StepState, outcome: Outcome): RunState {
  const output = "output" in outcome && mine.track === "step" ? outcome.output : undefined;
  const next =
    output === undefined ? withState(mine.track, run, mine.step, state) : withOutput(run, mine.step, state, output);
  const isFailure = outcome.kind === "failed" || outcome.kind === "notYet";
  if (isFailure && hasEnded(state)) {
    const error = outcome.kind === "failed" ? outcome.error : pollExhausted(graph, mine.step);
    return withEnd(graph, next, mine, state, error);
  }
  // Of a step that has ended nobody asks for the details.
  const open = hasEnded(state) ? next : withHeartbeat(next, mine);
  const isParked = outcome.kind === "interrupted" && state.status === "waiting";
  return isParked ? { ...open, interrupts: withAt(run.interrupts, mine.step, outcome.interrupts) } : open;
}

/** An end like the one that we wanted is our own: the few who may end the attempt of another leave another end. */
function commitRefused(run: RunState, step: StepState | undefined, mine: Attempt, outcome: Outcome): CommitVerdict {
  const isOurs = step !== undefined && endsOf(outcome, mine.attempt).includes(`${step.status} ${step.attempt}`);
  if (isOurs) return { kind: "committed" };
  // A run that unwinds does not know of what was not claimed.
  const isForgotten = mine.unclaimed !== undefined && run.status === "unwinding" && !hasEnded(step);
  if (isTerminal(run.status) || isForgotten) return { kind: "runEnded" };
  if (step?.status === "running") return { kind: "lost", leaseUntilMs: step.leaseUntilMs };
  return step?.attempt === mine.attempt ? { kind: "endedElsewhere" } : { kind: "lost" };
}

/** What the step may be after a commit with this outcome: status and attempt. */
function endsOf({ kind }: Outcome, attempt: number): string[] {
  switch (kind) {
    case "succeeded":
    case "skipped":
      return [`${kind} ${attempt}`];
    case "failed":
    case "notYet":
      return [`failed ${attempt}`, `unknown ${attempt}`, `backing_off ${attempt}`];
    case "cutOff":
      return [`unknown ${attempt}`, `cancelled ${attempt}`, `waiting ${attempt}`];
    case "waits":
      return [`waiting ${attempt}`, `succeeded ${attempt}`, `skipped ${attempt}`, `unknown ${attempt}`];
    case "interrupted":
      return [`waiting ${attempt - 1}`, `skipped ${attempt}`, `unknown ${attempt}`];
    case "deferred":
    case "released":
      return [`backing_off ${attempt - 1}`, `skipped ${attempt}`, `unknown ${attempt}`];
  }
}

function beginWaiting(
  graph: Graph,
  run: RunState,
  index: number,
  step: Extract<StepState, { status: "running" }>,
  { forMs, untilMs }: Extract<Outcome, { kind: "waits" }>,
  nowMs: number,
): CommitVerdict {
  const signal = run.signals[index];
  if (signal?.payload !== undefined) {
    const signals = [...run.signals];
    signals[index] = { id: signal.id };
    const taken = { ...withOutput(run, index, endedStep(step, "succeeded", nowMs), signal.payload), signals };
    return { kind: "write", transition: transitionTo(run, settle(graph, taken, nowMs)), ends: "succeeded" };
  }
  const move = startsRun(graph.steps[index]) ? "waitForChild" : "wait";
  if (!allowsStepMove(move, run.status, step.status)) {
    // What the holder of a task token makes of it will not be known; for a signal or a time was only waited.
    const ends = graph.steps[index]?.kind === "callback" ? "unknown" : "skipped";
    const left = withStep(run, index, endedStep(step, ends, nowMs));
    return { kind: "write", transition: transitionTo(run, settle(graph, left, nowMs)), ends };
  }
  // A length counts from the moment at which the step begins to wait, which is this one.
  const wakeAtMs = forMs === undefined ? untilMs : nowMs + forMs;
  const waiting: StepState = {
    status: "waiting",
    attempt: step.attempt,
    sinceMs: nowMs,
    ...acted(step.mayHaveActed),
    ...(wakeAtMs === undefined ? {} : { wakeAtMs }),
  };
  const next = settle(graph, withStep(run, index, waiting), nowMs);
  // A signal that is sent meanwhile is kept, and this write then decides again.
  const unsent = { field: field.signal(index), is: "absent" } as const;
  return { kind: "write", transition: transitionTo(run, next, [unsent]), ends: "waiting" };
}

function endOf(
  graph: Graph,
  run: RunState,
  mine: Attempt,
  step: Extract<StepState, { status: "running" }>,
  outcome: Exclude<Outcome, { kind: "waits" }>,
  nowMs: number,
): StepState {
  switch (outcome.kind) {
    case "succeeded":
    case "skipped":
      return endedStep(step, outcome.kind, nowMs);
    case "failed":
      return afterFailure(graph, run, mine, step, outcome, nowMs);
    case "notYet":
      return afterFailure(graph, run, mine, step, { ...outcome, failure: { retryable: true } }, nowMs);
    case "cutOff": {
      // A former attempt may have started a child: that one's end will tell.
      const graphStep = graph.steps[mine.step];
      if (endsWithParent(graphStep)) return { status: "waiting", attempt: step.attempt, sinceMs: step.startedAtMs };
      return endedStep(step, leavesDoubt(mine.track, graphStep) ? "unknown" : "cancelled", nowMs);
    }
    case "interrupted": {
      // Code that asks has got half-way.
      const mayHaveActed = step.mayHaveActed === true || canBeUndone(mine.track, graph.steps[mine.step]);
      if (!allowsStepMove("wait", run.status, step.status)) {
        return endedStep(step, mayHaveActed ? "unknown" : "skipped", nowMs);
      }
      return { status: "waiting", attempt: step.attempt - 1, sinceMs: nowMs, ...acted(mayHaveActed) };
    }
    case "deferred":
    case "released": {
      // An unwinding run begins nothing: what gives its attempt back has ended without effect.
      // Code that a shutdown stopped may have got half-way.
      const isStopped = outcome.kind === "released" && leavesDoubt(mine.track, graph.steps[mine.step]);
      const mayHaveActed = isStopped || step.mayHaveActed === true;
      if (!allowsStepMove("defer", run.status, step.status, mine.track)) {
        return endedStep(step, mayHaveActed ? "unknown" : "skipped", nowMs);
      }
      const wakeAtMs = outcome.kind === "deferred" ? outcome.wakeAtMs : nowMs;
      return { status: "backing_off", attempt: step.attempt - 1, wakeAtMs, ...acted(mayHaveActed) };
    }
  }
}

/** What an attempt that failed leaves the step in: the wait for the next one, or its end. */
export function afterFailure(
  graph: Graph,
  run: RunState,
  { track, step: index }: Pick<Attempt, "track" | "step">,
  step: Pick<EndedStep, "attempt" | "startedAtMs"> & { readonly mayHaveActed?: true },
  { failure, fraction }: { readonly failure: Failure; readonly fraction: number },
  nowMs: number,
): StepState {
  const graphStep = graph.steps[index];
  const policy = graphStep === undefined ? undefined : policyOn(track, graphStep);
  const mayHaveActed = step.mayHaveActed === true || (failure.isCutOff === true && canBeUndone(track, graphStep));
  const failed = failedEnd(step, mayHaveActed, nowMs);
  if (policy === undefined || !allowsStepMove("backOff", run.status, "running", track)) return failed;
  const decision = decideRetry(policy, step.attempt, failure, fraction);
  if (!decision.retry) return failed;
  const wakeAtMs = nowMs + decision.delayMs;
  if (track === "step" && wakeAtMs > pollEndsAtMs(graph, run, index, nowMs)) return failed;
  return { status: "backing_off", attempt: step.attempt, wakeAtMs, ...acted(mayHaveActed) };
}

/** A poll makes no attempt after this; every other step may. */
function pollEndsAtMs(graph: Graph, run: RunState, index: number, nowMs: number): number {
  const step = graph.steps[index];
  const timeoutMs = step?.kind === "step" ? step.poll?.timeoutMs : undefined;
  if (timeoutMs === undefined) return Number.POSITIVE_INFINITY;
  // A redriven poll has its whole time again, although what it depends on ended long ago.
  return Math.max(beganAtMs(graph, run, index, nowMs), run.redrivenAtMs ?? 0) + timeoutMs;
}

/** The error of a poll that gave up although no look of it failed: derived, not stored. */
export function pollExhausted(graph: Graph, index: number): RunError {
  const id = graph.steps[index]?.id ?? String(index);
  const message = `Poll "${id}" gave up: what it waited for did not come within its timeout or its number of attempts.`;
  return { name: "PollExhausted", message, step: id };
}

/** The lease, extended (or begun, of an attempt that was not claimed), and the details of the last heartbeat with it; or `undefined` when the attempt is no longer ours to extend. */
export function renew(run: RunState, mine: Attempt, nowMs: number): Transition | undefined {
  const step = inHand(run, mine);
  if (step === undefined) return undefined;
  if (!allowsStepMove("renew", run.status, step.status, mine.track)) return undefined;
  const renewed = withState(mine.track, run, mine.step, { ...step, leaseUntilMs: nowMs + limits.leaseMs });
  return transitionTo(run, withHeartbeat(renewed, mine), reliedOn(mine));
}

/** Details of heartbeats cost no write of their own. */
function withHeartbeat(run: RunState, { step, heartbeat }: Attempt): RunState {
  return heartbeat === undefined ? run : { ...run, heartbeats: withAt(run.heartbeats, step, heartbeat) };
}

/**
 * Ends a step that the engine itself cannot bring to an end: its message failed at every delivery. The run then fails
 * with the cause instead of hanging (R5). `undefined` when the step has ended, or the run has.
 */
export function giveUp(
  graph: Graph,
  run: RunState,
  mine: Pick<Attempt, "track" | "step">,
  error: RunError,
  nowMs: number,
): Transition | undefined {
  const step = stateOn(mine.track, run, mine.step);
  if (!allowsStepMove("giveUp", run.status, step?.status ?? "pending", mine.track)) return undefined;
  // What waits has started a run, when it can be undone.
  const mayHaveActed =
    step?.status === "backing_off"
      ? step.mayHaveActed
      : step !== undefined && canBeUndone(mine.track, graph.steps[mine.step]);
  const startedAtMs = step?.status === "running" ? step.startedAtMs : nowMs;
  const failed = failedEnd({ attempt: step?.attempt ?? 0, startedAtMs }, mayHaveActed, nowMs);
  return transitionTo(run, settle(graph, withEnd(graph, run, mine, failed, error), nowMs));
}
