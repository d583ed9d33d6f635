// Hunts: a deployed step that no function ever runs, or that Lambda stops before its timeout.
import { describe, expect, it } from "vitest";
import { planTaskQueues } from "../../lib/cdk/task-queue-plan.ts";
import { workflow } from "../../lib/definition/workflow.ts";

const run = (): undefined => undefined;

const simple = (options: object) => workflow("order", {}, (w) => w.step("ship", { run, ...options }));

const timeoutOf = (given: ReturnType<typeof simple>, configured = {}): number | undefined =>
  planTaskQueues([given], configured).get("default")?.timeoutMs;

describe("the timeout of a function", () => {
  it("is that of its longest attempt, and 30 s", () => {
    expect(timeoutOf(simple({ timeout: "5m" }))).toBe(330_000);
  });

  it("counts polls, callbacks, items of maps, and compensations", () => {
    const all = {
      poll: workflow("w", {}, (w) => {
        w.poll("a", {
          run,
          until: () => true,
          interval: { type: "fixed", base: "1s" },
          maxAttempts: 3,
          attemptTimeout: "4m",
        });
      }),
      callback: workflow("w", {}, (w) => {
        w.callback("a", { run, attemptTimeout: "4m" });
      }),
      map: workflow("w", {}, (w) => {
        w.map("a", { items: () => [1], run, timeout: "4m" });
      }),
      undo: workflow("w", {}, (w) => {
        w.step("a", { run, compensate: { run, timeout: "4m" } });
      }),
    };
    for (const [kind, given] of Object.entries(all)) {
      expect(planTaskQueues([given], {}).get("default")?.timeoutMs, kind).toBe(270_000);
    }
  });

  it("is not moved by how long a run, a signal or a poll as a whole may wait", () => {
    const waits = workflow("w", { timeout: "5d" }, (w) => {
      const signal = w.signal("go", { timeout: "2d" });
      w.poll("look", {
        after: [signal],
        run,
        until: () => true,
        interval: { type: "fixed", base: "1s" },
        timeout: "3h",
      });
    });
    expect(planTaskQueues([waits], {}).get("default")?.timeoutMs).toBe(90_000);
  });

  it("is as configured when that is enough", () => {
    expect(timeoutOf(simple({ timeout: "30s" }), { default: { timeoutMs: 60_000 } })).toBe(60_000);
  });

  it("knows the task queues of children, and of what is done for each item", () => {
    const child = workflow("child", {}, (w) => w.step("slow", { run, taskQueue: "heavy", timeout: "10m" }));
    const parent = workflow("parent", {}, (w) => {
      w.child("one", { workflow: child });
    });
    const each = workflow("each", {}, (w) => {
      w.map("many", { items: () => [undefined], each: () => child });
    });
    for (const given of [parent, each]) {
      expect(planTaskQueues([given], { heavy: {} }).get("heavy")?.timeoutMs).toBe(630_000);
    }
  });
});

describe("refuses", () => {
  it("a task queue that is not configured, naming workflow, step and queue", () => {
    const child = workflow("child", {}, (w) => w.step("pack", { run, taskQueue: "inventory" }));
    const parent = workflow("parent", {}, (w) => {
      w.child("one", { workflow: child });
    });
    expect(() => planTaskQueues([parent], { crm: {} })).toThrow(
      'step "pack" of workflow "child" is on task queue "inventory", which is not configured. Add taskQueues: { "inventory": {} }, or put the step on one of: default, crm.',
    );
  });

  it("a step that takes longer than its function, telling both ways out", () => {
    expect(() => timeoutOf(simple({ timeout: "2m" }), { default: { timeoutMs: 60_000 } })).toThrow(
      'step "ship" of workflow "order" may take 2m, and the function of task queue "default" runs for 1m, 30s of which are for the engine. Give the step a timeout of 30s or less, or its function a timeout of 2.5m or more.',
    );
  });

  it("a step that takes longer than any function", () => {
    expect(() => timeoutOf(simple({ timeout: "20m" }))).toThrow(
      "may take 20m, and a function may run for 15m, 30s of which are for the engine. Give the step a timeout of 14.5m or less, or let it wait for what takes so long by a poll or a callback.",
    );
  });

  it("everything at once", () => {
    const given = [simple({ timeout: "20m" }), workflow("other", {}, (w) => w.step("a", { run, taskQueue: "gone" }))];
    expect(() => planTaskQueues(given, {})).toThrow(/"gone"[^]*may take 20m/);
  });

  it("names that are none, and more task queues than the functions can be told of", () => {
    const many = Object.fromEntries(Array.from({ length: 10 }, (_, index) => [`q${index}`, {}]));
    expect(() => planTaskQueues([simple({})], { ...many, "in ventory": {} })).toThrow(
      /there are 12 task queues .*at most 10 are allowed\.[^]*"in ventory" is no name; allowed is a letter/,
    );
  });

  it("two workflows of one name", () => {
    expect(() => planTaskQueues([simple({}), simple({})], {})).toThrow('Two workflows are named "order"');
  });
});

it("tells which task queues nobody uses", () => {
  const plans = planTaskQueues([simple({})], { old: {} });
  expect([...plans].map(([name, { isUnused }]) => [name, isUnused])).toEqual([
    ["default", false],
    ["old", true],
  ]);
});
