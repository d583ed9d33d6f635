// Small graphs and runs in any status, for tests that look at one decision at a time.
import type { CallbackStep, ChildStep, CodeStep, Graph, GraphStep, SignalStep } from "../../lib/definition/graph.ts";
import { defaultRetry } from "../../lib/definition/retry.ts";
import type { Claimant } from "../../lib/engine/claim.ts";
import { decodeRun, encodeRun } from "../../lib/engine/codec.ts";
import type { StepMessage } from "../../lib/engine/message.ts";
import type { EndedStep, RunState, StepState, StepStatus } from "../../lib/engine/run-state.ts";
import { applyTransition, type Fields, type Transition } from "../../lib/engine/transition.ts";

export const nowMs = 1_800_000_000_000;

export function graphOf(
  steps: readonly (Partial<CodeStep> | Partial<CallbackStep> | Partial<SignalStep> | Partial<ChildStep>)[],
  rest: Partial<Omit<Graph, "schema" | "steps">> = {},
): Graph {
  return {
    schema: 1,
    workflow: "sample",
    ...rest,
    steps: steps.map(
      (step, index): GraphStep => ({
        id: `s${index}`,
        kind: "step",
        after: [],
        afterAny: [],
        afterFailed: [],
        afterSettled: [],
        taskQueue: "default",
        retry: defaultRetry,
        onFailure: "fail",
        timeoutMs: 60_000,
        ...(step as Partial<CodeStep>),
      }),
    ),
  };
}

export function runOf(change: Partial<RunState> = {}): RunState {
  return {
    runId: "run",
    workflow: "sample",
    fingerprint: "0123456789abcdef",
    status: "running",
    epoch: 0,
    changes: 1,
    input: { json: "" },
    inputHash: "hash",
    steps: [],
    outputs: [],
    signals: [],
    undos: [],
    generations: [],
    tokens: [],
    interrupts: [],
    heartbeats: [],
    createdAtMs: nowMs - 60_000,
    ...change,
  };
}

export function running(change: Partial<Extract<StepState, { status: "running" }>> = {}): StepState {
  return {
    status: "running",
    attempt: 1,
    owner: "me",
    startedAtMs: nowMs - 5_000,
    leaseUntilMs: nowMs + 25_000,
    ...change,
  };
}

export function backingOff(attempt = 1, wakeAtMs = nowMs + 1_000): StepState {
  return { status: "backing_off", attempt, wakeAtMs };
}

export function ended(status: EndedStep["status"], change: Partial<EndedStep> = {}): EndedStep {
  return { status, attempt: 1, startedAtMs: nowMs - 5_000, endedAtMs: nowMs - 1_000, ...change };
}

/** Some state of that status; `undefined` for a step that has not begun. */
export function stateOf(status: StepStatus): StepState | undefined {
  if (status === "pending") return undefined;
  if (status === "running") return running();
  if (status === "waiting") return { status, attempt: 1, sinceMs: nowMs - 5_000, wakeAtMs: nowMs + 55_000 };
  return status === "backing_off" ? backingOff() : ended(status);
}

export function messageFor(run: RunState, step: number, change: Partial<StepMessage> = {}): StepMessage {
  const { runId, workflow, fingerprint, epoch } = run;
  return { v: 1, kind: "step", runId, workflow, fingerprint, epoch, step, attempt: 1, sentAtMs: nowMs, ...change };
}

export function claimant(change: Partial<Claimant> = {}): Claimant {
  return { owner: "me", nowMs, isOwnerGone: () => false, fraction: 0.5, ...change };
}

/** The run as a reader of the store sees it. */
export function stored(run: RunState): RunState {
  return decodeRun(run.runId, encodeRun(run));
}

/** The run after the transition, which must apply. */
export function after(run: RunState, transition: Transition): RunState {
  return decodeRun(run.runId, applied(encodeRun(run), transition));
}

export function applied(fields: Fields, transition: Transition): Fields {
  const result = applyTransition(transition, fields);
  if (result === undefined) throw new Error(`Refused: ${JSON.stringify(transition.guard)}`);
  return result;
}
