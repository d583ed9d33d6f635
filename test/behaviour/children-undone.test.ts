// Hunts: parents that undo their own work while a child still acts, children that are undone twice or come back from the
// dead, children that jump the queue, and results that a fork cannot read.
import { describe, expect, test } from "vitest";
import * as z from "zod";
import { limits } from "../../lib/definition/limits.ts";
import { bar } from "../../lib/engine/barred.ts";
import { field } from "../../lib/engine/codec.ts";
import { FatalError, workflow } from "../../lib/index.ts";
import type { RunStore } from "../../lib/runtime/ports.ts";
import { createWorker } from "../../lib/runtime/worker.ts";
import { atRest } from "../../lib/testing/virtual-clock.ts";
import { gate, harness, statuses } from "./harness.ts";
import { mortal } from "./mortal.ts";
import { Rig } from "./rig.ts";

const once = { maxAttempts: 1 } as const;

/** book -> trip (a child: room, then a wait) -> paid; everything can be undone. */
function journey(calls: string[], hotel: { readonly undo: () => unknown } = { undo: () => undefined }) {
  const trip = workflow("trip", {}, (w) => {
    const room = w.step("room", {
      run: () => void calls.push("room"),
      compensate: {
        run: async () => {
          calls.push("undo room");
          await hotel.undo();
        },
      },
    });
    const go = w.signal("go", { after: [room], payload: z.string() });
    return w.step("fly", {
      after: [go],
      run: ({ outputs }) => {
        if (outputs.go === "no") throw new FatalError("no seat");
        return outputs.go;
      },
    });
  });
  return workflow("journey", {}, (w) => {
    const book = w.step("book", { run: () => void calls.push("book"), compensate: () => calls.push("undo book") });
    const child = w.child("trip", {
      workflow: trip,
      after: [book],
      compensate: ({ output, outcome, idempotencyKey }) => {
        calls.push(`undo trip ${output ?? "?"} ${outcome} ${idempotencyKey.slice(idempotencyKey.indexOf("/"))}`);
      },
    });
    const paid = w.signal("paid", { after: [child], payload: z.boolean() });
    return w.step("done", {
      after: [paid, child],
      run: ({ outputs }) => {
        if (!outputs.paid) throw new FatalError("not paid");
        return outputs.trip;
      },
    });
  });
}

describe("a parent that is cancelled", () => {
  test("cancels its child first, and undoes nothing before the child has undone itself", async () => {
    const calls: string[] = [];
    const undoing = gate();
    const { run, engine, pass, show } = await harness([journey(calls, { undo: () => undoing.promise })]);
    const { runId } = await run(journey(calls), undefined);
    const cancelled = await engine.commands.cancel(runId);
    expect(cancelled).toMatchObject({ status: "unwinding", unwindsTo: "cancelled", compensation: "running" });
    await pass(0);
    expect(await show(`${runId}~trip`)).toMatchObject({ status: "unwinding", unwindsTo: "cancelled" });
    expect((await show(runId)).steps.trip?.status).toBe("waiting");
    expect(calls).toEqual(["book", "room", "undo room"]);
    undoing.open();
    await pass(0);
    expect(await show(`${runId}~trip`)).toMatchObject({ status: "cancelled", compensation: "complete" });
    const ended = await show(runId);
    expect(ended).toMatchObject({ status: "cancelled", compensation: "complete" });
    expect(ended.steps.trip).toMatchObject({ status: "failed", error: { name: "ChildCancelled" } });
    expect(calls).toEqual(["book", "room", "undo room", "undo book"]);
  });

  test("undoes a child that could not undo itself, as one of which the outcome is unknown", async () => {
    const calls: string[] = [];
    const order = journey(calls, {
      undo: () => {
        throw new FatalError("the hotel is closed");
      },
    });
    const { run, engine, pass, show } = await harness([order]);
    const { runId } = await run(order, undefined);
    await engine.commands.cancel(runId);
    await pass(0);
    expect(await show(`${runId}~trip`)).toMatchObject({ status: "cancelled", compensation: "incomplete" });
    const ended = await show(runId);
    expect(ended).toMatchObject({ status: "cancelled", compensation: "complete" });
    expect(ended.steps.trip).toMatchObject({ status: "unknown", compensation: { status: "succeeded" } });
    expect(calls).toEqual(["book", "room", "undo room", "undo trip ? unknown /trip/undo", "undo book"]);
  });
});

test("a child that failed has undone itself, and is not undone by its parent", async () => {
  const calls: string[] = [];
  const order = journey(calls);
  const { run, engine, pass, show } = await harness([order]);
  const { runId } = await run(order, undefined);
  await engine.commands.signal(`${runId}~trip`, "go", "no");
  await pass(0);
  expect(await show(runId)).toMatchObject({ status: "failed", compensation: "complete" });
  expect(calls).toEqual(["book", "room", "undo room", "undo book"]);
});

test("a child that was undone is followed by a new one when its parent is redriven", async () => {
  const calls: string[] = [];
  const order = journey(calls);
  const { run, engine, pass, show } = await harness([order]);
  const { runId } = await run(order, undefined);
  await engine.commands.signal(`${runId}~trip`, "go", "Oslo");
  await pass(0);
  await engine.commands.signal(runId, "paid", false);
  await pass(0);
  expect(await show(runId)).toMatchObject({ status: "failed", compensation: "complete" });
  expect(calls).toEqual(["book", "room", "undo trip Oslo succeeded /trip/undo", "undo book"]);

  await engine.commands.redrive(runId);
  await pass(0);
  const again = await show(runId);
  expect(again.steps.trip).toMatchObject({ status: "waiting", child: `${runId}~trip.r1` });
  expect(await show(`${runId}~trip.r1`)).toMatchObject({ redrives: 0, parent: { runId, step: "trip" } });
  expect(await show(`${runId}~trip`)).toMatchObject({ status: "succeeded", output: "Oslo", redrives: 0 });
  await engine.commands.signal(`${runId}~trip.r1`, "go", "Rome");
  await pass(0);
  await engine.commands.signal(runId, "paid", true);
  await pass(0);
  expect(await show(runId)).toMatchObject({ status: "succeeded", output: "Rome" });
  expect(calls.filter((call) => call === "room")).toHaveLength(2);
});

test("a worker that dies at any call while parent and child are undone changes nothing of it", async () => {
  let moments = 0;
  for (let fatal = 1; moments + 1 >= fatal; fatal++) {
    const calls: string[] = [];
    const order = journey(calls);
    const rig = new Rig([order]);
    const { runId } = await rig.commands.start("journey");
    await rig.deliverAll(rig.worker());
    await rig.commands.cancel(runId);
    moments = await mortal(rig, [order], fatal);
    const at = `dies at moment ${fatal}`;
    expect((await rig.show(`${runId}~trip`)).status, at).toBe("cancelled");
    expect(await rig.show(runId), at).toMatchObject({ status: "cancelled", compensation: "complete" });
    expect(calls.indexOf("undo book"), at).toBeGreaterThan(calls.lastIndexOf("undo room"));
    expect(calls.indexOf("undo room"), at).toBeGreaterThan(0);
  }
  expect(moments).toBeGreaterThan(20);
});

describe("a worker that stands still just before it starts a child", () => {
  /** book, and beside it a child; the worker that is to start it stands still until `goOn` is opened. */
  async function stalledStart(calls: string[]) {
    const nap = workflow("nap", {}, (w) => w.sleep("nap", { duration: "1d" }));
    const trip = workflow("trip", {}, (w) => {
      w.step("book", { run: () => void calls.push("book"), compensate: () => void calls.push("undo book") });
      w.child("nap", { workflow: nap });
    });
    const top = workflow("top", {}, (w) => w.child("trip", { workflow: trip }));
    const rig = new Rig([top]);
    const goOn = gate();
    const { store } = rig.ports;
    const held: RunStore = {
      ...store,
      update: async (runId, transition) => {
        if (runId.endsWith("~nap") && transition.set[field.workflow] !== undefined) await goOn.promise;
        return store.update(runId, transition);
      },
    };
    const { runId } = await rig.commands.start("top");
    const clock = { now: () => rig.clock.now(), after: () => () => undefined };
    const stalled = createWorker({ workflows: [top], ports: { ...rig.ports, store: held, clock } });
    const handled: Promise<unknown>[] = [];
    while (!rig.isIdle()) {
      handled.push(rig.receive().then(async (message) => rig.apply(message, await rig.handle(stalled, message))));
      await atRest();
    }
    expect((await rig.show(`${runId}~trip`)).steps.nap?.status).toBe("running");
    const tripId = `${runId}~trip`;
    return { rig, top, runId, tripId, napId: `${tripId}~nap`, goOn, handled };
  }

  test("starts none when the run has been undone meanwhile", async () => {
    const calls: string[] = [];
    const { rig, runId, tripId, napId, goOn, handled } = await stalledStart(calls);
    await rig.commands.cancel(tripId);
    await rig.clock.advance(limits.visibilityMs + limits.leaseMs);
    await rig.deliverAll(rig.worker());
    expect(await rig.show(tripId)).toMatchObject({ status: "cancelled", compensation: "complete" });
    expect(calls).toEqual(["book", "undo book"]);
    goOn.open();
    await Promise.all(handled);
    await rig.deliverAll(rig.worker());
    await expect(rig.show(napId)).rejects.toMatchObject({ code: "run_not_found" });
    expect((await rig.show(runId)).status).toBe("failed");
    expect(calls).toEqual(["book", "undo book"]);

    // A later epoch starts it.
    await rig.commands.redrive(runId);
    await rig.deliverAll(rig.worker());
    expect(await rig.show(napId)).toMatchObject({ status: "running", parent: { runId: tripId, step: "nap" } });
    expect(calls).toEqual(["book", "undo book", "book"]);
  });

  test("is refused by what goes when the run is purged", async () => {
    const { rig, runId, tripId, napId } = await stalledStart([]);
    await rig.commands.cancel(tripId);
    await rig.clock.advance(limits.visibilityMs + limits.leaseMs);
    await rig.deliverAll(rig.worker());
    expect((await rig.ports.store.update(napId, bar(0))).applied).toBe(false);
    await rig.commands.purge(runId);
    expect((await rig.ports.store.update(napId, bar(0))).applied).toBe(true);
  });

  test("leaves a run that its last message ends, and whoever dies then is made up for", async () => {
    let moments = 0;
    for (let fatal = 1; moments + 1 >= fatal; fatal++) {
      const { rig, top, runId, tripId } = await stalledStart([]);
      await rig.commands.cancel(tripId);
      await rig.clock.advance(limits.visibilityMs + limits.leaseMs);
      moments = await mortal(rig, [top], fatal);
      expect((await rig.show(tripId)).status, `dies at moment ${fatal}`).toBe("cancelled");
      expect((await rig.show(runId)).status, `dies at moment ${fatal}`).toBe("failed");
    }
    expect(moments).toBeGreaterThan(20);
  });
});

describe("children of a limited workflow", () => {
  const limited = workflow(
    "limited",
    { input: z.string(), concurrency: { key: ({ input }) => input, limit: 1 } },
    (w) => w.signal("end", { payload: z.string() }),
  );
  const parent = workflow("parent", {}, (w) => {
    w.child("one", { workflow: limited, input: () => "a", onFailure: "continue" });
    w.child("two", { workflow: limited, input: () => "a", onFailure: "continue" });
    w.child("other", { workflow: limited, input: () => "b", onFailure: "continue" });
  });

  test("wait for their turn, by their own input, and give it to the next one however they end", async () => {
    const { run, engine, pass, show } = await harness([parent]);
    const { runId } = await run(parent, undefined);
    await pass(limits.startRetryMs);
    expect(await show(`${runId}~other`)).not.toHaveProperty("waitsForTurn");
    const ids = [`${runId}~one`, `${runId}~two`];
    const runs = await Promise.all(ids.map(show));
    expect(runs.map(({ waitsForTurn }) => waitsForTurn).filter((turn) => turn !== undefined)).toEqual([
      { key: "a", ahead: 0 },
    ]);
    const [first, second] = runs[0]?.waitsForTurn === undefined ? ids : ids.toReversed();
    await engine.commands.terminate(first ?? "");
    await pass(limits.startRetryMs);
    expect(await show(second ?? "")).not.toHaveProperty("waitsForTurn");
    for (const id of [second, `${runId}~other`]) await engine.commands.signal(id ?? "", "end", "x");
    await pass(0);
    expect((await show(runId)).status).toBe("succeeded");
  });

  test("that are redriven with their parent ask for another turn", async () => {
    const strict = workflow("strict", {}, (w) => w.child("one", { workflow: limited, input: () => "a" }));
    const { run, engine, pass, show } = await harness([strict]);
    const { runId } = await run(strict, undefined);
    await pass(limits.startRetryMs);
    await engine.commands.cancel(`${runId}~one`);
    await pass(0);
    expect((await show(runId)).status).toBe("failed");
    const { runId: other } = await engine.start(limited, { input: "a" });
    await pass(limits.startRetryMs);
    await engine.commands.redrive(runId);
    await pass(limits.startRetryMs);
    expect((await show(`${runId}~one`)).waitsForTurn).toEqual({ key: "a", ahead: 0 });
    await engine.commands.signal(other, "end", "x");
    await pass(limits.startRetryMs);
    await engine.commands.signal(`${runId}~one`, "end", "y");
    await pass(0);
    expect(await show(runId)).toMatchObject({ status: "succeeded", output: "y" });
  });
});

describe("a fork", () => {
  const big = 80 * 1024;
  const part = workflow("part", { input: z.number() }, (w) => w.step("a", { run: ({ input }) => input * 10 }));
  const whole = workflow("whole", {}, (w) => {
    const many = w.map("many", {
      items: () => [0, 1, 2],
      toleratedFailures: 1,
      retry: once,
      run: ({ item }) => {
        if (item === 1) throw new FatalError("odd");
        return String(item).repeat(big);
      },
    });
    const one = w.child("one", { workflow: part, input: () => 5 });
    return w.step("sum", {
      after: [many, one],
      run: async ({ outputs }) => {
        const found = await outputs.many.toArray();
        const errors = await outputs.many.errors();
        return [outputs.one, ...found.map((text) => text?.length ?? null), errors.map(({ index }) => index)];
      },
    });
  });
  const output = [50, big, null, big, [1]];

  test("reads the results of a map that it keeps from its original's shards, however large", async () => {
    const { run, engine, pass, show } = await harness([whole]);
    const { runId } = await run(whole, undefined);
    expect((await show(runId)).output).toEqual(output);
    await pass(1_000);
    await engine.commands.fork(runId, { from: "sum", runId: "again" });
    await pass(0);
    const fork = await show("again");
    expect(fork).toMatchObject({ status: "succeeded", output, forkedFrom: { runId } });
    expect(fork.steps.many).toMatchObject({ status: "succeeded", output: { items: 3, failures: 1 } });
    expect(fork.steps.many).not.toHaveProperty("child");
    expect(await engine.commands.output("again", "many")).toEqual({ items: 3, failures: 1 });
    await expect(show("again~many")).rejects.toThrow();
  });

  test("from a map or a child starts shards and children of its own", async () => {
    const { run, engine, pass, show } = await harness([whole]);
    const { runId } = await run(whole, undefined);
    await pass(1_000);
    await engine.commands.fork(runId, { from: "many", runId: "again" });
    await pass(0);
    const fork = await show("again");
    expect(fork).toMatchObject({ status: "succeeded", output });
    expect(fork.steps.many?.child).toBe("again~many");
    expect(fork.steps.one).not.toHaveProperty("child");
    await engine.commands.fork(runId, { from: "one", runId: "third" });
    await pass(0);
    expect((await show("third")).steps.one).toMatchObject({ child: "third~one", output: 50 });
  });

  test("of a part of a map is refused", async () => {
    const { run, engine } = await harness([whole]);
    const { runId } = await run(whole, undefined);
    await expect(engine.commands.fork(`${runId}~many`, { from: "0" })).rejects.toMatchObject({
      code: "invalid_request",
      message: `Run ${runId}~many is a part of a map, and has no steps that could be forked by themselves. Fork run ${runId} from step "many".`,
    });
  });
});

test("a child is ended by hand with any output, a map can only be skipped", async () => {
  const never = workflow("never", { input: z.number().optional() }, (w) => w.signal("end", {}));
  const parent = workflow("parent", {}, (w) => {
    const one = w.child("one", { workflow: never });
    const many = w.map("many", { each: never, items: () => [1] });
    return w.step("sum", { after: [one, many], run: ({ outputs }) => [outputs.one, typeof outputs.many] });
  });
  const { run, engine, pass, show } = await harness([parent]);
  const { runId } = await run(parent, undefined);
  await engine.commands.cancel(runId);
  await pass(0);
  const by = { by: "ada", reason: "done elsewhere" };
  await expect(engine.commands.redrive(runId, { ...by, set: { many: 1 } })).rejects.toThrow(
    'set "many": has the outputs of its items, which are in runs of their own. Skip it, or let it be repeated.',
  );
  await engine.commands.redrive(runId, { ...by, set: { one: "by hand" }, skip: ["many"] });
  await pass(0);
  const ended = await show(runId);
  expect(ended).toMatchObject({ status: "succeeded", output: ["by hand", "undefined"] });
  expect(statuses(ended)).toEqual({ one: "succeeded", many: "skipped", sum: "succeeded" });
});
