// Random graphs, and random runs as they may be stored.
import * as fc from "fast-check";
import {
  type CodeStep,
  type DependencyKind,
  dependencyKinds,
  type Graph,
  type GraphStep,
} from "../../lib/definition/graph.ts";
import { limits } from "../../lib/definition/limits.ts";
import {
  type Interrupts,
  isTerminal,
  type PauseReason,
  type PayloadRef,
  type RunError,
  type RunState,
  runStatuses,
  type SignalRecord,
  type Slot,
  type StepState,
} from "../../lib/engine/run-state.ts";
import { graphOf, runOf } from "./sample-run.ts";

const timeMs = fc.integer({ min: 0, max: 8_000_000_000_000 });
const attempt = fc.oneof(fc.nat(3), fc.nat(2_000_000));

const endedStep: fc.Arbitrary<StepState> = fc
  .tuple(fc.constantFrom("succeeded", "failed", "skipped", "unknown", "cancelled"), attempt, timeMs, fc.nat(10_000_000))
  .map(([status, attempt, startedAtMs, tookMs]) => ({
    status,
    attempt,
    startedAtMs,
    endedAtMs: startedAtMs + tookMs,
  }));

export const openStep: fc.Arbitrary<StepState> = fc.oneof(
  // Parked on a question in its first attempt.
  fc.record({ status: fc.constant("waiting"), attempt: fc.constant(0), sinceMs: timeMs }),
  fc.record(
    {
      status: fc.constant("waiting"),
      attempt: attempt.map((count) => count + 1),
      sinceMs: timeMs,
      wakeAtMs: timeMs,
      mayHaveActed: fc.constant(true as const),
    },
    { requiredKeys: ["status", "attempt", "sinceMs"] },
  ),
  fc.record(
    {
      status: fc.constant("running"),
      attempt: attempt.map((count) => count + 1),
      owner: fc.oneof(fc.string(), fc.constantFrom("a.b", ".", "")),
      startedAtMs: timeMs,
      leaseUntilMs: timeMs,
      mayHaveActed: fc.constant(true as const),
    },
    { requiredKeys: ["status", "attempt", "owner", "startedAtMs", "leaseUntilMs"] },
  ),
  fc.record(
    { status: fc.constant("backing_off"), attempt, wakeAtMs: timeMs, mayHaveActed: fc.constant(true as const) },
    { requiredKeys: ["status", "attempt", "wakeAtMs"] },
  ),
);

export const stepState = fc.oneof(endedStep, openStep);

const payload: fc.Arbitrary<PayloadRef> = fc.oneof(
  fc.json().map((json) => ({ json })),
  fc.constant({ json: "" }),
  fc.string().map((key) => ({ key })),
);

const signal: fc.Arbitrary<SignalRecord> = fc.record(
  { id: fc.stringMatching(/^[a-z0-9]{1,12}$/), payload },
  { requiredKeys: ["id"] },
);

const shortId = fc.stringMatching(/^[a-z0-9]{1,12}$/);
const asked: fc.Arbitrary<Interrupts> = fc.record(
  { answers: fc.array(shortId, { maxLength: 3 }), pending: shortId },
  { requiredKeys: ["answers"] },
);

const runError: fc.Arbitrary<RunError> = fc.record(
  { name: fc.string(), message: fc.string(), step: fc.string() },
  { requiredKeys: ["name", "message"] },
);

const pauseReason: fc.Arbitrary<PauseReason> = fc.record({
  code: fc.constantFrom("requested", "workflow_missing", "step_missing", "graph_missing"),
  message: fc.string(),
});

const slot: fc.Arbitrary<Slot> = fc.oneof(
  fc.record(
    { status: fc.constant("wanted" as const), key: fc.string(), ticket: fc.nat() },
    { requiredKeys: ["status", "key"] },
  ),
  fc.record({ status: fc.constant("held" as const), key: fc.string(), ticket: fc.nat(), sinceMs: timeMs }),
);

const optional = fc.record(
  {
    error: runError,
    pause: pauseReason,
    slot,
    endedAtMs: timeMs,
    startAtMs: timeMs,
    deadlineAtMs: timeMs,
    redrivenAtMs: timeMs,
    turnedAtMs: timeMs,
    operation: fc.string({ minLength: 1 }),
    parent: fc.record({
      workflow: fc.stringMatching(/^[A-Za-z][A-Za-z0-9_-]{0,8}$/),
      fingerprint: fc.stringMatching(/^[A-Za-z0-9_.-]{1,24}$/),
      step: fc.nat(200),
      taskQueue: fc.stringMatching(/^[A-Za-z][A-Za-z0-9_-]{0,8}$/),
      epoch: fc.nat(),
      attempt: fc.nat(),
    }),
    tags: fc.dictionary(fc.string(), fc.string(), { noNullPrototype: true }),
    forkedFrom: fc.record({ runId: fc.string(), from: fc.string(), id: fc.string() }),
    byHand: sparse(fc.string({ minLength: 1 })).filter((list) => list.length > 0),
    waiters: fc
      .dictionary(fc.stringMatching(/^[0-9a-z]{1,7}-[0-9a-z]{1,12}$/), timeMs, {
        minKeys: 1,
        maxKeys: limits.waiters,
        noNullPrototype: true,
      })
      .map((waiters) => waiters as Readonly<Record<string, number>>),
  },
  { requiredKeys: [] },
);

function sparse<T>(element: fc.Arbitrary<T>): fc.Arbitrary<(T | undefined)[]> {
  return fc.array(fc.option(element, { nil: undefined }), { maxLength: 8 }).map((list) => {
    const last = list.findLastIndex((one) => one !== undefined);
    return list.slice(0, last + 1);
  });
}

/** Any run that a store may hold: in a terminal one, every step has ended. */
export const runState: fc.Arbitrary<RunState> = fc.constantFrom(...runStatuses).chain((status) =>
  fc
    .record({
      required: fc.record({
        workflow: fc.string(),
        fingerprint: fc.string(),
        epoch: fc.nat(limits.redrives),
        changes: fc.nat(),
        input: payload,
        inputHash: fc.string(),
        steps: sparse(isTerminal(status) ? endedStep : stepState),
        outputs: sparse(payload),
        signals: sparse(signal),
        undos: sparse(isTerminal(status) ? endedStep : stepState),
        generations: sparse(fc.nat(100)),
        interrupts: sparse(asked),
        heartbeats: sparse(fc.json()),
        tokens: sparse(fc.stringMatching(/^[\w-]{10,22}$/)),
        createdAtMs: timeMs,
      }),
      optional,
    })
    .map(({ required, optional }) => ({ ...runOf(), ...required, ...optional, status })),
);

export interface RandomGraphOptions {
  readonly onFailure?: readonly GraphStep["onFailure"][];
  readonly maxSteps?: number;
}

export function randomGraph({
  onFailure = ["fail", "continue"],
  maxSteps = 7,
}: RandomGraphOptions = {}): fc.Arbitrary<Graph> {
  return fc
    .integer({ min: 1, max: maxSteps })
    .chain((size) => fc.tuple(...Array.from({ length: size }, (_, index) => randomStep(index, onFailure))))
    .map((steps) => graphOf(steps));
}

function randomStep(index: number, onFailure: readonly GraphStep["onFailure"][]): fc.Arbitrary<Partial<CodeStep>> {
  const kinds = fc.constantFrom<DependencyKind | "none">("none", "none", "after", ...dependencyKinds);
  return fc
    .record({
      kinds: fc.array(kinds, { minLength: index, maxLength: index }),
      onFailure: fc.constantFrom(...onFailure),
      skips: fc.boolean(),
      delayMs: fc.option(fc.integer({ min: 1, max: 100_000 }), { nil: undefined }),
      taskQueue: fc.constantFrom("default", "heavy"),
    })
    .map(({ kinds, skips, delayMs, ...rest }) => {
      const of = (kind: DependencyKind): number[] => kinds.flatMap((one, at) => (one === kind ? [at] : []));
      return {
        ...rest,
        after: of("after"),
        afterAny: of("afterAny"),
        afterFailed: of("afterFailed"),
        afterSettled: of("afterSettled"),
        ...(skips ? { skipWithDependency: true } : {}),
        ...(delayMs === undefined ? {} : { delayMs }),
      };
    });
}
