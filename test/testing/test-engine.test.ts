// Hunts: a test engine that lets time pass by itself, plays another workflow than the real one, or says no clear word of
// what a test has to do.
import { setTimeout } from "node:timers/promises";
import { afterEach, describe, expect, test } from "vitest";
import * as z from "zod";
import { FatalError, type Workflow, workflow } from "../../lib/index.ts";
import {
  createTestEngine,
  formatHistory,
  type TestEngine,
  type TestEngineOptions,
  TestError,
} from "../../lib/testing/index.ts";
import { skipTime } from "../../lib/testing/skip-time.ts";
import { VirtualClock } from "../../lib/testing/virtual-clock.ts";

const engines: TestEngine[] = [];

afterEach(async () => {
  for (const engine of engines.splice(0)) await engine.stop();
});

async function engineOf<const Workflows extends readonly Workflow[]>(
  options: TestEngineOptions<Workflows>,
): Promise<TestEngine> {
  const engine = await createTestEngine(options);
  engines.push(engine);
  return engine;
}

const order = workflow("order", { input: z.object({ cents: z.number() }) }, (w) => {
  const check = w.step("check", { run: ({ input }) => ({ total: input.cents }) });
  const charge = w.step("charge", {
    after: [check],
    timeout: "30s",
    retry: { maxAttempts: 3, backoff: { type: "fixed", base: "10s" } },
    run: ({ outputs, idempotencyKey }) => ({ paymentId: `P-${idempotencyKey}`, cents: outputs.check.total }),
    compensate: ({ output }) => output?.paymentId,
  });
  const approval = w.signal("approval", { after: [charge], payload: z.object({ ok: z.boolean() }) });
  const cool = w.sleep("cool", { after: [approval], duration: "30d" });
  return w.step("ship", {
    after: [charge, approval, cool],
    run: ({ outputs }) => {
      if (!outputs.approval.ok) throw new FatalError("not approved");
      return `shipped ${outputs.charge.paymentId}`;
    },
  });
});

const input = { cents: 100 };

describe("time", () => {
  test("thirty days pass in no time", async () => {
    const run = await (await engineOf({ workflows: [order] })).start(order, { input });
    await run.signal("approval", { ok: true });
    const startedMs = performance.now();
    expect(await run.output()).toBe("shipped P-order-1/charge");
    // Some 10 ms where nothing else goes on.
    expect(performance.now() - startedMs).toBeLessThan(1_000);
  });

  test("it passes only as far as it is told to", async () => {
    const engine = await engineOf({ workflows: [order], startTime: "2027-03-01T00:00:00Z" });
    const run = await engine.start(order, { input });
    await run.signal("approval", { ok: true });
    await engine.advance("29.9d");
    expect((await run.show()).status).toBe("running");
    await engine.advance(8_640_000);
    expect(await run.show()).toMatchObject({ status: "succeeded", endedAt: "2027-03-31T00:00:00.000Z" });
    expect(engine.now()).toEqual(new Date("2027-03-31T00:00:00Z"));
  });

  test("it stands still while code is really at work, and fires no timeout of code that is slow", async () => {
    const slow = workflow("slow", {}, (w) =>
      w.step("only", {
        timeout: "10s",
        run: async ({ background }) => {
          background(setTimeout(20));
          await setTimeout(20);
          return "done";
        },
      }),
    );
    const engine = await engineOf({ workflows: [slow] });
    const run = await engine.start(slow);
    await engine.advance("1m");
    expect((await run.show()).steps.only).toMatchObject({
      status: "succeeded",
      attempt: 1,
      endedAt: "2026-01-01T00:00:00.000Z",
    });
  });

  test("code that never returns is given up after the patience, and its timeout fires in virtual time", async () => {
    const stuck = workflow("stuck", {}, (w) =>
      w.step("only", { timeout: "1h", retry: { maxAttempts: 1 }, run: () => new Promise(() => undefined) }),
    );
    const engine = await engineOf({ workflows: [stuck], patience: "5ms" });
    const run = await engine.start(stuck);
    expect(await run.toEnd()).toMatchObject({ status: "failed", error: { name: "StepTimeout" } });
    expect(engine.now().toISOString()).toMatch(/^2026-01-01T01:00/);
  });

  test("schedules fire", async () => {
    const nightly = workflow("nightly", { schedule: { cron: "0 6 * * *" } }, (w) => w.step("only", { run: () => 1 }));
    const engine = await engineOf({ workflows: [nightly] });
    await engine.advance("3d");
    expect((await engine.queries.list({ workflow: "nightly" })).runs).toHaveLength(3);
  });
});

describe("what happened", () => {
  const tell = async (seed: number): Promise<string> => {
    await using engine = await createTestEngine({
      workflows: [order],
      seed,
      mock: { order: { charge: { fails: new Error("busy"), times: 1, takes: "2s" } } },
    });
    const run = await engine.start(order, { input });
    await engine.advance("1h");
    await run.signal("approval", { ok: false });
    await run.toEnd();
    return formatHistory(await run.history());
  };

  test("is told with virtual times, and the same each time", async () => {
    const told = await tell(1);
    expect(told).toMatchInlineSnapshot(`
      "    +0s  run running
          +0s  check running (attempt 1)
          +0s  check succeeded (attempt 1)
          +0s  charge running (attempt 1)
          +2s  charge backing_off (attempt 1) until +12s: Error: busy
         +12s  charge running (attempt 2)
         +12s  charge succeeded (attempt 2)
         +12s  approval running (attempt 1)
         +12s  approval waiting (attempt 1) for a signal
          +1h  approval succeeded (attempt 1)
          +1h  cool running (attempt 1)
          +1h  cool waiting (attempt 1) for a time until +30d 1h
      +30d 1h  cool succeeded (attempt 1)
      +30d 1h  ship running (attempt 1)
      +30d 1h  ship failed (attempt 1): FatalError: not approved
      +30d 1h  run unwinding: FatalError: not approved (step ship)
      +30d 1h  undo of charge running (attempt 1)
      +30d 1h  undo of charge succeeded (attempt 1)
      +30d 1h  run failed: FatalError: not approved (step ship)"
    `);
    expect(await tell(1)).toBe(told);
  });

  test("tells a signal that came early, a pause and a redrive", async () => {
    const engine = await engineOf({
      workflows: [order],
      mock: { order: { check: { takes: "30s" }, ship: { fails: new FatalError("no carrier"), times: 1 } } },
    });
    const run = await engine.start(order, { input });
    await run.signal("approval", { ok: true });
    await engine.commands.pause(run.runId);
    await engine.advance("5m");
    await engine.commands.resume(run.runId);
    await run.toEnd();
    await engine.commands.redrive(run.runId);
    await run.signal("approval", { ok: true });
    await run.toEnd();
    expect(formatHistory(await run.history())).toMatchInlineSnapshot(`
      "    +0s  run running
          +0s  check running (attempt 1)
          +0s  signal approval came early and is kept
          +0s  run paused: Paused on request.
         +30s  check succeeded (attempt 1)
          +5m  run running
          +5m  charge running (attempt 1)
          +5m  charge succeeded (attempt 1)
          +5m  approval running (attempt 1)
          +5m  approval succeeded (attempt 1)
          +5m  cool running (attempt 1)
          +5m  cool waiting (attempt 1) for a time until +30d 5m
      +30d 5m  cool succeeded (attempt 1)
      +30d 5m  ship running (attempt 1)
      +30d 5m  ship failed (attempt 1): FatalError: no carrier
      +30d 5m  run unwinding: FatalError: no carrier (step ship)
      +30d 5m  undo of charge running (attempt 1)
      +30d 5m  undo of charge succeeded (attempt 1)
      +30d 5m  run failed: FatalError: no carrier (step ship)
      +30d 5m  run running (redrive 1)
      +30d 5m  charge running (attempt 1)
      +30d 5m  charge succeeded (attempt 1)
      +30d 5m  approval running (attempt 1)
      +30d 5m  approval waiting (attempt 1) for a signal
      +30d 5m  approval succeeded (attempt 1)
      +30d 5m  cool running (attempt 1)
      +30d 5m  cool waiting (attempt 1) for a time until +60d 5m
      +60d 5m  cool succeeded (attempt 1)
      +60d 5m  ship running (attempt 1)
      +60d 5m  ship failed (attempt 1): FatalError: no carrier
      +60d 5m  run unwinding: FatalError: no carrier (step ship)
      +60d 5m  undo of charge running (attempt 1)
      +60d 5m  undo of charge succeeded (attempt 1)
      +60d 5m  run failed: FatalError: no carrier (step ship)"
    `);
  });

  test("randomness is that of the seed", async () => {
    const flaky = workflow("flaky", {}, (w) =>
      w.step("only", {
        retry: { maxAttempts: 2, backoff: { type: "fixed", base: "1h", jitter: "full" } },
        run: ({ attempt }) => {
          if (attempt === 1) throw new Error("once");
        },
      }),
    );
    const endOf = async (seed?: number): Promise<string | undefined> => {
      const engine = await engineOf({ workflows: [flaky], ...(seed === undefined ? {} : { seed }) });
      return (await (await engine.start(flaky)).toEnd()).endedAt;
    };
    expect(await endOf()).toBe(await endOf(1));
    expect(await endOf(1)).not.toBe(await endOf(2));
  });
});

describe("whoever a run waits for is named, with what to do", () => {
  const Answer = z.object({ by: z.string() });
  const asking = workflow("asking", {}, (w) => {
    const ask = w.step("ask", { run: ({ interrupt }) => interrupt({ question: "Who?" }, Answer) });
    const check = w.callback("check", { after: [ask], run: () => undefined, output: z.number() });
    return w.step("last", { after: [ask, check], run: ({ outputs }) => `${outputs.ask.by} ${outputs.check}` });
  });

  test("a signal", async () => {
    const run = await (await engineOf({ workflows: [order] })).start(order, { input });
    await expect(run.toEnd()).rejects.toThrow(
      'Run order-1 waits for the signal "approval", which nobody has sent. Send it: await run.signal("approval", payload).',
    );
    await expect(run.output()).rejects.toThrow(TestError);
  });

  test("a question, then a callback, also of a child", async () => {
    const parent = workflow("parent", {}, (w) => w.child("sub", { workflow: asking }));
    const engine = await engineOf({ workflows: [parent] });
    const run = await engine.start(parent);
    await expect(run.toEnd()).rejects.toThrow(
      'Run parent-1~sub waits for an answer to the question of step "ask": {"question":"Who?"}. Answer it: await run.answer("ask", answer).',
    );
    const child = engine.run("parent-1~sub");
    await child.answer("ask", { by: "Ada" });
    await expect(run.toEnd()).rejects.toThrow(
      'Run parent-1~sub waits for whoever was given the task token of step "check". Answer for them: await run.callback("check").succeed(output).',
    );
    await child.callback("check").heartbeat();
    await child.callback("check").succeed(7);
    expect(await run.output()).toBe("Ada 7");
  });

  test("a paused run", async () => {
    const engine = await engineOf({ workflows: [order] });
    const run = await engine.start(order, { input });
    await run.show();
    await engine.commands.pause(run.runId);
    await expect(run.toEnd()).rejects.toThrow(
      'Run order-1 is paused: Paused on request. Resume it: await engine.commands.resume("order-1").',
    );
  });

  test("a wait that ends by itself is no reason to stop", async () => {
    const patient = workflow("patient", {}, (w) => w.signal("word", { timeout: "90d", onTimeout: "skip" }));
    const engine = await engineOf({ workflows: [patient] });
    const run = await engine.start(patient);
    expect(await run.toEnd()).toMatchObject({ status: "succeeded", steps: { word: { status: "skipped" } } });
    expect(engine.now()).toEqual(new Date("2026-04-01T00:00:00Z"));
  });
});

test("what repeats for ever is given up", async () => {
  const clock = new VirtualClock();
  const again = (): void => {
    clock.after(1_000, again);
  };
  again();
  await expect(skipTime(clock, 5, async () => false)).rejects.toThrow(
    "The run has not ended by 2026-01-01T00:00:05.000Z, after 5 moments at which something happened. Stop what repeats for ever",
  );
});

describe("answers that do not fit", () => {
  test("are refused in words", async () => {
    const engine = await engineOf({ workflows: [order] });
    const run = await engine.start(order, { input });
    await expect(run.signal("aproval", {})).rejects.toMatchObject({ code: "signal_not_found" });
    await expect(run.signal("approval", {})).rejects.toMatchObject({ code: "invalid_payload" });
    await expect(run.answer("charge", 1)).rejects.toThrow(
      'Step "charge" of run order-1 asks no question: it is succeeded. No step of it asks anything now.',
    );
    await expect(run.callback("charge").succeed()).rejects.toThrow(/has handed out no task token/);
    await expect(run.calls("chrage")).rejects.toThrow(
      'Run order-1 has no step "chrage". It has: check, charge, approval, cool, ship.',
    );
    await expect(engine.advance("3 days" as "3d")).rejects.toThrow(
      'advance was given "3 days"; allowed is a number and a unit (ms, s, m, h, d), such as "30s", "1.5h" or "3d", or a number of ms.',
    );
    await expect(engine.advance(-1)).rejects.toThrow(TestError);
  });

  test.each([
    [{ startTime: "tomorrow" }, "startTime is"],
    [{ patience: "soon" as "1s" }, "patience is"],
    [{ seed: 0.5 }, "seed is"],
  ])("%j is refused", async (wrong, message) => {
    await expect(createTestEngine({ workflows: [order], ...wrong })).rejects.toThrow(message);
  });

  test("a run without output says why, and what happened", async () => {
    const engine = await engineOf({ workflows: [order], mock: { order: { check: { fails: new FatalError("no") } } } });
    const run = await engine.start(order, { input });
    await expect(run.output()).rejects.toThrow(
      /^Run order-1 has no output: it is failed in step "check": FatalError: no\. What happened:\n\+0s {2}run running\n/,
    );
  });
});

describe("mocks", () => {
  test("stand in for the code alone: conditions, schemas, retries, timeouts and compensations are the real ones", async () => {
    const strict = workflow("strict", {}, (w) => {
      const one = w.step("one", {
        output: z.object({ n: z.number() }),
        run: () => ({ n: 1 }),
        compensate: () => "own",
      });
      const two = w.step("two", { after: [one], when: ({ outputs }) => outputs.one.n > 5, run: () => "ran" });
      const three = w.step("three", {
        after: [two],
        timeout: "1m",
        retry: { maxAttempts: 2, backoff: { type: "fixed", base: "1s" } },
        run: () => "own",
      });
      return three;
    });
    const engine = await engineOf({
      workflows: [strict],
      mock: {
        strict: {
          one: { run: () => ({ n: 3 }), compensate: ({ output }) => `undid ${output?.n}` },
          three: { returns: "late", takes: "2m" },
        },
      },
    });
    const run = await engine.start(strict);
    const ended = await run.toEnd();
    expect(ended).toMatchObject({
      status: "failed",
      error: { name: "StepTimeout", step: "three" },
      steps: { one: { output: { n: 3 } }, two: { status: "skipped" }, three: { attempt: 2 } },
    });
    expect(await run.calls("two")).toEqual([]);
    expect(await run.calls("one", "compensate")).toMatchObject([{ returned: "undid 3" }]);

    const wrong = await engineOf({ workflows: [strict], mock: { strict: { one: { returns: { n: "3" } as never } } } });
    await expect((await wrong.start(strict)).output()).rejects.toThrow(/InvalidOutput/);
  });

  test("calls tell what they were given, and what came of them", async () => {
    const engine = await engineOf({
      workflows: [order],
      mock: { order: { charge: { fails: new Error("busy"), times: 1 } } },
    });
    const run = await engine.start(order, { input, runId: "o" });
    await engine.advance("1m");
    const given = { runId: "o", workflow: "order", step: "charge", part: "run", idempotencyKey: "o/charge", input };
    expect(await run.calls("charge")).toEqual([
      { ...given, attempt: 1, outputs: { check: { total: 100 } }, threw: { name: "Error", message: "busy" } },
      { ...given, attempt: 2, outputs: { check: { total: 100 } }, returned: { paymentId: "P-o/charge", cents: 100 } },
    ]);
  });

  test("reach polls, callbacks, the items of a map and the steps of children", async () => {
    const child = workflow("child", {}, (w) => w.step("inner", { run: () => "own" }));
    const wide = workflow("wide", {}, (w) => {
      const items = w.map("items", { items: () => [1, 2, 3], run: ({ item }) => item });
      const sub = w.child("sub", { workflow: child });
      const look = w.poll("look", {
        run: () => 0,
        until: (n) => n === 2,
        interval: { type: "fixed", base: "1m" },
        timeout: "1h",
      });
      const call = w.callback("call", { run: () => undefined, output: z.string() });
      return w.step("last", {
        after: [items, sub, look, call],
        run: async ({ outputs }) => [await outputs.items.toArray(), outputs.sub, outputs.look, outputs.call],
      });
    });
    let handedOut = "";
    const engine = await engineOf({
      workflows: [wide],
      mock: {
        wide: {
          items: ({ item, index }) => item * 10 + index,
          look: ({ attempt }) => attempt,
          call: ({ token }) => {
            handedOut = token;
          },
        },
      },
      mockOther: { child: { inner: () => "mocked" } },
    });
    const run = await engine.start(wide);
    await engine.advance("1m");
    expect(await run.callback("call").token()).toBe(handedOut);
    await engine.commands.callbacks.succeed(handedOut, "answered");
    expect(await run.output()).toEqual([[10, 21, 32], "mocked", 2, "answered"]);
    expect(await run.calls("items")).toHaveLength(3);
    expect(await engine.run("wide-1~sub").calls("inner")).toMatchObject([{ returned: "mocked" }]);
  });

  test("that fit nothing are all named", async () => {
    const misfits = {
      order: {
        chrage: () => 1,
        approval: { returns: { ok: true } },
        cool: () => undefined,
        check: { compensate: () => 1 },
        charge: { fails: "busy" },
        ship: { retrns: 1 },
      },
      odrer: {},
    };
    const error: unknown = await createTestEngine({ workflows: [order], mock: misfits as never }).catch(
      (one: unknown) => one,
    );
    expect(error).toBeInstanceOf(TestError);
    expect((error as Error).message).toMatchInlineSnapshot(`
      "Mocks do not fit:
        - mock.order["chrage"]: workflow "order" has no such step. It has: check, charge, approval, cool, ship.
        - mock.order["approval"]: is a signal and runs no code. Send it: run.signal("<name>", payload).
        - mock.order["cool"]: is a sleep and runs no code. Let the time pass: engine.advance("3d").
        - mock.order["check"]: the step has no compensate, so there is nothing to stand in for.
        - mock.order["charge"]: fails is busy; it must be an Error.
        - mock.order["ship"]: says "retrns"; allowed is a function, { returns }, { fails } or { takes }, with takes and times.
        - mock.odrer: there is no workflow of that name. There are: order."
    `);
  });
});

test("what a user does to a run: cancel, fork", async () => {
  const engine = await engineOf({ workflows: [order] });
  const run = await engine.start(order, { input });
  await run.show();
  const { runId } = await engine.commands.fork(run.runId, { from: "charge", runId: "again" });
  await engine.commands.cancel(run.runId);
  expect(await run.toEnd()).toMatchObject({ status: "cancelled", compensation: "complete" });
  const fork = engine.run(runId);
  await fork.signal("approval", { ok: true });
  expect(await fork.output()).toBe("shipped P-again/charge");
  expect(await run.calls("check")).toHaveLength(1);
  expect(await fork.calls("check")).toEqual([]);
});
