/**
 * One life of a process: the storage and the clock as it sees them. When it dies, or stands still, its calls neither act
 * nor answer, and its timers do not fire.
 *
 * Invariants:
 * 1. Whatever changes something that outlives the process passes a point first, and a life can end at each of them. Between
 *    two points nothing happens that others could see: so a crash at each point is a crash at every moment.
 * 2. A life that is over does nothing any more.
 */
import type { EmbeddedBackend } from "../embedded/backend.ts";
import type { Message } from "../engine/message.ts";
import type { Clock } from "../runtime/ports.ts";
import { RunningCode } from "./running-code.ts";

/** What becomes of a life that comes to a point. */
export type Fate = "goesOn" | "dies" | "stands";

/** Told of each point. @returns what becomes of the life there */
export type Arrive = (label: string) => Fate;

export class Life {
  readonly backend: EmbeddedBackend;
  readonly clock: Clock;
  readonly running = new RunningCode();
  readonly #arrive: Arrive;
  #state: Fate = "goesOn";
  #goOn = (): void => undefined;
  #stands: Promise<void> = Promise.resolve();
  readonly #cancels = new Set<() => void>();
  readonly #missed: (() => void)[] = [];
  /** What the messages in hand are, by their receipts. */
  readonly #received = new Map<string, string>();

  constructor(backend: EmbeddedBackend, clock: Clock, arrive: Arrive, describe: Describe) {
    this.#arrive = arrive;
    this.clock = { now: () => clock.now(), after: (delayMs, callback) => this.#after(clock, delayMs, callback) };
    this.backend = this.#storage(backend, describe);
  }

  get state(): Fate {
    return this.#state;
  }

  /** Ends a stand-still: what was due meanwhile happens now. */
  goOn(): void {
    this.#state = "goesOn";
    this.running.ignore(false);
    this.#goOn();
    for (const callback of this.#missed.splice(0)) callback();
  }

  /**
   * Comes to a point, at once, and says how it goes on from there.
   *
   * @returns `undefined` when it goes on at once; else when it does, which is never for one that has died
   */
  pass(label: string): Promise<void> | undefined {
    if (this.#state === "goesOn") this.#become(this.#arrive(label));
    return this.#whenItGoesOn();
  }

  #whenItGoesOn(): Promise<void> | undefined {
    switch (this.#state) {
      case "goesOn":
        return undefined;
      case "dies":
        return new Promise(() => undefined);
      case "stands":
        return this.#stands.then(() => this.#whenItGoesOn());
    }
  }

  #become(fate: Fate): void {
    this.#state = fate;
    if (fate === "goesOn") return;
    this.running.ignore(true);
    if (fate === "dies") for (const cancel of this.#cancels) cancel();
    this.#stands = new Promise((resolve) => {
      this.#goOn = resolve;
    });
  }

  #after(clock: Clock, delayMs: number, callback: () => void): () => void {
    const cancel = clock.after(delayMs, () => {
      this.#cancels.delete(cancel);
      this.#whenAlive(callback);
    });
    this.#cancels.add(cancel);
    return () => {
      this.#cancels.delete(cancel);
      cancel();
    };
  }

  #whenAlive(callback: () => void): void {
    if (this.#state === "goesOn") callback();
    else if (this.#state === "stands") this.#missed.push(callback);
  }

  /** Writes are points; reads change nothing, and only do not answer a life that is over. */
  #storage(backend: EmbeddedBackend, describe: Describe): EmbeddedBackend {
    const write = <T>(label: string, perform: () => Promise<T>): Promise<T> => {
      const waits = this.pass(label);
      // At once, so that nothing comes between the point and what is done there.
      return waits === undefined ? perform() : waits.then(perform);
    };
    const read = async <T>(perform: () => Promise<T>): Promise<T> => {
      await this.#whenItGoesOn();
      return perform();
    };
    const of = (receipt: string): string => this.#received.get(receipt) ?? receipt;
    return {
      ...backend,
      update: (runId, transition) => write(`a write of run ${runId}`, () => backend.update(runId, transition)),
      putPayload: (runId, key, json) =>
        write(`${describe.payload(runId, key)} is stored`, () => backend.putPayload(runId, key, json)),
      send: (messages) =>
        write(`the sending of ${describe.messages(messages.map(({ message }) => message))}`, () =>
          backend.send(messages),
        ),
      acknowledge: (receipt) => write(`the message ${of(receipt)} is acknowledged`, () => backend.acknowledge(receipt)),
      redeliver: (receipt, delayMs, because) =>
        write(`the message ${of(receipt)} is given back`, () => backend.redeliver(receipt, delayMs, because)),
      receive: async (max, visibilityMs) => {
        const messages = await read(() => backend.receive(max, visibilityMs));
        for (const { receipt, body } of messages) this.#received.set(receipt, describe.messages([body as Message]));
        return messages;
      },
      extend: (receipt, visibleInMs) => read(() => backend.extend(receipt, visibleInMs)),
      deadLetter: (receipt, reason) => read(() => backend.deadLetter(receipt, reason)),
      get: (runId) => read(() => backend.get(runId)),
      load: (runId) => read(() => backend.load(runId)),
      getPayloads: (runId, keys) => read(() => backend.getPayloads(runId, keys)),
      onMessage: (listener) => backend.onMessage(() => this.#whenAlive(listener)),
      onChange: (listener) => backend.onChange((change) => (this.#state === "goesOn" ? listener(change) : undefined)),
      // The storage outlives the process.
      close: () => Promise.resolve(),
    };
  }
}

/** Puts what happens into words. */
export interface Describe {
  messages(messages: readonly Message[]): string;
  payload(runId: string, key: string): string;
}
