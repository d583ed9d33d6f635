// Hunts a queue that loses a message, delivers it too early, or lets a stale receipt act on a newer delivery (R5, R7, R10).
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { MessageSource, ReceivedMessage } from "../../lib/embedded/backend.ts";
import type { Message } from "../../lib/engine/message.ts";
import type { MessageQueue, OutgoingMessage } from "../../lib/runtime/ports.ts";

export interface QueueHarness {
  readonly queue: MessageQueue & MessageSource;
  readonly clock: {
    now(): number;
    /** Lets so much time pass, by a virtual clock or by waiting. */
    advance(ms: number): Promise<void>;
  };
  close(): Promise<void>;
}

/** What not every queue can do. An adapter names what it cannot, and why. */
export type QueueCapability =
  /** A delay of a year can be waited for. */
  | "yearsPass"
  /** Acting on a stale or unknown receipt is answered with `false`. */
  | "saysStale"
  /** Messages come in the order of their due times. */
  | "ordered"
  /** One receive brings everything that is due. */
  | "fullBatches"
  /** A message's failures are counted. */
  | "countsFailures"
  /** Dead letters keep the reason. */
  | "reasons";

/** Runs the suite on what `makeHarness` opens, once per test. The queue must be empty then. */
export function queueContract(
  name: string,
  makeHarness: () => Promise<QueueHarness>,
  cannot: Readonly<Partial<Record<QueueCapability, string>>> = {},
): void {
  describe(`${name}: queue contract`, () => {
    let harness: QueueHarness;
    let queue: QueueHarness["queue"];

    beforeEach(async () => {
      harness = await makeHarness();
      queue = harness.queue;
    });
    afterEach(() => harness.close());

    /** A test that needs a capability; when it is missing, its reason is shown instead. */
    const testIf = (capability: QueueCapability, title: string, body: () => Promise<void>): void => {
      const reason = cannot[capability];
      if (reason === undefined) test(title, body);
      else test.skip(`${title} [cannot: ${reason}]`, body);
    };

    /** Everything that is due now. A queue may hand it out in several portions. */
    async function receiveDue(expected: number, visibilityMs = 30_000): Promise<ReceivedMessage[]> {
      const received: ReceivedMessage[] = [];
      for (let tries = 0; tries < 20 && received.length < expected; tries += 1) {
        received.push(...(await queue.receive(10, visibilityMs)));
      }
      return received;
    }
    const receiveOne = async (visibilityMs?: number): Promise<ReceivedMessage> => {
      const received = await receiveDue(1, visibilityMs);
      expect(received).toHaveLength(1);
      return received[0]!;
    };
    const expectNothing = async (): Promise<void> => expect(await queue.receive(10, 30_000)).toEqual([]);
    const runIds = (received: readonly ReceivedMessage[]): string[] =>
      received.map(({ body }) => (body as Message).runId).sort();

    describe("send and receive", () => {
      test("a message arrives as it was sent", async () => {
        const sent = outgoing("a");
        await queue.send([sent]);
        const received = await receiveOne();
        expect(received.body).toEqual(sent.message);
        expect(received.receiveCount).toBe(1);
        expect(received.failures).toBe(0);
      });

      test("unicode arrives whole", async () => {
        await queue.send([outgoing("Grüße 世界 👩‍👩‍👧 \u2028 \"'\\")]);
        expect(runIds([await receiveOne()])).toEqual(["Grüße 世界 👩‍👩‍👧 \u2028 \"'\\"]);
      });

      test("an empty queue gives nothing, and sending nothing is fine", async () => {
        await queue.send([]);
        await expectNothing();
      });

      test("a batch arrives whole, also a large one", async () => {
        const batch = Array.from({ length: 35 }, (_, n) => outgoing(`m${n}`));
        await queue.send(batch);
        expect(runIds(await receiveDue(35))).toEqual(batch.map(({ message }) => message.runId).sort());
        await expectNothing();
      });

      test("a batch with a message that cannot be sent leaves nothing behind", async () => {
        await expect(queue.send([outgoing("a"), outgoing("b", Number.NaN), outgoing("c")])).rejects.toThrow(/delay/);
        await expectNothing();
      });

      test("never more than was asked for", async () => {
        await queue.send([outgoing("a"), outgoing("b"), outgoing("c")]);
        expect((await queue.receive(2, 30_000)).length).toBeLessThanOrEqual(2);
      });

      testIf("fullBatches", "one receive brings everything that is due", async () => {
        await queue.send(Array.from({ length: 30 }, (_, n) => outgoing(`m${n}`)));
        expect(await queue.receive(100, 30_000)).toHaveLength(30);
      });

      test("what a caller does to its own objects later does not reach the queue", async () => {
        const sent = outgoing("a");
        await queue.send([sent]);
        Object.assign(sent.message, { runId: "changed" });
        const first = await receiveOne(1_000);
        Object.assign(first.body as object, { runId: "changed" });
        await harness.clock.advance(1_000);
        expect(runIds([await receiveOne()])).toEqual(["a"]);
      });
    });

    describe("delay", () => {
      test("a message is not early and not lost", async () => {
        await queue.send([outgoing("a", 3_000)]);
        await expectNothing();
        await harness.clock.advance(1_500);
        await expectNothing();
        await harness.clock.advance(1_500);
        expect(runIds([await receiveOne()])).toEqual(["a"]);
      });

      test("a negative delay is none", async () => {
        await queue.send([outgoing("a", -5_000)]);
        expect(runIds([await receiveOne()])).toEqual(["a"]);
      });

      test("a fraction of a millisecond does no harm", async () => {
        await queue.send([outgoing("a", 999.5)]);
        await harness.clock.advance(1_000);
        expect(runIds([await receiveOne()])).toEqual(["a"]);
      });

      test("an endless delay is refused, not stored", async () => {
        await expect(queue.send([outgoing("a", Infinity)])).rejects.toThrow(/limits\.delayMs/);
      });

      testIf("yearsPass", "a year is kept to the millisecond", async () => {
        const yearMs = 365 * 24 * 3_600_000;
        await queue.send([outgoing("year", yearMs), outgoing("soon", 61_000)]);
        await harness.clock.advance(61_000);
        const soon = await receiveOne();
        expect(runIds([soon])).toEqual(["soon"]);
        await queue.acknowledge(soon.receipt);
        await harness.clock.advance(yearMs - 61_001);
        await expectNothing();
        await harness.clock.advance(1);
        expect(runIds([await receiveOne()])).toEqual(["year"]);
      });

      testIf("ordered", "messages come in the order of their due times", async () => {
        const delays = [70_000, 0, 5_000, 120_000, 1, 65_000, 61_000, 3_000, 0];
        await queue.send(delays.map((delayMs, n) => outgoing(`m${n}`, delayMs)));
        await harness.clock.advance(120_000);
        const received: string[] = [];
        for (const _ of delays)
          received.push(...(await queue.receive(1, 600_000)).map(({ body }) => (body as Message).runId));
        expect(received).toEqual(["m1", "m8", "m4", "m7", "m2", "m6", "m5", "m0", "m3"]);
      });
    });

    describe("visibility", () => {
      test("a received message is invisible, and comes again when its time is over", async () => {
        await queue.send([outgoing("a")]);
        expect((await receiveOne(2_000)).receiveCount).toBe(1);
        await expectNothing();
        await harness.clock.advance(2_000);
        const again = await receiveOne();
        expect(runIds([again])).toEqual(["a"]);
        expect(again.receiveCount).toBe(2);
      });

      test("an acknowledged message never comes again", async () => {
        await queue.send([outgoing("a")]);
        const { receipt } = await receiveOne(1_000);
        await queue.acknowledge(receipt);
        await harness.clock.advance(2_000);
        await expectNothing();
      });

      test("extend keeps it invisible, counted from now", async () => {
        await queue.send([outgoing("a")]);
        const { receipt } = await receiveOne(2_000);
        await harness.clock.advance(1_000);
        await queue.extend(receipt, 3_000);
        await harness.clock.advance(1_500);
        await expectNothing();
        await harness.clock.advance(1_500);
        expect((await receiveOne()).receiveCount).toBe(2);
      });

      test("an extended message can still be acknowledged", async () => {
        await queue.send([outgoing("a")]);
        const { receipt } = await receiveOne(2_000);
        await queue.extend(receipt, 4_000);
        await harness.clock.advance(3_000);
        await queue.acknowledge(receipt);
        await harness.clock.advance(5_000);
        await expectNothing();
      });

      test("redeliver brings it after the delay, at once for 0", async () => {
        await queue.send([outgoing("a")]);
        await queue.redeliver((await receiveOne()).receipt, 2_000);
        await expectNothing();
        await harness.clock.advance(2_000);
        const second = await receiveOne();
        expect(second.receiveCount).toBe(2);
        await queue.redeliver(second.receipt, 0);
        expect((await receiveOne()).receiveCount).toBe(3);
      });

      testIf("yearsPass", "redeliver keeps a long delay", async () => {
        await queue.send([outgoing("a")]);
        await queue.redeliver((await receiveOne()).receipt, 3_600_000);
        await harness.clock.advance(3_599_999);
        await expectNothing();
        await harness.clock.advance(1);
        expect((await receiveOne()).receiveCount).toBe(2);
      });

      testIf("countsFailures", "only what is given back as failed counts as a failure", async () => {
        await queue.send([outgoing("a")]);
        await queue.redeliver((await receiveOne()).receipt, 0);
        await queue.redeliver((await receiveOne()).receipt, 0, "failed");
        await queue.redeliver((await receiveOne()).receipt, 70_000, "failed");
        await harness.clock.advance(70_000);
        expect(await receiveOne()).toMatchObject({ failures: 2, receiveCount: 4 });
      });
    });

    describe("receipts", () => {
      test("each delivery has its own", async () => {
        await queue.send([outgoing("a")]);
        const first = await receiveOne(1_000);
        await harness.clock.advance(1_000);
        expect((await receiveOne()).receipt).not.toBe(first.receipt);
      });

      testIf("saysStale", "a stale receipt does nothing to the newer delivery", async () => {
        await queue.send([outgoing("a")]);
        const stale = await receiveOne(1_000);
        await harness.clock.advance(1_000);
        const current = await receiveOne(5_000);
        expect(await queue.acknowledge(stale.receipt)).toBe(false);
        expect(await queue.redeliver(stale.receipt, 0)).toBe(false);
        expect(await queue.deadLetter(stale.receipt, "stale")).toBe(false);
        expect(await queue.extend(stale.receipt, 60_000)).toBe(false);
        await expectNothing();
        expect(await queue.deadLetters(10)).toEqual([]);
        await harness.clock.advance(5_000);
        const third = await receiveOne();
        expect(third.receiveCount).toBe(3);
        expect(await queue.acknowledge(current.receipt)).toBe(false);
        expect(await queue.acknowledge(third.receipt)).toBe(true);
      });

      testIf(
        "saysStale",
        "after its visibility, a receipt still works until the message is received again",
        async () => {
          await queue.send([outgoing("a")]);
          const { receipt } = await receiveOne(1_000);
          await harness.clock.advance(1_500);
          expect(await queue.acknowledge(receipt)).toBe(true);
          await expectNothing();
        },
      );

      testIf("saysStale", "a receipt that gave its message back is stale", async () => {
        await queue.send([outgoing("a")]);
        const { receipt } = await receiveOne();
        expect(await queue.redeliver(receipt, 0)).toBe(true);
        expect(await queue.acknowledge(receipt)).toBe(false);
        expect(runIds([await receiveOne()])).toEqual(["a"]);
      });

      testIf("saysStale", "the first of two acknowledges wins, also at the same time", async () => {
        await queue.send([outgoing("a"), outgoing("b")]);
        const [a, b] = await receiveDue(2);
        expect(await queue.acknowledge(a!.receipt)).toBe(true);
        expect(await queue.acknowledge(a!.receipt)).toBe(false);
        const both = await Promise.all([queue.acknowledge(b!.receipt), queue.deadLetter(b!.receipt, "late")]);
        expect(both).toEqual([true, false]);
      });

      testIf("saysStale", "an unknown receipt is refused and harms nobody", async () => {
        await queue.send([outgoing("a")]);
        for (const receipt of ["", "nonsense", "1", "1-", "1-0", "1-undefined", "999-1", "-1-1"]) {
          expect(await queue.acknowledge(receipt)).toBe(false);
        }
        expect(runIds([await receiveOne()])).toEqual(["a"]);
      });

      test("a repeated acknowledge does not touch other messages", async () => {
        await queue.send([outgoing("a"), outgoing("b", 2_000)]);
        const { receipt } = await receiveOne();
        await queue.acknowledge(receipt);
        await queue.acknowledge(receipt);
        await harness.clock.advance(2_000);
        expect(runIds([await receiveOne()])).toEqual(["b"]);
      });
    });

    describe("dead letters", () => {
      test("are delivered no more", async () => {
        await queue.send([outgoing("a")]);
        await queue.deadLetter((await receiveOne(1_000)).receipt, "cannot be parsed");
        await harness.clock.advance(2_000);
        await expectNothing();
      });

      testIf("reasons", "are kept with body, reason and time, newest first", async () => {
        const sent = [outgoing("a"), outgoing("b", 1_000)];
        await queue.send(sent);
        await queue.deadLetter((await receiveOne()).receipt, "first reason");
        await harness.clock.advance(1_000);
        await queue.deadLetter((await receiveOne()).receipt, "second reason");
        const letters = await queue.deadLetters(10);
        expect(letters).toEqual([
          {
            taskQueue: "default",
            body: sent[1]!.message,
            reason: "second reason",
            receiveCount: 1,
            deadAtMs: expect.any(Number),
          },
          {
            taskQueue: "default",
            body: sent[0]!.message,
            reason: "first reason",
            receiveCount: 1,
            deadAtMs: expect.any(Number),
          },
        ]);
        expect(Math.abs(letters[0]!.deadAtMs - harness.clock.now())).toBeLessThan(60_000);
        expect(await queue.deadLetters(1)).toEqual([letters[0]]);
        expect(await queue.deadLetters(0)).toEqual([]);
      });
    });
  });
}

function outgoing(runId: string, delayMs = 0): OutgoingMessage {
  return {
    taskQueue: "default",
    delayMs,
    message: {
      v: 1,
      kind: "step",
      runId,
      workflow: "order",
      fingerprint: "f",
      epoch: 0,
      sentAtMs: 0,
      step: 0,
      attempt: 1,
    },
  };
}
