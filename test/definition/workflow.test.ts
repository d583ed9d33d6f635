// Hunts: a definition that is wrong and built, right and refused, or refused without saying where and what to do.
import { describe, expect, test } from "vitest";
import * as z from "zod";
import { DefinitionError } from "../../lib/definition/errors.ts";
import type { GraphStep } from "../../lib/definition/graph.ts";
import { instantForm } from "../../lib/definition/instant.ts";
import { limits } from "../../lib/definition/limits.ts";
import { defaultRetry } from "../../lib/definition/retry.ts";
import type { StepRef } from "../../lib/definition/step.ts";
import { type Workflow, type WorkflowBuilder, workflow } from "../../lib/definition/workflow.ts";

type Builder = WorkflowBuilder<undefined>;
const run = (): number => 1;
/** What plain JavaScript may pass. */
const any = (value: unknown): never => value as never;

function build(define: (w: Builder) => StepRef | void, options: object = {}, name = "sample"): Workflow {
  return workflow(name, options, define);
}

/** Every fault of a definition, as `at: message`. */
function faults(define: (w: Builder) => StepRef | void, options: object = {}, name = "sample"): string[] {
  try {
    build(define, options, name);
  } catch (error) {
    if (error instanceof DefinitionError) return error.faults.map(({ at, message }) => `${at}: ${message}`);
    throw error;
  }
  return [];
}

const stepFaults = (options: object): string[] => faults((w) => void w.step("a", any({ run, ...options })));
const stepOf = (options: object, workflowOptions: object = {}): GraphStep | undefined =>
  build((w) => void w.step("a", any({ run, ...options })), workflowOptions).graph.steps[0];

const child = workflow("other", {}, (w) => w.step("a", { run }));
const childFaults = (options: object): string[] =>
  faults((w) => void w.child("a", any({ workflow: child, ...options })));
const durationForm = 'a number and a unit (ms, s, m, h, d), such as "30s", "1.5h" or "3d"';
const nameForm = 'a letter, then letters, digits, "_" and "-", at most 64 in all';

describe("the graph", () => {
  test("of a step without options has every default", () => {
    expect(build((w) => w.step("a", { run })).graph).toStrictEqual({
      schema: 1,
      workflow: "sample",
      output: 0,
      steps: [
        {
          id: "a",
          kind: "step",
          after: [],
          afterAny: [],
          afterFailed: [],
          afterSettled: [],
          taskQueue: "default",
          retry: defaultRetry,
          onFailure: "fail",
          timeoutMs: 60_000,
        },
      ],
    });
  });

  test("has everything that was said, as numbers and indexes", () => {
    const { graph } = build(
      (w) => {
        const a = w.step("a", { run, onFailure: "continue" });
        const b = w.step("b", { run, afterSettled: [a] });
        const c = w.step("c", { run, afterAny: [b, a] });
        w.step("d", {
          run,
          after: [b],
          afterAny: [c],
          afterFailed: [a],
          afterSettled: [],
          skipWithDependency: true,
          when: () => true,
          delay: "5s",
          startAt: "2027-01-31T08:00:00Z",
          timeout: "2m",
          retry: { maxAttempts: Infinity },
          taskQueue: "heavy-1",
          onFailure: "continue",
        });
      },
      { timeout: "3d" },
    );
    expect(graph.timeoutMs).toBe(259_200_000);
    expect(graph).not.toHaveProperty("output");
    expect(graph.steps[2]?.afterAny).toEqual([1, 0]);
    expect(graph.steps[3]).toStrictEqual({
      id: "d",
      kind: "step",
      after: [1],
      afterAny: [2],
      afterFailed: [0],
      afterSettled: [],
      taskQueue: "heavy-1",
      retry: { ...defaultRetry, maxAttempts: "unlimited" },
      onFailure: "continue",
      timeoutMs: 120_000,
      delayMs: 5_000,
      startAtMs: Date.UTC(2027, 0, 31, 8),
      skipWithDependency: true,
      hasWhen: true,
    });
  });

  test("takes the workflow's defaults where the step says nothing", () => {
    const defaults = { retry: { maxAttempts: 9, backoff: { type: "fixed", base: "5s" } }, timeout: "10s" };
    expect(stepOf({}, { defaults })).toMatchObject({
      timeoutMs: 10_000,
      retry: { maxAttempts: 9, backoff: { baseMs: 5_000 } },
    });
    expect(stepOf({ timeout: "20s", retry: { maxAttempts: 2 } }, { defaults })).toMatchObject({
      timeoutMs: 20_000,
      retry: { maxAttempts: 2, backoff: { type: "fixed", baseMs: 5_000 } },
    });
  });

  test("keeps isRetryable of the step, else of the workflow", () => {
    const [own, inherited] = [() => true, () => false];
    const { code } = build(
      (w) => {
        w.step("a", { run });
        w.step("b", { run, retry: { isRetryable: own } });
      },
      { defaults: { retry: { isRetryable: inherited } } },
    );
    expect(code.get("a")).toMatchObject({ isRetryable: inherited });
    expect(code.get("b")).toMatchObject({ isRetryable: own });
  });

  test("holds no code; the code is there by step id", () => {
    const [when, startAt, output] = [() => true, () => new Date(0), z.number()];
    const { code, graph } = build((w) => void w.step("a", { run, when, startAt, output }));
    expect(code.get("a")).toEqual({ kind: "step", run, when, startAt, output });
    expect(graph.steps[0]).toMatchObject({ hasWhen: true, hasStartAt: true });
    expect(graph.steps[0]).not.toHaveProperty("startAtMs");
  });

  test("falsy options are not taken for absent ones, nor absent for given", () => {
    expect(stepOf({ skipWithDependency: false })).not.toHaveProperty("skipWithDependency");
    expect(stepOf({ idempotent: false })).not.toHaveProperty("idempotent");
    expect(stepOf({ idempotent: true })).toMatchObject({ idempotent: true });
    expect(stepOf({ startAt: new Date(0) })).toMatchObject({ startAtMs: 0 });
    expect(stepOf({ after: undefined, delay: undefined })).toStrictEqual(stepOf({}));
  });

  test("may be returned as any of its steps, and the run then has that output", () => {
    const { graph } = build((w) => {
      const a = w.step("a", { run });
      w.step("b", { run, after: [a] });
      return a;
    });
    expect(graph.output).toBe(0);
  });
});

describe("what undoes a step", () => {
  const undoing = { ...defaultRetry, maxAttempts: 10 };
  const poll = { until: () => true, interval: { type: "fixed", base: "1s" }, maxAttempts: 5 } as const;

  test("as a function: ten attempts, each within the time of the step's own", () => {
    const undo = (): void => undefined;
    const built = build((w) => void w.step("a", { run, timeout: "7s", compensate: undo }));
    expect(built.graph.steps[0]?.compensate).toStrictEqual({ retry: undoing, timeoutMs: 7_000 });
    expect(built.code.get("a")?.compensate).toEqual({ run: undo });
  });

  test("with options: its own attempts, pauses and time; those of the step and of the workflow are not its", () => {
    const [undo, isRetryable] = [(): void => undefined, (): boolean => true];
    const retry = { maxAttempts: Infinity, backoff: { type: "fixed", base: "5s" }, isRetryable } as const;
    const built = build(
      (w) => {
        w.step("a", { run, retry: { maxAttempts: 2 }, compensate: { run: undo, retry, timeout: "90s" } });
        w.step("b", { run, compensate: { run: undo } });
      },
      { defaults: { retry: { maxAttempts: 4, isRetryable: () => false }, timeout: "3s" } },
    );
    const [a, b] = built.graph.steps;
    expect(a).toMatchObject({ retry: { maxAttempts: 2 }, timeoutMs: 3_000 });
    expect(a?.compensate).toMatchObject({
      retry: { maxAttempts: "unlimited", backoff: { type: "fixed", baseMs: 5_000 } },
      timeoutMs: 90_000,
    });
    expect(built.code.get("a")?.compensate).toEqual({ run: undo, isRetryable });
    expect(b?.compensate).toStrictEqual({ retry: undoing, timeoutMs: 3_000 });
    expect(built.code.get("b")?.compensate).toEqual({ run: undo });
  });

  test("of a poll: each attempt within the time of one look", () => {
    const undo = (): void => undefined;
    const built = build((w) => {
      w.poll("a", { run, ...poll, attemptTimeout: "4s", compensate: undo });
      w.poll("b", { run, ...poll, compensate: { run: undo, timeout: "2m" } });
      w.poll("c", { run, ...poll });
    });
    expect(built.graph.steps.map(({ compensate }) => compensate)).toEqual([
      { retry: undoing, timeoutMs: 4_000 },
      { retry: undoing, timeoutMs: 120_000 },
      undefined,
    ]);
    expect(built.code.get("a")).toMatchObject({ run, until: poll.until, compensate: { run: undo } });
    expect(built.code.get("c")).not.toHaveProperty("compensate");
    expect(faults((w) => void w.poll("a", { run, ...poll, compensate: any({}) }))).toEqual([
      'poll "a": compensate: has no run function; give it one.',
    ]);
  });

  test("is part of the fingerprint: a run relies on it", () => {
    const prints = [{}, { compensate: run }, { compensate: { run, timeout: "5s" } }].map(
      (options) => build((w) => void w.step("a", any({ run, ...options }))).fingerprint,
    );
    expect(new Set(prints).size).toBe(3);
    expect(build((w) => void w.step("a", { run, compensate: () => 2 })).fingerprint).toBe(prints[1]);
  });
});

describe("names", () => {
  test.each(["a", "Z", "a1", "order-2", "order_2", "toString", "constructor", "x".repeat(64)])("%s", (name) => {
    expect(faults((w) => void w.step(name, { run }), {}, name)).toEqual([]);
    expect(stepOf({ taskQueue: name })?.taskQueue).toBe(name);
  });

  test.each(["", "1a", "-a", "_a", "__proto__", "a b", "a.b", "a/b", "a#b", "ä", "a\n", "x".repeat(65)])(
    "%j is a fault",
    (name) => {
      expect(faults((w) => void w.step("a", { run }), {}, name)).toEqual([
        `name: is ${JSON.stringify(name)}; allowed is ${nameForm}.`,
      ]);
      expect(faults((w) => void w.step(name, { run }))).toEqual([
        `step ${JSON.stringify(name)}: has an id that is not allowed; allowed is ${nameForm}.`,
      ]);
      expect(stepFaults({ taskQueue: name })).toEqual([
        `step "a": taskQueue: is ${JSON.stringify(name)}; allowed is ${nameForm}.`,
      ]);
    },
  );

  test.each([5, null, {}])("%j, which is no text, is a fault", (name) => {
    expect(faults((w) => void w.step(any(name), { run }))[0]).toContain("has an id that is not allowed");
  });
});

describe("each fault says where, what, and what is allowed", () => {
  test.each<readonly [object, string]>([
    [{ run: undefined }, 'step "a": has no run function; give it one.'],
    [{ run: "code" }, 'step "a": has no run function; give it one.'],
    [{ onFailure: "retry" }, 'step "a": onFailure: is "retry"; allowed are "fail" and "continue".'],
    [{ delay: "0s" }, `step "a": delay: is "0s"; allowed is ${durationForm}, above 0 and up to 366d.`],
    [{ delay: 5_000 }, `step "a": delay: is 5000; allowed is ${durationForm}, above 0 and up to 366d.`],
    [{ delay: "367d" }, `step "a": delay: is "367d"; allowed is ${durationForm}, above 0 and up to 366d.`],
    [{ timeout: "soon" }, `step "a": timeout: is "soon"; allowed is ${durationForm}, above 0 and up to 1d.`],
    [{ timeout: "0.1ms" }, `step "a": timeout: is "0.1ms"; allowed is ${durationForm}, above 0 and up to 1d.`],
    [{ timeout: "25h" }, `step "a": timeout: is "25h"; allowed is ${durationForm}, above 0 and up to 1d.`],
    [
      { retry: { maxAttempts: 0 } },
      'step "a": retry.maxAttempts: is 0; allowed are 1 to 1000, or Infinity to retry for ever.',
    ],
    [{ startAt: "tomorrow" }, `step "a": startAt: is "tomorrow"; allowed is ${instantForm}.`],
    [{ startAt: 5 }, `step "a": startAt: is 5; allowed is ${instantForm}.`],
    [{ after: ["b"] }, 'step "a": after: refers to "b", which is not a step of this workflow.'],
    [{ afterAny: [undefined] }, 'step "a": afterAny: refers to undefined, which is not a step of this workflow.'],
    [{ afterFailed: [{ id: "b" }] }, 'step "a": afterFailed: refers to "b", which is not a step of this workflow.'],
    [{ afterSettled: [5] }, 'step "a": afterSettled: refers to 5, which is not a step of this workflow.'],
    [{ compensate: "undo" }, 'step "a": compensate: is "undo"; allowed is a function, or an object of options.'],
    [{ compensate: { retry: {} } }, 'step "a": compensate: has no run function; give it one.'],
    [
      { compensate: { run, retry: { maxAttempts: 0 } } },
      'step "a": compensate: retry.maxAttempts: is 0; allowed are 1 to 1000, or Infinity to retry for ever.',
    ],
    [
      { compensate: { run, timeout: "25h" } },
      `step "a": compensate: timeout: is "25h"; allowed is ${durationForm}, above 0 and up to 1d.`,
    ],
  ])("%j", (options, fault) => {
    expect(stepFaults(options)).toEqual([fault]);
  });

  test("a step that is defined twice", () => {
    const define = (w: Builder): void => {
      w.step("a", { run });
      w.step("a", { run });
    };
    expect(faults(define)).toEqual(['step "a": is defined twice; ids are unique within a workflow.']);
  });

  test("a step that is named twice in one list", () => {
    const define = (w: Builder): void => {
      const a = w.step("a", { run });
      w.step("b", { run, after: [a, a] });
    };
    expect(faults(define)).toEqual(['step "b": after: names "a" twice.']);
  });

  test("a step of another workflow, also one with the same name", () => {
    const foreign: StepRef[] = [];
    build((w) => void foreign.push(w.step("a", { run })));
    const define = (w: Builder): StepRef => {
      w.step("a", { run });
      w.step("b", { run, after: foreign });
      return foreign[0]!;
    };
    expect(faults(define)).toEqual([
      'step "b": after: refers to "a", which is not a step of this workflow.',
      'returned step: refers to "a", which is not a step of this workflow.',
    ]);
  });

  test("a workflow without steps", () => {
    expect(faults(() => undefined)).toEqual(["workflow: has no steps; add at least one with w.step(…)."]);
  });

  test("a run timeout", () => {
    const timeoutFault = (timeout: unknown): string[] => faults((w) => void w.step("a", { run }), { timeout });
    expect(timeoutFault("366d")).toEqual([]);
    expect(timeoutFault("1 day")).toEqual([`timeout: is "1 day"; allowed is ${durationForm}, above 0 and up to 366d.`]);
    expect(timeoutFault("367d")).toEqual([`timeout: is "367d"; allowed is ${durationForm}, above 0 and up to 366d.`]);
  });

  test("what build returns must be a step", () => {
    expect(faults((w) => (w.step("a", { run }), any({ id: "b" })))).toEqual([
      'returned step: refers to "b", which is not a step of this workflow.',
    ]);
    expect(faults(any(async (w: Builder) => w.step("a", { run })))).toEqual([
      "returned step: refers to {}, which is not a step of this workflow.",
    ]);
  });

  test("a fault of the defaults is told once, where it stands", () => {
    const define = (w: Builder): void => {
      w.step("a", { run });
      w.step("b", { run });
    };
    const [fault, ...others] = faults(define, { defaults: { retry: { maxAttempts: 0 }, timeout: "soon" } });
    expect(fault).toMatch(/^defaults/);
    expect(others).toHaveLength(1);
  });
});

describe("one error names all faults", () => {
  const define = (w: Builder): void => {
    const a = w.step("1", {
      run,
      onFailure: any("x"),
      taskQueue: "",
      delay: any("x"),
      timeout: any("x"),
      startAt: "x",
    });
    w.step("b", { run, retry: { maxAttempts: 0, backoff: { type: any("x"), base: any("x") } }, after: [a, a, any(0)] });
    w.step("b", any({ afterFailed: [a] }));
  };

  test("in the order in which they were written", () => {
    expect(
      faults(define, { timeout: "x" }, "9").map((fault) => fault.split(/: (?:is|has|names|refers|waits)/)[0]),
    ).toEqual([
      "name",
      'step "1"',
      'step "1": taskQueue',
      'step "1": onFailure',
      'step "1": delay',
      'step "1": startAt',
      'step "1": timeout',
      'step "b": after',
      'step "b": after',
      'step "b": retry.maxAttempts',
      'step "b": retry.backoff.type',
      'step "b": retry.backoff.base',
      'step "b"',
      'step "b"',
      "timeout",
    ]);
  });

  test("with the workflow, the count, and a line for each", () => {
    const one = new DefinitionError("order", [{ at: "name", message: "is bad." }]);
    expect(one.message).toBe('Workflow "order" has 1 fault:\n  - name: is bad.');
    const two = new DefinitionError("order", [
      { at: "name", message: "is bad." },
      { at: 'step "a"', message: "is worse." },
    ]);
    expect(two).toMatchObject({ name: "DefinitionError", workflow: "order" });
    expect(two.message).toBe('Workflow "order" has 2 faults:\n  - name: is bad.\n  - step "a": is worse.');
  });
});

describe("limits (R8)", () => {
  const many = (count: number) => (w: Builder) => {
    for (let index = 0; index < count; index++) w.step(`s${index}`, { run });
  };

  test("200 steps are allowed, 201 are not", () => {
    expect(build(many(limits.stepsPerWorkflow)).graph.steps).toHaveLength(200);
    expect(faults(many(limits.stepsPerWorkflow + 1))).toEqual(["workflow: has 201 steps; at most 200 are allowed."]);
  });
});

describe("a definition that is built", () => {
  test("is frozen through and through: everybody who runs it shares it", () => {
    const { graph } = build((w) => void w.step("a", { run }));
    expect(() => {
      (graph.steps as unknown[]).push("b");
    }).toThrow(TypeError);
    expect(Object.isFrozen(graph.steps[0]?.retry.backoff)).toBe(true);
  });

  test("takes no more steps", () => {
    let builder: Builder | undefined;
    const built = build((w) => {
      builder = w;
      w.step("a", { run });
    });
    expect(() => builder?.step("b", { run })).toThrow(
      'Workflow "sample" has 1 fault:\n  - step "b": is added after the definition was built; add all steps before the build function returns.',
    );
    expect(built.graph.steps).toHaveLength(1);
    expect(built.code.has("b")).toBe(false);
  });

  test("is built once, at once", () => {
    let calls = 0;
    build((w) => {
      calls++;
      w.step("a", { run });
    });
    expect(calls).toBe(1);
  });

  test("is not changed by its user: neither it nor its steps' values", () => {
    const built = build((w) => {
      const a = w.step("a", { run });
      expect(Object.isFrozen(a)).toBe(true);
      return a;
    });
    expect(Object.isFrozen(built)).toBe(true);
  });

  test("throws what the build function throws, as it is", () => {
    const error = new RangeError("mine");
    expect(() =>
      build(() => {
        throw error;
      }),
    ).toThrow(error);
  });

  test("does not depend on lists that its author changes later", () => {
    const after: StepRef[] = [];
    const built = build((w) => {
      const a = w.step("a", { run });
      after.push(a);
      const b = w.step("b", { run, after });
      after.push(b);
    });
    expect(built.graph.steps[1]?.after).toEqual([0]);
  });
});

describe("a child", () => {
  test("is known to the graph by what becomes of it, and waits for ever", () => {
    expect(build((w) => w.child("a", { workflow: child, after: [] })).graph.steps[0]).toStrictEqual({
      id: "a",
      kind: "child",
      after: [],
      afterAny: [],
      afterFailed: [],
      afterSettled: [],
      taskQueue: "default",
      retry: { ...defaultRetry, maxAttempts: "unlimited" },
      onFailure: "fail",
      timeoutMs: 60_000,
      whenParentEnds: "cancel",
    });
  });

  test("needs a workflow, or a function that returns one", () => {
    const message = 'child "a": workflow: is no workflow; give it one, or a function that returns one.';
    expect(childFaults({ workflow: undefined })).toEqual([message]);
    expect(childFaults({ workflow: "other" })).toEqual([message]);
    expect(childFaults({ workflow: () => child })).toEqual([]);
  });

  test("takes an input function, and one of two words for its parent's end", () => {
    expect(childFaults({ input: { a: 1 } })).toEqual([
      'child "a": input: is no function; give it one that returns the child\'s input.',
    ]);
    expect(childFaults({ compensate: { timeout: "2d" } })).toHaveLength(2);
    expect(childFaults({ whenParentEnds: "stop" })).toEqual([
      'child "a": whenParentEnds: is "stop"; allowed are "cancel" and "leave".',
    ]);
  });
});

describe("a map", () => {
  const mapFaults = (options: object): string[] =>
    faults((w) => void w.map("a", any({ items: () => [1], run, ...options })));

  test("has in its graph what its items have, and the size of its shards", () => {
    const { graph } = build((w) =>
      w.map("a", { items: () => [1], run, timeout: "5s", retry: { maxAttempts: 9 }, toleratedFailures: "2.5%" }),
    );
    expect(graph.steps[0]).toStrictEqual({
      id: "a",
      kind: "map",
      after: [],
      afterAny: [],
      afterFailed: [],
      afterSettled: [],
      taskQueue: "default",
      retry: { ...defaultRetry, maxAttempts: "unlimited" },
      onFailure: "fail",
      timeoutMs: 60_000,
      item: { kind: "step", retry: { ...defaultRetry, maxAttempts: 9 }, timeoutMs: 5_000 },
      tolerated: { percent: 2.5 },
      shardItems: limits.shardItems,
      fanOut: limits.shardFanOut,
    });
  });

  test("of which any part is wrong says which, and what is allowed", () => {
    expect(mapFaults({ items: [1] })).toEqual(['map "a": has no items function; give it one that returns a list.']);
    expect(mapFaults({ run: undefined })).toEqual([
      'map "a": has no run function; give it one, or a workflow as each.',
    ]);
    expect(mapFaults({ each: child })).toEqual(['map "a": says both run and each; give it one of them.']);
    expect(mapFaults({ concurrency: 0 })).toEqual(['map "a": concurrency: is 0; allowed are 1 to 100000.']);
    expect(mapFaults({ timeout: "1y", retry: { maxAttempts: 0 } })).toHaveLength(2);
    for (const toleratedFailures of [-1, 1.5, "101%", "many", "5 %"]) {
      expect(mapFaults({ toleratedFailures })).toEqual([
        `map "a": toleratedFailures: is ${JSON.stringify(toleratedFailures)}; allowed are 0 to 100000, or "0%" to "100%".`,
      ]);
    }
    expect(faults((w) => void w.map("a", any({ items: () => [1], each: "other" })))).toEqual([
      'map "a": each: is no workflow; give it one, or a function that returns one.',
    ]);
  });
});

describe("limits on runs and attempts", () => {
  const keyForm = "a text of 1 to 128 characters, or a function that returns one";
  const perForm = `${durationForm}, from 1s to 1d`;
  const limitForm = "whole numbers from 1 to 1000";

  test("belong to the code: the graph and its fingerprint are the same with and without them", () => {
    const plain = build((w) => w.step("a", { run }));
    const key = (): string => "a";
    const limited = build((w) => w.step("a", { run, rateLimit: { key, limit: 10, per: "1.5s" } }), {
      concurrency: { key: "all", limit: 3 },
    });
    expect(limited.fingerprint).toBe(plain.fingerprint);
    expect(limited.concurrency).toEqual({ key: "all", limit: 3 });
    expect(limited.code.get("a")).toMatchObject({ rateLimit: { key, limit: 10, perMs: 1_500 } });
    expect(plain.concurrency).toBeUndefined();
    expect(plain.code.get("a")).not.toHaveProperty("rateLimit");
  });

  test("are refused with all of their faults", () => {
    const define = (w: Builder): void => {
      w.step("a", any({ run, rateLimit: { key: "", limit: 0, per: "999ms" } }));
      w.step("b", any({ run, rateLimit: { key: 7, limit: 1.5, per: "25h" } }));
      const poll = { run, until: () => true, interval: { type: "fixed", base: "1s" }, maxAttempts: 2 };
      w.poll("c", any({ ...poll, rateLimit: { limit: "2" } }));
    };
    expect(faults(define, { concurrency: { key: "x".repeat(129), limit: 1_001 } })).toEqual([
      `step "a": rateLimit.per: is "999ms"; allowed is ${perForm}.`,
      `step "a": rateLimit.limit: is 0; allowed are ${limitForm}.`,
      `step "a": rateLimit.key: is ""; allowed is ${keyForm}.`,
      `step "b": rateLimit.per: is "25h"; allowed is ${perForm}.`,
      `step "b": rateLimit.limit: is 1.5; allowed are ${limitForm}.`,
      `step "b": rateLimit.key: is 7; allowed is ${keyForm}.`,
      `poll "c": rateLimit.per: is undefined; allowed is ${perForm}.`,
      `poll "c": rateLimit.limit: is "2"; allowed are ${limitForm}.`,
      `concurrency.key: is "${"x".repeat(129)}"; allowed is ${keyForm}.`,
      `concurrency.limit: is 1001; allowed are ${limitForm}.`,
    ]);
  });
});

describe("a callback", () => {
  const callbackFaults = (options: object): string[] => faults((w) => void w.callback("ask", any({ run, ...options })));

  test("has the workflow's limit and policy for its code, and waits for ever when nothing is said", () => {
    const defaults = { timeout: "10s", retry: { maxAttempts: 2 } };
    const { graph, code } = build((w) => void w.callback("ask", { run }), { defaults });
    expect(graph.steps[0]).toMatchObject({ kind: "callback", timeoutMs: 10_000, retry: { maxAttempts: 2 } });
    expect(graph.steps[0]).not.toHaveProperty("waitMs");
    expect(graph.steps[0]).not.toHaveProperty("heartbeatMs");
    expect(code.get("ask")).toEqual({ kind: "callback", run });
  });

  test("keeps the times of its wait apart from that of its code", () => {
    const options = { run, timeout: "2d", heartbeatTimeout: "10m", attemptTimeout: "30s" } as const;
    expect(build((w) => void w.callback("ask", options)).graph.steps[0]).toMatchObject({
      waitMs: 172_800_000,
      heartbeatMs: 600_000,
      timeoutMs: 30_000,
    });
  });

  test("that makes no sense is refused with what is allowed", () => {
    expect(callbackFaults({ run: undefined })).toEqual(['callback "ask": has no run function; give it one.']);
    expect(callbackFaults({ timeout: "2 days" })).toEqual([
      `callback "ask": timeout: is "2 days"; allowed is ${durationForm}, above 0 and up to 366d.`,
    ]);
    expect(callbackFaults({ attemptTimeout: "2d" })).toEqual([
      `callback "ask": attemptTimeout: is "2d"; allowed is ${durationForm}, above 0 and up to 1d.`,
    ]);
    expect(callbackFaults({ timeout: "10m", heartbeatTimeout: "10m" })).toEqual([
      'callback "ask": heartbeatTimeout: is "10m", and the timeout is 10m; make it shorter, or leave it out.',
    ]);
    expect(callbackFaults({ retry: { maxAttempts: 0 } })).toHaveLength(1);
  });
});

test("a heartbeat timeout is shorter than the attempt that it is to cut off", () => {
  expect(stepOf({ heartbeatTimeout: "10s" })).toMatchObject({ heartbeatMs: 10_000 });
  expect(stepFaults({ heartbeatTimeout: "1m" })).toEqual([
    'step "a": heartbeatTimeout: is "1m", and the timeout is 1m; make it shorter, or leave it out.',
  ]);
});
