// Hunts: a turn that is lost with the process that hands it on, and one that a damaged run or a lost graph keeps.
import { describe, expect, test } from "vitest";
import { limits } from "../../lib/definition/limits.ts";
import { type Workflow, workflow } from "../../lib/index.ts";
import { createCommands } from "../../lib/runtime/commands.ts";
import type { Ports, RunStore } from "../../lib/runtime/ports.ts";
import { createWorker } from "../../lib/runtime/worker.ts";
import { atRest } from "../../lib/testing/virtual-clock.ts";
import { gate } from "./harness.ts";
import { Rig } from "./rig.ts";

interface Scene {
  readonly rig: Rig;
  /** Runs whose step has begun. */
  readonly seen: string[];
  readonly one: Workflow;
}

/** One run at a time. */
function scene(): Scene {
  const seen: string[] = [];
  const one = workflow("one", { concurrency: { limit: 1 } }, (w) => {
    w.step("work", { run: ({ runId }) => void seen.push(runId) });
  });
  return { rig: new Rig([one]), seen, one };
}

describe("a process that dies at any of its calls", () => {
  /** Ports whose owner is gone after so many calls: they neither act nor answer any more. */
  function dyingAfter(
    calls: number,
    { store, queue, ...rest }: Ports,
  ): { readonly ports: Ports; readonly isDead: () => boolean } {
    let left = calls;
    const mortal = <T extends object>(port: T): T =>
      new Proxy(port, {
        get:
          (target, name) =>
          (...given: unknown[]) =>
            left-- > 0
              ? (target[name as keyof T] as (...given: unknown[]) => unknown)(...given)
              : new Promise(() => undefined),
      });
    return { ports: { ...rest, store: mortal(store), queue: mortal(queue) }, isDead: () => left < 0 };
  }

  async function finish(rig: Rig): Promise<void> {
    for (let minute = 0; minute < 4; minute++) {
      await rig.clock.advance(60_000);
      await rig.deliverAll(rig.worker());
    }
  }

  test("a worker: each run still has its turn, in order", async () => {
    for (let calls = 0, died = true; died; calls++) {
      const { rig, seen, one } = scene();
      for (const runId of ["a", "b", "c"]) await rig.commands.start("one", { runId });
      const { ports, isDead } = dyingAfter(calls, rig.ports);
      const worker = createWorker({ workflows: [one], ports, instanceId: "mortal" });
      while (!isDead() && !rig.isIdle()) {
        const message = await rig.receive();
        void rig.handle(worker, message).then((disposition) => rig.apply(message, disposition));
        await atRest();
      }
      died = isDead();
      await finish(rig);
      expect([...new Set(seen)], `after ${calls} calls`).toEqual(["a", "b", "c"]);
      expect((await rig.show("c")).status).toBe("succeeded");
      if (!died) expect(calls).toBeGreaterThan(20);
    }
  });

  test.each(["start", "cancel", "redrive"] as const)("%s: nobody waits for it for ever", async (operation) => {
    for (let calls = 0, died = true; died; calls++) {
      const { rig, seen, one } = scene();
      await rig.commands.start("one", { runId: "a" });
      if (operation !== "start") await rig.commands.start("one", { runId: "b" });
      if (operation === "redrive") await rig.commands.cancel("a");
      const { ports, isDead } = dyingAfter(calls, rig.ports);
      const commands = createCommands({ workflows: [one], ports });
      void (operation === "start" ? commands.start("one", { runId: "b" }) : commands[operation]("a"));
      await atRest();
      died = isDead();
      await rig.commands.start("one", { runId: "c" });
      await finish(rig);
      expect(seen, `after ${calls} calls`).toContain("c");
      expect(seen.includes("b") || operation === "start", `after ${calls} calls`).toBe(true);
      if (!died) expect(calls).toBeGreaterThanOrEqual(5);
    }
  });
});

describe("a turn that cannot be handed on as usual", () => {
  async function waiting(): Promise<Scene> {
    const made = scene();
    for (const runId of ["a", "b", "c"]) await made.rig.commands.start("one", { runId });
    return made;
  }

  test("goes on when its message has failed at every delivery", async () => {
    const { rig, seen } = await waiting();
    await rig.deliver(rig.worker());
    const message = await rig.receive();
    expect(message.body).toMatchObject({ kind: "slot", runId: "a" });
    await rig.worker().deadLetter(message.body, "as planned");
    await rig.apply(message, { kind: "deadLetter", reason: "as planned" });
    await rig.deliverAll(rig.worker());
    expect(seen).toEqual(["a", "b", "c"]);
  });

  test("goes to the next when the run whose turn it is cannot be read", async () => {
    const { rig, seen } = await waiting();
    await rig.ports.store.update("b", { guard: [], set: { v: 99 } });
    await rig.deliverAll(rig.worker());
    expect(seen).toEqual(["a", "c"]);
    expect(rig.logs.map(({ message }) => message)).toContain(
      "a run whose turn it is cannot be read; the next one follows",
    );
  });

  test("is given back, and taken by a run that is then parked, although nobody has their graph any more", async () => {
    const { rig } = await waiting();
    const newer = workflow("one", { concurrency: { limit: 1 } }, (w) => {
      w.step("other", { run: () => 1 });
    });
    const ports = { ...rig.ports, store: { ...rig.ports.store, getGraph: async () => undefined } };
    await createCommands({ workflows: [newer], ports }).terminate("a");
    expect(await rig.show("b")).toMatchObject({ status: "paused", pause: { code: "graph_missing" } });
    expect((await rig.show("b")).waitsForTurn).toBeUndefined();
    expect((await rig.show("c")).waitsForTurn).toEqual({ ahead: 0 });
  });

  test("is given back by a redrive that met the run before it had ended", async () => {
    const { rig, one } = await waiting();
    const early = await rig.ports.store.get("a");
    await rig.commands.terminate("a");
    const reads = [early];
    const store: RunStore = { ...rig.ports.store, get: async (id) => reads.pop() ?? rig.ports.store.get(id) };
    await createCommands({ workflows: [one], ports: { ...rig.ports, store } }).redrive("a");
    expect((await rig.show("b")).waitsForTurn).toBeUndefined();
    expect(reads).toEqual([]);
  });

  test("is asked for by message when the start dies before it asks", async () => {
    const { one } = await waiting();
    const rig = new Rig([one]);
    const store: RunStore = {
      ...rig.ports.store,
      get: async (id) => (id.startsWith("gate#") ? Promise.reject(new Error("as planned")) : rig.ports.store.get(id)),
    };
    await createCommands({ workflows: [one], ports: { ...rig.ports, store } }).start("one", { runId: "a" });
    expect((await rig.show("a")).waitsForTurn).toEqual({});
    await rig.clock.advance(limits.nudgeDelayMs);
    await rig.deliverAll(rig.worker());
    expect((await rig.show("a")).status).toBe("succeeded");
  });
});

test("one that took an attempt over dies after its commit: the one that had lost it hands the turn on", async () => {
  const held = gate();
  const one = workflow("one", { concurrency: { limit: 1 } }, (w) => {
    w.step("work", { run: ({ runId, attempt }) => (runId === "a" && attempt === 1 ? held.promise : undefined) });
  });
  const rig = new Rig([one]);
  for (const runId of ["a", "b"]) await rig.commands.start("one", { runId });
  const slow = rig.process();
  const message = await rig.receive();
  const handled = rig.handle(slow.worker, message);
  await atRest();
  // Stands still for longer than its lease, and its message is delivered once more.
  slow.kill();
  await rig.clock.advance(limits.leaseMs + 1_000);
  const mute = { ...rig.ports, queue: { send: () => new Promise<never>(() => undefined) } };
  void rig.handle(createWorker({ workflows: [one], ports: mute }), message);
  await atRest();
  expect((await rig.show("a")).status).toBe("succeeded");
  held.open();
  // Both deliveries are of one message: what the first says of it counts for both.
  expect(await handled).toEqual({ kind: "acknowledge" });
  await rig.apply(message, { kind: "acknowledge" });
  await rig.deliverAll(rig.worker());
  expect((await rig.show("b")).status).toBe("succeeded");
});
