// Hunts what the two embedded backends promise beyond the ports: change feed, wake-ups, recovery, closing.
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { BackendOptions, EmbeddedBackend, RunChange } from "../../lib/embedded/backend.ts";
import { createMemoryBackend } from "../../lib/embedded/memory-backend.ts";
import { openSqliteBackend } from "../../lib/embedded/sqlite-backend.ts";
import type { Message } from "../../lib/engine/message.ts";
import { createManualClock, type ManualClock } from "../contract/manual-clock.ts";
import { createRecordingLogger } from "../contract/recording-logger.ts";
import { outgoing } from "./outgoing.ts";
import { scratchDirectory } from "./scratch-directory.ts";

const variants: [string, (options: BackendOptions) => EmbeddedBackend][] = [
  ["memory", createMemoryBackend],
  ["sqlite", (options) => openSqliteBackend({ ...options, file: join(scratchDirectory(), "pawl.db") })],
];

describe.each(variants)("%s backend", (_name, open) => {
  let clock: ManualClock;
  let logger: ReturnType<typeof createRecordingLogger>;
  let backend: EmbeddedBackend;

  beforeEach(() => {
    clock = createManualClock();
    logger = createRecordingLogger();
    backend = open({ clock, logger });
  });
  afterEach(() => backend.close());

  const runIds = async (max = 10): Promise<string[]> =>
    (await backend.receive(max, 30_000)).map(({ body }) => (body as Message).runId);

  describe("change feed", () => {
    test("tells of each applied write with both images, in order, and of no refused one", async () => {
      const changes: RunChange[] = [];
      backend.onChange((change) => changes.push(change));
      await backend.update("a", { guard: [], set: { status: "running" } });
      await backend.update("a", { guard: [{ field: "status", is: "absent" }], set: { status: "failed" } });
      await Promise.all([
        backend.update("a", { guard: [], set: {}, add: { n: 1 } }),
        backend.update("b", { guard: [], set: { n: 1 } }),
        backend.update("a", { guard: [], set: {}, add: { n: 1 } }),
      ]);
      expect(changes).toEqual([
        { runId: "a", before: undefined, after: { status: "running" } },
        { runId: "a", before: { status: "running" }, after: { status: "running", n: 1 } },
        { runId: "b", before: undefined, after: { n: 1 } },
        { runId: "a", before: { status: "running", n: 1 }, after: { status: "running", n: 2 } },
      ]);
    });

    test("has told before the writer goes on, and the write can be read", async () => {
      let read: Promise<unknown> | undefined;
      backend.onChange(({ runId }) => {
        read = backend.get(runId);
      });
      await backend.update("a", { guard: [], set: { n: 1 } });
      expect(await read).toEqual({ n: 1 });
    });

    test("a listener that throws is logged and hurts neither the write nor the next listener", async () => {
      const heard: string[] = [];
      backend.onChange(() => {
        throw new Error("broken listener");
      });
      backend.onChange(({ runId }) => heard.push(runId));
      expect(await backend.update("a", { guard: [], set: { n: 1 } })).toMatchObject({ applied: true });
      expect(heard).toEqual(["a"]);
      expect(logger.lines).toMatchObject([{ level: "error", fields: { error: new Error("broken listener") } }]);
    });

    test("a write that a listener causes is told to everyone after the one that caused it", async () => {
      const heard: string[] = [];
      let second: Promise<unknown> | undefined;
      backend.onChange(({ runId }) => {
        if (runId === "a") second = backend.update("b", { guard: [], set: { n: 1 } });
      });
      backend.onChange(({ runId }) => heard.push(runId));
      await backend.update("a", { guard: [], set: { n: 1 } });
      await second;
      expect(heard).toEqual(["a", "b"]);
    });

    test("ends when told", async () => {
      const heard: RunChange[] = [];
      const end = backend.onChange((change) => heard.push(change));
      end();
      await backend.update("a", { guard: [], set: { n: 1 } });
      expect(heard).toEqual([]);
    });
  });

  test("a stored image cannot be changed by who reads it", async () => {
    const { fields } = await backend.update("a", { guard: [], set: { n: 1 } });
    expect(() => Object.assign(fields!, { n: 2 })).toThrow(TypeError);
    expect(await backend.get("a")).toEqual({ n: 1 });
  });

  test("a number that JSON cannot hold is refused, alone, and changes nothing", async () => {
    await backend.update("a", { guard: [], set: { n: 1 } });
    const results = await Promise.allSettled([
      backend.update("a", { guard: [], set: { n: Number.NaN } }),
      backend.update("a", { guard: [], set: { m: 1 } }),
      backend.update("a", { guard: [], set: {}, add: { n: Infinity } }),
    ]);
    expect(results.map(({ status }) => status)).toEqual(["rejected", "fulfilled", "rejected"]);
    expect(await backend.get("a")).toEqual({ n: 1, m: 1 });
  });

  test("adding to text is refused, alone", async () => {
    await backend.update("a", { guard: [], set: { text: "x" } });
    const results = await Promise.allSettled([
      backend.update("a", { guard: [], set: {}, add: { text: 1 } }),
      backend.update("a", { guard: [], set: { m: 1 } }),
    ]);
    expect(results.map(({ status }) => status)).toEqual(["rejected", "fulfilled"]);
    expect(await backend.get("a")).toEqual({ text: "x", m: 1 });
  });

  test("thousands of runs keep their own fields", async () => {
    const ids = Array.from({ length: 4_500 }, (_, n) => `run${n}`);
    await Promise.all(ids.map((id, n) => backend.update(id, { guard: [], set: { n } })));
    await Promise.all(ids.map((id) => backend.update(id, { guard: [], set: {}, add: { n: 1 } })));
    expect(await Promise.all(ids.map((id) => backend.get(id)))).toEqual(ids.map((_, n) => ({ n: n + 1 })));
  });

  test("a write that fails alone leaves the images of its group as they were committed", async () => {
    await backend.update("a", { guard: [], set: { n: 1 } });
    const changes: RunChange[] = [];
    backend.onChange((change) => changes.push(change));
    const absent = [{ field: "owner", is: "absent" }] as const;
    const results = await Promise.allSettled([
      backend.update("a", { guard: absent, set: { owner: "first" } }),
      backend.update("a", { guard: [], set: { n: Number.NaN } }),
      backend.update("a", { guard: absent, set: { owner: "second" } }),
    ]);
    expect(results.map((result) => (result.status === "fulfilled" ? result.value.applied : "threw"))).toEqual([
      true,
      "threw",
      false,
    ]);
    expect(changes).toEqual([{ runId: "a", before: { n: 1 }, after: { n: 1, owner: "first" } }]);
    expect(await backend.get("a")).toEqual({ n: 1, owner: "first" });
  });

  test("the newest 10,000 dead letters are kept", async () => {
    await backend.send(Array.from({ length: 10_002 }, (_, n) => outgoing(`m${n}`)));
    const received = await backend.receive(20_000, 30_000);
    await Promise.all(received.map(({ receipt }) => backend.deadLetter(receipt, "bad")));
    const letters = await backend.deadLetters(20_000);
    expect(letters).toHaveLength(10_000);
    expect([letters[0]?.body, letters.at(-1)?.body]).toMatchObject([{ runId: "m10001" }, { runId: "m2" }]);
  });

  describe("nextDueAtMs and onMessage", () => {
    test("nothing to wait for when there is no message", () => {
      expect(backend.nextDueAtMs()).toBeUndefined();
    });

    test("names the earliest of delayed and received messages", async () => {
      await backend.send([outgoing("year", 365 * 24 * 3_600_000)]);
      expect(backend.nextDueAtMs()).toBe(clock.now() + 365 * 24 * 3_600_000);
      await backend.send([outgoing("later", 90_000)]);
      expect(backend.nextDueAtMs()).toBe(clock.now() + 90_000);
      await backend.send([outgoing("now")]);
      expect(backend.nextDueAtMs()).toBe(clock.now());
      const [received] = await backend.receive(1, 30_000);
      expect(backend.nextDueAtMs()).toBe(clock.now() + 30_000);
      await backend.acknowledge(received!.receipt);
      expect(backend.nextDueAtMs()).toBe(clock.now() + 90_000);
      await clock.advance(90_000);
      expect(await runIds()).toEqual(["later"]);
    });

    test("calls when a message has come, or comes earlier, and it can be received then", async () => {
      const seen: Promise<string[]>[] = [];
      await backend.send([outgoing("a")]);
      const [message] = await backend.receive(1, 30_000);
      backend.onMessage(() => seen.push(runIds()));
      await backend.send([outgoing("b")]);
      await backend.extend(message!.receipt, 0);
      expect(await Promise.all(seen)).toEqual([["b"], ["a"]]);
    });
  });

  test("2,500 messages parked for the same time all come, once each", async () => {
    const sent = Array.from({ length: 2_500 }, (_, n) => outgoing(`m${n}`, 3_600_000));
    await backend.send(sent);
    await clock.advance(3_600_000);
    const received = new Set<string>();
    let deliveries = 0;
    while ((backend.nextDueAtMs() ?? Infinity) <= clock.now()) {
      for (const { body, receipt } of await backend.receive(300, 30_000)) {
        received.add((body as Message).runId);
        deliveries += 1;
        await backend.acknowledge(receipt);
      }
    }
    expect([received.size, deliveries]).toEqual([2_500, 2_500]);
  });

  test("a stream of new messages does not hold back one that has waited longer", async () => {
    await backend.send([outgoing("patient", 61_000)]);
    await clock.advance(61_000);
    await backend.send([outgoing("new1"), outgoing("new2")]);
    expect(await runIds(1)).toEqual(["patient"]);
  });

  describe("recover", () => {
    test("brings back at once what was in flight, and its old receipt is stale", async () => {
      await backend.send([outgoing("a"), outgoing("later", 5_000)]);
      const [before] = await backend.receive(1, 600_000);
      await backend.recover();
      expect(await backend.acknowledge(before!.receipt)).toBe(false);
      expect(await runIds()).toEqual(["a"]);
      await clock.advance(5_000);
      expect(await runIds()).toEqual(["later"]);
    });

    test("after the clock was set back, a message waits at most its own delay", async () => {
      await backend.send([outgoing("short", 5_000), outgoing("long", 100_000), outgoing("now")]);
      clock.jump(-24 * 3_600_000);
      await backend.recover();
      expect(await runIds()).toEqual(["now"]);
      expect(backend.nextDueAtMs()).toBe(clock.now() + 5_000);
      await clock.advance(5_000);
      expect(await runIds()).toEqual(["short"]);
      await clock.advance(95_000);
      expect(await runIds()).toContain("long");
    });

    test("does not touch what honestly waits", async () => {
      await backend.send([outgoing("a", 50_000), outgoing("b", 90_000)]);
      await clock.advance(20_000);
      await backend.recover();
      await clock.advance(29_999);
      expect(await runIds()).toEqual([]);
      await clock.advance(1);
      expect(await runIds()).toEqual(["a"]);
      await clock.advance(40_000);
      expect(await runIds()).toContain("b");
    });
  });

  test("after close everything is refused with a typed error, and closing twice is fine", async () => {
    const pending = backend.update("a", { guard: [], set: { n: 1 } });
    await backend.close();
    await backend.close();
    expect(await pending).toMatchObject({ applied: true });
    const refused = { name: "StorageError", code: "closed" };
    await expect(backend.update("a", { guard: [], set: {} })).rejects.toMatchObject(refused);
    await expect(backend.get("a")).rejects.toMatchObject(refused);
    await expect(backend.send([outgoing("a")])).rejects.toMatchObject(refused);
    await expect(backend.receive(1, 1)).rejects.toMatchObject(refused);
  });
});
