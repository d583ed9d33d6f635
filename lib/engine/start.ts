/** The first state of a run, and what must be armed before it is written. */
import type { Graph } from "../definition/graph.ts";
import { isOpenFor, noRun } from "./barred.ts";
import { encodeRun, field } from "./codec.ts";
import type { ParentLink, PayloadRef, RunState } from "./run-state.ts";
import { settle } from "./settle.ts";
import type { Transition } from "./transition.ts";

export interface NewRun {
  readonly runId: string;
  readonly fingerprint: string;
  readonly input: PayloadRef;
  readonly inputHash: string;
  readonly startAtMs?: number;
  readonly tags?: Readonly<Record<string, string>>;
  readonly parent?: ParentLink;
  /** From the end of the run until it expires. A run that has a parent has none: it goes with its parent. */
  readonly retentionMs?: number;
  /** Of a workflow that limits how many runs go on: no step begins before the run holds a slot of this key. */
  readonly slotKey?: string;
}

export function newRun(graph: Graph, { slotKey, ...start }: NewRun, nowMs: number): RunState {
  const beginsAtMs = Math.max(nowMs, start.startAtMs ?? nowMs);
  const run: RunState = {
    ...start,
    workflow: graph.workflow,
    status: "running",
    epoch: 0,
    changes: 1,
    steps: [],
    outputs: [],
    signals: [],
    undos: [],
    generations: [],
    tokens: [],
    interrupts: [],
    heartbeats: [],
    createdAtMs: nowMs,
    ...(slotKey === undefined ? {} : { slot: { status: "wanted", key: slotKey } }),
    ...(graph.timeoutMs === undefined ? {} : { deadlineAtMs: beginsAtMs + graph.timeoutMs }),
  };
  return settle(graph, run, nowMs);
}

/** Refused when the run id is taken: the image then tells the same start from a conflict. Or it is barred: there is none. */
export function create(run: RunState): Transition {
  const guard = [noRun, ...isOpenFor(run.parent)];
  return { guard, set: encodeRun(run), ...(run.parent === undefined ? {} : { remove: [field.barred] }) };
}

/** The same start again, as after a lost response: it is answered with the run that is there. */
export function isSameStart(existing: RunState, wanted: RunState): boolean {
  const isSameWork = existing.workflow === wanted.workflow && existing.inputHash === wanted.inputHash;
  const [here, there] = [existing.forkedFrom, wanted.forkedFrom];
  return isSameWork && here?.runId === there?.runId && here?.from === there?.from;
}
