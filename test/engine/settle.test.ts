// Hunts: a run that never ends, ends too early or as the wrong thing, or a cascade that outgrows one write.
import { describe, expect, test } from "vitest";
import type { Graph } from "../../lib/definition/graph.ts";
import { limits } from "../../lib/definition/limits.ts";
import { defaultRetry } from "../../lib/definition/retry.ts";
import type { RunState, RunStatus, StepState } from "../../lib/engine/run-state.ts";
import { blockedError, settle, withFailure } from "../../lib/engine/settle.ts";
import { transitionTo } from "../../lib/engine/transition-to.ts";
import { after, backingOff, ended, graphOf, nowMs, running, runOf, stateOf } from "./sample-run.ts";

const tolerant = { onFailure: "continue" } as const;
const settled = (graph: Graph, steps: (StepState | undefined)[], change: Partial<RunState> = {}): RunState =>
  settle(graph, runOf({ steps, ...change }), nowMs);
const statuses = (run: RunState): string[] => Array.from(run.steps, (step) => step?.status ?? "pending");

describe("the end of a run", () => {
  const two = graphOf([{}, tolerant]);

  test.each<readonly [RunStatus, readonly (StepState | undefined)[]]>([
    ["running", [ended("succeeded"), undefined]],
    ["running", [ended("succeeded"), running()]],
    ["running", [ended("succeeded"), backingOff()]],
    ["succeeded", [ended("succeeded"), ended("succeeded")]],
    ["succeeded", [ended("skipped"), ended("skipped")]],
    ["succeeded", [ended("succeeded"), ended("failed")]],
    ["unwinding", [ended("failed"), undefined]],
    ["unwinding", [ended("failed"), running()]],
    ["unwinding", [ended("failed"), backingOff()]],
    ["failed", [ended("failed"), ended("succeeded")]],
    ["failed", [ended("failed"), ended("failed")]],
  ])("%s", (status, steps) => {
    const run = settled(two, [...steps]);
    expect(run.status).toBe(status);
    expect(run.endedAtMs).toBe(status === "succeeded" || status === "failed" ? nowMs : undefined);
  });

  test("an unwinding run drains what is at work, then fails; what waits never begins", () => {
    const end = (steps: (StepState | undefined)[]): RunStatus => settled(two, steps, { status: "unwinding" }).status;
    expect(end([ended("failed"), running()])).toBe("unwinding");
    expect(end([ended("failed"), running({ leaseUntilMs: nowMs - 60_000 })])).toBe("unwinding");
    expect(end([ended("failed"), backingOff()])).toBe("failed");
    expect(end([ended("failed"), undefined])).toBe("failed");
    expect(end([ended("failed"), ended("unknown")])).toBe("failed");
  });

  test.each(["paused", "succeeded", "failed", "cancelled", "timed_out"] as const)(
    "a %s run is left as it is",
    (status) => {
      for (const steps of [[ended("failed")], [ended("succeeded"), ended("succeeded")], []]) {
        const run = runOf({ status, steps });
        expect(settle(two, run, nowMs)).toBe(run);
      }
    },
  );

  test("a run never ends before it was created, whatever the clock says", () => {
    const run = settled(two, [ended("succeeded"), ended("succeeded")], { createdAtMs: nowMs + 9_000 });
    expect(run.endedAtMs).toBe(nowMs + 9_000);
  });
});

describe("the error of a run", () => {
  const graph = graphOf([tolerant, { after: [0] }, {}]);

  test("is that of the failed attempt", () => {
    const error = { name: "TypeError", message: "no", step: "s2" };
    expect(settled(graph, [undefined, undefined, ended("failed")], { error })).toMatchObject({
      status: "unwinding",
      error,
    });
  });

  test("names what blocked the step that could not begin", () => {
    expect(settled(graph, [ended("failed")])).toMatchObject({
      status: "unwinding",
      steps: [
        { status: "failed", attempt: 1 },
        { status: "failed", attempt: 0 },
      ],
      error: { name: "DependencyFailed", message: 'Step "s1" cannot begin: "s0" failed.', step: "s1" },
    });
  });

  test("names every dependency that failed or is unknown, and no other", () => {
    const wide = graphOf([tolerant, tolerant, tolerant, tolerant, { after: [0, 1, 2], afterAny: [3] }]);
    const states = [ended("failed"), ended("succeeded"), ended("unknown"), ended("failed")];
    expect(blockedError(wide, 4, states).message).toBe('Step "s4" cannot begin: "s0", "s2", "s3" failed.');
  });

  test("is the first that ends the run; a tolerated failure is not the run's", () => {
    const error = { name: "E", message: "first", fingerprint: "0123456789ab" };
    const run = runOf();
    expect(withFailure(graph, run, 0, error)).toBe(run);
    expect(withFailure(graph, run, 2, error)).toEqual({ ...run, error });
    const failed = { ...run, error };
    expect(withFailure(graph, failed, 2, { name: "E", message: "second" })).toBe(failed);
  });

  test("has a fingerprint, of its own when nobody has given it one", () => {
    const found = withFailure(graph, runOf(), 2, { name: "E", message: "first" }).error?.fingerprint;
    expect(found).toMatch(/^[0-9a-v]{12}$/);
    expect(withFailure(graph, runOf(), 2, { name: "E", message: "second" }).error?.fingerprint).not.toBe(found);
  });
});

describe("what follows without code", () => {
  test("a skip is carried on by skipWithDependency, and satisfies everyone else", () => {
    const graph = graphOf([{}, { after: [0], skipWithDependency: true }, { after: [1] }]);
    expect(statuses(settled(graph, [ended("skipped")]))).toEqual(["skipped", "skipped"]);
  });

  test("a tolerated block goes on to its dependants, and wakes those that wait for the failure", () => {
    const graph = graphOf([tolerant, { ...tolerant, after: [0] }, { ...tolerant, after: [1] }, { afterFailed: [2] }]);
    const run = settled(graph, [ended("failed")]);
    expect(statuses(run)).toEqual(["failed", "failed", "failed"]);
    expect(run.status).toBe("running");
    expect(run.steps[2]).toEqual({ status: "failed", attempt: 0, startedAtMs: nowMs, endedAtMs: nowMs });
  });

  test("the handler of a failure that did not come is skipped, and with it the run ends", () => {
    const graph = graphOf([tolerant, { afterFailed: [0] }]);
    expect(settled(graph, [ended("succeeded")])).toMatchObject({
      status: "succeeded",
      steps: [{}, { status: "skipped" }],
    });
  });

  test("a block that ends the run stops everything behind it", () => {
    const graph = graphOf([tolerant, { after: [0] }, { ...tolerant, after: [0] }, {}]);
    const run = settled(graph, [ended("failed")]);
    expect(statuses(run)).toEqual(["failed", "failed"]);
    expect(run.status).toBe("unwinding");
  });

  test("a run that has failed settles no further steps", () => {
    const graph = graphOf([{}, tolerant, { afterFailed: [1] }]);
    expect(statuses(settled(graph, [ended("failed"), ended("succeeded")]))).toEqual(["failed", "succeeded"]);
  });

  test("steps that have begun are never settled", () => {
    const graph = graphOf([tolerant, { ...tolerant, after: [0] }, { ...tolerant, after: [0] }]);
    const steps = [ended("failed"), running(), backingOff()];
    expect(settled(graph, steps).steps).toEqual(steps);
  });
});

describe("a cascade over 199 steps (R8)", () => {
  const chain = graphOf(
    Array.from({ length: limits.stepsPerWorkflow }, (_, index) =>
      index === 0 ? {} : { after: [index - 1], skipWithDependency: true },
    ),
  );

  test("is carried by writes that fit into a DynamoDB expression, and ends the run with the last", () => {
    let run = runOf({ steps: [ended("skipped")] });
    let writes = 0;
    for (;;) {
      const next = settle(chain, run, nowMs);
      if (next === run) break;
      const transition = transitionTo(run, next);
      writes++;
      // Each name and each value is a placeholder of up to 5 characters; values do not count.
      const conditions = transition.guard.length * "attribute_not_exists(#g999) AND ".length;
      const assignments = Object.keys(transition.set).length * "#s999 = :s999, ".length;
      expect(conditions + assignments).toBeLessThan(4_096);
      const seen = after(run, transition);
      const settledNow =
        seen.steps.filter((step) => step !== undefined).length - run.steps.filter((step) => step !== undefined).length;
      expect(settledNow).toBeLessThanOrEqual(limits.settledPerWrite);
      expect(settledNow).toBeGreaterThan(0);
      run = seen;
    }
    expect(writes).toBe(Math.ceil(199 / limits.settledPerWrite));
    expect(run.status).toBe("succeeded");
    expect(new Set(statuses(run))).toEqual(new Set(["skipped"]));
  });

  test("a run that is not settled yet does not end", () => {
    const once = settled(chain, [ended("skipped")]);
    expect(once.status).toBe("running");
    expect(once.steps[limits.settledPerWrite]?.status).toBe("skipped");
    expect(once.steps[limits.settledPerWrite + 1]).toBeUndefined();
  });
});

test("an unwinding run ends many steps that wait in several writes, and itself not before", () => {
  const compensate = { retry: defaultRetry, timeoutMs: 1_000 };
  const all = Array.from({ length: limits.stepsPerWorkflow }, () => ({ kind: "callback" as const, compensate }));
  const graph = graphOf(all);
  let run = runOf({ status: "unwinding", steps: all.map(() => stateOf("waiting")) });
  let writes = 0;
  for (let next = settle(graph, run, nowMs); next !== run; next = settle(graph, run, nowMs)) {
    expect(transitionTo(run, next).guard.length).toBeLessThanOrEqual(limits.settledPerWrite + 2);
    expect(next.status).toBe("unwinding");
    run = next;
    writes++;
  }
  expect(writes).toBe(Math.ceil(all.length / limits.settledPerWrite));
  expect(new Set(statuses(run))).toEqual(new Set(["unknown"]));
});

test("settling what is settled is the same value, so that nothing is written (R1)", () => {
  const graph = graphOf([tolerant, { ...tolerant, after: [0] }]);
  for (const status of ["pending", "running", "backing_off", "failed", "succeeded"] as const) {
    const once = settled(graph, [stateOf(status)]);
    expect(settle(graph, once, nowMs + 1)).toBe(once);
  }
});
