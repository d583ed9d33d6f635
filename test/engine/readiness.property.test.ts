// Hunts: a verdict that depends on the order in which dependencies end, so that two siblings may both, or neither, go on.
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { dependencies } from "../../lib/definition/graph.ts";
import { type Readiness, readiness } from "../../lib/engine/readiness.ts";
import type { StepState, StepStatus } from "../../lib/engine/run-state.ts";
import { randomGraph } from "./random-run.ts";
import { stateOf } from "./sample-run.ts";

const outcome = fc.constantFrom<StepStatus>("succeeded", "succeeded", "skipped", "failed", "unknown");

/** The last step of a random graph, how each step before it ends, and two orders of these ends. */
const scenario = randomGraph({ maxSteps: 7 }).chain((graph) => {
  const before = graph.steps.slice(0, -1).map((_, index) => index);
  return fc.record({
    step: fc.constant(graph.steps.at(-1)!),
    outcomes: fc.array(outcome, { minLength: before.length, maxLength: before.length }),
    order: fc.shuffledSubarray(before, { minLength: before.length }),
    otherOrder: fc.shuffledSubarray(before, { minLength: before.length }),
    busy: fc.constantFrom<StepStatus>("pending", "running", "backing_off"),
  });
});

test("verdicts are monotone: once it is not waiting, nothing that ends later changes it", () => {
  fc.assert(
    fc.property(scenario, ({ step, outcomes, order, otherOrder, busy }) => {
      const final = [order, otherOrder].map((oneOrder) => {
        const states: (StepState | undefined)[] = outcomes.map(() => stateOf(busy));
        let verdict: Readiness = readiness(step, states);
        for (const index of oneOrder) {
          states[index] = stateOf(outcomes[index] ?? "succeeded");
          const next = readiness(step, states);
          if (verdict !== "waiting") expect(next).toBe(verdict);
          verdict = next;
        }
        return verdict;
      });
      // Whichever of two siblings ends last, the answer is the same, and it is an answer.
      expect(final[0]).toBe(final[1]);
      expect(final[0]).not.toBe("waiting");
    }),
    { numRuns: 1_000 },
  );
});

test("only the dependencies decide, and at what attempt or time they ended does not matter", () => {
  fc.assert(
    fc.property(scenario, fc.nat(9), fc.nat(), outcome, ({ step, outcomes }, attempt, endedAtMs, foreign) => {
      const plain = outcomes.map((one) => stateOf(one));
      const varied = outcomes.map((one, index) =>
        dependencies(step).includes(index) ? ({ ...stateOf(one), attempt, endedAtMs } as StepState) : stateOf(foreign),
      );
      expect(readiness(step, varied)).toBe(readiness(step, plain));
    }),
    { numRuns: 300 },
  );
});

test("a step may begin only when what it was promised is there", () => {
  fc.assert(
    fc.property(scenario, fc.infiniteStream(fc.boolean()), ({ step, outcomes, busy }, picks) => {
      const states = outcomes.map((one) => stateOf(picks.next().value === true ? one : busy));
      if (readiness(step, states) !== "ready") return;
      const status = (index: number): StepStatus => states[index]?.status ?? "pending";
      const has = (indexes: readonly number[], ...wanted: StepStatus[]): boolean =>
        indexes.length === 0 || indexes.some((index) => wanted.includes(status(index)));
      const all = (indexes: readonly number[], ...wanted: StepStatus[]): boolean =>
        indexes.every((index) => wanted.includes(status(index)));
      expect(all(step.after, "succeeded", "skipped")).toBe(true);
      expect(has(step.afterAny, "succeeded", "skipped")).toBe(true);
      expect(has(step.afterFailed, "failed", "unknown")).toBe(true);
      expect(all(step.afterSettled, "succeeded", "failed", "skipped", "unknown")).toBe(true);
    }),
    { numRuns: 1_000 },
  );
});
