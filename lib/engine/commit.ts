/** How an attempt ends. Its fence is the step exactly as it was claimed: a worker that lost its lease commits nothing (R4, R6). */
import { type Graph, startsRun } from "../definition/graph.ts";
import { limits } from "../definition/limits.ts";
import { endedStep } from "./claim.ts";
import { field } from "./codec.ts";
import { allowsStepMove } from "./moves.ts";
import { beganAtMs } from "./readiness.ts";
import { decideRetry, type Failure } from "./retry.ts";
import {
  type EndedStep,
  isTerminal,
  type PayloadRef,
  type RunError,
  type RunState,
  type StepState,
} from "./run-state.ts";
import { settle, withFailure } from "./settle.ts";
import type { Transition } from "./transition.ts";
import { transitionTo, withStep } from "./transition-to.ts";
import { withOutput } from "./waiting.ts";

/** An attempt that this worker has claimed. */
export interface Attempt {
  readonly step: number;
  readonly attempt: number;
  readonly owner: string;
}

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
  const step = run.steps[mine.step];
  if (step?.status !== "running" || step.attempt !== mine.attempt || step.owner !== mine.owner) {
    return commitRefused(run, step, mine, outcome);
  }
  if (outcome.kind === "waits") return beginWaiting(graph, run, mine.step, step, outcome, nowMs);
  const state = endOf(graph, run, mine.step, step, outcome, nowMs);
  let next = withStep(run, mine.step, state);
  if (outcome.kind === "succeeded")
    next = withOutput(run, mine.step, endedStep(step, "succeeded", nowMs), outcome.output);
  if (outcome.kind === "failed" && outcome.output !== undefined)
    next = withOutput(run, mine.step, state, outcome.output);
  if (state.status === "failed") {
    const error = outcome.kind === "failed" ? outcome.error : pollExhausted(graph, mine.step);
    next = withFailure(graph, next, mine.step, error);
  }
  const settled = settle(graph, next, nowMs);
  return { kind: "write", transition: transitionTo(run, settled), ends: state.status };
}

/** An end like the one that we wanted is our own: the few who may end the attempt of another leave another end. */
function commitRefused(run: RunState, step: StepState | undefined, mine: Attempt, outcome: Outcome): CommitVerdict {
  const isOurs = step !== undefined && endsOf(outcome, mine.attempt).includes(`${step.status} ${step.attempt}`);
  if (isOurs) return { kind: "committed" };
  if (isTerminal(run.status)) return { kind: "runEnded" };
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
      return [`failed ${attempt}`, `backing_off ${attempt}`];
    case "waits":
      return [`waiting ${attempt}`, `succeeded ${attempt}`, `skipped ${attempt}`];
    case "deferred":
    case "released":
      return [`backing_off ${attempt - 1}`, `skipped ${attempt}`];
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
    const left = withStep(run, index, endedStep(step, "skipped", nowMs));
    return { kind: "write", transition: transitionTo(run, settle(graph, left, nowMs)), ends: "skipped" };
  }
  // A length counts from the moment at which the step begins to wait, which is this one.
  const wakeAtMs = forMs === undefined ? untilMs : nowMs + forMs;
  const waiting: StepState = {
    status: "waiting",
    attempt: step.attempt,
    sinceMs: nowMs,
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
  index: number,
  step: Extract<StepState, { status: "running" }>,
  outcome: Exclude<Outcome, { kind: "waits" }>,
  nowMs: number,
): StepState {
  switch (outcome.kind) {
    case "succeeded":
    case "skipped":
      return endedStep(step, outcome.kind, nowMs);
    case "failed":
      return afterFailure(graph, run, index, step, outcome, nowMs);
    case "notYet":
      return afterFailure(graph, run, index, step, { ...outcome, failure: { retryable: true } }, nowMs);
    case "deferred":
    case "released": {
      // An unwinding run begins nothing: what gives its attempt back has ended without effect.
      if (!allowsStepMove("defer", run.status, step.status)) return endedStep(step, "skipped", nowMs);
      const wakeAtMs = outcome.kind === "deferred" ? outcome.wakeAtMs : nowMs;
      return { status: "backing_off", attempt: step.attempt - 1, wakeAtMs };
    }
  }
}

/** What an attempt that failed leaves the step in: the wait for the next one, or its end. */
export function afterFailure(
  graph: Graph,
  run: RunState,
  index: number,
  step: Pick<EndedStep, "attempt" | "startedAtMs">,
  { failure, fraction }: { readonly failure: Failure; readonly fraction: number },
  nowMs: number,
): StepState {
  const policy = graph.steps[index]?.retry;
  const failed = endedStep(step, "failed", nowMs);
  if (policy === undefined || !allowsStepMove("backOff", run.status, "running")) return failed;
  const decision = decideRetry(policy, step.attempt, failure, fraction);
  if (!decision.retry) return failed;
  const wakeAtMs = nowMs + decision.delayMs;
  if (wakeAtMs > pollEndsAtMs(graph, run, index, nowMs)) return failed;
  return { status: "backing_off", attempt: step.attempt, wakeAtMs };
}

/** A poll makes no attempt after this; every other step may. */
function pollEndsAtMs(graph: Graph, run: RunState, index: number, nowMs: number): number {
  const step = graph.steps[index];
  const timeoutMs = step?.kind === "step" ? step.poll?.timeoutMs : undefined;
  return timeoutMs === undefined ? Number.POSITIVE_INFINITY : beganAtMs(graph, run, index, nowMs) + timeoutMs;
}

/** The error of a poll that gave up although no look of it failed: derived, not stored. */
export function pollExhausted(graph: Graph, index: number): RunError {
  const id = graph.steps[index]?.id ?? String(index);
  const message = `Poll "${id}" gave up: what it waited for did not come within its timeout or its number of attempts.`;
  return { name: "PollExhausted", message, step: id };
}

/** The lease, extended; or `undefined` when the attempt is no longer ours to extend. */
export function renew(run: RunState, mine: Attempt, nowMs: number): Transition | undefined {
  const step = run.steps[mine.step];
  if (step?.status !== "running" || step.owner !== mine.owner) return undefined;
  if (!allowsStepMove("renew", run.status, step.status)) return undefined;
  return transitionTo(run, withStep(run, mine.step, { ...step, leaseUntilMs: nowMs + limits.leaseMs }));
}

/**
 * Ends a step that the engine itself cannot bring to an end: its message failed at every delivery. The run then fails
 * with the cause instead of hanging (R5). `undefined` when the step has ended, or the run has.
 */
export function giveUp(
  graph: Graph,
  run: RunState,
  index: number,
  error: RunError,
  nowMs: number,
): Transition | undefined {
  const step = run.steps[index];
  if (!allowsStepMove("giveUp", run.status, step?.status ?? "pending")) return undefined;
  const attempt = step?.attempt ?? 0;
  const startedAtMs = step?.status === "running" ? step.startedAtMs : nowMs;
  const failed: StepState = { status: "failed", attempt, startedAtMs, endedAtMs: Math.max(nowMs, startedAtMs) };
  return transitionTo(run, settle(graph, withFailure(graph, withStep(run, index, failed), index, error), nowMs));
}
