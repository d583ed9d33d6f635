/**
 * The queue on SQLite. Messages that are due soon or in flight are also in a `DueQueue` in memory, and are delivered
 * from there; later ones are parked on disk only, so that memory holds the work at hand and not every timer.
 *
 * Who has received what is in memory alone: a process that dies takes its receipts with it, and what it had in flight
 * is due again as soon as the file is opened. So a receive writes nothing.
 *
 * Nothing here is waited for until it is safe from a power cut. What is sent comes before whatever ends the delivery that
 * it follows from, or after a message that is armed for the case that it is lost (R5); and what ends a delivery may be lost.
 */
import type { Clock, MessageQueue } from "../runtime/ports.ts";
import type { EmbeddedBackend, MessageSource } from "./backend.ts";
import { DueQueue, dueAtMs, type QueuedMessage, queuedMessage } from "./due-queue.ts";
import type { GroupCommit } from "./sqlite-group-commit.ts";
import type { MessageRows } from "./sqlite-message-rows.ts";

export type SqliteMessages = MessageQueue & MessageSource & Pick<EmbeddedBackend, "nextDueAtMs" | "recover">;

/** A message that is due later than this is parked. */
const parkAfterMs = 60_000;
/** Parked messages that one receive brings back at most. */
const unparkedAtOnce = 1_000;

export function createSqliteMessages(
  rows: MessageRows,
  commits: GroupCommit,
  clock: Pick<Clock, "now">,
  onArrival: () => void,
): SqliteMessages {
  const queue = new DueQueue();
  for (const message of rows.atHand()) queue.add(message);
  let lastId = rows.lastId();
  let parkedUntilMs = rows.nextParkedAtMs();

  /** To be called after the commit that stored the messages. */
  function keep(messages: readonly QueuedMessage[]): void {
    for (const message of messages) {
      if (!isParked(message)) queue.add(message);
      else if (parkedUntilMs === undefined || message.dueAtMs < parkedUntilMs) parkedUntilMs = message.dueAtMs;
    }
    onArrival();
  }

  function unpark(nowMs: number): Promise<unknown> {
    return commits.writeSoon(
      () => ({ messages: rows.unpark(nowMs, unparkedAtOnce), next: rows.nextParkedAtMs() }),
      ({ messages, next }) => {
        for (const message of messages) queue.add(message);
        parkedUntilMs = next;
      },
    );
  }

  /**
   * Ends a delivery. The message leaves memory at once, so that its receipt works once only. Should the disk refuse,
   * the delivery ends by its visibility instead and the message comes again.
   */
  async function settle(message: QueuedMessage, write: () => void, afterCommit?: () => void): Promise<true> {
    queue.remove(message.id);
    try {
      await commits.writeSoon(write, afterCommit);
    } catch (error) {
      queue.add(message);
      onArrival();
      throw error;
    }
    return true;
  }

  return {
    async send(messages) {
      const nowMs = clock.now();
      const made = messages.map((outgoing) => queuedMessage((lastId += 1), outgoing, nowMs));
      if (made.length === 0) return;
      await commits.writeSoon(
        () => {
          for (const message of made) rows.insert(message, isParked(message));
        },
        () => keep(made),
      );
    },
    async receive(max, visibilityMs) {
      commits.assertOpen();
      const nowMs = clock.now();
      if (parkedUntilMs !== undefined && parkedUntilMs <= nowMs) {
        // While there is plenty at hand, only the next in line is fetched: nobody overtakes, and memory stays small.
        const isNext = parkedUntilMs < (queue.nextDueAtMs() ?? Infinity);
        if (isNext || queue.size < unparkedAtOnce) await unpark(nowMs);
      }
      return queue.take(max, nowMs, visibilityMs);
    },
    async acknowledge(receipt) {
      const message = queue.held(receipt);
      return message !== undefined && settle(message, () => rows.remove(message.id));
    },
    async redeliver(receipt, delayMs, because = "asked") {
      const held = queue.held(receipt);
      if (held === undefined) return false;
      const nowMs = Math.ceil(clock.now());
      const failures = held.failures + (because === "failed" ? 1 : 0);
      const message = { ...held, scheduledAtMs: nowMs, dueAtMs: dueAtMs(nowMs, delayMs), failures };
      return settle(
        held,
        () => rows.reschedule(message, isParked(message)),
        () => keep([message]),
      );
    },
    async deadLetter(receipt, reason) {
      const message = queue.held(receipt);
      if (message === undefined) return false;
      const deadAtMs = Math.ceil(clock.now());
      return settle(message, () => rows.bury(message, reason, deadAtMs));
    },
    async extend(receipt, visibleInMs) {
      commits.assertOpen();
      const message = queue.held(receipt);
      if (message === undefined) return false;
      const before = message.dueAtMs;
      queue.prolong(message.id, dueAtMs(clock.now(), visibleInMs));
      if (message.dueAtMs < before) onArrival();
      return true;
    },
    deadLetters: (limit) => commits.read(() => rows.dead(limit)),

    nextDueAtMs() {
      const next = Math.min(queue.nextDueAtMs() ?? Infinity, parkedUntilMs ?? Infinity);
      return next === Infinity ? undefined : next;
    },
    async recover() {
      const nowMs = Math.ceil(clock.now());
      await commits.writeSoon(
        () => {
          rows.rebase(nowMs);
          return rows.nextParkedAtMs();
        },
        (next) => {
          queue.recover(nowMs);
          parkedUntilMs = next;
          onArrival();
        },
      );
    },
  };
}

function isParked({ scheduledAtMs, dueAtMs }: QueuedMessage): boolean {
  return dueAtMs - scheduledAtMs > parkAfterMs;
}
