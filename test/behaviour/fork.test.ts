// Hunts: a fork that runs what it should keep, changes its original, or is lost between copying and starting.
import { describe, expect, test } from "vitest";
import * as z from "zod";
import { limits } from "../../lib/definition/limits.ts";
import { FatalError, workflow } from "../../lib/index.ts";
import { createCommands } from "../../lib/runtime/commands.ts";
import type { Ports, RunStore } from "../../lib/runtime/ports.ts";
import { atRest } from "../../lib/testing/virtual-clock.ts";
import { answersAreLost, harness, statuses } from "./harness.ts";
import { Rig } from "./rig.ts";

interface Order {
  readonly calls: string[];
  price: number;
}

/** quote -> pay -> ship, and log beside them. */
function orders(state: Order) {
  return workflow("order", { input: z.object({ id: z.string() }), timeout: "1h" }, (w) => {
    const quote = w.step("quote", {
      run: ({ input }) => (state.calls.push("quote"), { id: input.id, price: state.price }),
    });
    const approval = w.signal("approval", { payload: z.string() });
    const pay = w.step("pay", {
      after: [quote, approval],
      retry: { maxAttempts: 1 },
      run: ({ outputs, idempotencyKey }) => {
        state.calls.push(`pay ${idempotencyKey}`);
        if (state.price > 10) throw new FatalError("too much");
        return `${outputs.approval} paid ${outputs.quote.price}`;
      },
    });
    w.step("log", { after: [quote], run: () => void state.calls.push("log") });
    return w.step("ship", {
      after: [pay],
      run: ({ outputs }) => (state.calls.push("ship"), `shipped: ${outputs.pay}`),
    });
  });
}

describe("a fork", () => {
  test("keeps what does not depend on the chosen step, runs the rest, and leaves its original alone", async () => {
    const state: Order = { calls: [], price: 5 };
    const order = orders(state);
    const { engine, pass, show, events } = await harness([order]);
    await engine.start(order, { runId: "one", input: { id: "A" }, tags: { customer: "c" } });
    await engine.commands.signal("one", "approval", "ada");
    await pass(1_000);
    const original = await show("one");
    expect(original.output).toBe("shipped: ada paid 5");

    state.calls.length = 0;
    await pass(60_000);
    const forked = await engine.commands.fork("one", { from: "pay", runId: "two" });
    expect(forked).toEqual({ runId: "two", status: "running", created: !answersAreLost });
    await pass(0);
    const ended = await show("two");
    expect(ended).toMatchObject({
      status: "succeeded",
      input: { id: "A" },
      output: "shipped: ada paid 5",
      forkedFrom: { runId: "one", from: "pay" },
      redrives: 0,
      tags: { customer: "c" },
      createdAt: "2026-01-01T00:01:01.000Z",
      deadlineAt: "2026-01-01T01:01:01.000Z",
    });
    expect(state.calls).toEqual(["pay two/pay", "ship"]);
    for (const step of ["quote", "approval", "log"]) expect(ended.steps[step]).toEqual(original.steps[step]);
    expect(await show("one")).toEqual(original);
    expect(events.filter(({ runId }) => runId === "two").map(({ status }) => status)).toEqual(["running", "succeeded"]);
    await expect(engine.commands.signal("two", "approval", "bob")).rejects.toMatchObject({ code: "signal_conflict" });
  });

  test("of a run that failed begins with what succeeded; from its first step, with nothing", async () => {
    const state: Order = { calls: [], price: 20 };
    const order = orders(state);
    const { engine, pass, show } = await harness([order]);
    await engine.start(order, { runId: "one", input: { id: "A" } });
    await engine.commands.signal("one", "approval", "ada");
    await pass(0);
    expect((await show("one")).status).toBe("failed");
    state.calls.length = 0;
    state.price = 7;
    await engine.commands.fork("one", { from: "quote", runId: "two", tags: { again: "yes" } });
    await pass(0);
    expect(await show("two")).toMatchObject({
      status: "succeeded",
      output: "shipped: ada paid 7",
      tags: { again: "yes" },
    });
    expect(state.calls).toEqual(["quote", "log", "pay two/pay", "ship"]);
    expect(await show("one")).toMatchObject({ status: "failed", error: { step: "pay" } });
  });

  test("of an open run: what is in flight there begins anew here, and signals kept there are not taken here", async () => {
    const state: Order = { calls: [], price: 5 };
    const order = orders(state);
    const { engine, pass, show } = await harness([order]);
    await engine.start(order, { runId: "one", input: { id: "A" } });
    await pass(0);
    await engine.commands.fork("one", { from: "ship", runId: "two" });
    await engine.commands.pause("one");
    await engine.commands.fork("one", { from: "ship", runId: "three" });
    await pass(0);
    for (const runId of ["two", "three"]) {
      expect(statuses(await show(runId))).toMatchObject({ quote: "succeeded", approval: "waiting", pay: "pending" });
    }
    await engine.commands.signal("two", "approval", "bob");
    await engine.commands.resume("one");
    await pass(0);
    expect((await show("two")).output).toBe("shipped: bob paid 5");
    for (const runId of ["one", "three"]) expect(statuses(await show(runId)).approval).toBe("waiting");
    expect(state.calls.filter((call) => call === "quote")).toHaveLength(1);
  });

  test("the same fork again is the same run; another one under its id is refused", async () => {
    const state: Order = { calls: [], price: 5 };
    const order = orders(state);
    const { engine, pass } = await harness([order]);
    await engine.start(order, { runId: "one", input: { id: "A" } });
    await engine.start(order, { runId: "other", input: { id: "A" } });
    await pass(0);
    const { fork } = engine.commands;
    await fork("one", { from: "pay", runId: "two" });
    expect(await fork("one", { from: "pay", runId: "two" })).toEqual({
      runId: "two",
      status: "running",
      created: false,
    });
    const conflict = { code: "run_conflict", details: { workflow: "order", status: "running" } };
    await expect(fork("one", { from: "ship", runId: "two" })).rejects.toMatchObject({
      ...conflict,
      message:
        'Run two was started as a fork of run one from step "pay". Use another runId, or the same workflow and input.',
    });
    await expect(fork("other", { from: "pay", runId: "two" })).rejects.toMatchObject(conflict);
    await expect(fork("one", { from: "pay", runId: "one" })).rejects.toMatchObject({
      ...conflict,
      message: expect.stringContaining("was started by itself, not as a fork"),
    });
    await expect(engine.start(order, { runId: "two", input: { id: "A" } })).rejects.toMatchObject(conflict);
    const [first, second] = [await fork("one", { from: "pay" }), await fork("one", { from: "pay" })];
    expect(first.runId).not.toBe(second.runId);
  });

  test("is refused when there is no such run, step or id", async () => {
    const order = orders({ calls: [], price: 5 });
    const { engine } = await harness([order]);
    await engine.start(order, { runId: "one", input: { id: "A" } });
    const { fork } = engine.commands;
    await expect(fork("nope", { from: "pay" })).rejects.toMatchObject({ code: "run_not_found" });
    await expect(fork("one", { from: "nope" })).rejects.toMatchObject({
      code: "step_not_found",
      details: { known: ["quote", "approval", "pay", "log", "ship"] },
    });
    await expect(fork("one", { from: "pay", runId: "/" })).rejects.toMatchObject({ code: "invalid_request" });
    await expect(fork("one", { from: "pay", tags: { a: "" } })).rejects.toMatchObject({ code: "invalid_request" });
  });

  test("takes its payloads along, small, large and huge, over epochs and further forks, and what failures left", async () => {
    const kib = (size: number): string => "x".repeat(size * 1024);
    let isMended = false;
    const work = workflow("work", { input: z.string() }, (w) => {
      const small = w.step("small", { run: () => 1 });
      const large = w.step("large", { run: () => kib(2) });
      const huge = w.step("huge", {
        run: () => {
          if (!isMended) throw new FatalError("not yet");
          return kib(1_000);
        },
      });
      const risky = w.step("risky", {
        onFailure: "continue",
        run: ({ background }) => {
          background(Promise.reject(new Error("metrics are down")));
          throw new FatalError("no stock");
        },
      });
      const rescue = w.step("rescue", { afterFailed: [risky], run: ({ errors }) => errors.risky?.message });
      return w.step("sum", {
        after: [small, large, huge, rescue],
        afterSettled: [risky],
        run: ({ input, outputs, errors }) => [
          ...[input, outputs.large, outputs.huge].map((text) => text.length),
          outputs.rescue,
          errors.risky?.message,
        ],
      });
    });
    const { engine, pass, show } = await harness([work]);
    await engine.start(work, { runId: "r0", input: kib(400) });
    await pass(0);
    isMended = true;
    await engine.commands.redrive("r0");
    await pass(0);
    const expected = [400 * 1024, 2 * 1024, 1_000 * 1024, "no stock", "no stock"];
    expect((await show("r0")).output).toEqual(expected);
    for (const [original, runId] of [
      ["r0", "r1"],
      ["r1", "r2"],
    ] as const) {
      await engine.commands.fork(original, { from: "sum", runId });
      await pass(0);
      const ended = await show(runId);
      expect(ended).toMatchObject({ status: "succeeded", output: expected });
      const { sum: _sum, ...kept } = ended.steps;
      const { sum: _other, ...before } = (await show("r0")).steps;
      expect(kept).toEqual(before);
      expect(ended.steps.risky).toMatchObject({
        error: { message: "no stock" },
        backgroundErrors: [{ name: "Error" }],
      });
      expect(await engine.commands.output(runId, "huge")).toBe(kib(1_000));
      expect(await engine.commands.input(runId)).toBe(kib(400));
    }
  });

  test("goes on with the graph of its original, also when the code has another one", async () => {
    const make = (extra: boolean) =>
      workflow("work", {}, (w) => {
        const a = w.step("a", { run: () => "a" });
        if (extra) w.step("extra", { run: () => "extra" });
        return w.step("b", { after: [a], run: ({ outputs }) => `${outputs.a}b` });
      });
    const rig = new Rig([make(false)]);
    const { runId } = await rig.commands.start("work");
    await rig.deliverAll(rig.worker());
    const newer = createCommands({ workflows: [make(true)], ports: rig.ports });
    await newer.fork(runId, { from: "b", runId: "forked" });
    await rig.deliverAll(rig.worker([make(true)]));
    const forked = await rig.show("forked");
    expect(forked).toMatchObject({ status: "succeeded", output: "ab", fingerprint: make(false).fingerprint });
    expect(statuses(forked)).toEqual({ a: "succeeded", b: "succeeded" });
  });
});

describe("whoever dies in the middle of a fork", () => {
  const text = "x".repeat(limits.itemPayloadBytes);

  function twoSteps(values: string[]) {
    return workflow("work", {}, (w) => {
      const a = w.step("a", { run: () => (values.shift() ?? "none") + text });
      return w.step("b", { after: [a], run: ({ outputs }) => outputs.a.slice(0, 4) });
    });
  }

  /** The ports of a process that is killed at its nth call of one of these. */
  function dyingPorts(ports: Ports, dies: number): { readonly ports: Ports; readonly calls: () => number } {
    let calls = 0;
    const mortal = <T>(call: () => Promise<T>): Promise<T> =>
      calls++ < dies ? call() : new Promise<T>(() => undefined);
    const { store, queue } = ports;
    const mortalStore: RunStore = {
      ...store,
      load: (runId) => mortal(() => store.load(runId)),
      putPayload: (runId, key, json) => mortal(() => store.putPayload(runId, key, json)),
      update: (runId, transition) => mortal(() => store.update(runId, transition)),
    };
    const send: Ports["queue"]["send"] = (messages) => mortal(() => queue.send(messages));
    return { ports: { ...ports, store: mortalStore, queue: { send } }, calls: () => calls };
  }

  test.each([0, 1, 2, 3, 4])("at call %i leaves no run or a whole one, and asking again makes one", async (dies) => {
    const work = twoSteps(["once"]);
    const rig = new Rig([work]);
    const { runId } = await rig.commands.start("work");
    await rig.deliverAll(rig.worker());
    const before = await rig.ports.store.get(runId);
    const { ports, calls } = dyingPorts(rig.ports, dies);
    const fork = createCommands({ workflows: [work], ports }).fork(runId, { from: "b", runId: "two" });
    void fork.catch(() => undefined);
    await atRest();
    expect(calls()).toBe(dies + 1);
    await rig.deliverAll(rig.worker());
    // Load, copy, arm and write come first; what died after the write is finished by its nudge alone.
    if (dies < 4) {
      const { created } = await rig.commands.fork(runId, { from: "b", runId: "two" });
      expect(created).toBe(true);
    }
    await rig.clock.advance(limits.nudgeDelayMs);
    await rig.deliverAll(rig.worker());
    expect(await rig.show("two")).toMatchObject({ status: "succeeded", output: "once" });
    expect(await rig.ports.store.get(runId)).toEqual(before);
  });

  test("two forks of one id at once share neither payload nor message: only the one that is written counts", async () => {
    const work = twoSteps(["1st_", "2nd_"]);
    const rig = new Rig([work]);
    const { runId } = await rig.commands.start("work");
    // The slow one keeps step a and copies its output; the other one is written, and runs step a itself.
    let proceed = (): void => undefined;
    const held = new Promise<void>((resolve) => {
      proceed = resolve;
    });
    const { store } = rig.ports;
    const slowStore: RunStore = { ...store, update: (id, transition) => held.then(() => store.update(id, transition)) };
    const slow = createCommands({ workflows: [work], ports: { ...rig.ports, store: slowStore } });
    await rig.deliverAll(rig.worker());
    const late = slow.fork(runId, { from: "b", runId: "two" });
    await atRest();
    await rig.commands.fork(runId, { from: "a", runId: "two" });
    proceed();
    await expect(late).rejects.toMatchObject({ code: "run_conflict" });
    await rig.clock.advance(limits.nudgeDelayMs);
    await rig.deliverAll(rig.worker());
    expect(await rig.show("two")).toMatchObject({ status: "succeeded", output: "2nd_" });
  });
});
