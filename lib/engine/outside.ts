/**
 * Attempts that somebody outside brings to their end: a party that holds a task token, or a child run. The end may come
 * while the attempt's code still runs or after it has begun to wait, and counts at once; its fence is the attempt (R4).
 */
import { endsWithParent, type Graph, startsRun } from "../definition/graph.ts";
import { acted } from "./acted.ts";
import { afterFailure } from "./commit.ts";
import { allowsStepMove } from "./moves.ts";
import type { Failure } from "./retry.ts";
import { hasEnded, type PayloadRef, type RunError, type RunState } from "./run-state.ts";
import { settle, withFailure } from "./settle.ts";
import { endedStep, withOutput, withStep } from "./transition-to.ts";

export type OutsideEnd =
  | { readonly kind: "succeeded"; readonly output: PayloadRef }
  /** Followed by another attempt when the step's policy says so. @param fraction random in [0, 1), for the backoff's jitter */
  | {
      readonly kind: "failed";
      readonly error: RunError;
      readonly failure: Failure;
      readonly fraction: number;
      /** What it left all the same: of a shard, the number of its failed items. */
      readonly output?: PayloadRef;
    };

/** The run after that end; `undefined` when this attempt is not open any more, or the run's status does not allow it. */
export function endFromOutside(
  graph: Graph,
  run: RunState,
  index: number,
  attempt: number,
  end: OutsideEnd,
  nowMs: number,
): RunState | undefined {
  const step = run.steps[index];
  if (step?.attempt !== attempt || (step.status !== "running" && step.status !== "waiting")) return undefined;
  if (!allowsStepMove("endFromOutside", run.status, step.status)) return undefined;
  const graphStep = graph.steps[index];
  // A child that is left alone is not waited for: others may have looked already, and ended the run without its end.
  const isLeft = startsRun(graphStep) && !endsWithParent(graphStep) && step.status === "waiting";
  if (isLeft && run.status === "unwinding") return undefined;
  const startedAtMs = step.status === "running" ? step.startedAtMs : step.sinceMs;
  const open = { attempt, startedAtMs, ...acted(step.mayHaveActed) };
  if (end.kind === "succeeded") {
    return settle(graph, withOutput(run, index, endedStep(open, "succeeded", nowMs), end.output), nowMs);
  }
  const state = afterFailure(graph, run, { track: "step", step: index }, open, end, nowMs);
  const next = end.output === undefined ? withStep(run, index, state) : withOutput(run, index, state, end.output);
  return settle(graph, hasEnded(state) ? withFailure(graph, next, index, end.error) : next, nowMs);
}
