// Hunts: steps that are lost or doubled when workers die, and messages that come twice, late or in another order.
import { describe, expect, test } from "vitest";
import { limits } from "../../lib/definition/limits.ts";
import { decodeRun } from "../../lib/engine/codec.ts";
import type { Message } from "../../lib/engine/message.ts";
import { FatalError, workflow } from "../../lib/index.ts";
import { createCommands } from "../../lib/runtime/commands.ts";
import type { RunStore } from "../../lib/runtime/ports.ts";
import { createWorker } from "../../lib/runtime/worker.ts";
import { atRest } from "../../lib/testing/virtual-clock.ts";
import { gate, statuses } from "./harness.ts";
import { Rig } from "./rig.ts";

const never = (): Promise<never> => new Promise(() => undefined);

describe("a worker that dies in the middle of a step", () => {
  test("another attempt takes over after the lease, and not before", async () => {
    let calls = 0;
    const work = workflow("work", {}, (w) => {
      const a = w.step("a", { run: () => (++calls === 1 ? never() : "done") });
      return w.step("b", { after: [a], run: ({ outputs }) => outputs.a });
    });
    const rig = new Rig([work]);
    const { runId } = await rig.commands.start("work");
    await rig.crash();
    await rig.clock.advance(limits.leaseMs - 1);
    expect(rig.isIdle()).toBe(true);
    await rig.clock.advance(limits.visibilityMs);
    await rig.deliverAll(rig.worker());
    expect(await rig.show(runId)).toMatchObject({ status: "succeeded", output: "done", steps: { a: { attempt: 2 } } });
    expect(calls).toBe(2);
  });

  test("a crash loop ends as WorkerCrashed, after as many attempts as the policy allows", async () => {
    let calls = 0;
    const lethal = workflow("lethal", {}, (w) =>
      w.step("boom", { retry: { maxAttempts: 3 }, run: () => (calls++, never()) }),
    );
    const rig = new Rig([lethal]);
    const { runId } = await rig.commands.start("lethal");
    for (let attempt = 1; attempt <= 3; attempt++) {
      await rig.crash();
      await rig.clock.advance(limits.visibilityMs);
    }
    await rig.deliverAll(rig.worker());
    const ended = await rig.show(runId);
    expect(ended).toMatchObject({ status: "failed", error: { name: "WorkerCrashed", step: "boom" } });
    expect(ended.steps.boom).toMatchObject({ status: "failed", attempt: 3, error: { name: "WorkerCrashed" } });
    expect(ended.error?.message).toContain("that was the last of 3 attempts");
    expect(calls).toBe(3);
    await rig.clock.advance(3_600_000);
    expect(rig.isIdle()).toBe(true);
  });

  test("while its run unwinds, the step does not run again: its outcome is unknown, and the run ends", async () => {
    let calls = 0;
    const work = workflow("work", {}, (w) => {
      w.step("lost", { run: () => (calls++, never()) });
      w.step("fails", {
        retry: { maxAttempts: 1 },
        run: () => {
          throw new Error("as planned");
        },
      });
    });
    const rig = new Rig([work]);
    const { runId } = await rig.commands.start("work");
    await rig.crash();
    await rig.deliver(rig.worker());
    expect((await rig.show(runId)).status).toBe("unwinding");
    await rig.clock.advance(limits.visibilityMs);
    await rig.deliverAll(rig.worker());
    const ended = await rig.show(runId);
    expect(ended.status).toBe("failed");
    expect(statuses(ended)).toEqual({ lost: "unknown", fails: "failed" });
    expect(calls).toBe(1);
  });

  test("a worker that wakes up after it lost its lease commits nothing, and keeps the message alive", async () => {
    const late = gate<string>();
    let calls = 0;
    const work = workflow("work", {}, (w) =>
      w.step("a", { run: () => (++calls === 1 ? late.promise : calls === 2 ? never() : "third") }),
    );
    const rig = new Rig([work]);
    const { runId } = await rig.commands.start("work");
    const slow = rig.process();
    const message = await rig.receive();
    const handled = rig.handle(slow.worker, message);
    await atRest();
    // Suspended, not dead: it misses its renewals, and another worker takes over and dies for good.
    slow.kill();
    await rig.clock.advance(limits.visibilityMs);
    await rig.crash();
    late.open("too late");
    const disposition = await handled;
    expect(disposition.kind).toBe("redeliver");
    await rig.apply(message, disposition);
    expect((await rig.show(runId)).steps.a).toMatchObject({ status: "running", attempt: 2 });
    await rig.clock.advance(limits.visibilityMs);
    await rig.deliverAll(rig.worker());
    expect(await rig.show(runId)).toMatchObject({ status: "succeeded", output: "third", steps: { a: { attempt: 3 } } });
  });
});

describe("messages", () => {
  const order: string[] = [];
  const line = workflow("line", {}, (w) => {
    const a = w.step("a", { run: () => order.push("a") });
    const b = w.step("b", {
      after: [a],
      retry: { backoff: { type: "fixed", base: "1m" } },
      run: ({ attempt }) => {
        order.push(`b${attempt}`);
        if (attempt === 1) throw new Error("once");
      },
    });
    return w.step("c", { after: [b], run: () => order.push("c") });
  });

  test("duplicated, late and reordered ones change nothing", async () => {
    order.length = 0;
    const rig = new Rig([line]);
    const worker = rig.worker();
    const { runId } = await rig.commands.start("line");
    const kept: Message[] = [];
    for (let deliveries = 0; deliveries < 60; deliveries++) {
      if (rig.isIdle()) {
        if ((await rig.show(runId)).status === "succeeded") break;
        await rig.clock.advance(60_000);
        continue;
      }
      const message = await rig.receive();
      kept.push(message.body as Message);
      await rig.apply(message, await rig.handle(worker, message));
      // Everything that was ever sent comes again, newest first.
      for (const old of [...kept].reverse()) await rig.handle(worker, { ...message, body: old });
    }
    expect(await rig.show(runId)).toMatchObject({
      status: "succeeded",
      steps: { a: { attempt: 1 }, b: { attempt: 2 }, c: { attempt: 1 } },
    });
    expect(order).toEqual(["a", "b1", "b2", "c"]);
    for (const old of kept)
      expect(await rig.handle(worker, { receipt: "none", body: old, receiveCount: 9, failures: 0 })).toEqual({
        kind: "acknowledge",
      });
    await rig.deliverAll(worker);
    expect(order).toEqual(["a", "b1", "b2", "c"]);
  });

  test("a duplicate while the first delivery still works is kept until the lease ends, so the step is not lost", async () => {
    const work = workflow("work", {}, (w) => {
      let calls = 0;
      return w.step("a", { run: () => (++calls === 1 ? never() : "second") });
    });
    const rig = new Rig([work]);
    const { runId } = await rig.commands.start("work");
    const first = rig.process();
    const message = await rig.receive();
    void rig.handle(first.worker, message);
    await atRest();
    await rig.send(message.body as Message);
    const duplicate = await rig.receive();
    const disposition = await rig.handle(rig.worker(), duplicate);
    expect(disposition).toEqual({ kind: "redeliver", delayMs: limits.leaseMs });
    await rig.apply(duplicate, disposition);
    // The first delivery's own message is gone for good; only the duplicate is left to bring the step back.
    first.kill();
    await rig.apply(message, { kind: "acknowledge" });
    await rig.clock.advance(limits.leaseMs);
    await rig.deliverAll(rig.worker());
    expect(await rig.show(runId)).toMatchObject({
      status: "succeeded",
      output: "second",
      steps: { a: { attempt: 2 } },
    });
  });

  test("a message that comes before its run is written waits for it, and is dropped when it never comes", async () => {
    const rig = new Rig([line]);
    const { graph, fingerprint } = line;
    const body: Message = {
      v: 1,
      kind: "step",
      runId: "later",
      workflow: graph.workflow,
      fingerprint,
      epoch: 0,
      sentAtMs: rig.clock.now(),
      step: 0,
      attempt: 1,
    };
    await rig.send(body);
    expect(await rig.deliver(rig.worker())).toEqual({ kind: "redeliver", delayMs: limits.startRetryMs });
    await rig.clock.advance(limits.startGraceMs + 1);
    expect(await rig.deliver(rig.worker())).toEqual({ kind: "acknowledge" });
  });

  test("malformed ones are dead letters at once, with the reason", async () => {
    const rig = new Rig([line]);
    const worker = rig.worker();
    const { runId } = await rig.commands.start("line");
    const { body } = await rig.receive();
    for (const bad of [
      "text",
      null,
      7,
      [],
      {},
      { ...(body as object), v: 0 },
      { ...(body as object), attempt: 0 },
      { ...(body as object), step: "0" },
    ]) {
      const disposition = await worker.handle({ body: bad, receiveCount: 1, extend: () => Promise.resolve() });
      expect(disposition).toMatchObject({
        kind: "deadLetter",
        reason: expect.stringContaining("Not a Pawl message") as unknown,
      });
      await worker.deadLetter(bad, "test");
    }
    const noStep = { ...(body as Message), step: 99 };
    expect(await worker.handle({ body: noStep, receiveCount: 1, extend: () => Promise.resolve() })).toMatchObject({
      kind: "deadLetter",
    });
    expect((await rig.show(runId)).status).toBe("running");
  });

  test("one of a newer version comes back for a worker that knows it, and as a dead letter changes nothing", async () => {
    const rig = new Rig([line]);
    const worker = rig.worker();
    const { runId } = await rig.commands.start("line");
    const { body } = await rig.receive();
    const newer = { ...(body as object), v: 2, kind: "leap" };
    const before = await rig.ports.store.get(runId);
    const handled = worker.handle({ body: newer, receiveCount: 1, extend: () => Promise.resolve() });
    await expect(handled).rejects.toThrow(
      "A message cannot be read: its shape has version 2, and this version of Pawl knows 1.",
    );
    await worker.deadLetter(newer, "test");
    expect(await rig.ports.store.get(runId)).toEqual(before);
    expect(rig.logs.map(({ fields }) => fields.error)).toContainEqual(
      expect.objectContaining({ name: "StoredShapeError" }),
    );
  });

  test("one that says it comes from the future is not asked for again and again when its run is not there", async () => {
    const rig = new Rig([line]);
    const worker = rig.worker();
    await rig.commands.start("line");
    const { body } = await rig.receive();
    const minutes = (ahead: number): number => rig.clock.now() + ahead * 60_000;
    const answer = (message: object) =>
      worker.handle({ body: message, receiveCount: 1, extend: () => Promise.resolve() });
    for (const kind of ["step", "deadline", "slot"]) {
      const lost = { ...(body as object), kind, runId: "nobody" };
      expect(await answer({ ...lost, sentAtMs: minutes(0.5) })).toMatchObject({ kind: "redeliver" });
      expect(await answer({ ...lost, sentAtMs: minutes(2) })).toEqual({ kind: "acknowledge" });
    }
  });

  test.each([
    ["is no JSON", "{", "it is not JSON"],
    ["is of a newer version", '{"schema":2}', "its shape has version 2, and this version of Pawl knows 1"],
    ["is another one", '{"schema":1,"workflow":"line","steps":[]}', "its fingerprint is"],
  ])("one whose graph %s comes back, and as a dead letter parks its run with the cause", async (_, graph, cause) => {
    const rig = new Rig([line]);
    const { runId } = await rig.commands.start("line");
    const { body } = await rig.receive();
    Object.assign(rig.ports.store, { getGraph: async () => graph });
    // Of the code that is there now, the run's graph is a former one.
    const worker = rig.worker([workflow("line", {}, (w) => void w.step("other", { run: () => 1 }))]);
    const handled = worker.handle({ body, receiveCount: 1, extend: () => Promise.resolve() });
    await expect(handled).rejects.toThrow(`cannot be read: ${cause}`);
    await worker.deadLetter(body, "test");
    const fields = (await rig.ports.store.get(runId)) ?? {};
    expect(decodeRun(runId, fields)).toMatchObject({
      status: "paused",
      pause: { code: "graph_missing", message: expect.stringContaining(cause) },
    });
  });

  test("one that fails at every delivery ends its step with the cause, so the run does not hang", async () => {
    const rig = new Rig([line]);
    const { runId } = await rig.commands.start("line");
    const { body } = await rig.receive();
    await rig.worker().deadLetter(body, "Handling failed 8 times, at last with Error: disk full");
    const ended = await rig.show(runId);
    expect(ended).toMatchObject({ status: "failed", error: { name: "EngineFailure", step: "a" } });
    expect(ended.steps.a?.error).toMatchObject({
      name: "EngineFailure",
      message: expect.stringContaining("disk full") as unknown,
    });
  });
});

describe("a run whose code is gone", () => {
  const before = workflow("shop", {}, (w) => {
    const a = w.step("a", { run: () => 1 });
    return w.step("gone", { after: [a], run: () => 2 });
  });
  const after = workflow("shop", {}, (w) => w.step("a", { run: () => 1 }));

  test("parks with the reason when its step vanished, and goes on when the code is back", async () => {
    const rig = new Rig([before]);
    const { runId } = await rig.commands.start("shop");
    await rig.deliver(rig.worker());
    await rig.deliver(rig.worker([after]));
    expect(await rig.show(runId)).toMatchObject({
      status: "paused",
      pause: {
        code: "step_missing",
        message:
          'The code of workflow "shop" no longer has step "gone", which this run\'s graph needs. Deploy code that has it, then resume the run.',
      },
      steps: { gone: { status: "pending" } },
    });
    await rig.commands.resume(runId);
    await rig.deliverAll(rig.worker());
    expect(await rig.show(runId)).toMatchObject({ status: "succeeded", output: 2 });
  });

  test("goes on with the graph that it began with when the definition has changed", async () => {
    const changed = workflow("shop", {}, (w) => {
      const a = w.step("a", { run: () => 1 });
      const between = w.step("between", { after: [a], run: () => 5 });
      return w.step("gone", { after: [between], run: () => 3 });
    });
    const rig = new Rig([before]);
    const { runId } = await rig.commands.start("shop");
    await rig.deliver(rig.worker());
    await rig.deliverAll(rig.worker([changed]));
    expect(await rig.show(runId)).toMatchObject({ status: "succeeded", output: 3 });
    expect(Object.keys((await rig.show(runId)).steps)).toEqual(["a", "gone"]);
  });

  test("parks when the whole workflow vanished", async () => {
    const other = workflow("other", {}, (w) => w.step("a", { run: () => 1 }));
    const rig = new Rig([before]);
    const { runId } = await rig.commands.start("shop");
    await rig.deliver(rig.worker([other]));
    expect(await rig.show(runId)).toMatchObject({ status: "paused", pause: { code: "workflow_missing" } });
  });

  test("is not parked while the worker that has the code is alive", async () => {
    const rig = new Rig([before]);
    const slow = workflow("shop", {}, (w) => {
      const a = w.step("a", { run: never });
      return w.step("gone", { after: [a], run: () => 2 });
    });
    const { runId } = await rig.commands.start("shop");
    const message = await rig.receive();
    void rig.handle(rig.worker([slow]), message);
    await atRest();
    const nothing = workflow("other", {}, (w) => w.step("a", { run: () => 1 }));
    const elsewhere = await rig.handle(rig.worker([nothing]), message);
    expect(elsewhere).toEqual({ kind: "redeliver", delayMs: limits.leaseMs });
    expect((await rig.show(runId)).status).toBe("running");
  });

  test("still ends when it was unwinding: what is lost there needs no code", async () => {
    const doomed = workflow("doomed", {}, (w) => {
      w.step("lost", { run: never });
      w.step("fails", {
        run: () => {
          throw new FatalError("as planned");
        },
      });
    });
    const without = workflow("doomed", {}, (w) => w.step("fails", { run: () => 1 }));
    const rig = new Rig([doomed]);
    const { runId } = await rig.commands.start("doomed");
    await rig.crash();
    await rig.deliver(rig.worker());
    await rig.clock.advance(limits.visibilityMs);
    await rig.deliverAll(rig.worker([without]));
    const ended = await rig.show(runId);
    expect(ended.status).toBe("failed");
    expect(statuses(ended)).toEqual({ lost: "unknown", fails: "failed" });
  });
});

test("background work is drained and its failure told although the store fails when its step is committed", async () => {
  const rest = gate();
  const work = workflow("work", {}, (w) =>
    w.step("a", {
      run: ({ background }) => {
        background(rest.promise.then(() => Promise.reject(new Error("metrics are down"))));
        return 1;
      },
    }),
  );
  const rig = new Rig([work]);
  await rig.commands.start("work");
  let writes = 0;
  const store: RunStore = {
    ...rig.ports.store,
    update: (runId, transition) =>
      ++writes === 1 ? rig.ports.store.update(runId, transition) : Promise.reject(new Error("the store is down")),
  };
  const worker = createWorker({ workflows: [work], ports: { ...rig.ports, store } });
  let isHandled = false;
  const handled = rig.handle(worker, await rig.receive()).finally(() => {
    isHandled = true;
  });
  const settled = Promise.allSettled([handled]);
  await atRest();
  expect(writes).toBe(2);
  expect(isHandled).toBe(false);
  rest.open();
  expect(await settled).toMatchObject([{ status: "rejected", reason: { message: "the store is down" } }]);
  expect(rig.logs).toContainEqual(expect.objectContaining({ level: "error", message: "background work failed" }));
});

test("a redrive whose answer was lost, and that the client repeats, is told as done", async () => {
  const work = workflow("work", {}, (w) => w.step("a", { run: () => Promise.reject(new FatalError("never")) }));
  const rig = new Rig([work]);
  const { runId } = await rig.commands.start("work");
  await rig.deliverAll(rig.worker());
  const store: RunStore = {
    ...rig.ports.store,
    update: async (id, transition) => {
      await rig.ports.store.update(id, transition);
      return rig.ports.store.update(id, transition);
    },
  };
  const commands = createCommands({ workflows: [work], ports: { ...rig.ports, store } });
  expect(await commands.redrive(runId)).toMatchObject({ status: "running" });
});

test("a signal whose code is gone is refused with the reason: nobody could check its payload", async () => {
  const asks = workflow("asks", {}, (w) => w.signal("answer"));
  const other = workflow("other", {}, (w) => w.step("a", { run: () => 1 }));
  const rig = new Rig([asks]);
  const { runId } = await rig.commands.start("asks");
  await rig.deliverAll(rig.worker());
  const elsewhere = createCommands({ workflows: [other], ports: rig.ports });
  await expect(elsewhere.signal(runId, "answer")).rejects.toMatchObject({
    code: "status_conflict",
    message: expect.stringContaining('has no signal "answer" any more') as unknown,
  });
});

test("a stored run that this version cannot read is left alone, and its message ends as a dead letter", async () => {
  const work = workflow("work", {}, (w) => w.step("a", { run: () => 1 }));
  const rig = new Rig([work]);
  const { runId } = await rig.commands.start("work");
  const newer = { v: 99 };
  await rig.ports.store.update(runId, { guard: [], set: newer });
  const message = await rig.receive();
  await expect(rig.commands.get(runId)).rejects.toThrow(/its shape has version 99, and this version of Pawl knows 2/);
  await expect(rig.handle(rig.worker(), message)).rejects.toThrow(/version 99/);
  expect(await rig.ports.store.get(runId)).not.toHaveProperty("s0");
  await rig.worker().deadLetter(message.body, "test");
  expect(rig.logs.map((line) => line.message)).toContain("the run of a dead letter cannot be read");
});
