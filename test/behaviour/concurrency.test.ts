// Hunts: more runs at work than allowed, a turn that is lost or given out of order, and waiting that costs something.
import { describe, expect, test } from "vitest";
import * as z from "zod";
import { createEngine, type Workflow, workflow } from "../../lib/index.ts";
import { VirtualClock } from "../../lib/testing/virtual-clock.ts";
import { type Harness, harness, recordingLogger, statuses, temporaryFolder } from "./harness.ts";

const Input = z.object({ customer: z.string(), fails: z.boolean().default(false) });

/** Each run takes ten seconds; who is at work, and who has been. */
function importing(limit: number, options: { readonly timeout?: "25s" } = {}) {
  const seen = { working: [] as string[], most: 0, order: [] as string[], failing: true };
  const definition = workflow(
    "import",
    { input: Input, concurrency: { key: ({ input }) => input.customer, limit }, ...options },
    (w) => {
      const read = w.step("read", {
        run: ({ runId }) => {
          seen.working.push(runId);
          seen.most = Math.max(seen.most, seen.working.length);
          seen.order.push(runId);
        },
      });
      const pause = w.sleep("pause", { after: [read], duration: "10s" });
      return w.step("write", {
        after: [pause],
        retry: { maxAttempts: 1 },
        run: ({ runId, input }) => {
          seen.working = seen.working.filter((one) => one !== runId);
          if (input.fails && seen.failing) throw new Error("as planned");
          return runId;
        },
      });
    },
  );
  return { seen, definition };
}

async function startAll({ engine }: Harness, definition: Workflow, runIds: readonly string[], input: object = {}) {
  for (const runId of runIds) {
    await engine.commands.start(definition.name, { runId, input: { customer: "acme", ...input } });
  }
}

const show = async ({ engine }: Harness, runId: string): Promise<string> => {
  const run = await engine.commands.get(runId);
  return run.waitsForTurn === undefined ? run.status : `waits behind ${run.waitsForTurn.ahead}`;
};

describe("concurrency", () => {
  test("runs over the limit wait for their turn, first come first served", async () => {
    const { seen, definition } = importing(2);
    const at = await harness([definition]);
    await startAll(at, definition, ["a", "b", "c", "d", "e"]);
    await at.pass(1_000);
    expect(await Promise.all(["a", "b", "c", "d", "e"].map((id) => show(at, id)))).toEqual([
      "running",
      "running",
      "waits behind 0",
      "waits behind 1",
      "waits behind 2",
    ]);
    expect(statuses(await at.show("c"))).toEqual({ read: "pending", pause: "pending", write: "pending" });
    expect((await at.show("c")).waitsForTurn).toEqual({ key: "acme", ahead: 0 });
    await at.pass(10_000);
    expect(await Promise.all(["a", "b", "c", "d", "e"].map((id) => show(at, id)))).toEqual([
      "succeeded",
      "succeeded",
      "running",
      "running",
      "waits behind 0",
    ]);
    await at.pass(20_000);
    expect(await show(at, "e")).toBe("succeeded");
    expect(seen).toMatchObject({ order: ["a", "b", "c", "d", "e"], most: 2, working: [] });
  });

  test("other keys have turns of their own", async () => {
    const { seen, definition } = importing(1);
    const at = await harness([definition]);
    await startAll(at, definition, ["a", "b"]);
    await startAll(at, definition, ["c"], { customer: "other" });
    await at.pass(1_000);
    expect(seen.working).toEqual(["a", "c"]);
  });

  test("without a key all runs of the workflow share the limit, and a constant key is one", async () => {
    const of = (name: string, key?: string) =>
      workflow(name, { concurrency: { limit: 1, ...(key === undefined ? {} : { key }) } }, (w) => {
        w.sleep("pause", { duration: "10s" });
      });
    const [plain, keyed, otherKeyed] = [of("plain"), of("keyed", "one"), of("other", "one")];
    const at = await harness([plain, keyed, otherKeyed]);
    for (const { name } of [plain, keyed, otherKeyed]) {
      for (const runId of ["1", "2"]) await at.engine.commands.start(name, { runId: `${name}${runId}` });
    }
    await at.pass(0);
    expect((await at.show("plain2")).waitsForTurn).toEqual({ ahead: 0 });
    expect((await at.show("keyed2")).waitsForTurn).toEqual({ key: "one", ahead: 0 });
    expect((await at.show("other1")).waitsForTurn).toBeUndefined();
    await at.pass(20_000);
    expect((await at.show("plain2")).status).toBe("succeeded");
  });

  test("nothing is sent, written or scheduled for a run that waits", async () => {
    const { definition } = importing(1);
    const at = await harness([definition]);
    await startAll(at, definition, ["a", "b"]);
    await at.engine.commands.pause("a");
    // The messages that were armed for the case of a crash look once each.
    await at.pass(120_000);
    const updates: string[] = [];
    at.engine.onUpdate(({ after }) => updates.push(after.runId));
    await at.pass(86_400_000);
    expect(updates).toEqual([]);
    expect(at.clock.nextTimerAtMs()).toBeUndefined();
  });

  test.each(["cancel", "terminate"] as const)("a turn ends with the run: %s", async (operation) => {
    const { seen, definition } = importing(1);
    const at = await harness([definition]);
    await startAll(at, definition, ["a", "b"]);
    await at.pass(1_000);
    await at.engine.commands[operation]("a");
    await at.pass(0);
    expect(seen.order).toEqual(["a", "b"]);
  });

  test("a turn ends with the run: it fails, or times out", async () => {
    const { seen, definition } = importing(1, { timeout: "25s" });
    const at = await harness([definition]);
    await startAll(at, definition, ["a"], { fails: true });
    await startAll(at, definition, ["b", "c", "d"]);
    await at.pass(11_000);
    expect(await Promise.all(["a", "b"].map((id) => show(at, id)))).toEqual(["failed", "running"]);
    await at.pass(5_000);
    await at.engine.commands.pause("b");
    await at.pass(60_000);
    // The time of a run counts while it waits: c had its turn when b timed out, and d had none.
    expect(await Promise.all(["b", "c", "d"].map((id) => show(at, id)))).toEqual([
      "timed_out",
      "timed_out",
      "timed_out",
    ]);
    expect(seen.order.slice(0, 2)).toEqual(["a", "b"]);
  });

  test("a run that ends while it waits is passed over", async () => {
    const { seen, definition } = importing(1);
    const at = await harness([definition]);
    await startAll(at, definition, ["a", "b", "c", "d"]);
    await at.engine.commands.cancel("b");
    await at.engine.commands.cancel("c");
    await at.pass(11_000);
    expect(seen.order).toEqual(["a", "d"]);
    expect(await show(at, "b")).toBe("cancelled");
  });

  test("a redriven run waits at the end of the queue, whether it had its turn or not", async () => {
    const { seen, definition } = importing(1);
    const at = await harness([definition]);
    await startAll(at, definition, ["a"], { fails: true });
    await startAll(at, definition, ["b", "c", "d"]);
    await at.engine.commands.cancel("c");
    await at.engine.commands.redrive("c");
    await at.pass(11_000);
    seen.failing = false;
    await at.engine.commands.redrive("a");
    await at.pass(0);
    // The ticket that c had before it was cancelled counts until it is passed over.
    expect(await Promise.all(["a", "b", "c", "d"].map((id) => show(at, id)))).toEqual([
      "waits behind 3",
      "running",
      "waits behind 2",
      "waits behind 1",
    ]);
    await at.pass(60_000);
    expect(seen.order).toEqual(["a", "b", "d", "c"]);
    // a had read before it failed.
    expect((await at.show("a")).status).toBe("succeeded");
  });

  test("a run that is paused while it waits takes its turn, and goes on when it is resumed", async () => {
    const { seen, definition } = importing(1);
    const at = await harness([definition]);
    await startAll(at, definition, ["a", "b"]);
    await at.engine.commands.pause("b");
    await at.pass(60_000);
    expect((await at.show("b")).waitsForTurn).toBeUndefined();
    expect(seen.order).toEqual(["a"]);
    await at.engine.commands.resume("b");
    await at.pass(60_000);
    expect(await show(at, "b")).toBe("succeeded");
  });

  test("resume and signals start nothing in a run that waits", async () => {
    const asks = workflow("asks", { concurrency: { limit: 1 } }, (w) => {
      const go = w.signal("go");
      const pause = w.sleep("pause", { after: [go], duration: "10s" });
      w.step("end", { after: [pause], run: () => 1 });
    });
    const at = await harness([asks]);
    for (const runId of ["a", "b"]) await at.engine.commands.start("asks", { runId });
    await at.engine.commands.pause("b");
    await at.engine.commands.resume("b");
    await at.engine.commands.signal("b", "go");
    await at.pass(60_000);
    expect(statuses(await at.show("b"))).toEqual({ go: "pending", pause: "pending", end: "pending" });
    await at.engine.commands.signal("a", "go");
    await at.pass(60_000);
    expect(await show(at, "b")).toBe("succeeded");
  });

  test("a run that is to start later keeps nobody waiting until then", async () => {
    const { seen, definition } = importing(1);
    const at = await harness([definition]);
    const startAt = new Date(at.clock.now() + 86_400_000);
    await at.engine.commands.start("import", { runId: "later", startAt, input: { customer: "acme" } });
    await startAll(at, definition, ["a"]);
    await at.pass(60_000);
    expect(await show(at, "a")).toBe("succeeded");
    expect((await at.show("later")).waitsForTurn).toEqual({ key: "acme" });
    await at.pass(86_400_000);
    expect(await show(at, "later")).toBe("succeeded");
    expect(seen.order).toEqual(["a", "later"]);
  });

  test("delays and the time of a poll count from the run's turn", async () => {
    let looks = 0;
    const polls = workflow("polls", { concurrency: { limit: 1 } }, (w) => {
      w.poll("look", {
        run: () => ++looks,
        until: (count) => count % 3 === 0,
        interval: { type: "fixed", base: "10s" },
        timeout: "30s",
      });
    });
    const at = await harness([polls]);
    for (const runId of ["a", "b", "c"]) await at.engine.commands.start("polls", { runId });
    await at.pass(100_000);
    expect(await Promise.all(["a", "b", "c"].map((id) => show(at, id)))).toEqual([
      "succeeded",
      "succeeded",
      "succeeded",
    ]);
  });

  test("a higher limit in newer code lets more of the waiting runs go on", async () => {
    const [old, newer] = [importing(1), importing(3)];
    expect(newer.definition.fingerprint).toBe(old.definition.fingerprint);
    const dataDir = await temporaryFolder();
    const clock = new VirtualClock(undefined, 120);
    const before = await createEngine({ workflows: [old.definition], dataDir, clock, logger: recordingLogger([]) });
    for (const runId of ["a", "b", "c", "d", "e"]) {
      await before.start(old.definition, { runId, input: { customer: "acme" } });
    }
    await clock.advance(1_000);
    const stopped = before.stop({ graceMs: 0 });
    await clock.advance(1);
    await stopped;
    const at = await harness([newer.definition], { dataDir, clock });
    await at.pass(10_000);
    expect(await Promise.all(["a", "b", "c", "d", "e"].map((id) => show(at, id)))).toEqual([
      "succeeded",
      "running",
      "running",
      "running",
      "waits behind 0",
    ]);
  });

  test("sixty runs wait for one slot, and each has its turn in order", async () => {
    const order: string[] = [];
    const quick = workflow("quick", { concurrency: { limit: 1 } }, (w) => {
      w.step("work", { run: ({ runId }) => void order.push(runId) });
    });
    const at = await harness([quick]);
    const runIds = Array.from({ length: 60 }, (_, index) => `r${index}`);
    for (const runId of runIds) await at.engine.commands.start("quick", { runId });
    await at.pass(60_000);
    expect(order).toEqual(runIds);
  });

  test("runs that are started all at once all have their turn soon, and the limit holds", async () => {
    const seen = { now: 0, most: 0, done: 0 };
    const quick = workflow("quick", { concurrency: { limit: 3 } }, (w) => {
      w.step("work", {
        run: async () => {
          seen.most = Math.max(seen.most, ++seen.now);
          await new Promise<void>((resolve) => void at.clock.after(100, resolve));
          seen.now--;
          seen.done++;
        },
      });
    });
    const at = await harness([quick]);
    await Promise.all(Array.from({ length: 60 }, () => at.engine.commands.start("quick")));
    await at.pass(30_000);
    expect(seen).toEqual({ now: 0, most: 3, done: 60 });
  });

  test("many cancelled runs in the queue are passed over, more than one delivery takes", async () => {
    const { seen, definition } = importing(1);
    const at = await harness([definition]);
    const waiting = Array.from({ length: 120 }, (_, index) => `r${index}`);
    await startAll(at, definition, ["first", ...waiting, "last"]);
    for (const runId of waiting) await at.engine.commands.cancel(runId);
    await at.pass(60_000);
    expect(seen.order).toEqual(["first", "last"]);
  });
});

describe("a key that is none", () => {
  const keyed = (key: (view: { input: { customer: string; fails: boolean } }) => unknown) =>
    workflow("import", { input: Input, concurrency: { key: key as never, limit: 1 } }, (w) => {
      w.step("a", { run: () => 1 });
    });

  test.each([
    ["", 'key returned ""; allowed is a text of 1 to 128 characters, at once.'],
    ["x".repeat(129), `key returned "${"x".repeat(129)}"; allowed is a text of 1 to 128 characters, at once.`],
    [7, "key returned number; allowed is a text of 1 to 128 characters, at once."],
    [Promise.resolve("a"), "key returned object; allowed is a text of 1 to 128 characters, at once."],
    ["\ud800", 'key returned "\\ud800"; allowed is a text of 1 to 128 characters, at once.'],
  ])("%j refuses the start, and nothing is stored", async (value, message) => {
    const at = await harness([keyed(() => value)]);
    await expect(at.engine.commands.start("import", { runId: "a", input: { customer: "acme" } })).rejects.toMatchObject(
      {
        code: "invalid_input",
        message: `The concurrency ${message} Workflow "import" computes it from the input.`,
      },
    );
    await expect(at.engine.commands.get("a")).rejects.toMatchObject({ code: "run_not_found" });
  });

  test("so does a function that throws", async () => {
    const at = await harness([
      keyed(() => {
        throw new RangeError("no");
      }),
    ]);
    await expect(at.engine.commands.start("import", { input: { customer: "acme" } })).rejects.toMatchObject({
      code: "invalid_input",
      message: 'The concurrency key threw RangeError: no. Workflow "import" computes it from the input.',
    });
  });

  test("the gate is no run", async () => {
    const { definition } = importing(1);
    const at = await harness([definition]);
    const updates: string[] = [];
    at.engine.onUpdate(({ after }) => updates.push(after.runId));
    await startAll(at, definition, ["a"]);
    await at.pass(60_000);
    expect(new Set(updates)).toEqual(new Set(["a"]));
    expect(new Set(at.events.map(({ runId }) => runId))).toEqual(new Set(["a"]));
    for (const operation of ["get", "cancel", "redrive"] as const) {
      await expect(at.engine.commands[operation]("gate#import#acme")).rejects.toMatchObject({ code: "run_not_found" });
    }
  });
});
