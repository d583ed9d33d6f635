// Hunts: removals that meet a redrive, a lost answer, a late message or a new run of the same id, and leave half of something.
import { describe, expect, test } from "vitest";
import type { Message } from "../../lib/engine/message.ts";
import { FatalError, workflow } from "../../lib/index.ts";
import { createCommands } from "../../lib/runtime/commands.ts";
import type { Ports, RunStore } from "../../lib/runtime/ports.ts";
import { createRemoval } from "../../lib/runtime/removal.ts";
import { createWorker } from "../../lib/runtime/worker.ts";
import { Rig } from "./rig.ts";

const slow = workflow("slow", {}, (w) => w.signal("go"));
const quick = workflow("quick", {}, (w) => w.step("work", { run: () => "x".repeat(2_000) }));
const parent = workflow("parent", {}, (w) => {
  const one = w.child("one", { workflow: quick });
  w.child("two", { after: [one], workflow: slow });
  const go = w.signal("go", { after: [one] });
  return w.step("fail", {
    after: [go],
    run: () => {
      throw new FatalError("broken");
    },
  });
});
const failing = workflow("failing", {}, (w) => {
  const one = w.step("one", { run: () => "x".repeat(2_000) });
  return w.step("two", {
    after: [one],
    run: () => {
      throw new FatalError("broken");
    },
  });
});

async function failedRun(rig: Rig, name = "failing"): Promise<void> {
  await rig.commands.start(name, { runId: "a" });
  await rig.deliverAll(rig.worker());
  if (name === "parent") await rig.commands.signal("a", "go");
  await rig.deliverAll(rig.worker());
  expect((await rig.show("a")).status).toBe("failed");
}

function over(rig: Rig, change: (store: RunStore) => Partial<RunStore>): Ports {
  return { ...rig.ports, store: { ...rig.ports.store, ...change(rig.ports.store) } };
}

describe("a removal", () => {
  test("and a redrive at the same time: one of them happens, whichever writes first", async () => {
    const ends = new Set<string>();
    for (let turn = 0; turn < 6; turn++) {
      const rig = new Rig([failing]);
      await failedRun(rig);
      const wait = async (turns: number): Promise<void> => {
        for (let at = 0; at < turns; at++) await Promise.resolve();
      };
      const purged = wait(turn * 4).then(() => rig.commands.purge("a"));
      const redriven = wait(20 - turn * 4).then(() => rig.commands.redrive("a"));
      const [purge, redrive] = await Promise.allSettled([purged, redriven]);
      expect([purge.status, redrive.status].sort()).toEqual(["fulfilled", "rejected"]);
      ends.add(purge.status);
      await rig.deliverAll(rig.worker());
      if (purge.status === "fulfilled") {
        expect(redrive).toMatchObject({ reason: { code: "run_not_found" } });
        await expect(rig.show("a")).rejects.toMatchObject({ code: "run_not_found" });
      } else {
        expect(purge).toMatchObject({ reason: { code: "status_conflict" } });
        expect(await rig.show("a")).toMatchObject({
          status: "failed",
          redrives: 1,
          steps: { one: { status: "succeeded" } },
        });
        expect(await rig.commands.output("a", "one")).toHaveLength(2_000);
      }
    }
    expect([...ends].sort()).toEqual(["fulfilled", "rejected"]);
  });

  test("whose answer is lost, and which is repeated, removes all that is to go", async () => {
    const rig = new Rig([parent]);
    await failedRun(rig, "parent");
    const lost = over(rig, (store) => ({
      remove: async (runId, guard) => {
        await store.remove(runId, guard);
        return store.remove(runId, guard);
      },
    }));
    await createCommands({ workflows: [parent], ports: lost }).purge("a");
    for (const id of ["a", "a~one"]) await expect(rig.show(id)).rejects.toMatchObject({ code: "run_not_found" });
  });

  test("that somebody else had begun, and died in, is finished by what is left of it", async () => {
    const rig = new Rig([parent]);
    await failedRun(rig, "parent");
    const last = (await rig.ports.store.get("a")) ?? {};
    const dying = over(rig, () => ({
      removeRest: () => Promise.reject(new Error("killed")),
      get: rig.ports.store.get,
    }));
    await expect(createCommands({ workflows: [parent], ports: dying }).purge("a")).rejects.toThrow("killed");
    const removal = createRemoval({ workflows: [], ports: rig.ports });
    for (let time = 0; time < 2; time++) await removal.afterRemove("a", last);
    for (const id of ["a", "a~one"]) await expect(rig.show(id)).rejects.toMatchObject({ code: "run_not_found" });
  });

  test("that is finished late leaves a new run of the same id alone", async () => {
    const rig = new Rig([parent]);
    await failedRun(rig, "parent");
    const last = (await rig.ports.store.get("a")) ?? {};
    await rig.commands.purge("a");
    await failedRun(rig, "parent");
    await createRemoval({ workflows: [parent], ports: rig.ports }).afterRemove("a", last);
    expect(await rig.show("a")).toMatchObject({ status: "failed", steps: { one: { status: "succeeded" } } });
    expect((await rig.show("a~one")).status).toBe("succeeded");
    expect(await rig.commands.output("a~one")).toHaveLength(2_000);
  });

  test("whose run started others by a graph that nobody has any more goes all the same, and says so", async () => {
    const rig = new Rig([parent]);
    await failedRun(rig, "parent");
    const last = (await rig.ports.store.get("a")) ?? {};
    const ports = over(rig, () => ({ getGraph: async () => undefined }));
    await ports.store.remove("a", []);
    await createRemoval({ workflows: [], ports }).afterRemove("a", last);
    expect(rig.logs.filter(({ level }) => level === "error")).toMatchObject([
      {
        message: expect.stringContaining("runs that it has started are left"),
        fields: { error: { name: "StoredShapeError" } },
      },
    ]);
  });
});

describe("messages of a run that is gone", () => {
  /** All that was sent, at any time. */
  async function sentBy(
    play: (rig: Rig, ports: Ports) => Promise<void>,
  ): Promise<{ readonly rig: Rig; readonly sent: Message[] }> {
    const rig = new Rig([parent]);
    const sent: Message[] = [];
    const ports: Ports = {
      ...rig.ports,
      queue: {
        send: async (messages) => {
          sent.push(...messages.map(({ message }) => message));
          await rig.ports.queue.send(messages);
        },
      },
    };
    await play(rig, ports);
    return { rig, sent };
  }

  test("change nothing, whatever they are and whenever they come", async () => {
    const { rig, sent } = await sentBy(async (rig, ports) => {
      await createCommands({ workflows: [parent], ports }).start("parent", { runId: "a" });
      const worker = createWorker({ workflows: [parent], ports });
      await rig.deliverAll(worker);
      await createCommands({ workflows: [parent], ports }).signal("a", "go");
      await rig.deliverAll(worker);
      await rig.commands.purge("a");
    });
    expect(new Set(sent.map(({ kind }) => kind))).toEqual(new Set(["step", "nudge", "childEnded", "endChild"]));
    await rig.clock.advance(3_600_000);
    const worker = rig.worker();
    for (const message of sent) await rig.send(message);
    while (!rig.isIdle()) expect(await rig.deliver(worker)).toEqual({ kind: "acknowledge" });
    for (const id of ["a", "a~one", "a~two"])
      await expect(rig.show(id)).rejects.toMatchObject({ code: "run_not_found" });
  });

  test("still end the child that was to end with it, and its end is nobody's any more", async () => {
    const held: Message[] = [];
    const { rig } = await sentBy(async (rig, ports) => {
      const queue: Ports["queue"] = {
        send: async (messages) => {
          held.push(...messages.map(({ message }) => message).filter(({ kind }) => kind === "endChild"));
          await rig.ports.queue.send(messages.filter(({ message }) => message.kind !== "endChild"));
        },
      };
      const commands = createCommands({ workflows: [parent], ports: { ...ports, queue } });
      await commands.start("parent", { runId: "a" });
      const worker = createWorker({ workflows: [parent], ports: { ...ports, queue } });
      await rig.deliverAll(worker);
      await commands.terminate("a");
      await commands.purge("a");
    });
    expect((await rig.show("a~two")).status).toBe("running");
    for (const message of held) await rig.send(message);
    await rig.deliverAll(rig.worker());
    const orphan = await rig.show("a~two");
    expect(orphan.status).toBe("cancelled");
    expect(orphan.expiresAt).toBeDefined();
  });
});
