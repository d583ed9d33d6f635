// Hunts: a step that begins too early, never, or is skipped or blocked against what its dependencies promise.
import { describe, expect, test } from "vitest";
import type { GraphStep } from "../../lib/definition/graph.ts";
import { type Readiness, readiness, readyAtMs } from "../../lib/engine/readiness.ts";
import type { StepStatus } from "../../lib/engine/run-state.ts";
import { ended, graphOf, nowMs, stateOf } from "./sample-run.ts";

type Row = readonly [dependencies: readonly StepStatus[], plain: Readiness, skipping: Readiness];

/** The verdict about a step that waits for as many others as there are statuses. */
function verdict(dependencies: Partial<GraphStep>, statuses: readonly StepStatus[]): Readiness {
  const graph = graphOf([...statuses.map(() => ({})), dependencies]);
  return readiness(graph.steps[statuses.length]!, statuses.map(stateOf));
}

function check(kind: "after" | "afterAny" | "afterFailed" | "afterSettled", rows: readonly Row[]): void {
  test.each(rows)("%j: %s, with skipWithDependency %s", (statuses, plain, skipping) => {
    const indexes = statuses.map((_, index) => index);
    expect(verdict({ [kind]: indexes }, statuses)).toBe(plain);
    expect(verdict({ [kind]: indexes, skipWithDependency: true }, statuses)).toBe(skipping);
    // Whoever is named first.
    expect(verdict({ [kind]: indexes }, statuses.toReversed())).toBe(plain);
    expect(verdict({ [kind]: indexes, skipWithDependency: true }, statuses.toReversed())).toBe(skipping);
  });
}

describe("a step without dependencies", () => {
  check("after", [[[], "ready", "ready"]]);
  check("afterAny", [[[], "ready", "ready"]]);
  check("afterFailed", [[[], "ready", "ready"]]);
  check("afterSettled", [[[], "ready", "ready"]]);
});

describe("after: all succeeded or skipped", () => {
  check("after", [
    [["pending"], "waiting", "waiting"],
    [["running"], "waiting", "waiting"],
    [["backing_off"], "waiting", "waiting"],
    [["succeeded"], "ready", "ready"],
    [["skipped"], "ready", "skipped"],
    [["failed"], "blocked", "blocked"],
    [["unknown"], "blocked", "blocked"],
    [["cancelled"], "blocked", "blocked"],
    [["succeeded", "running"], "waiting", "waiting"],
    [["skipped", "pending"], "waiting", "waiting"],
    [["succeeded", "skipped"], "ready", "skipped"],
    [["succeeded", "succeeded"], "ready", "ready"],
    // Final whatever the others come to: no need to wait for them.
    [["failed", "running"], "blocked", "blocked"],
    [["failed", "skipped"], "blocked", "blocked"],
  ]);
});

describe("afterAny: one succeeded, or all ended and one was skipped", () => {
  check("afterAny", [
    [["pending"], "waiting", "waiting"],
    [["succeeded"], "ready", "ready"],
    [["skipped"], "ready", "skipped"],
    [["failed"], "blocked", "blocked"],
    [["unknown"], "blocked", "blocked"],
    [["succeeded", "pending"], "ready", "ready"],
    [["succeeded", "failed"], "ready", "ready"],
    [["succeeded", "skipped"], "ready", "ready"],
    [["skipped", "running"], "waiting", "waiting"],
    [["failed", "backing_off"], "waiting", "waiting"],
    [["skipped", "skipped"], "ready", "skipped"],
    [["skipped", "failed"], "ready", "skipped"],
    [["failed", "failed"], "blocked", "blocked"],
    [["failed", "unknown"], "blocked", "blocked"],
  ]);
});

describe("afterFailed: one failed; skipped when none did", () => {
  check("afterFailed", [
    [["pending"], "waiting", "waiting"],
    [["backing_off"], "waiting", "waiting"],
    [["failed"], "ready", "ready"],
    [["unknown"], "ready", "ready"],
    [["succeeded"], "skipped", "skipped"],
    [["skipped"], "skipped", "skipped"],
    [["failed", "running"], "ready", "ready"],
    [["failed", "succeeded"], "ready", "ready"],
    [["succeeded", "running"], "waiting", "waiting"],
    [["succeeded", "skipped"], "skipped", "skipped"],
  ]);
});

describe("afterSettled: all ended, however", () => {
  check("afterSettled", [
    [["pending"], "waiting", "waiting"],
    [["running"], "waiting", "waiting"],
    [["backing_off"], "waiting", "waiting"],
    [["succeeded"], "ready", "ready"],
    [["failed"], "ready", "ready"],
    [["skipped"], "ready", "ready"],
    [["unknown"], "ready", "ready"],
    [["failed", "pending"], "waiting", "waiting"],
    [["failed", "skipped"], "ready", "ready"],
  ]);
});

describe("several kinds at once: all must agree, and blocked beats waiting beats skipped", () => {
  const step = { after: [0], afterAny: [1], afterFailed: [2], afterSettled: [3] };

  test.each<readonly [readonly StepStatus[], Readiness]>([
    [["succeeded", "succeeded", "failed", "skipped"], "ready"],
    [["pending", "succeeded", "failed", "skipped"], "waiting"],
    [["succeeded", "pending", "failed", "skipped"], "waiting"],
    [["succeeded", "succeeded", "pending", "skipped"], "waiting"],
    [["succeeded", "succeeded", "failed", "pending"], "waiting"],
    [["failed", "pending", "pending", "pending"], "blocked"],
    [["pending", "failed", "pending", "pending"], "blocked"],
    // Skipped, but only when nothing can block it any more.
    [["pending", "succeeded", "succeeded", "succeeded"], "waiting"],
    [["succeeded", "succeeded", "succeeded", "pending"], "waiting"],
    [["succeeded", "succeeded", "succeeded", "succeeded"], "skipped"],
    [["failed", "succeeded", "succeeded", "succeeded"], "blocked"],
  ])("%j: %s", (statuses, expected) => {
    expect(verdict(step, statuses)).toBe(expected);
  });
});

describe("when a step became ready", () => {
  const graph = graphOf([{}, {}, {}, {}, { after: [0], afterAny: [1], afterFailed: [2], afterSettled: [3] }, {}]);
  const at = (...endedAtMs: number[]) => endedAtMs.map((ms) => ended("succeeded", { endedAtMs: ms }));

  test.each([0, 1, 2, 3])("is the last end among its dependencies, of whatever kind: %d", (last) => {
    const times = [1, 1, 1, 1].map((_, index) => nowMs - (index === last ? 10 : 100));
    expect(readyAtMs(graph, 4, at(...times), nowMs)).toBe(nowMs - 10);
  });

  test("is never in the future of the clock that asks", () => {
    expect(readyAtMs(graph, 4, at(nowMs + 60_000, nowMs, nowMs, nowMs), nowMs)).toBe(nowMs);
  });

  test("looks only at steps that have ended", () => {
    const [first] = at(nowMs - 50);
    expect(readyAtMs(graph, 4, [first, stateOf("running"), stateOf("backing_off"), undefined], nowMs)).toBe(nowMs - 50);
  });

  test("is the beginning of time without dependencies: others decide then", () => {
    expect(readyAtMs(graph, 5, at(nowMs, nowMs), nowMs)).toBe(0);
  });
});
