/**
 * Receives messages and hands them to the worker.
 *
 * C1  At most `concurrency` messages are in hand. A hand is free as soon as the worker has spoken: storing that word
 *     may share its commit with the next message.
 * C2  Nothing is scheduled but one timer for the next due message; without messages there is none.
 * C3  A message leaves the queue only by the worker's word, or after `onDeadLetter` has heard of it.
 * C4  `stop()` resolves when nothing that was begun is left.
 */
import { limits } from "../definition/limits.ts";
import type { Clock, Delivery, Disposition, Logger } from "../runtime/ports.ts";
import { UnderWay } from "../runtime/under-way.ts";
import type { EmbeddedBackend, ReceivedMessage } from "./backend.ts";

export interface ConsumerOptions {
  readonly backend: Pick<
    EmbeddedBackend,
    "receive" | "acknowledge" | "redeliver" | "deadLetter" | "extend" | "nextDueAtMs" | "onMessage"
  >;
  readonly handle: (delivery: Delivery) => Promise<Disposition>;
  /** Told before a message becomes a dead letter. While it throws, the message comes again. */
  readonly onDeadLetter: (body: unknown, reason: string) => Promise<void>;
  /** Messages in hand at the same time. */
  readonly concurrency: number;
  readonly clock: Clock;
  readonly logger: Logger;
  /** How long a message in hand stays invisible unless its handler extends it. */
  readonly visibilityMs: number;
}

export interface Consumer {
  /** Receives no more; resolves when the messages in hand are done. */
  stop(): Promise<void>;
  /** Messages in hand. */
  inFlight(): number;
}

export function startConsumer(options: ConsumerOptions): Consumer {
  const { backend, concurrency, clock, logger, visibilityMs } = options;
  const inHand = new Set<ReceivedMessage>();
  const unfinished = new UnderWay();
  let pumping: Promise<void> | undefined;
  let receiveFailures = 0;
  let stopped = false;
  let cancelTimer = (): void => undefined;
  const unsubscribe = backend.onMessage(wake);

  function wake(): void {
    // While the storage fails, only the timer tries again: messages still being sent must not turn into a busy loop.
    if (stopped || receiveFailures > 0) return;
    // A pump at work looks again before it rests.
    if (pumping === undefined) startPump();
  }

  function startPump(): void {
    cancelTimer();
    pumping = pump().finally(() => {
      pumping = undefined;
      if (!stopped) schedule();
    });
  }

  async function pump(): Promise<void> {
    // First let everybody who is about to finish or send do so: one receive then serves them all.
    await Promise.resolve();
    try {
      do {
        const free = concurrency - inHand.size;
        if (stopped || free <= 0) break;
        const messages = await backend.receive(free, visibilityMs);
        receiveFailures = 0;
        for (const message of messages) takeInHand(message);
      } while (isDue());
    } catch (error) {
      receiveFailures += 1;
      logger.error("Receiving messages failed; it is tried again", { error, failures: receiveFailures });
    }
  }

  function isDue(): boolean {
    return (backend.nextDueAtMs() ?? Infinity) <= clock.now();
  }

  function schedule(): void {
    if (receiveFailures > 0) {
      cancelTimer = clock.after(backoffMs(receiveFailures), startPump);
      return;
    }
    // Without a free hand, the next one to become free wakes the pump.
    if (inHand.size >= concurrency) return;
    const dueAtMs = backend.nextDueAtMs();
    if (dueAtMs === undefined) return;
    const waitMs = dueAtMs - clock.now();
    if (waitMs <= 0) startPump();
    else cancelTimer = clock.after(Math.min(waitMs, longestTimerMs), startPump);
  }

  function takeInHand(message: ReceivedMessage): void {
    inHand.add(message);
    const release = (): void => {
      if (inHand.delete(message)) wake();
    };
    const work = handleMessage(message, options, release)
      .catch((error: unknown) => {
        logger.error("The storage failed while a message was settled; the message comes again", { error });
      })
      .finally(release);
    unfinished.add(work);
  }

  wake();
  return {
    async stop() {
      stopped = true;
      unsubscribe();
      cancelTimer();
      // The pump first: a receive that is under way may still take messages in hand.
      await pumping;
      await unfinished.ended();
    },
    inFlight: () => inHand.size,
  };
}

/** Longer timers would fire at once in Node; this one finds nothing due and is set again. */
const longestTimerMs = 2 ** 31 - 1;
const deadLetterRetryMs = 60_000;

function backoffMs(failures: number): number {
  return Math.min(1_000 * 2 ** (failures - 1), 60_000);
}

async function handleMessage(message: ReceivedMessage, options: ConsumerOptions, release: () => void): Promise<void> {
  const { backend, handle, logger } = options;
  const { receipt, body, receiveCount } = message;
  const extend = async (visibleInMs: number): Promise<void> => {
    await backend.extend(receipt, visibleInMs);
  };
  let disposition: Disposition;
  try {
    disposition = await handle({ body, receiveCount, extend });
  } catch (error) {
    await giveBackFailed(message, error, options);
    return;
  }
  switch (disposition.kind) {
    case "acknowledge":
      release();
      if (!(await backend.acknowledge(receipt)))
        logger.debug("A message was received again before it was acknowledged");
      return;
    case "redeliver":
      release();
      await backend.redeliver(receipt, disposition.delayMs);
      return;
    case "deadLetter":
      await bury(message, disposition.reason, options);
      return;
  }
}

/** The engine itself failed on this message, not the user's code: later it may go well, but not for ever. */
async function giveBackFailed(message: ReceivedMessage, error: unknown, options: ConsumerOptions): Promise<void> {
  const failures = message.failures + 1;
  if (failures >= limits.deliveries) {
    const cause = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
    await bury(message, `Handling failed ${failures} times, at last with ${cause}`, options);
    return;
  }
  options.logger.warn("Handling a message failed; it is delivered again", { error, failures });
  await options.backend.redeliver(message.receipt, backoffMs(failures), "failed");
}

async function bury(message: ReceivedMessage, reason: string, options: ConsumerOptions): Promise<void> {
  const { backend, logger, onDeadLetter } = options;
  try {
    await onDeadLetter(message.body, reason);
  } catch (error) {
    logger.error("A dead letter could not be reported; the message is delivered again", { error, reason });
    await backend.redeliver(message.receipt, deadLetterRetryMs);
    return;
  }
  logger.error("A message became a dead letter", { reason, receiveCount: message.receiveCount });
  await backend.deadLetter(message.receipt, reason);
}
