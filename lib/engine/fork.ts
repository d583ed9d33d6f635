/** A new run that keeps what another one has done, except from a chosen step on. The other one is not changed. */
import { dependants, type Graph } from "../definition/graph.ts";
import { stepsToRenew, stepsToRepeat } from "./operate.ts";
import { payloadKey } from "./placement.ts";
import type { PayloadRef, RunState, SignalRecord, StepState } from "./run-state.ts";
import { settle } from "./settle.ts";
import { newRun } from "./start.ts";
import { endedStep } from "./transition-to.ts";

export interface NewFork {
  readonly runId: string;
  /** Index of the first step that begins anew. */
  readonly from: number;
  /** Random per fork: what it copies lies under keys that nobody else writes to. */
  readonly id: string;
  readonly tags?: Readonly<Record<string, string>>;
  readonly retentionMs?: number;
}

/**
 * The first state of the fork: what a redrive would keep is kept, unless it depends on the chosen step. Signals that
 * kept steps took stay taken; those that wait for other steps are the original's own.
 */
export function forkedRun(graph: Graph, original: RunState, fork: NewFork, nowMs: number): RunState {
  const steps: (StepState | undefined)[] = [];
  const outputs: (PayloadRef | undefined)[] = [];
  const signals: (SignalRecord | undefined)[] = [];
  const byHand: (string | undefined)[] = [];
  const undos: (StepState | undefined)[] = [];
  for (const index of keptSteps(graph, original, fork.from)) {
    const state = original.steps[index];
    steps[index] = state;
    const output = original.outputs[index];
    if (output !== undefined) {
      const key = payloadKey.output(index, fork.id, state?.attempt ?? 0);
      outputs[index] = "key" in output ? { key } : output;
    }
    if (original.signals[index] !== undefined) signals[index] = original.signals[index];
    // What the original has done is the original's to undo.
    if (graph.steps[index]?.compensate !== undefined) undos[index] = endedStep(notTried(nowMs), "skipped", nowMs);
    if (original.byHand?.[index] !== undefined) byHand[index] = original.byHand[index];
  }
  const { fingerprint, input, inputHash } = original;
  const slotKey = original.slot === undefined ? {} : { slotKey: original.slot.key };
  const tags = fork.tags ?? original.tags;
  const start = {
    runId: fork.runId,
    fingerprint,
    input,
    inputHash,
    ...(tags === undefined ? {} : { tags }),
    ...(fork.retentionMs === undefined ? {} : { retentionMs: fork.retentionMs }),
    ...slotKey,
  };
  const run: RunState = {
    ...newRun(graph, start, nowMs),
    steps,
    outputs,
    signals,
    undos,
    ...(byHand.length === 0 ? {} : { byHand }),
    forkedFrom: { runId: original.runId, from: graph.steps[fork.from]?.id ?? String(fork.from), id: fork.id },
  };
  return settleWholly(graph, run, nowMs);
}

function notTried(nowMs: number): { readonly attempt: number; readonly startedAtMs: number } {
  return { attempt: 0, startedAtMs: nowMs };
}

/** Of a run that nobody knows yet, everything that follows can be decided at once. */
function settleWholly(graph: Graph, run: RunState, nowMs: number): RunState {
  const settled = settle(graph, run, nowMs);
  return settled === run ? run : settleWholly(graph, settled, nowMs);
}

/** Steps of the original whose state and output the fork takes over. */
export function keptSteps(graph: Graph, original: RunState, from: number): number[] {
  const anew = new Set([from, ...stepsToRepeat(graph, original), ...stepsToRenew(graph, original)]);
  // In topological order, so one pass reaches everything that depends on the chosen step.
  const behind = new Set([from]);
  for (const index of graph.steps.keys()) {
    if (behind.has(index)) for (const dependant of dependants(graph)[index] ?? []) behind.add(dependant);
  }
  return [...graph.steps.keys()].filter(
    (index) => original.steps[index] !== undefined && !anew.has(index) && !behind.has(index),
  );
}
