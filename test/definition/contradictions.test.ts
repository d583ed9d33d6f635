// Hunts: a step that can never begin, and a definition that is refused although it can.
import { describe, expect, test } from "vitest";
import { DefinitionError } from "../../lib/definition/errors.ts";
import { type DependencyKind, dependencyKinds } from "../../lib/definition/graph.ts";
import type { StepRef } from "../../lib/definition/step.ts";
import { type WorkflowBuilder, workflow } from "../../lib/definition/workflow.ts";

type Dependencies = Partial<Record<DependencyKind, readonly string[]>>;
interface Step extends Dependencies {
  readonly onFailure?: "fail";
}

/** Faults of a workflow with these steps; failures are tolerated unless said otherwise. */
function faults(steps: Readonly<Record<string, Step>>): string[] {
  const define = (w: WorkflowBuilder<undefined>): void => {
    const refs = new Map<string, StepRef>();
    for (const [id, { onFailure = "continue", ...dependencies }] of Object.entries(steps)) {
      const named = Object.entries(dependencies).map(([kind, ids]) => [kind, ids.map((one) => refs.get(one))]);
      refs.set(id, w.step(id, { run: () => 1, onFailure, ...Object.fromEntries(named) } as never));
    }
  };
  try {
    workflow("sample", {}, define);
  } catch (error) {
    if (error instanceof DefinitionError) return error.faults.map(({ at, message }) => `${at}: ${message}`);
    throw error;
  }
  return [];
}

describe("one dependency in two lists", () => {
  const pairs = dependencyKinds.flatMap((kind, at) =>
    dependencyKinds.slice(at + 1).map((other) => [kind, other] as const),
  );

  test.each(pairs)("%s and %s", (kind, other) => {
    expect(faults({ a: {}, b: {}, c: { [kind]: ["a", "b"], [other]: ["b"] } })).toEqual([
      `step "c": names "b" in both ${kind} and ${other}; keep one of them.`,
    ]);
    expect(faults({ a: {}, b: {}, c: { [kind]: ["a"], [other]: ["b"] } })).toEqual([]);
  });

  test("every such pair is named", () => {
    expect(faults({ a: {}, b: { after: ["a"], afterAny: ["a"], afterSettled: ["a"] } })).toHaveLength(3);
  });
});

describe("waiting for a failure that ends the run", () => {
  test("is a fault for each such dependency", () => {
    const waits = (id: string): string =>
      `step "d": afterFailed: waits for the failure of "${id}", which ends the run; give "${id}" onFailure: "continue".`;
    const steps = {
      a: { onFailure: "fail" },
      b: {},
      c: { onFailure: "fail" },
      d: { afterFailed: ["a", "b", "c"] },
    } as const;
    expect(faults(steps)).toEqual([waits("a"), waits("c")]);
  });

  test("is none for the other kinds", () => {
    const a = { onFailure: "fail" } as const;
    expect(faults({ a, b: { after: ["a"] }, c: { afterAny: ["a"] }, d: { afterSettled: ["a"] } })).toEqual([]);
  });
});

describe("waiting for the failure of what must have succeeded", () => {
  const never = (...ids: string[]): string =>
    `step "z": afterFailed: can never begin: after needs ${ids.map((id) => `"${id}"`).join(", ")} to have succeeded or been skipped.`;

  test("through one other step", () => {
    expect(faults({ a: {}, b: { after: ["a"] }, z: { after: ["b"], afterFailed: ["a"] } })).toEqual([never("a")]);
  });

  test("through many", () => {
    const steps = { a: {}, b: { after: ["a"] }, c: { after: ["b"] }, d: { after: ["c"] } };
    expect(faults({ ...steps, z: { after: ["d"], afterFailed: ["a"] } })).toEqual([never("a")]);
    expect(faults({ ...steps, z: { after: ["d"], afterFailed: ["a", "b"] } })).toEqual([never("a", "b")]);
  });

  test("is a fault only when no other failure can let it begin", () => {
    expect(faults({ a: {}, x: {}, b: { after: ["a"] }, z: { after: ["b"], afterFailed: ["a", "x"] } })).toEqual([]);
  });

  test("is none through dependencies that a failure satisfies", () => {
    expect(faults({ a: {}, b: { afterSettled: ["a"] }, z: { after: ["b"], afterFailed: ["a"] } })).toEqual([]);
    expect(faults({ a: {}, x: {}, b: { afterAny: ["a", "x"] }, z: { after: ["b"], afterFailed: ["a"] } })).toEqual([]);
    expect(faults({ a: {}, b: { after: ["a"] }, z: { afterSettled: ["b"], afterFailed: ["a"] } })).toEqual([]);
  });

  test("of what is named directly is told once, as the same dependency in two lists", () => {
    expect(faults({ a: {}, z: { after: ["a"], afterFailed: ["a"] } })).toEqual([
      'step "z": names "a" in both after and afterFailed; keep one of them.',
    ]);
  });

  test("through a step with a single afterAny", () => {
    expect(faults({ a: {}, b: { afterAny: ["a"] }, z: { after: ["b"], afterFailed: ["a"] } })).toEqual([never("a")]);
  });
});

test("a graph that uses every kind without contradiction is none", () => {
  expect(
    faults({
      a: {},
      b: {},
      c: { afterFailed: ["a"] },
      d: { after: ["c"], afterAny: ["b"], afterSettled: ["a"] },
      e: { afterFailed: ["d"], afterSettled: ["c"] },
      f: { after: ["e"], afterFailed: ["b"] },
    }),
  ).toEqual([]);
});

describe("idempotent", () => {
  const run = (): number => 1;
  const reason =
    'cannot be used where step "charge" is undone: nothing is undone while a step runs, and nobody would know that this one does; leave it out.';

  function faultsOf(build: (w: WorkflowBuilder<undefined>) => void): readonly string[] {
    try {
      workflow("sample", {}, (w) => {
        build(w);
      });
    } catch (error) {
      if (error instanceof DefinitionError) return error.faults.map(({ at, message }) => `${at}: ${message}`);
      throw error;
    }
    return [];
  }

  test("is a fault in a workflow that undoes a step, on whatever step", () => {
    const faults = faultsOf((w) => {
      w.step("read", { idempotent: true, run });
      w.step("charge", { idempotent: true, run, compensate: run });
      w.poll("wait", {
        idempotent: true,
        run,
        until: () => true,
        interval: { type: "fixed", base: "1s" },
        timeout: "1m",
      });
      w.map("all", { idempotent: true, items: () => [], run });
      w.step("other", { idempotent: false, run });
    });
    expect(faults).toEqual([
      `step "read": idempotent: ${reason}`,
      `step "charge": idempotent: ${reason}`,
      `step "wait": idempotent: ${reason}`,
      `step "all": idempotent: ${reason}`,
    ]);
  });

  test("is none where nothing is undone", () => {
    expect(faultsOf((w) => void w.step("read", { idempotent: true, run }))).toEqual([]);
  });
});
