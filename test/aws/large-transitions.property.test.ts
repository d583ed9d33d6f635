// Hunts a decision about a run with as many steps as there may be that no write to DynamoDB can carry out (R8).
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { isAllowed, replaceRequest, updateRequest } from "../../lib/aws/dynamo-requests.ts";
import type { CallbackStep, CodeStep, Graph } from "../../lib/definition/graph.ts";
import { limits } from "../../lib/definition/limits.ts";
import { defaultRetry } from "../../lib/definition/retry.ts";
import { encodeRun } from "../../lib/engine/codec.ts";
import { commit, giveUp } from "../../lib/engine/commit.ts";
import { forkedRun } from "../../lib/engine/fork.ts";
import { cancel, type OperateVerdict, pause, redrive, resume, terminate, timeOut } from "../../lib/engine/operate.ts";
import { isTerminal, type RunState, type RunStatus, runStatuses, type StepState } from "../../lib/engine/run-state.ts";
import { create } from "../../lib/engine/start.ts";
import { applyTransition, type Transition } from "../../lib/engine/transition.ts";
import { graphOf, nowMs, running, runOf } from "../engine/sample-run.ts";

const count = limits.stepsPerWorkflow;
const compensate = { retry: defaultRetry, timeoutMs: 60_000 };
/** What is written does not count for the length of an expression, only that it differs from step to step. */
const at = (index: number): number => nowMs - 10_000_000 + index;

/** Everything that a step may have beside its state. */
function besides(status: RunStatus): Partial<RunState> {
  const each = <T>(value: (index: number) => T): T[] => Array.from({ length: count }, (_, index) => value(index));
  return {
    status,
    ...(isTerminal(status) ? { endedAtMs: nowMs } : {}),
    outputs: each((index) => ({ key: `out#${index}#0.1` })),
    signals: each((index) => ({ id: `signal${index}` })),
    generations: each((index) => index),
    tokens: each((index) => `token${index}`),
    interrupts: each((index) => ({ answers: [`answer${index}`] })),
    heartbeats: each((index) => `{"at":${index}}`),
    byHand: each((index) => `hand${index}`),
  };
}

const graph = fc
  .record({
    kind: fc.constantFrom("step", "callback"),
    isChain: fc.boolean(),
    onFailure: fc.constantFrom("fail", "continue"),
    skips: fc.boolean(),
  })
  .map(({ kind, isChain, onFailure, skips }): Graph => {
    const step = (index: number): Partial<CodeStep | CallbackStep> => ({
      kind: kind as "step",
      onFailure: onFailure as "fail",
      compensate,
      after: isChain && index > 0 ? [index - 1] : [],
      ...(skips ? { skipWithDependency: true } : {}),
    });
    return graphOf(
      Array.from({ length: count }, (_, index) => step(index)),
      { timeoutMs: 1 },
    );
  });

const states: readonly ((index: number) => StepState | undefined)[] = [
  () => undefined,
  (index) => ({ status: "backing_off", attempt: 1, wakeAtMs: at(index), mayHaveActed: true }),
  (index) => ({ status: "waiting", attempt: 1, sinceMs: at(index), mayHaveActed: true }),
  ...(["succeeded", "failed", "skipped", "unknown"] as const).map(
    (status) =>
      (index: number): StepState => ({
        status,
        attempt: status === "skipped" ? 0 : 1,
        startedAtMs: at(index),
        endedAtMs: at(index) + index,
      }),
  ),
];

const runs = fc
  .record({
    status: fc.constantFrom(...runStatuses),
    most: fc.constantFrom(...states),
    others: fc.array(fc.constantFrom(...states), { minLength: 1, maxLength: 3 }),
    share: fc.constantFrom(0, 0.1, 0.5),
    undone: fc.constantFrom(...states),
  })
  .map(({ status, most, others, share, undone }): RunState => {
    const some = (index: number): StepState | undefined =>
      ((index * 37) % count) / count < share ? others[index % others.length]?.(index) : most(index);
    const ended = (state: StepState | undefined): StepState | undefined =>
      isTerminal(status) && state !== undefined && "wakeAtMs" in state ? undefined : state;
    const list = (state: (index: number) => StepState | undefined): (StepState | undefined)[] =>
      Array.from({ length: count }, (_, index) => ended(state(index)));
    // The step that the decision is about.
    const steps = list(some);
    if (!isTerminal(status)) steps[0] = running();
    return runOf({
      ...besides(status),
      steps,
      undos: status === "running" || status === "paused" ? [] : list(undone),
      deadlineAtMs: nowMs - 1,
    });
  });

function decisions(of: Graph, run: RunState): Transition[] {
  const verdicts: OperateVerdict[] = [
    cancel(of, run, nowMs),
    terminate(run, nowMs),
    pause(run, { code: "requested", message: "" }),
    resume(of, run, nowMs),
    redrive(of, run, nowMs),
    timeOut(of, run, nowMs),
  ];
  const mine = { track: "step", step: 0, attempt: 1, owner: "me" } as const;
  const outcomes = [
    { kind: "succeeded", output: { key: "out" } },
    { kind: "skipped" },
    { kind: "failed", error: { name: "E", message: "" }, failure: { retryable: "fatal" }, fraction: 0 },
  ] as const;
  const commits = outcomes.map((outcome) => commit(of, run, mine, outcome, nowMs));
  const given = giveUp(of, run, mine, { name: "E", message: "" }, nowMs);
  return [
    ...[...verdicts, ...commits].flatMap((verdict) => (verdict.kind === "write" ? [verdict.transition] : [])),
    ...(given === undefined ? [] : [given]),
    create(forkedRun(of, run, { runId: "fork", from: count - 1, id: "id" }, nowMs)),
  ];
}

describe("a run of 200 steps", () => {
  test("is changed by one write, whatever is decided about it", () => {
    const tooWide = new Set<string>();
    let replaced = 0;
    let longest = 0;
    fc.assert(
      fc.property(graph, runs, (of, run) => {
        for (const transition of decisions(of, run)) {
          const request = updateRequest("table", "run", transition);
          longest = Math.max(longest, request.ConditionExpression?.length ?? 0);
          if (isAllowed(request)) continue;
          replaced++;
          const isNew = transition.guard.some(({ is, field }) => is === "absent" && field === "st");
          const before = isNew ? undefined : encodeRun(run);
          const after = applyTransition(transition, before) ?? {};
          // The values are large: what failed is said in short.
          const isReplaced = replaceRequest("table", "run", before, after) !== undefined;
          if (!isReplaced) tooWide.add(`${run.status}: ${transition.guard.length} conditions`);
        }
      }),
      { numRuns: 100 },
    );
    expect([...tooWide]).toEqual([]);
    // The cases that need it are among them; conditions are never the reason.
    expect(replaced).toBeGreaterThan(0);
    expect(longest).toBeLessThan(4096);
  });
});
