// Hunts: consequences that depend on who computes them and when, and ends that cut off siblings which may still run.
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Graph } from "../../lib/definition/graph.ts";
import { limits } from "../../lib/definition/limits.ts";
import { readiness } from "../../lib/engine/readiness.ts";
import {
  hasEnded,
  isTerminal,
  type RunState,
  type RunStatus,
  type StepState,
  type StepStatus,
} from "../../lib/engine/run-state.ts";
import { settle } from "../../lib/engine/settle.ts";
import { type RandomGraphOptions, randomGraph } from "./random-run.ts";
import { ended, nowMs, runOf, stateOf } from "./sample-run.ts";

const statuses: fc.Arbitrary<StepStatus> = fc.constantFrom(
  ...(["pending", "pending", "pending", "running", "backing_off"] as const),
  ...(["succeeded", "succeeded", "skipped", "failed", "unknown"] as const),
);

/** Any image at all, also ones that no history leads to: what holds for these holds for the others. */
const image = (
  options: RandomGraphOptions,
  status: fc.Arbitrary<RunStatus> = fc.constant("running"),
): fc.Arbitrary<{ graph: Graph; run: RunState }> =>
  randomGraph({ maxSteps: 8, ...options }).chain((graph) =>
    fc.record({
      graph: fc.constant(graph),
      run: fc
        .record({ status, steps: fc.array(statuses, { maxLength: graph.steps.length }) })
        .map(({ status, steps }) => runOf({ status, steps: steps.map(stateOf) })),
    }),
  );

const openStatus = fc.constantFrom<RunStatus>("running", "paused", "unwinding");

describe("settle", () => {
  test("is idempotent, and says so by giving back the same value", () => {
    fc.assert(
      fc.property(image({}, openStatus), ({ graph, run }) => {
        let current = run;
        for (let looks = 0; looks < 3; looks++) current = settle(graph, current, nowMs);
        expect(settle(graph, current, nowMs + 5)).toBe(current);
      }),
      { numRuns: 500 },
    );
  });

  test("never changes a step that has begun (R2)", () => {
    fc.assert(
      fc.property(image({}, openStatus), ({ graph, run }) => {
        const { steps } = settle(graph, run, nowMs);
        run.steps.forEach((step, index) => {
          if (step !== undefined) expect(steps[index]).toBe(step);
        });
      }),
      { numRuns: 500 },
    );
  });

  test("ends a run only in a state in which no step can begin or commit any more", () => {
    fc.assert(
      fc.property(image({}, openStatus), ({ graph, run }) => {
        const next = settle(graph, run, nowMs);
        if (!isTerminal(next.status)) return;
        const { status } = run;
        const isAtWork = next.steps.some((step) => step?.status === "running");
        const isOpen = graph.steps.some((_step, index) => !hasEnded(next.steps[index]));
        expect(isAtWork).toBe(false);
        // Others may have claimed since this image was read: a running run fails only when nothing is left to claim.
        if (status === "running") expect(isOpen).toBe(false);
        expect(next.endedAtMs).toBe(nowMs);
      }),
      { numRuns: 1_000 },
    );
  });

  test("a run fails if and only if a step failed whose failure counts", () => {
    fc.assert(
      fc.property(image({}), ({ graph, run }) => {
        const next = settle(graph, run, nowMs);
        const counts = graph.steps.some(
          (step, at) => step.onFailure === "fail" && ["failed", "unknown"].includes(next.steps[at]?.status ?? ""),
        );
        expect(next.status === "unwinding" || next.status === "failed").toBe(counts);
        expect(next.error !== undefined).toBe(counts);
      }),
      { numRuns: 500 },
    );
  });

  test("a settled running run has something in flight or a step to begin (R5)", () => {
    fc.assert(
      fc.property(image({}), ({ graph, run }) => {
        const next = settle(graph, run, nowMs);
        if (next.status !== "running") return;
        const isBusy = next.steps.some((step) => step?.status === "running" || step?.status === "backing_off");
        const mayBegin = graph.steps.some(
          (step, index) => next.steps[index] === undefined && readiness(step, next.steps) === "ready",
        );
        expect(isBusy || mayBegin).toBe(true);
      }),
      { numRuns: 1_000 },
    );
  });

  test("is the closure: one pass finds what settling single steps in any order finds", () => {
    fc.assert(
      fc.property(image({ onFailure: ["continue"] }), fc.infiniteStream(fc.nat()), ({ graph, run }, picks) => {
        const steps: (StepState | undefined)[] = Array.from(graph.steps, (_step, index) => run.steps[index]);
        for (;;) {
          const next = graph.steps.flatMap((step, index) => {
            const verdict = steps[index] === undefined ? readiness(step, steps) : "ready";
            return verdict === "skipped" || verdict === "blocked" ? [{ index, verdict }] : [];
          });
          const one = next[picks.next().value % Math.max(1, next.length)];
          if (one === undefined) break;
          const status = one.verdict === "skipped" ? "skipped" : "failed";
          steps[one.index] = ended(status, { attempt: 0, startedAtMs: nowMs, endedAtMs: nowMs });
        }
        const settled = settle(graph, run, nowMs).steps;
        expect(Array.from(graph.steps, (_step, index) => settled[index])).toEqual(steps);
      }),
      { numRuns: 500 },
    );
  });

  test("settles at most so many steps at once, and all of them after some writes (R8)", () => {
    const bigGraph = randomGraph({ maxSteps: 3, onFailure: ["continue"] }).chain((head) =>
      fc.integer({ min: 100, max: 197 }).map((tail) => ({
        ...head,
        steps: [
          ...head.steps,
          ...Array.from({ length: tail }, (_, index) => ({
            ...head.steps[0]!,
            id: `t${index}`,
            after: [head.steps.length + index - 1],
            skipWithDependency: true as const,
          })),
        ],
      })),
    );
    fc.assert(
      fc.property(bigGraph, fc.constantFrom("failed", "skipped", "succeeded"), (graph, status) => {
        let run = runOf({ steps: [ended(status), ended(status), ended(status)] });
        for (let writes = 0; ; writes++) {
          expect(writes).toBeLessThanOrEqual(Math.ceil(graph.steps.length / limits.settledPerWrite));
          const next = settle(graph, run, nowMs);
          if (next === run) break;
          const count = (one: RunState): number => one.steps.filter((step) => step !== undefined).length;
          expect(count(next) - count(run)).toBeLessThanOrEqual(limits.settledPerWrite);
          run = next;
        }
      }),
      { numRuns: 50 },
    );
  });
});
