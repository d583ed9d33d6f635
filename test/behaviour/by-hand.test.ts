// Hunts: a step that is ended by hand and run all the same, an end that nobody answers for, or one that its schema refuses.
import { describe, expect, test } from "vitest";
import * as z from "zod";
import { limits } from "../../lib/definition/limits.ts";
import { FatalError, type RedriveRequest, workflow } from "../../lib/index.ts";
import { createCommands } from "../../lib/runtime/commands.ts";
import type { RunStore } from "../../lib/runtime/ports.ts";
import { createWorker } from "../../lib/runtime/worker.ts";
import { atRest } from "../../lib/testing/virtual-clock.ts";
import { harness, statuses } from "./harness.ts";
import { Rig } from "./rig.ts";

const by = { by: "ada", reason: "paid in cash" };
const Parcel = z.object({ parcel: z.string(), weight: z.number().default(1) });

/** pay -> ship -> notify -> done, and a rest beside them. */
function shop(calls: string[] = []) {
  return workflow("shop", { defaults: { retry: { maxAttempts: 2, backoff: { type: "fixed", base: "1s" } } } }, (w) => {
    const fails = (id: string) => () => {
      calls.push(id);
      throw new Error("down");
    };
    const pay = w.step("pay", { run: () => (calls.push("pay"), 42) });
    const answer = w.signal("answer", { after: [pay], payload: z.object({ ok: z.boolean() }), timeout: "1h" });
    const go = w.signal("go", { timeout: "1h" });
    const ship = w.step("ship", { after: [pay], output: Parcel, run: fails("ship") });
    const notify = w.step("notify", { after: [ship], run: fails("notify") });
    const rest = w.sleep("rest", { duration: "1h" });
    return w.step("done", {
      after: [answer, go, ship, notify, rest],
      run: ({ outputs }) => ({
        ship: outputs.ship,
        notify: (outputs.notify as string | undefined) ?? "nobody",
        answer: outputs.answer.ok,
      }),
    });
  });
}

describe("a redrive that ends steps by hand", () => {
  test("goes on with what was set and skipped, says who and why, and runs neither", async () => {
    const calls: string[] = [];
    const { run, engine, pass, show, events } = await harness([shop(calls)]);
    const { runId } = await run(shop(), undefined, 3_600_000);
    expect(statuses(await show(runId))).toMatchObject({
      pay: "succeeded",
      ship: "failed",
      notify: "pending",
      go: "cancelled",
    });
    calls.length = 0;
    const set = { ship: { parcel: "x" }, answer: { ok: true }, go: null, rest: null };
    const redriven = await engine.commands.redrive(runId, { set, ...by });
    const at = "2026-01-01T01:00:00.000Z";
    expect(redriven).toMatchObject({ status: "running", redrives: 1 });
    expect(redriven.steps.ship).toEqual({
      status: "succeeded",
      attempt: 2,
      startedAt: "2026-01-01T00:00:01.000Z",
      endedAt: at,
      output: { parcel: "x", weight: 1 },
      byHand: { ...by, at },
    });
    await pass(10_000);
    expect(calls).toEqual(["notify", "notify"]);
    expect((await show(runId)).status).toBe("failed");

    await engine.commands.redrive(runId, { skip: ["notify"], by: "bob", reason: "told on the phone" });
    await pass(0);
    const ended = await show(runId);
    expect(ended).toMatchObject({
      status: "succeeded",
      redrives: 2,
      output: { ship: { parcel: "x", weight: 1 }, notify: "nobody", answer: true },
      steps: {
        notify: { status: "skipped", byHand: { by: "bob", reason: "told on the phone" } },
        ship: { byHand: by },
      },
    });
    expect(calls).toEqual(["notify", "notify"]);
    expect(events.map(({ status }) => status)).toEqual([
      "running",
      "unwinding",
      "failed",
      "running",
      "unwinding",
      "failed",
      "running",
      "succeeded",
    ]);
  });

  test("ends the run when nothing else is left", async () => {
    const work = workflow("work", {}, (w) => w.step("a", { run: () => Promise.reject(new FatalError("no")) }));
    const { run, engine, pass, show } = await harness([work]);
    const { runId } = await run(work, undefined);
    const redriven = await engine.commands.redrive(runId, { set: { a: "by hand" }, ...by });
    expect(redriven).toMatchObject({ status: "succeeded", output: "by hand" });
    await pass(limits.nudgeDelayMs);
    expect((await show(runId)).steps.a).toMatchObject({ status: "succeeded", attempt: 1, byHand: by });
  });

  test("steps of a cancelled run, with outputs too large for the run and for an item", async () => {
    const work = workflow("work", {}, (w) => {
      const asks = ["a", "b", "c"].map((id) => w.signal(id, { payload: z.string() }));
      return w.step("sum", { after: asks, run: ({ outputs }) => Object.values(outputs).map((text) => text.length) });
    });
    const { run, engine, pass, show } = await harness([work]);
    const { runId } = await run(work, undefined);
    await engine.commands.cancel(runId);
    const set = { a: "x".repeat(500), b: "x".repeat(500), c: "x".repeat(limits.itemPayloadBytes) };
    await engine.commands.redrive(runId, { set, ...by });
    await pass(0);
    expect(await show(runId)).toMatchObject({ status: "succeeded", output: [500, 500, limits.itemPayloadBytes] });
  });

  test("is kept by later redrives and by forks, with who did it", async () => {
    let isMended = false;
    const work = workflow("work", {}, (w) => {
      const a = w.step("a", { run: () => Promise.reject(new FatalError("no")) });
      return w.step("b", {
        after: [a],
        run: ({ outputs }) => (isMended ? outputs.a : Promise.reject(new FatalError("not yet"))),
      });
    });
    const { run, engine, pass, show } = await harness([work]);
    const { runId } = await run(work, undefined);
    await engine.commands.redrive(runId, { set: { a: "by hand" }, ...by });
    await pass(0);
    isMended = true;
    await engine.commands.fork(runId, { from: "b", runId: "forked" });
    await engine.commands.redrive(runId);
    await pass(0);
    for (const id of [runId, "forked"]) {
      expect(await show(id)).toMatchObject({ status: "succeeded", output: "by hand", steps: { a: { byHand: by } } });
    }
  });
});

describe("is refused, with everything that is wrong at once, and nothing done", () => {
  const refused = async (request: RedriveRequest): Promise<{ message: string; details: unknown }> => {
    const { run, engine, show } = await harness([shop()]);
    const { runId } = await run(shop(), undefined, 10_000);
    const before = await show(runId);
    const error: unknown = await engine.commands.redrive(runId, request).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ name: "PawlError", code: "invalid_request" });
    expect(await show(runId)).toEqual(before);
    return error as { message: string; details: unknown };
  };

  test("a request with many faults", async () => {
    const set = { ship: { parcel: 5 }, pay: 1, nope: 1, answer: null, go: { a: 1 }, rest: 1 };
    const { details, message } = await refused({ set, skip: ["notify", "ship"], by: " " });
    const statuses = "only steps that failed, were cancelled or are unknown can be ended by hand.";
    expect(details).toEqual({
      faults: [
        { at: "by", message: "is empty; it says by whom steps are ended by hand, in 1 to 128 characters." },
        { at: "reason", message: "is empty; it says why steps are ended by hand, in 1 to 1000 characters." },
        {
          at: 'set "ship"',
          message: expect.stringMatching(/^The output of "ship" is not valid\. parcel: Invalid input/),
        },
        { at: 'set "pay"', message: `is succeeded; ${statuses}` },
        { at: 'set "nope"', message: "is not a step of the run. It has: pay, answer, go, ship, notify, rest, done." },
        {
          at: 'set "answer"',
          message: expect.stringMatching(/^The output of "answer" is not valid\. output: Invalid input/),
        },
        { at: 'set "go"', message: "has no output; set it to null, or skip it." },
        { at: 'set "rest"', message: "has no output; set it to null, or skip it." },
        { at: 'skip "notify"', message: `is pending; ${statuses}` },
        { at: 'skip "ship"', message: "is named twice." },
      ],
    });
    expect(message).toMatch(/^Run \w+ is not redriven\. by: is empty; .*set "pay": is succeeded;/);
  });

  test.each<[string, RedriveRequest, string]>([
    ["nobody", { set: { ship: { parcel: "x" } }, reason: "r" }, "by: is empty"],
    ["no reason", { skip: ["ship"], by: "ada" }, "reason: is empty"],
    ["too long", { skip: ["ship"], by: "a".repeat(129), reason: "r".repeat(1_001) }, "by: has 129 characters"],
    ["no step", by, "by, reason: are given, and no step is named in set or skip."],
    ["too large", { set: { ship: { parcel: "x".repeat(limits.payloadBytes) } }, ...by }, "at most 4194304 are allowed"],
    [
      "too many",
      { skip: Array.from({ length: 41 }, (_, n) => `s${n}`), ...by },
      "set, skip: name 41 steps; at most 40",
    ],
  ])("%s", async (_what, request, message) => {
    expect((await refused(request)).message).toContain(message);
  });

  test("a step whose signal is kept for it: a redrive takes that one", async () => {
    const asks = workflow("asks", {}, (w) => w.signal("answer", { payload: z.string() }));
    const rig = new Rig([asks]);
    const { runId } = await rig.commands.start("asks");
    // Its worker dies before the step begins to wait; the signal comes, and then the run is cancelled.
    const store = { ...rig.ports.store, update: stopAfter(rig.ports.store.update) };
    void rig.handle(createWorker({ workflows: [asks], ports: { ...rig.ports, store } }), await rig.receive());
    await atRest();
    await rig.commands.signal(runId, "answer", "kept");
    await rig.commands.cancel(runId);
    await expect(rig.commands.redrive(runId, { set: { answer: "other" }, ...by })).rejects.toThrow(
      'set "answer": has its signal, which is kept for it: a redrive takes it.',
    );
    await rig.commands.redrive(runId);
    await rig.deliverAll(rig.worker());
    expect(await rig.show(runId)).toMatchObject({ status: "succeeded", output: "kept" });
  });

  test("a run in another status", async () => {
    const { run, engine } = await harness([shop()]);
    const { runId } = await run(shop(), undefined);
    const redrive = engine.commands.redrive(runId, { skip: ["ship"], ...by });
    await expect(redrive).rejects.toMatchObject({ code: "status_conflict", details: { status: "running" } });
  });

  test("a step whose code is gone cannot be set, as nobody could check it, but skipped", async () => {
    const rig = new Rig([shop()]);
    const { runId } = await rig.commands.start("shop");
    await rig.deliverAll(rig.worker());
    await rig.commands.cancel(runId);
    const other = workflow("shop", {}, (w) => w.step("other", { run: () => 1 }));
    const elsewhere = createCommands({ workflows: [other], ports: rig.ports });
    await expect(elsewhere.redrive(runId, { set: { ship: { parcel: "x" } }, ...by })).rejects.toThrow(
      'set "ship": cannot be checked, because the code has no such step any more. Deploy code that has it, or skip it.',
    );
    expect((await elsewhere.redrive(runId, { skip: ["ship"], ...by })).steps.ship).toMatchObject({ status: "skipped" });
  });
});

/** The first write is made, and no other. */
function stopAfter(update: RunStore["update"]): RunStore["update"] {
  let writes = 0;
  return (runId, transition) => (writes++ === 0 ? update(runId, transition) : new Promise(() => undefined));
}

describe("whoever dies, or comes second", () => {
  function failing() {
    return workflow("work", {}, (w) => w.step("a", { run: () => Promise.reject(new FatalError("no")) }));
  }

  async function failedRun() {
    const work = failing();
    const rig = new Rig([work]);
    const { runId } = await rig.commands.start("work");
    await rig.deliverAll(rig.worker());
    const commandsOn = (store: Partial<RunStore>) =>
      createCommands({ workflows: [work], ports: { ...rig.ports, store: { ...rig.ports.store, ...store } } });
    return { rig, runId, commandsOn };
  }

  test("what a request that died had stored is not taken for that of the next one", async () => {
    const { rig, runId, commandsOn } = await failedRun();
    const large = (letter: string): string => letter.repeat(2_000);
    const dies = commandsOn({ update: () => new Promise(() => undefined) });
    void dies.redrive(runId, { set: { a: large("x") }, by: "eve", reason: "guessed" });
    await atRest();
    const redriven = await rig.commands.redrive(runId, { set: { a: large("y") }, ...by });
    expect(redriven).toMatchObject({ status: "succeeded", output: large("y"), steps: { a: { byHand: by } } });
  });

  test("nor does it mark a step that is repeated", async () => {
    const { rig, runId, commandsOn } = await failedRun();
    const dies = commandsOn({ update: () => new Promise(() => undefined) });
    void dies.redrive(runId, { set: { a: 1 }, by: "eve", reason: "guessed" });
    await atRest();
    await rig.commands.redrive(runId);
    await rig.deliverAll(rig.worker());
    expect((await rig.show(runId)).steps.a).not.toHaveProperty("byHand");
  });

  test("a redrive that died after its write is finished by its nudge", async () => {
    const { rig, runId, commandsOn } = await failedRun();
    const dies = commandsOn({ update: stopAfter(rig.ports.store.update) });
    void dies.redrive(runId, { set: { a: 1 }, ...by });
    await atRest();
    expect(await rig.show(runId)).toMatchObject({ status: "running", steps: { a: { status: "succeeded" } } });
    await rig.clock.advance(limits.nudgeDelayMs);
    await rig.deliverAll(rig.worker());
    expect(await rig.show(runId)).toMatchObject({ status: "succeeded", output: 1 });
  });

  test("one whose answer was lost is told as done; one that came second is told that nothing was done", async () => {
    const { rig, runId, commandsOn } = await failedRun();
    const repeats = commandsOn({
      update: async (id, transition) => {
        await rig.ports.store.update(id, transition);
        return rig.ports.store.update(id, transition);
      },
    });
    expect(await repeats.redrive(runId, { set: { a: 1 }, ...by })).toMatchObject({ status: "succeeded", output: 1 });

    const second = await failedRun();
    const slow = second.commandsOn({
      update: async (id, transition) => {
        await second.rig.commands.redrive(second.runId);
        return second.rig.ports.store.update(id, transition);
      },
    });
    await expect(slow.redrive(second.runId, { set: { a: 1 }, ...by })).rejects.toMatchObject({
      code: "status_conflict",
      message: `Run ${second.runId} was redriven by someone else meanwhile, and none of this request was done. Look at it again.`,
    });
  });
});
