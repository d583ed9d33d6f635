// Workers and deliveries in the test's own hands: it says who receives what, when, how often, and who dies with it.

import { limits } from "../../lib/definition/limits.ts";
import type { Workflow } from "../../lib/definition/workflow.ts";
import type { ReceivedMessage } from "../../lib/embedded/backend.ts";
import { createMemoryBackend } from "../../lib/embedded/memory-backend.ts";
import { createMemoryBlobs } from "../../lib/embedded/memory-blobs.ts";
import type { Message } from "../../lib/engine/message.ts";
import { type Commands, createCommands } from "../../lib/runtime/commands.ts";
import type { Clock, Disposition, OpenRuns, OutgoingMessage, Ports, Replies } from "../../lib/runtime/ports.ts";
import type { RunIndex } from "../../lib/runtime/run-index.ts";
import type { RunView } from "../../lib/runtime/run-view.ts";
import { withArchives } from "../../lib/runtime/with-archives.ts";
import { withBlobs } from "../../lib/runtime/with-blobs.ts";
import { createWorker, type Worker } from "../../lib/runtime/worker.ts";
import { atRest, VirtualClock } from "../../lib/testing/virtual-clock.ts";
import { type LogLine, recordingLogger } from "./harness.ts";

export interface Process {
  readonly worker: Worker;
  kill(): void;
}

export class Rig {
  readonly clock = new VirtualClock();
  readonly logs: LogLine[] = [];
  readonly ports: Ports;
  readonly commands: Commands;
  readonly #backend;
  readonly #workflows: readonly Workflow[];
  #ids = 0;
  /** Messages are numbered in the order in which they were sent, from 1. */
  #sent = 0;
  #lost = 0;

  constructor(workflows: readonly Workflow[], replies?: Replies) {
    this.#workflows = workflows;
    const logger = recordingLogger(this.logs);
    this.#backend = createMemoryBackend({ clock: this.clock, logger });
    const next = (): string => (this.#ids++).toString().padStart(6, "0");
    const random = { fraction: () => 0.5, id: () => `id${next()}`, secret: () => `secret${next()}` };
    const store = withArchives(withBlobs(this.#backend, createMemoryBlobs()));
    const queue = {
      send: async (messages: readonly OutgoingMessage[]) => {
        await this.#backend.send(messages);
        this.#sent += messages.length;
      },
    };
    this.ports = { store, queue, clock: this.clock, random, logger, ...(replies === undefined ? {} : { replies }) };
    this.commands = createCommands({ workflows, ports: this.ports });
  }

  /** A worker in a process of its own. `kill` stops its timers, so that it never renews a lease again. */
  process(workflows: readonly Workflow[] = this.#workflows): Process {
    let isAlive = true;
    const clock: Clock = {
      now: () => this.clock.now(),
      after: (delayMs, callback) =>
        this.clock.after(delayMs, () => {
          if (isAlive) callback();
        }),
    };
    const worker = createWorker({ workflows, ports: { ...this.ports, clock } });
    return {
      worker,
      kill: () => {
        isAlive = false;
      },
    };
  }

  worker(workflows: readonly Workflow[] = this.#workflows): Worker {
    return this.process(workflows).worker;
  }

  /** The next visible message, or an error when there is none. */
  async receive(): Promise<ReceivedMessage> {
    const message = await this.#next();
    if (message === undefined) throw new Error("No message is visible");
    return message;
  }

  async #next(): Promise<ReceivedMessage | undefined> {
    for (;;) {
      const [message] = await this.#backend.receive(1, limits.visibilityMs);
      if (message === undefined || Number(message.receipt.split("-")[0]) > this.#lost) return message;
      await this.#backend.acknowledge(message.receipt);
    }
  }

  /** Whether a message could be received now. */
  isIdle(): boolean {
    return (this.#backend.nextDueAtMs() ?? Number.POSITIVE_INFINITY) > this.clock.now();
  }

  get runIndex(): RunIndex {
    return this.#backend.runIndex;
  }

  get openRuns(): OpenRuns {
    return this.#backend.openRuns;
  }

  /** Everything that is in flight, timers included, is lost for good. */
  loseMessages(): void {
    this.#lost = this.#sent;
  }

  /** Puts a message on the queue, as if it had been sent twice or kept back. */
  async send(message: Message, delayMs = 0): Promise<void> {
    await this.ports.queue.send([{ taskQueue: "default", message, delayMs }]);
  }

  /** Begins handling; the test decides whether what comes of it is ever applied. */
  handle(worker: Worker, { receipt, body, receiveCount }: ReceivedMessage): Promise<Disposition> {
    const extend = async (visibleInMs: number): Promise<void> => {
      await this.#backend.extend(receipt, visibleInMs);
    };
    return worker.handle({ body, receiveCount, extend });
  }

  async apply({ receipt }: ReceivedMessage, disposition: Disposition): Promise<void> {
    if (disposition.kind === "acknowledge") await this.#backend.acknowledge(receipt);
    else if (disposition.kind === "redeliver") await this.#backend.redeliver(receipt, disposition.delayMs);
    else await this.#backend.deadLetter(receipt, disposition.reason);
  }

  /** Receives one message, handles it to its end and applies what comes of it. */
  async deliver(worker: Worker): Promise<Disposition> {
    const message = await this.receive();
    const disposition = await this.handle(worker, message);
    await this.apply(message, disposition);
    return disposition;
  }

  /** Delivers until nothing is visible. */
  async deliverAll(worker: Worker): Promise<void> {
    for (;;) {
      const message = await this.#next();
      if (message === undefined) return;
      await this.apply(message, await this.handle(worker, message));
    }
  }

  /** A process receives a message and is killed in the middle of user code; the message stays unacknowledged. */
  async crash(workflows: readonly Workflow[] = this.#workflows): Promise<void> {
    const process = this.process(workflows);
    void this.handle(process.worker, await this.receive());
    await atRest();
    process.kill();
  }

  show(runId: string): Promise<RunView> {
    return this.commands.get(runId);
  }
}
