// Hunts: children that are started twice, lost, or outlive their parent, and ends that do not reach the other side.
import { describe, expect, test } from "vitest";
import * as z from "zod";
import { limits } from "../../lib/definition/limits.ts";
import { decodeRun, field } from "../../lib/engine/codec.ts";
import { terminate } from "../../lib/engine/operate.ts";
import { registerWaiter } from "../../lib/engine/waiter.ts";
import { FatalError, type Workflow, workflow } from "../../lib/index.ts";
import type { RunStore } from "../../lib/runtime/ports.ts";
import { createWorker } from "../../lib/runtime/worker.ts";
import { atRest } from "../../lib/testing/virtual-clock.ts";
import { gate, harness, statuses } from "./harness.ts";
import { mortal } from "./mortal.ts";
import { Rig } from "./rig.ts";

const Parcel = z.object({ to: z.string(), kilos: z.number().default(1) });

const shipping = workflow("shipping", { input: Parcel }, (w) => {
  const label = w.step("label", { run: ({ input }) => `${input.to}, ${input.kilos} kg` });
  const pickup = w.signal("pickup", { after: [label], payload: z.string() });
  return w.step("done", { after: [label, pickup], run: ({ outputs }) => ({ ...outputs }) });
});

const order = workflow("order", { input: z.string() }, (w) => {
  const pack = w.step("pack", { run: () => 3 });
  const ship = w.child("ship", {
    workflow: shipping,
    after: [pack],
    input: ({ input, outputs }) => ({ to: input, kilos: outputs.pack }),
  });
  return w.step("thank", { after: [ship], run: ({ outputs }) => outputs.ship.pickup });
});

/** Fails while the number is above 0, and counts its attempts. */
function troubled(failures: { left: number }): Workflow<"troubled", undefined, string> {
  return workflow("troubled", {}, (w) => {
    const paid = w.step("pay", { run: ({ runId }) => `paid by ${runId}` });
    return w.step("work", {
      after: [paid],
      run: ({ outputs }) => {
        if (failures.left-- > 0) throw new FatalError("out of paper");
        return outputs.pay;
      },
    });
  });
}

describe("a child", () => {
  test("is a run of its own under an id that follows from its parent's, and its output is the step's", async () => {
    const { run, engine, pass, show } = await harness([order]);
    const { runId } = await run(order, "Ada");
    const waiting = await show(runId);
    expect(statuses(waiting)).toEqual({ pack: "succeeded", ship: "waiting", thank: "pending" });
    expect(waiting.steps.ship).toMatchObject({ child: `${runId}~ship`, attempt: 1 });
    const child = await show(`${runId}~ship`);
    expect(child).toMatchObject({
      workflow: "shipping",
      status: "running",
      input: { to: "Ada", kilos: 3 },
      parent: { runId, step: "ship" },
    });
    await engine.commands.signal(`${runId}~ship`, "pickup", "Monday");
    await pass(0);
    const ended = await show(runId);
    expect(ended).toMatchObject({ status: "succeeded", output: "Monday" });
    expect(ended.steps.ship?.output).toEqual({ label: "Ada, 3 kg", pickup: "Monday" });
  });

  test("brings its workflow along; another workflow of that name is refused", async () => {
    const other = workflow("shipping", {}, (w) => w.step("a", { run: () => 1 }));
    await expect(harness([order, other])).rejects.toThrow(
      'Step "ship" of workflow "order" starts a workflow named "shipping", and there is another one of that name.',
    );
    const { engine } = await harness([order, shipping]);
    expect(engine.commands.workflows().map(({ name }) => name)).toEqual(["order", "shipping"]);
  });

  test("carries an output of 300 KB to its parent", async () => {
    const big = workflow("big", {}, (w) => w.step("a", { run: () => "x".repeat(300 * 1024) }));
    const parent = workflow("parent", {}, (w) => {
      const child = w.child("child", { workflow: big });
      return w.step("length", { after: [child], run: ({ outputs }) => outputs.child.length });
    });
    const { run } = await harness([parent]);
    expect(await run(parent, undefined)).toMatchObject({ status: "succeeded", output: 300 * 1024 });
  });

  test("whose input does not fit, or whose input function throws, fails the step at once", async () => {
    const parent = workflow("parent", {}, (w) => {
      w.child("wrong", { workflow: shipping, input: () => ({ to: 5 as unknown as string }), onFailure: "continue" });
      w.child("throws", {
        workflow: shipping,
        input: () => {
          throw new Error("no idea");
        },
        onFailure: "continue",
      });
    });
    const { run, show } = await harness([parent]);
    const ended = await run(parent, undefined);
    expect(ended.steps.wrong?.error).toEqual({
      name: "InvalidInput",
      message: 'The input of workflow "shipping" is not valid. to: Invalid input: expected string, received number',
    });
    expect(ended.steps.throws?.error).toEqual({ name: "Error", message: "no idea" });
    await expect(show(`${ended.runId}~wrong`)).rejects.toMatchObject({ code: "run_not_found" });
  });

  test("that is skipped is not started", async () => {
    const parent = workflow("parent", {}, (w) =>
      w.child("child", { workflow: shipping, when: () => false, input: () => ({ to: "nobody" }) }),
    );
    const { run } = await harness([parent]);
    const ended = await run(parent, undefined);
    expect(ended.steps.child).toEqual({
      status: "skipped",
      attempt: 1,
      startedAt: expect.any(String) as string,
      endedAt: expect.any(String) as string,
    });
  });

  test("of a child of a child … ends with a clear error", async () => {
    const endless: Workflow<"endless", undefined> = workflow("endless", {}, (w) =>
      w.child("again", { workflow: () => endless }),
    );
    const { run, show } = await harness([endless]);
    const ended = await run(endless, undefined);
    expect(ended.status).toBe("failed");
    const deepest = await show(`${ended.runId}${"~again".repeat(limits.nesting)}`);
    expect(deepest.steps.again?.error).toMatchObject({ name: "NestedTooDeep" });
    expect(deepest.steps.again?.error?.message).toContain("9 levels below");
  });
});

describe("a child that does not succeed", () => {
  test("fails its step with its own error and its run id", async () => {
    const parent = workflow("parent", {}, (w) => w.child("child", { workflow: troubled({ left: 9 }) }));
    const { run } = await harness([parent]);
    const ended = await run(parent, undefined);
    const message = `Run ${ended.runId}~child of workflow "troubled" failed: FatalError: out of paper (step work)`;
    expect(ended.steps.child?.error).toEqual({ name: "ChildFailed", message });
    expect(ended).toMatchObject({ status: "failed", error: { name: "ChildFailed", step: "child" } });
  });

  test("is tolerated when its step is", async () => {
    const parent = workflow("parent", {}, (w) => {
      const child = w.child("child", { workflow: troubled({ left: 9 }), onFailure: "continue" });
      return w.step("end", { afterFailed: [child], run: ({ errors }) => errors.child?.name });
    });
    const { run } = await harness([parent]);
    expect(await run(parent, undefined)).toMatchObject({ status: "succeeded", output: "ChildFailed" });
  });

  test("because it was cancelled or timed out, says so", async () => {
    const slow = workflow("slow", { timeout: "1h" }, (w) => w.sleep("nap", { duration: "2h" }));
    const parent = workflow("parent", {}, (w) => {
      w.child("a", { workflow: slow, onFailure: "continue" });
      w.child("b", { workflow: slow, onFailure: "continue" });
    });
    const { run, engine, pass, show } = await harness([parent]);
    const { runId } = await run(parent, undefined);
    await engine.commands.cancel(`${runId}~a`);
    await pass(3_600_000);
    const ended = await show(runId);
    expect(ended.steps.a?.error).toEqual({
      name: "ChildCancelled",
      message: `Run ${runId}~a of workflow "slow" was cancelled.`,
    });
    expect(ended.steps.b?.error).toMatchObject({ name: "ChildTimedOut" });
    expect(ended.status).toBe("succeeded");
  });

  test("is redriven with its parent: what had succeeded in it is kept", async () => {
    const failures = { left: 1 };
    const parent = workflow("parent", {}, (w) => w.child("child", { workflow: troubled(failures) }));
    const { run, engine, pass, show } = await harness([parent]);
    const { runId } = await run(parent, undefined);
    expect((await show(runId)).status).toBe("failed");
    await engine.commands.redrive(runId);
    await pass(0);
    expect(await show(runId)).toMatchObject({ status: "succeeded", output: `paid by ${runId}~child` });
    const child = await show(`${runId}~child`);
    expect(child.steps.pay?.attempt).toBe(1);
    expect(child.steps.work?.attempt).toBe(1);
  });

  test("and that was redriven by itself meanwhile: the redriven parent takes its output, or waits for it", async () => {
    const failures = { left: 1 };
    const parent = workflow("parent", {}, (w) => w.child("child", { workflow: troubled(failures) }));
    const { run, engine, pass, show } = await harness([parent]);
    const { runId } = await run(parent, undefined);
    await engine.commands.redrive(`${runId}~child`);
    await pass(0);
    expect((await show(`${runId}~child`)).status).toBe("succeeded");
    expect((await show(runId)).status).toBe("failed");
    await engine.commands.redrive(runId);
    await pass(0);
    expect(await show(runId)).toMatchObject({ status: "succeeded", output: `paid by ${runId}~child` });
  });

  test("is not redriven with another input", async () => {
    let calls = 0;
    const child = workflow("child", { input: z.number() }, (w) => {
      w.step("a", {
        run: () => {
          throw new FatalError("no");
        },
      });
    });
    const parent = workflow("parent", {}, (w) => w.child("child", { workflow: child, input: () => calls++ }));
    const { run, engine, pass, show } = await harness([parent]);
    const { runId } = await run(parent, undefined);
    await engine.commands.redrive(runId);
    await pass(0);
    expect((await show(runId)).steps.child?.error).toMatchObject({ name: "ChildConflict" });
  });
});

describe("the end of a parent", () => {
  const napping = workflow("napping", {}, (w) => w.sleep("nap", { duration: "1d" }));
  const middle = workflow("middle", {}, (w) => w.child("inner", { workflow: napping }));
  const family = workflow("family", { timeout: "12h" }, (w) => {
    w.child("mine", { workflow: middle });
    w.child("free", { workflow: napping, whenParentEnds: "leave", onFailure: "continue" });
    const alarm = w.signal("alarm");
    w.step("breaks", {
      after: [alarm],
      run: () => {
        throw new FatalError("broken");
      },
    });
  });

  test.each(["cancel", "terminate", "timeout", "failure"] as const)(
    "by %s cancels its children and theirs, but for those that are to be left",
    async (how) => {
      const { run, engine, pass, show } = await harness([family]);
      const { runId } = await run(family, undefined);
      expect((await show(`${runId}~mine~inner`)).status).toBe("running");
      if (how === "timeout") await pass(12 * 3_600_000);
      else if (how === "failure") await engine.commands.signal(runId, "alarm");
      else await engine.commands[how](runId);
      await pass(0);
      const status = how === "timeout" ? "timed_out" : how === "failure" ? "failed" : "cancelled";
      expect((await show(runId)).status).toBe(status);
      expect((await show(`${runId}~mine`)).status).toBe("cancelled");
      expect((await show(`${runId}~mine~inner`)).status).toBe("cancelled");
      expect((await show(`${runId}~free`)).status).toBe("running");
      await pass(2 * 86_400_000);
      expect((await show(`${runId}~free`)).status).toBe("succeeded");
      expect((await show(runId)).status).toBe(status);
    },
  );

  test("that is redriven takes up the child that was left and the one that was cancelled", async () => {
    const { run, engine, pass, show } = await harness([family]);
    const { runId } = await run(family, undefined);
    await engine.commands.cancel(runId);
    await pass(60_000);
    await engine.commands.redrive(runId);
    await pass(0);
    expect(statuses(await show(runId))).toMatchObject({ mine: "waiting", free: "waiting" });
    expect((await show(`${runId}~mine~inner`)).status).toBe("running");
  });

  test("waits, when it unwinds, until the child has ended", async () => {
    const seen: string[] = [];
    const busy = workflow("busy", {}, (w) => {
      w.signal("never", {});
    });
    const parent = workflow("parent", {}, (w) => {
      w.child("child", { workflow: busy });
      w.step("breaks", {
        delay: "1m",
        run: () => {
          throw new FatalError("broken");
        },
      });
    });
    const { run, engine, pass, show } = await harness([parent]);
    engine.onEvent(({ runId, status }) => seen.push(`${runId.includes("~") ? "child" : "parent"} ${status}`));
    const { runId } = await run(parent, undefined, 60_000);
    await pass(0);
    expect(seen).toEqual(["parent running", "child running", "parent unwinding", "child cancelled", "parent failed"]);
    expect((await show(runId)).steps.child?.error?.name).toBe("ChildCancelled");
  });
});

test("a paused parent takes its child's end, and goes on when it is resumed", async () => {
  const { run, engine, pass, show } = await harness([order]);
  const { runId } = await run(order, "Ada");
  await engine.commands.pause(runId);
  await engine.commands.signal(`${runId}~ship`, "pickup", "Monday");
  await pass(0);
  expect(statuses(await show(runId))).toEqual({ pack: "succeeded", ship: "succeeded", thank: "pending" });
  await engine.commands.resume(runId);
  await pass(0);
  expect((await show(runId)).status).toBe("succeeded");
});

describe("a worker that dies at any call of a port", () => {
  const failures = { left: 0 };
  const parent = workflow("parent", {}, (w) => {
    const child = w.child("child", { workflow: troubled(failures) });
    return w.step("end", { after: [child], run: ({ outputs }) => outputs.child });
  });

  test("leaves a message behind that brings child and parent to their end", async () => {
    let calls = 0;
    for (let fatal = 1; calls + 1 >= fatal; fatal++) {
      const rig = new Rig([parent]);
      const { runId } = await rig.commands.start("parent");
      calls = await mortal(rig, [parent], fatal);
      const ended = await rig.show(runId);
      expect(ended, `dies at moment ${fatal}`).toMatchObject({ status: "succeeded", output: `paid by ${runId}~child` });
      expect(ended.steps.end?.status).toBe("succeeded");
      expect(rig.isIdle()).toBe(true);
    }
    expect(calls).toBeGreaterThan(30);
  });

  test("and so does a failure, and the redrive after it", async () => {
    let calls = 0;
    for (let fatal = 1; calls + 1 >= fatal; fatal++) {
      failures.left = 1;
      const rig = new Rig([parent]);
      const { runId } = await rig.commands.start("parent");
      calls = await mortal(rig, [parent], fatal);
      const at = `dies at moment ${fatal}`;
      if ((await rig.show(runId)).status === "failed") await rig.commands.redrive(runId);
      calls = Math.max(calls, await mortal(rig, [parent], fatal));
      expect(await rig.show(runId), at).toMatchObject({ status: "succeeded", output: `paid by ${runId}~child` });
    }
    expect(calls).toBeGreaterThan(20);
  });

  test("or is slow: a child that it starts when the run is over already is ended", async () => {
    const napping = workflow("napping", {}, (w) => w.sleep("nap", { duration: "1d" }));
    const top = workflow("top", {}, (w) => w.child("late", { workflow: napping }));
    const rig = new Rig([top]);
    const { runId } = await rig.commands.start("top");
    const slow = gate();
    const { store } = rig.ports;
    const held: RunStore = {
      ...store,
      update: async (id, transition) => {
        if (id !== runId) await slow.promise;
        return store.update(id, transition);
      },
    };
    const worker = createWorker({ workflows: [top], ports: { ...rig.ports, store: held } });
    const message = await rig.receive();
    const handled = rig.handle(worker, message);
    await atRest();
    await rig.commands.cancel(runId);
    await rig.deliverAll(rig.worker());
    slow.open();
    await rig.apply(message, await handled);
    await rig.deliverAll(rig.worker());
    expect((await rig.show(`${runId}~late`)).status).toBe("cancelled");
  });

  test("while the run unwinds ends the child, and then the run, all the same", async () => {
    const napping = workflow("napping", {}, (w) => w.sleep("nap", { duration: "1d" }));
    const top = workflow("top", {}, (w) => {
      w.child("child", { workflow: napping });
      const alarm = w.signal("alarm");
      w.step("breaks", {
        after: [alarm],
        run: () => {
          throw new FatalError("broken");
        },
      });
    });
    let calls = 0;
    for (let fatal = 1; calls + 1 >= fatal; fatal++) {
      const rig = new Rig([top]);
      const { runId } = await rig.commands.start("top");
      await rig.deliverAll(rig.worker());
      await rig.commands.signal(runId, "alarm");
      calls = await mortal(rig, [top], fatal);
      const at = `dies at moment ${fatal}`;
      expect((await rig.show(`${runId}~child`)).status, at).toBe("cancelled");
      expect((await rig.show(runId)).status, at).toBe("failed");
      expect((await rig.show(runId)).steps.child?.error?.name, at).toBe("ChildCancelled");
    }
    expect(calls).toBeGreaterThan(20);
  });

  test("and whose run unwinds meanwhile: the run waits for the child that it has started, if it has", async () => {
    const napping = workflow("napping", {}, (w) => w.sleep("nap", { duration: "1d" }));
    const top = workflow("top", {}, (w) => {
      w.child("child", { workflow: napping });
      w.step("breaks", {
        run: () => {
          throw new FatalError("broken");
        },
      });
    });
    const seen = new Set<string>();
    for (let fatal = 1; fatal < 16; fatal++) {
      const rig = new Rig([top]);
      const { runId } = await rig.commands.start("top");
      // Its own message is the first: the worker dies with it, and another one fails the run.
      await mortal(rig, [top], fatal);
      const child = await rig.show(`${runId}~child`).catch(() => undefined);
      const { status, steps } = await rig.show(runId);
      expect(status).toBe("failed");
      if (steps.child?.status === "pending") continue;
      expect(steps.child).toMatchObject({ status: "failed", error: { name: "ChildCancelled" } });
      if (child === undefined) expect(steps.child?.error?.message).toBe(`Run ${runId}~child was not started any more.`);
      else expect(Date.parse(steps.child?.endedAt ?? "")).toBeGreaterThanOrEqual(Date.parse(child.endedAt ?? ""));
      seen.add(child?.status ?? "none");
    }
    expect([...seen].sort()).toEqual(["cancelled", "none"]);
  });

  test("ends the children of a cancelled run all the same", async () => {
    const napping = workflow("napping", {}, (w) => w.sleep("nap", { duration: "1d" }));
    const middle = workflow("middle", {}, (w) => w.child("inner", { workflow: napping }));
    const top = workflow("top", {}, (w) => w.child("middle", { workflow: middle }));
    let calls = 0;
    for (let fatal = 1; calls + 1 >= fatal; fatal++) {
      const rig = new Rig([top]);
      const { runId } = await rig.commands.start("top");
      await rig.deliverAll(rig.worker());
      await rig.commands.cancel(runId);
      calls = await mortal(rig, [top], fatal);
      for (const id of [runId, `${runId}~middle`, `${runId}~middle~inner`])
        expect((await rig.show(id)).status, `${id}, dies at moment ${fatal}`).toBe("cancelled");
    }
    expect(calls).toBeGreaterThan(20);
  });
});

test("a step that takes up a child which ends just now tells those who wait for it, before it redrives the child", async () => {
  const child = workflow("child", {}, (w) => w.signal("go", {}));
  const parent = workflow("parent", {}, (w) => w.child("child", { workflow: child, whenParentEnds: "leave" }));
  const told: string[] = [];
  const rig = new Rig([parent], { send: async (replies) => void told.push(...replies.map(({ replyTo }) => replyTo)) });
  await rig.commands.start("parent", { runId: "run" });
  await rig.deliverAll(rig.worker());
  await rig.commands.cancel("run");
  await rig.deliverAll(rig.worker());
  const { store, clock } = rig.ports;
  await store.update("run~child", registerWaiter("somebody", clock.now() + 3_600_000));
  await rig.commands.redrive("run");
  /** Of each change of the child, its epoch, and who had been told by then. */
  const changes: unknown[] = [];
  let hasEnded = false;
  const update: typeof store.update = async (runId, transition) => {
    const isStart = transition.guard.some(({ field: at, is }) => at === field.status && is === "absent");
    if (runId === "run~child" && !isStart && !hasEnded) {
      hasEnded = true;
      // By somebody who dies before telling anybody.
      const end = terminate(decodeRun(runId, (await store.get(runId)) ?? {}), clock.now());
      if (end.kind === "write") await store.update(runId, end.transition);
    }
    const result = await store.update(runId, transition);
    if (runId === "run~child" && result.applied) changes.push([result.fields[field.epoch], ...told]);
    return result;
  };
  await rig.deliverAll(createWorker({ workflows: [parent], ports: { ...rig.ports, store: { ...store, update } } }));
  expect(hasEnded).toBe(true);
  expect(changes[0]).toEqual([1, "somebody"]);
  expect((await rig.show("run~child")).status).toBe("running");
});
