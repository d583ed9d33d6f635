// Hunts: attempts that begin more often than allowed, that use up attempts while they wait, or that never begin.
import { describe, expect, test } from "vitest";
import * as z from "zod";
import { createEngine, FatalError, type RateLimitOptions, workflow } from "../../lib/index.ts";
import { createWorker } from "../../lib/runtime/worker.ts";
import { harness, recordingLogger, statuses } from "./harness.ts";
import { Rig } from "./rig.ts";

/** The most that began within a stretch of time of this length. */
function mostWithin(perMs: number, startsMs: readonly number[]): number {
  return Math.max(0, ...startsMs.map((end) => startsMs.filter((start) => start > end - perMs && start <= end).length));
}

function calling(rateLimit: RateLimitOptions<{ readonly input: string }> | undefined, taskQueue = "default") {
  const startsMs: number[] = [];
  const at = { now: (): number => 0 };
  const definition = workflow("call", { input: z.string() }, (w) =>
    w.step("call", {
      taskQueue,
      ...(rateLimit === undefined ? {} : { rateLimit }),
      run: ({ attempt }) => {
        startsMs.push(at.now());
        return attempt;
      },
    }),
  );
  return { definition, startsMs, at };
}

describe("the rate limit of a step", () => {
  test("lets a burst of the limit begin at once, the others at the rate, and uses up no attempt", async () => {
    const { definition, startsMs, at } = calling({ limit: 10, per: "1s" });
    const { engine, clock, pass, show } = await harness([definition]);
    at.now = () => clock.now();
    for (let index = 0; index < 100; index++) await engine.start(definition, { runId: `r${index}`, input: "" });
    await pass(0);
    expect(startsMs).toHaveLength(10);
    await pass(12_000);
    expect(startsMs).toHaveLength(100);
    expect(mostWithin(1_000, startsMs)).toBe(10);
    expect(await show("r99")).toMatchObject({ status: "succeeded", output: 1, steps: { call: { attempt: 1 } } });
  });

  test("is shared by several workers, and holds no lease while an attempt waits", async () => {
    const { definition, startsMs, at } = calling({ limit: 3, per: "10s" });
    const rig = new Rig([definition]);
    at.now = () => rig.clock.now();
    const workers = [rig.worker(), rig.worker(), rig.worker()];
    for (let index = 0; index < 20; index++) await rig.commands.start("call", { runId: `r${index}`, input: "" });
    await Promise.all(workers.map((worker) => rig.deliverAll(worker)));
    const waiting = await Promise.all(Array.from({ length: 20 }, (_, index) => rig.show(`r${index}`)));
    expect(waiting.filter((run) => statuses(run).call === "pending")).toHaveLength(17);
    for (let seconds = 0; seconds < 100; seconds++) {
      await rig.clock.advance(1_000);
      await Promise.all(workers.map((worker) => rig.deliverAll(worker)));
    }
    expect(startsMs).toHaveLength(20);
    expect(mostWithin(10_000, startsMs)).toBe(3);
  });

  test("has a limit of its own for each key, and shares one with all steps that give the same", async () => {
    const { definition, startsMs, at } = calling({ key: ({ input }) => input, limit: 1, per: "1m" });
    const other = workflow("other", {}, (w) => {
      w.step("a", { rateLimit: { key: "acme", limit: 1, per: "1m" }, run: () => 1 });
    });
    const { engine, clock, pass, show } = await harness([definition, other]);
    at.now = () => clock.now();
    for (const input of ["acme", "globex", "acme"]) await engine.start(definition, { input });
    await engine.start(other, { runId: "other" });
    await pass(59_999);
    expect(startsMs).toHaveLength(2);
    expect(statuses(await show("other"))).toEqual({ a: "pending" });
    await pass(200_000);
    expect(startsMs).toHaveLength(3);
    expect(statuses(await show("other"))).toEqual({ a: "succeeded" });
  });

  test("counts every attempt and every look of a poll, and not steps that only wait", async () => {
    const startsMs: number[] = [];
    const rateLimit = { key: "api", limit: 2, per: "1m" } as const;
    const tries = workflow("tries", {}, (w) => {
      const pause = w.sleep("pause", { duration: "1s" });
      const look = w.poll("look", {
        after: [pause],
        rateLimit,
        run: ({ attempt }) => (startsMs.push(clock.now()), attempt),
        until: (attempt) => attempt === 3,
        interval: { type: "fixed", base: "1s" },
        maxAttempts: 5,
      });
      return w.step("retried", {
        after: [look],
        rateLimit,
        retry: { maxAttempts: 3, backoff: { type: "fixed", base: "1s" } },
        run: ({ attempt }) => {
          startsMs.push(clock.now());
          if (attempt < 3) throw new Error("again");
          return attempt;
        },
      });
    });
    const { run, clock } = await harness([tries]);
    expect(await run(tries, undefined, 600_000)).toMatchObject({ status: "succeeded", output: 3 });
    expect(startsMs).toHaveLength(6);
    expect(mostWithin(60_000, startsMs)).toBe(2);
  });

  test("of one a day keeps nobody from a look for ever, and lets the next begin the day after", async () => {
    const { definition, startsMs, at } = calling({ limit: 1, per: "1d" });
    const { engine, clock, pass } = await harness([definition]);
    at.now = () => clock.now();
    for (let index = 0; index < 3; index++) await engine.start(definition, { input: "" });
    await pass(3 * 86_400_000);
    expect(startsMs).toHaveLength(3);
    expect(mostWithin(86_400_000, startsMs)).toBe(1);
  });

  test("neither begins nor counts an attempt of a run that was cancelled or paused while it waited", async () => {
    const { definition, startsMs, at } = calling({ limit: 1, per: "1m" });
    const { engine, clock, pass, show } = await harness([definition]);
    at.now = () => clock.now();
    for (const runId of ["a", "b", "c", "d"]) await engine.start(definition, { runId, input: "" });
    await pass(0);
    await engine.commands.cancel("b");
    await engine.commands.pause("c");
    await pass(200_000);
    expect(startsMs).toHaveLength(2);
    expect((await show("d")).status).toBe("succeeded");
    await engine.commands.resume("c");
    await pass(200_000);
    expect((await show("c")).status).toBe("succeeded");
  });

  test("whose key is none fails the step, and is not tried again", async () => {
    for (const [key, message] of [
      [() => "", 'rateLimit: key returned ""; allowed is a text of 1 to 128 characters, at once.'],
      [
        () => {
          throw new TypeError("no customer");
        },
        "rateLimit: key threw TypeError: no customer.",
      ],
    ] as const) {
      const { definition, startsMs } = calling({ key: key, limit: 1, per: "1s" });
      const { run } = await harness([definition]);
      const failed = await run(definition, "", 60_000);
      expect(failed.steps.call).toMatchObject({ status: "failed", attempt: 1, error: { name: FatalError.name } });
      expect(failed.steps.call?.error?.message).toContain(message);
      expect(startsMs).toEqual([]);
    }
  });

  test("an attempt whose worker dies is made again only at the rate", async () => {
    let calls = 0;
    const lethal = workflow("lethal", {}, (w) => {
      w.step("a", {
        rateLimit: { limit: 1, per: "10m" },
        run: () => (++calls === 1 ? new Promise(() => undefined) : calls),
      });
    });
    const rig = new Rig([lethal]);
    const { runId } = await rig.commands.start("lethal");
    await rig.crash();
    await rig.clock.advance(300_000);
    await rig.deliverAll(rig.worker());
    expect(calls).toBe(1);
    for (let minute = 0; minute < 10; minute++) {
      await rig.clock.advance(60_000);
      await rig.deliverAll(rig.worker());
    }
    expect(await rig.show(runId)).toMatchObject({ status: "succeeded", steps: { a: { attempt: 2 } } });
  });
});

describe("the rate limit of a task queue", () => {
  const taskQueues = { crm: { rateLimit: { limit: 2, per: "10s" } } } as const;

  test("holds for every attempt on it, beside the limits of its steps", async () => {
    const plain = calling(undefined, "crm");
    const rig = new Rig([plain.definition]);
    plain.at.now = () => rig.clock.now();
    const worker = createWorker({ workflows: [plain.definition], ports: rig.ports, taskQueues });
    for (let index = 0; index < 5; index++) await rig.commands.start("call", { input: "" });
    for (let second = 0; second < 60; second++) {
      await rig.deliverAll(worker);
      await rig.clock.advance(1_000);
    }
    expect(plain.startsMs).toHaveLength(5);
    expect(mostWithin(10_000, plain.startsMs)).toBe(2);
  });

  test("that says no uses up nothing of a step's own limit", async () => {
    const both = calling({ limit: 3, per: "1m" }, "crm");
    const rig = new Rig([both.definition]);
    both.at.now = () => rig.clock.now();
    const worker = createWorker({ workflows: [both.definition], ports: rig.ports, taskQueues });
    for (let index = 0; index < 3; index++) await rig.commands.start("call", { input: "" });
    for (let second = 0; second < 30; second++) {
      await rig.deliverAll(worker);
      await rig.clock.advance(1_000);
    }
    expect(both.startsMs).toHaveLength(3);
  });

  test("is checked when the engine is made", async () => {
    const { definition } = calling(undefined);
    const wrong = { crm: { rateLimit: { limit: 0, per: "2d" } }, ok: {} } as const;
    await expect(
      createEngine({ workflows: [definition], taskQueues: wrong, logger: recordingLogger([]) }),
    ).rejects.toThrow(
      [
        'taskQueues.crm.rateLimit.per is "2d"; allowed is a number and a unit (ms, s, m, h, d), such as "30s", "1.5h" or "3d", from 1s to 1d.',
        "taskQueues.crm.rateLimit.limit is 0; allowed are whole numbers from 1 to 1000.",
      ].join("\n"),
    );
  });
});
