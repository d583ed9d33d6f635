import type { Clock, MessageQueue } from "../runtime/ports.ts";
import { type DeadLetter, deadLettersKept, type EmbeddedBackend, type MessageSource } from "./backend.ts";
import { DueQueue, dueAtMs, parseBody, queuedMessage } from "./due-queue.ts";

export type MemoryMessages = MessageQueue & MessageSource & Pick<EmbeddedBackend, "nextDueAtMs" | "recover">;

/** The queue in memory. */
export function createMemoryMessages(
  clock: Pick<Clock, "now">,
  onArrival: () => void,
  assertOpen: () => void,
): MemoryMessages {
  const queue = new DueQueue();
  const letters: (Omit<DeadLetter, "body"> & { readonly json: string })[] = [];
  let lastId = 0;

  return {
    async send(messages) {
      assertOpen();
      const nowMs = clock.now();
      // All are made before the first is added: a message that cannot be sent must not leave half of its batch.
      const made = messages.map((outgoing) => queuedMessage((lastId += 1), outgoing, nowMs));
      for (const message of made) queue.add(message);
      if (made.length > 0) onArrival();
    },
    async receive(max, visibilityMs) {
      assertOpen();
      return queue.take(max, clock.now(), visibilityMs);
    },
    async acknowledge(receipt) {
      assertOpen();
      const message = queue.held(receipt);
      if (message === undefined) return false;
      queue.remove(message.id);
      return true;
    },
    async redeliver(receipt, delayMs, because = "asked") {
      assertOpen();
      const message = queue.held(receipt);
      if (message === undefined) return false;
      const nowMs = Math.ceil(clock.now());
      queue.giveBack(message.id, nowMs, dueAtMs(nowMs, delayMs));
      if (because === "failed") message.failures += 1;
      onArrival();
      return true;
    },
    async deadLetter(receipt, reason) {
      assertOpen();
      const message = queue.held(receipt);
      if (message === undefined) return false;
      queue.remove(message.id);
      const { taskQueue, json, receiveCount } = message;
      letters.push({ taskQueue, json, reason, receiveCount, deadAtMs: Math.ceil(clock.now()) });
      if (letters.length > deadLettersKept) letters.shift();
      return true;
    },
    async extend(receipt, visibleInMs) {
      assertOpen();
      const message = queue.held(receipt);
      if (message === undefined) return false;
      const before = message.dueAtMs;
      queue.prolong(message.id, dueAtMs(clock.now(), visibleInMs));
      if (message.dueAtMs < before) onArrival();
      return true;
    },
    async deadLetters(limit) {
      assertOpen();
      const newest = letters.slice(Math.max(0, letters.length - limit)).reverse();
      return newest.map(({ json, ...letter }) => ({ ...letter, body: parseBody(json) }));
    },

    nextDueAtMs: () => queue.nextDueAtMs(),
    async recover() {
      assertOpen();
      queue.recover(Math.ceil(clock.now()));
      onArrival();
    },
  };
}
