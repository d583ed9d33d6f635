/**
 * A workflow's graph as plain data. Runs are pinned to a graph by its fingerprint and are driven by it alone, so that
 * a run goes on with the graph it began with whatever has been deployed since. Code is looked up by step id.
 *
 * Invariants:
 * 1. Steps are in topological order: every dependency has a smaller index than its dependant.
 * 2. The graph survives `JSON.parse(JSON.stringify(graph))` unchanged.
 * 3. Two graphs with the same fingerprint drive a run in the same way.
 */
import { createHash } from "node:crypto";
import { canonicalJson } from "./json.ts";

export interface Graph {
  /** Version of this shape. */
  readonly schema: 1;
  readonly workflow: string;
  readonly steps: readonly GraphStep[];
  /** Index of the step whose output is the run's. */
  readonly output?: number;
  readonly timeoutMs?: number;
  /** Of a part of a map. Such graphs are derived from the map's (`shards.ts`) and never stored. */
  readonly shard?: Shard;
}

/** A part of a map's list, worked on by a run of its own. */
export interface Shard {
  /** Id of the map in the graph that this one is derived from. */
  readonly map: string;
  /** Index of the first item in the whole list. */
  readonly from: number;
  readonly count: number;
  /** Items in flight at the same time; 0: all of them. */
  readonly lanes: number;
  /** Failed items that the map as a whole tolerates: one shard with more is enough to fail it. */
  readonly tolerated: number;
}

export type DependencyKind = "after" | "afterAny" | "afterFailed" | "afterSettled";

export const dependencyKinds = ["after", "afterAny", "afterFailed", "afterSettled"] as const;

/** A node of the graph. Users call all of them steps. */
export type GraphStep = CodeStep | CallbackStep | SignalStep | SleepStep | ChildStep | MapStep | ShardStep;

export interface StepBase extends Readonly<Record<DependencyKind, readonly number[]>> {
  readonly id: string;
  readonly taskQueue: string;
  readonly retry: RetryPolicy;
  readonly onFailure: "fail" | "continue";
  /** Limit of one attempt. */
  readonly timeoutMs: number;
  /** Counts from the moment at which the step became ready. */
  readonly delayMs?: number;
  /** Milliseconds since 1970; a time in the past is no delay. */
  readonly startAtMs?: number;
  readonly skipWithDependency?: true;
  /** Code that decides when the step begins: its absence in a newer definition must be noticed. */
  readonly hasWhen?: true;
  readonly hasStartAt?: true;
  /** Code that undoes the step when the run unwinds. */
  readonly compensate?: Compensation;
}

export interface Compensation {
  readonly retry: RetryPolicy;
  /** Limit of one attempt. */
  readonly timeoutMs: number;
}

/** Runs user code. */
export interface CodeStep extends StepBase {
  readonly kind: "step";
  /** The longest time that an attempt may run without a heartbeat. Absent: any time. */
  readonly heartbeatMs?: number;
  /** Repeated until its code is satisfied: each look is an attempt, and the pause between two is the policy's backoff. */
  readonly poll?: {
    /** Counts from the moment at which the step became ready. Absent: only the number of attempts ends it. */
    readonly timeoutMs?: number;
  };
  /** Its attempts begin without a claim: the same one may run twice at the same time, and commits once. */
  readonly idempotent?: true;
}

/** Runs user code with a task token, and then waits for whoever answers by it; the answer is the step's output. */
export interface CallbackStep extends StepBase {
  readonly kind: "callback";
  /** Counts from the moment at which the attempt began to wait. Absent: it waits for ever. */
  readonly waitMs?: number;
  /** The longest time without a sign of life, counted from the same moment and from every heartbeat. Absent: any time. */
  readonly heartbeatMs?: number;
}

/** Waits for a named message to the run; its payload is the step's output. */
export interface SignalStep extends StepBase {
  readonly kind: "signal";
  /** Counts from the moment at which the step began to wait. Absent: it waits for ever. */
  readonly waitMs?: number;
  readonly onTimeout: SignalTimeout;
}

export type SignalTimeout =
  | { readonly then: "fail" }
  | { readonly then: "skip" }
  /** The output, as JSON. */
  | { readonly then: "value"; readonly json: string };

/** Waits for a time. */
export interface SleepStep extends StepBase {
  readonly kind: "sleep";
  /** Absent: the step's code says until when. */
  readonly durationMs?: number;
}

/** Starts a run of another workflow and waits for its end; the run's output is the step's. */
export interface ChildStep extends StepBase {
  readonly kind: "child";
  /** What becomes of the child when this run ends otherwise than by success, or unwinds. */
  readonly whenParentEnds: WhenParentEnds;
}

/** Does the same for each item of a list, in runs of their own; its results are read from there. */
export interface MapStep extends StepBase {
  readonly kind: "map";
  /** Each item is a step that runs code, or a run of another workflow. */
  readonly item:
    | { readonly kind: "step"; readonly retry: RetryPolicy; readonly timeoutMs: number; readonly idempotent?: true }
    | { readonly kind: "child" };
  /** Items in flight at the same time. Absent: all of them. */
  readonly concurrency?: number;
  readonly tolerated: { readonly count: number } | { readonly percent: number };
  /** Items of one shard, and shards of one shard: as they are pinned, newer versions of Pawl may choose others. */
  readonly shardItems: number;
  readonly fanOut: number;
}

/** Of a shard: starts a run for a part of its items. */
export interface ShardStep extends StepBase {
  readonly kind: "shard";
  readonly shard: Shard;
}

export type WhenParentEnds = "cancel" | "leave";

export interface RetryPolicy {
  /** Attempts in all, the first included. */
  readonly maxAttempts: number | "unlimited";
  readonly backoff: Backoff;
}

/** Pause before attempt n+1: fixed `baseMs`; linear `baseMs * n`; exponential `baseMs * factor^(n-1)`; never above `maxMs`. */
export interface Backoff {
  readonly type: "fixed" | "linear" | "exponential";
  readonly baseMs: number;
  readonly factor: number;
  readonly maxMs: number;
  /** `full` takes a random pause between 0 and the computed one, so that failures in step do not retry in step. */
  readonly jitter: "none" | "full";
}

/** 16 characters that differ when the graph differs: a SHA-256 of its canonical JSON. */
export function fingerprint(graph: Graph): string {
  return createHash("sha256").update(canonicalJson(graph)).digest("base64url").slice(0, 16);
}

/** For each step, the steps that wait for it. */
export function dependants(graph: Graph): readonly (readonly number[])[] {
  const cached = dependantsOf.get(graph);
  if (cached !== undefined) return cached;
  const result: number[][] = graph.steps.map(() => []);
  graph.steps.forEach((step, index) => {
    for (const dependency of dependencies(step)) result[dependency]?.push(index);
  });
  dependantsOf.set(graph, result);
  return result;
}

/** Derived data of immutable graphs: the same for everyone who asks, gone with the graph. */
const dependantsOf = new WeakMap<Graph, readonly (readonly number[])[]>();

/** Every step that this one waits for, in whatever way. */
export function dependencies(step: GraphStep): readonly number[] {
  return dependencyKinds.flatMap((kind) => step[kind]);
}

/** Whether the step's work is another run. */
export function startsRun(step: GraphStep | undefined): boolean {
  return step?.kind === "child" || step?.kind === "map" || step?.kind === "shard";
}

/** Whether the run that the step started is ended when its parent ends without success. */
export function endsWithParent(step: GraphStep | undefined): boolean {
  return startsRun(step) && !(step?.kind === "child" && step.whenParentEnds === "leave");
}
