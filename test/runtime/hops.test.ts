// Hunts: messages that send each other for ever, and a guard against that which stops messages that get somewhere.
import { describe, expect, test } from "vitest";
import { limits } from "../../lib/definition/limits.ts";
import type { Message } from "../../lib/engine/message.ts";
import { workflow } from "../../lib/index.ts";
import { countHops, runawayReason } from "../../lib/runtime/hops.ts";
import { parseMessage } from "../../lib/runtime/message-codec.ts";
import type { Disposition, OutgoingMessage, Ports } from "../../lib/runtime/ports.ts";
import { createWorker, type Worker } from "../../lib/runtime/worker.ts";
import { Rig } from "../behaviour/rig.ts";

const run = (): number => 1;
const two = workflow("two", {}, (w) => {
  const first = w.step("first", { run });
  return w.step("second", { after: [first], delay: "20s", run });
});

const nudge: Message = {
  v: 1,
  kind: "nudge",
  runId: "a",
  workflow: "two",
  fingerprint: two.fingerprint,
  epoch: 0,
  sentAtMs: 0,
};
const stepOf = (change: Partial<Message> = {}): Message => ({ ...nudge, kind: "step", step: 0, attempt: 1, ...change });

/** A rig whose messages are kept for the test to hand on. */
async function scene(change: (message: Message) => Message = (message) => message): Promise<{
  readonly rig: Rig;
  readonly ports: Ports;
  readonly worker: Worker;
  readonly sent: OutgoingMessage[];
  handle(message: Message): Promise<Disposition>;
}> {
  const rig = new Rig([two]);
  await rig.commands.start("two", { runId: "a" });
  rig.loseMessages();
  const sent: OutgoingMessage[] = [];
  const queue = {
    send: async (messages: readonly OutgoingMessage[]) => {
      sent.push(...messages.map((outgoing) => ({ ...outgoing, message: change(outgoing.message) })));
    },
  };
  const ports = { ...rig.ports, queue };
  const worker = createWorker({ workflows: [two], ports });
  const handle = (body: Message): Promise<Disposition> =>
    worker.handle({ body, receiveCount: 1, extend: async () => undefined });
  return { rig, ports, worker, sent, handle };
}

describe("messages in a row that change nothing", () => {
  test("are stopped: a circle ends as a dead letter that says so", async () => {
    // As if the engine looked at the run again instead of beginning its step.
    const { sent, handle, rig } = await scene(({ hops }) => ({ ...nudge, ...(hops === undefined ? {} : { hops }) }));
    const ends: Disposition[] = [await handle(nudge)];
    for (let message = sent.shift(); message !== undefined; message = sent.shift())
      ends.push(await handle(message.message));
    expect(ends).toHaveLength(limits.hops + 2);
    expect(ends.pop()).toEqual({
      kind: "deadLetter",
      reason: expect.stringContaining(`${limits.hops + 1} messages in a row have changed nothing`),
    });
    expect(ends.every(({ kind }) => kind === "acknowledge")).toBe(true);
    expect((await rig.show("a")).status).toBe("running");
  });

  test("are counted by those that are sent at once, and not by timers", async () => {
    const { sent, ports } = await scene();
    const { queue } = countHops(ports, stepOf({ hops: 7 }));
    await queue.send([
      { taskQueue: "default", message: nudge, delayMs: 0 },
      { taskQueue: "default", message: nudge, delayMs: 1 },
    ]);
    expect(sent.map(({ message }) => message.hops)).toEqual([8, 7]);
    sent.length = 0;
    await countHops(ports, nudge).queue.send([{ taskQueue: "default", message: nudge, delayMs: 1 }]);
    expect(sent[0]?.message).toEqual(nudge);
  });

  test("are counted anew after a write, and only if it was applied", async () => {
    const { sent, ports } = await scene();
    const { queue, store } = countHops(ports, stepOf({ hops: 7 }));
    const outgoing = { taskQueue: "default", message: nudge, delayMs: 0 };
    await store.update("a", { guard: [{ field: "st", is: "equal", value: "paused" }], set: {} });
    await queue.send([outgoing]);
    await store.update("a", { guard: [], set: {} });
    await queue.send([outgoing]);
    expect(sent.map(({ message }) => message.hops)).toEqual([8, undefined]);
  });

  test("up to the limit are handled as any other", async () => {
    const { handle, sent, rig } = await scene();
    expect(await handle(stepOf({ hops: limits.hops }))).toEqual({ kind: "acknowledge" });
    expect((await rig.show("a")).steps.first?.status).toBe("succeeded");
    expect(sent).toMatchObject([{ message: { kind: "step", step: 1 }, delayMs: 20_000 }]);
    expect(sent[0]?.message).not.toHaveProperty("hops");
  });

  test("beyond it end their step with the cause, once", async () => {
    const { handle, worker, sent, rig } = await scene();
    const body = stepOf({ hops: limits.hops + 1 });
    const end = await handle(body);
    if (end.kind !== "deadLetter") throw new Error(end.kind);
    await worker.deadLetter(body, end.reason);
    expect(await rig.show("a")).toMatchObject({
      status: "failed",
      error: { name: "EngineFailure", message: expect.stringContaining("in a circle"), step: "first" },
    });
    sent.length = 0;
    await worker.deadLetter(body, end.reason);
    expect(sent).toEqual([]);
  });
});

describe("a message on the wire", () => {
  test("of a version that did not count is the first of its row", () => {
    expect(parseMessage(nudge)).toEqual({ ok: true, message: nudge });
    expect(runawayReason(nudge)).toBeUndefined();
  });

  test("keeps its count", () => {
    const counted = { ...nudge, hops: 3 };
    expect(parseMessage(counted)).toEqual({ ok: true, message: counted });
  });

  test.each([-1, 1.5, "3", null])("with a count of %j is refused", (hops) => {
    expect(parseMessage({ ...nudge, hops }).ok).toBe(false);
  });
});
