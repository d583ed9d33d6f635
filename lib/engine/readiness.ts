/**
 * Whether a step that has not begun may begin. The verdict depends only on how dependencies ended, never on the order
 * in which they did: whichever of two siblings commits last, the answer is the same.
 */
import type { Graph, GraphStep } from "../definition/graph.ts";
import { type EndedStep, hasEnded, type RunState, type StepState } from "./run-state.ts";

export type Readiness =
  | "ready"
  /** Dependencies that decide it have not ended. */
  | "waiting"
  /** Will never begin, as intended: its dependencies were skipped, or none of them failed. */
  | "skipped"
  /** Will never begin because dependencies failed. */
  | "blocked";

export function readiness(step: GraphStep, states: readonly (StepState | undefined)[]): Readiness {
  let first: Readiness = "ready";
  for (const of of kinds) {
    const verdict = of(step, states);
    if (precedence[verdict] > precedence[first]) first = verdict;
  }
  return first;
}

/** A block is final whatever the others say, so it need not wait for them. */
const precedence: Readonly<Record<Readiness, number>> = { blocked: 3, waiting: 2, skipped: 1, ready: 0 };

/** When the step became ready: the last end among its dependencies, but never in the future of this clock. */
export function readyAtMs(
  graph: Graph,
  index: number,
  states: readonly (StepState | undefined)[],
  nowMs: number,
): number {
  const step = graph.steps[index];
  let atMs = 0;
  for (const kind of ["after", "afterAny", "afterFailed", "afterSettled"] as const) {
    for (const dependency of step?.[kind] ?? []) {
      const state = states[dependency];
      if (hasEnded(state)) atMs = Math.max(atMs, state.endedAtMs);
    }
  }
  return Math.min(atMs, nowMs);
}

/** When the step could begin: it was ready, and it was the run's turn; its own delay counts from here. */
export function beganAtMs(graph: Graph, run: RunState, index: number, nowMs: number): number {
  const readyMs = readyAtMs(graph, index, run.steps, nowMs);
  const turnMs = run.slot?.status === "held" ? run.slot.sinceMs : run.createdAtMs;
  return Math.max(readyMs, Math.min(turnMs, nowMs), run.startAtMs ?? 0);
}

function ends(
  indexes: readonly number[],
  states: readonly (StepState | undefined)[],
): readonly (EndedStep | undefined)[] {
  return indexes.map((index) => {
    const state = states[index];
    return hasEnded(state) ? state : undefined;
  });
}

/** A step whose outcome is unknown did not succeed as far as anyone may rely on it. */
function failed(state: EndedStep | undefined): boolean {
  return state !== undefined && state.status !== "succeeded" && state.status !== "skipped";
}

function afterAll(step: GraphStep, states: readonly (StepState | undefined)[]): Readiness {
  if (step.after.length === 0) return "ready";
  const all = ends(step.after, states);
  if (all.some(failed)) return "blocked";
  if (all.includes(undefined)) return "waiting";
  return step.skipWithDependency === true && all.some((state) => state?.status === "skipped") ? "skipped" : "ready";
}

function afterAny(step: GraphStep, states: readonly (StepState | undefined)[]): Readiness {
  if (step.afterAny.length === 0) return "ready";
  const all = ends(step.afterAny, states);
  if (all.some((state) => state?.status === "succeeded")) return "ready";
  if (all.includes(undefined)) return "waiting";
  if (all.every(failed)) return "blocked";
  return step.skipWithDependency === true ? "skipped" : "ready";
}

function afterFailed(step: GraphStep, states: readonly (StepState | undefined)[]): Readiness {
  if (step.afterFailed.length === 0) return "ready";
  const all = ends(step.afterFailed, states);
  if (all.some(failed)) return "ready";
  return all.includes(undefined) ? "waiting" : "skipped";
}

function afterSettled(step: GraphStep, states: readonly (StepState | undefined)[]): Readiness {
  if (step.afterSettled.length === 0) return "ready";
  return ends(step.afterSettled, states).includes(undefined) ? "waiting" : "ready";
}

const kinds = [afterAll, afterAny, afterFailed, afterSettled];
