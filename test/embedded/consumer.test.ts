// Hunts a consumer that loses a message, polls, spins, runs too much or too little at once, or leaves work behind (R5).
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { limits } from "../../lib/definition/limits.ts";
import type { BackendOptions, EmbeddedBackend } from "../../lib/embedded/backend.ts";
import { type Consumer, type ConsumerOptions, startConsumer } from "../../lib/embedded/consumer.ts";
import { createMemoryBackend } from "../../lib/embedded/memory-backend.ts";
import { openSqliteBackend } from "../../lib/embedded/sqlite-backend.ts";
import type { Message } from "../../lib/engine/message.ts";
import type { Delivery, Disposition } from "../../lib/runtime/ports.ts";
import { createManualClock, type ManualClock, settled } from "../contract/manual-clock.ts";
import { createRecordingLogger } from "../contract/recording-logger.ts";
import { outgoing } from "./outgoing.ts";
import { scratchDirectory } from "./scratch-directory.ts";

const variants: [string, (options: BackendOptions) => EmbeddedBackend][] = [
  ["memory", createMemoryBackend],
  ["sqlite", (options) => openSqliteBackend({ ...options, file: join(scratchDirectory(), "pawl.db") })],
];
const acknowledge: Disposition = { kind: "acknowledge" };
const visibilityMs = 30_000;

describe.each(variants)("consumer on the %s backend", (_name, open) => {
  let clock: ManualClock;
  let logger: ReturnType<typeof createRecordingLogger>;
  let backend: EmbeddedBackend;
  let consumer: Consumer | undefined;
  let startMs: number;
  let dead: [string, string][];

  beforeEach(() => {
    clock = createManualClock();
    logger = createRecordingLogger();
    backend = open({ clock, logger });
    consumer = undefined;
    startMs = clock.now();
    dead = [];
  });
  afterEach(async () => {
    await consumer?.stop();
    await backend.close();
  });

  function start(handle: (delivery: Delivery) => Promise<Disposition>, options: Partial<ConsumerOptions> = {}): void {
    const onDeadLetter = async (body: unknown, reason: string): Promise<void> => void dead.push([idOf(body), reason]);
    consumer = startConsumer({
      backend,
      handle,
      onDeadLetter,
      concurrency: 10,
      clock,
      logger,
      visibilityMs,
      ...options,
    });
  }
  const idOf = (body: unknown): string => (body as Message).runId;
  const sinceStart = (): number => clock.now() - startMs;

  /** A handler that holds each message until the test lets it go. */
  function gate() {
    const held = new Map<string, (disposition: Disposition) => void>();
    const handle = ({ body }: Delivery): Promise<Disposition> =>
      new Promise((resolve) => {
        held.set(idOf(body), resolve);
      });
    const letGo = (id: string, disposition = acknowledge): void => {
      held.get(id)!(disposition);
      held.delete(id);
    };
    return { handle, letGo, ids: () => [...held.keys()] };
  }

  describe("taking messages in hand", () => {
    test("what was there before, and what is sent later, is handled once and gone", async () => {
      const seen: string[] = [];
      await backend.send([outgoing("before")]);
      start(async ({ body }) => {
        seen.push(idOf(body));
        return acknowledge;
      });
      await settled();
      await backend.send([outgoing("after")]);
      await clock.advance(10 * visibilityMs);
      expect(seen).toEqual(["before", "after"]);
      expect(backend.nextDueAtMs()).toBeUndefined();
    });

    test("as many at once as allowed, not one more, and the next as soon as one is done", async () => {
      const { handle, letGo, ids } = gate();
      await backend.send(["a", "b", "c", "d", "e"].map((id) => outgoing(id)));
      start(handle, { concurrency: 3 });
      await settled();
      expect(ids()).toEqual(["a", "b", "c"]);
      expect(consumer!.inFlight()).toBe(3);
      letGo("b");
      await settled();
      expect(ids()).toEqual(["a", "c", "d"]);
      letGo("a");
      letGo("c");
      letGo("d");
      await settled();
      expect(ids()).toEqual(["e"]);
      expect(consumer!.inFlight()).toBe(1);
      letGo("e");
      await settled();
      expect(consumer!.inFlight()).toBe(0);
    });

    test("a message sent by a handler is handled without any time passing", async () => {
      const seen: string[] = [];
      start(async ({ body }) => {
        seen.push(idOf(body));
        if (seen.length < 20) await backend.send([outgoing(`m${seen.length}`)]);
        return acknowledge;
      });
      await backend.send([outgoing("m0")]);
      for (let turns = 0; turns < 10; turns += 1) await settled();
      expect(seen).toHaveLength(20);
      expect(sinceStart()).toBe(0);
    });

    test("the delivery has body and receive count, and can be extended", async () => {
      const counts: number[] = [];
      const finish: (() => void)[] = [];
      await backend.send([outgoing("a")]);
      start(async ({ receiveCount, extend }) => {
        counts.push(receiveCount);
        await extend(5 * visibilityMs);
        await new Promise<void>((resolve) => finish.push(resolve));
        return acknowledge;
      });
      await clock.advance(4 * visibilityMs);
      expect(counts).toEqual([1]);
      await clock.advance(visibilityMs);
      expect(counts).toEqual([1, 2]);
      for (const one of finish) one();
    });
  });

  describe("time", () => {
    test("a delayed message comes exactly when it is due", async () => {
      const seen: [string, number][] = [];
      start(async ({ body }) => {
        seen.push([idOf(body), sinceStart()]);
        return acknowledge;
      });
      const dayMs = 24 * 3_600_000;
      await backend.send([outgoing("year", 365 * dayMs), outgoing("minute", 60_000), outgoing("later", 61_000)]);
      await backend.send([outgoing("second", 1_000)]);
      await clock.advance(366 * dayMs);
      expect(seen).toEqual([
        ["second", 1_000],
        ["minute", 60_000],
        ["later", 61_000],
        ["year", 365 * dayMs],
      ]);
    });

    test("an idle consumer has no timer, and one with delayed messages exactly one", async () => {
      start(async () => acknowledge);
      await backend.send([outgoing("a")]);
      await settled();
      expect(clock.timersAtMs()).toEqual([]);
      await backend.send([outgoing("b", 70_000), outgoing("c", 5_000)]);
      await settled();
      expect(clock.timersAtMs()).toEqual([startMs + 5_000]);
      await clock.advance(5_000);
      expect(clock.timersAtMs()).toEqual([startMs + 70_000]);
      await clock.advance(65_000);
      expect(clock.timersAtMs()).toEqual([]);
    });

    test("no timer is longer than Node can keep", async () => {
      start(async () => acknowledge);
      await backend.send([outgoing("a", 300 * 24 * 3_600_000)]);
      await settled();
      expect(clock.timersAtMs()).toEqual([startMs + 2 ** 31 - 1]);
    });
  });

  describe("dispositions", () => {
    test("redeliver comes again after its delay, and never counts as a failure", async () => {
      const times: number[] = [];
      await backend.send([outgoing("a")]);
      start(async () => {
        times.push(sinceStart());
        return times.length < 30 ? { kind: "redeliver", delayMs: 1_000 } : acknowledge;
      });
      await clock.advance(100_000);
      expect(times).toEqual(Array.from({ length: 30 }, (_, n) => n * 1_000));
      expect(dead).toEqual([]);
    });

    test("a dead letter is reported, then kept with its reason", async () => {
      await backend.send([outgoing("a")]);
      start(async () => ({ kind: "deadLetter", reason: "cannot be parsed" }));
      await settled();
      expect(dead).toEqual([["a", "cannot be parsed"]]);
      expect(await backend.deadLetters(10)).toMatchObject([{ body: { runId: "a" }, reason: "cannot be parsed" }]);
      expect(backend.nextDueAtMs()).toBeUndefined();
    });

    test("while reporting a dead letter fails, the message comes again each minute and is not lost", async () => {
      const tries: number[] = [];
      await backend.send([outgoing("a")]);
      start(async () => ({ kind: "deadLetter", reason: "bad" }), {
        onDeadLetter: async () => {
          tries.push(sinceStart());
          if (tries.length < 3) throw new Error("the store is down");
        },
      });
      await clock.advance(300_000);
      expect(tries).toEqual([0, 60_000, 120_000]);
      expect(await backend.deadLetters(10)).toHaveLength(1);
    });
  });

  describe("a handler that throws", () => {
    test("is tried again after 1, 2, 4 … 60 s, and is a dead letter after limits.deliveries failures", async () => {
      const times: number[] = [];
      await backend.send([outgoing("a")]);
      start(async () => {
        times.push(sinceStart() / 1_000);
        throw new TypeError("engine broken");
      });
      await clock.advance(600_000);
      expect(limits.deliveries).toBe(8);
      expect(times).toEqual([0, 1, 3, 7, 15, 31, 63, 123]);
      expect(dead).toEqual([["a", "Handling failed 8 times, at last with TypeError: engine broken"]]);
      expect(await backend.deadLetters(10)).toMatchObject([{ reason: dead[0]![1], receiveCount: 8 }]);
      expect(clock.timersAtMs()).toEqual([]);
    });

    test("redeliveries that were asked for in between do not bring the dead letter nearer", async () => {
      let calls = 0;
      await backend.send([outgoing("a")]);
      start(async () => {
        calls += 1;
        if (calls % 2 === 0) return { kind: "redeliver", delayMs: 0 };
        throw new Error("engine broken");
      });
      await clock.advance(600_000);
      expect(calls).toBe(2 * limits.deliveries - 1);
      expect(dead).toHaveLength(1);
    });

    test("does not hold up the others", async () => {
      const seen: string[] = [];
      await backend.send([outgoing("bad"), outgoing("good1"), outgoing("good2")]);
      start(
        async ({ body }) => {
          if (idOf(body) === "bad") throw new Error("engine broken");
          seen.push(idOf(body));
          return acknowledge;
        },
        { concurrency: 1 },
      );
      await settled();
      expect(seen).toEqual(["good1", "good2"]);
    });
  });

  describe("a storage that fails", () => {
    test("receiving is tried again after 1, 2, 4 s, logged each time, and goes on", async () => {
      const tries: number[] = [];
      const seen: number[] = [];
      const failing: ConsumerOptions["backend"] = {
        ...backend,
        async receive(max, ms) {
          tries.push(sinceStart());
          if (tries.length <= 3) throw new Error("disk gone");
          return backend.receive(max, ms);
        },
      };
      const handle = async (): Promise<Disposition> => {
        seen.push(sinceStart());
        return acknowledge;
      };
      start(handle, { backend: failing });
      await settled();
      // Messages that are still being sent must not make it spin.
      for (const id of ["a", "b", "c"]) await backend.send([outgoing(id)]);
      await settled();
      expect(tries).toEqual([0]);
      await clock.advance(10_000);
      expect(tries.slice(0, 4)).toEqual([0, 1_000, 3_000, 7_000]);
      expect(seen).toEqual([7_000, 7_000, 7_000]);
      expect(logger.lines.filter(({ level }) => level === "error")).toHaveLength(3);
    });

    test("a message whose acknowledgement fails comes again after its visibility", async () => {
      const times: number[] = [];
      let failures = 1;
      await backend.send([outgoing("a")]);
      const failing: ConsumerOptions["backend"] = {
        ...backend,
        async acknowledge(receipt) {
          if (failures-- > 0) throw new Error("disk gone");
          return backend.acknowledge(receipt);
        },
      };
      const handle = async (): Promise<Disposition> => {
        times.push(sinceStart());
        return acknowledge;
      };
      start(handle, { backend: failing });
      await clock.advance(10 * visibilityMs);
      expect(times).toEqual([0, visibilityMs]);
      expect(logger.lines.filter(({ level }) => level === "error")).toHaveLength(1);
    });
  });

  describe("stop", () => {
    test("resolves only when the messages in hand are done, and takes no new one", async () => {
      const { handle, letGo, ids } = gate();
      await backend.send([outgoing("a"), outgoing("b")]);
      start(handle, { concurrency: 1 });
      await settled();
      let stopped = false;
      const stopping = consumer!.stop().then(() => (stopped = true));
      await backend.send([outgoing("c")]);
      await settled();
      expect(stopped).toBe(false);
      letGo("a");
      await stopping;
      expect(ids()).toEqual([]);
      expect((await backend.receive(10, 1_000)).map(({ body }) => idOf(body))).toEqual(["b", "c"]);
    });

    test("leaves no timer behind", async () => {
      await backend.send([outgoing("a", 5_000)]);
      start(async () => acknowledge);
      await settled();
      expect(clock.timersAtMs()).toHaveLength(1);
      await consumer!.stop();
      expect(clock.timersAtMs()).toEqual([]);
    });

    test("right after the start, and twice, is fine", async () => {
      await backend.send([outgoing("a")]);
      start(async () => acknowledge);
      await Promise.all([consumer!.stop(), consumer!.stop()]);
      expect(consumer!.inFlight()).toBe(0);
    });
  });
});
