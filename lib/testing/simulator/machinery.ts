/**
 * What carries a world: processes whose port calls wait at gates, the queue between them, and time. It does what it is told;
 * what happens next is for the world to say.
 */
import type { Workflow } from "../../definition/workflow.ts";
import { isBarred, runIn } from "../../engine/barred.ts";
import type { OutgoingMessage } from "../../engine/message.ts";
import type { Reply } from "../../engine/waiter.ts";
import type { Clock, Disposition, Ports } from "../../runtime/ports.ts";
import { silent } from "../silent.ts";
import { VirtualClock } from "../virtual-clock.ts";
import type { Chooser } from "./chooser.ts";
import { Evidence, Violation } from "./evidence.ts";
import { Invariants } from "./invariants.ts";
import { Process } from "./processes.ts";
import { describeMessage, type Receipt, SimulatedQueue, type StoredMessage } from "./simulated-queue.ts";
import { type Call, SimulatedStore } from "./simulated-store.ts";
import type { WorldOptions } from "./world.ts";

/** A port call that waits for its turn. */
export interface Gate {
  readonly process: Process;
  readonly label: () => string;
  readonly isWrite: boolean;
  readonly perform: () => unknown;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
  /** Whoever calls does not live for longer. */
  readonly diesAtMs: number;
}

/**
 * Far below the limit, and above what is legitimate: a message per level of runs, and one for each look at something that
 * another process has just changed, or is about to. Those are bounded by the deliveries in hand, crashed ones included.
 */
const hopsMost = 40;

export class Machinery {
  readonly clock = new VirtualClock();
  readonly #beganAtMs = this.clock.now();
  readonly queue = new SimulatedQueue();
  readonly store: SimulatedStore;
  readonly seen: Evidence;
  readonly invariants: Invariants;
  readonly processes: Process[] = [];
  gates: Gate[] = [];
  /** What happened, in words, with the seconds that had passed. */
  readonly trace: string[] = [];
  /** The process whose code goes on. */
  current: Process | undefined;
  readonly #workflows: readonly Workflow[];
  readonly #chooser: Chooser;
  readonly #skewMs: number;
  readonly #isTraced: boolean;
  readonly #tamper: (ports: Ports) => Ports;

  constructor({
    workflows,
    chooser,
    faults,
    rate,
    processes = 3,
    isTraced = true,
    tamper = (ports) => ports,
    onChange,
  }: WorldOptions) {
    this.#isTraced = isTraced;
    this.#tamper = tamper;
    this.#workflows = workflows;
    this.#chooser = chooser;
    this.#skewMs = faults.skewMs;
    this.store = new SimulatedStore({
      written: (runId, before, after, writer) => {
        this.invariants.written(runId, before, after, writer);
        if (isBarred(after)) return;
        onChange?.({ runId, before: runIn(before), after, atMs: this.clock.now() }, this.seen);
      },
      removed: (runId, last) => {
        this.invariants.removed(runId, last);
        onChange?.({ runId, before: last, after: undefined, atMs: this.clock.now() }, this.seen);
      },
      fail: (message) => this.seen.fail(message),
    });
    this.seen = new Evidence({ workflows, store: this.store, nowMs: () => this.clock.now(), skewMs: faults.skewMs });
    this.invariants = new Invariants(this.seen, rate ?? { limit: Number.POSITIVE_INFINITY, perMs: 1 });
    for (let place = 0; place < processes; place++) this.processes.push(this.#spawn(place, 1));
  }

  note(text: () => string): void {
    if (!this.#isTraced) return;
    const seconds = (this.clock.now() - this.#beganAtMs) / 1_000;
    this.trace.push(`${seconds.toFixed(3)} ${text()}`);
  }

  /** @param diesAtMs whoever has these ports does not live for longer. @default as long as the process */
  portsOf(process: Process, clock: Clock, diesAtMs = Number.POSITIVE_INFINITY): Ports {
    const call: Call = <T>(label: () => string, perform: () => T, isWrite = false): Promise<T> =>
      this.gate({ process, label, isWrite, perform, diesAtMs }) as Promise<T>;
    return this.#tamper({
      clock,
      random: {
        fraction: () => this.#chooser.fraction("jitter"),
        id: () => process.newId(),
        secret: () => `secret-${process.newId()}`,
      },
      logger: silent,
      queue: {
        send: (messages) =>
          call(
            () => `send ${messages.map(({ message }) => describeMessage(message)).join(", ")}`,
            () => this.send(messages),
            true,
          ),
      },
      replies: {
        send: (replies) =>
          call(
            () => `tell ${replies.map(({ replyTo }) => replyTo).join(", ")}`,
            () => this.tell(replies),
            true,
          ),
      },
      store: this.store.portFor(call, process.name),
    });
  }

  send(messages: readonly OutgoingMessage[]): void {
    for (const outgoing of messages) {
      const { message } = outgoing;
      if ((message.hops ?? 0) > hopsMost)
        this.seen.fail(`${describeMessage(message)} is sent after ${message.hops} in vain`);
      this.queue.send(outgoing, this.clock.now());
    }
  }

  tell(replies: readonly Reply[]): void {
    for (const { replyTo, notice } of replies) this.seen.told.add(`${notice.runId} ${notice.epoch} ${replyTo}`);
  }

  /** Waits until the world lets it act. A dead process never goes on: its calls neither act nor answer. */
  gate(call: Omit<Gate, "resolve" | "reject">): Promise<unknown> {
    return new Promise((resolve, reject) => {
      if (call.process.alive) this.gates.push({ ...call, resolve, reject });
    });
  }

  /** Those of processes that do not stand still. */
  openGates(): Gate[] {
    const nowMs = this.clock.now();
    return this.gates.filter(({ process }) => process.frozenUntilMs <= nowMs);
  }

  /** @param how `never`: it fails. `twice`: its answer is lost, and it is repeated. `unheard`: it is done and seems to fail */
  open(gate: Gate, how: "once" | "twice" | "never" | "unheard"): void {
    this.gates = this.gates.filter((one) => one !== gate);
    this.current = gate.process;
    const isThrottled = gate.isWrite && this.clock.now() < this.#throttledUntilMs;
    if (how === "never" || isThrottled) {
      this.note(() => `${labelOf(gate)} ${isThrottled ? "IS THROTTLED" : "FAILS"}`);
      gate.reject(new PortError(isThrottled ? "ThrottlingException" : "PortFailed"));
      return;
    }
    this.note(() => labelOf(gate));
    let answer = gate.perform();
    if (isRefusal(answer)) this.note(() => `${gate.process.name}: REFUSED`);
    if (how === "twice") {
      this.note(() => `${gate.process.name}: LOST RESPONSE, repeated`);
      answer = gate.perform();
    }
    if (how === "unheard") {
      this.note(() => `${gate.process.name}: LOST RESPONSE, given up`);
      gate.reject(new PortError("TimeoutError"));
    } else gate.resolve(answer);
  }

  /** No write is taken for so long. */
  throttle(ms: number): void {
    this.note(() => `THROTTLED for ${ms} ms`);
    this.#throttledUntilMs = this.clock.now() + ms;
  }
  #throttledUntilMs = 0;

  deliver(message: StoredMessage, process: Process): void {
    const receipt = this.queue.receive(message, this.clock.now());
    process.handling++;
    this.current = process;
    this.note(() => `${process.name}: receives ${describeMessage(message.body)} (#${message.receiveCount})`);
    this.goOn(this.#handle(receipt, process), (error) => {
      this.seen.violation ??= error instanceof Error ? error : new Error(String(error));
    });
  }

  /** What a process does goes on until it ends, or for ever waits at a gate of a process that has died. */
  goOn(work: Promise<unknown>, failed: (error: unknown) => void): void {
    // eslint-disable-next-line no-restricted-syntax -- what the dead have begun never ends: the world waits for gates, not for promises
    work.catch(failed);
  }

  async #handle(receipt: Receipt, process: Process): Promise<void> {
    const { body, receiveCount } = receipt.message;
    const at = { process, isWrite: false, diesAtMs: Number.POSITIVE_INFINITY };
    const extend = async (visibleInMs: number): Promise<void> => {
      const perform = (): void => this.queue.extend(receipt, this.clock.now() + visibleInMs);
      await this.gate({ ...at, label: () => `extend ${describeMessage(body)}`, perform });
    };
    const disposition = await process.worker
      .handle({ body, receiveCount, extend })
      .catch((): Disposition => ({ kind: "redeliver", delayMs: 1_000 }));
    const dispose = (): void => this.queue.dispose(receipt, disposition, this.clock.now());
    const label = (): string => `${JSON.stringify(disposition)} for ${describeMessage(body)}`;
    // A queue that cannot be told shows the message again by itself.
    await this.gate({ ...at, label, perform: dispose }).catch(() => undefined);
    process.handling--;
    if (disposition.kind === "deadLetter") throw new Violation(`dead letter: ${disposition.reason}`);
  }

  crash(process: Process): void {
    this.note(() => `${process.name}: CRASHES`);
    process.die();
    this.gates = this.gates.filter((gate) => gate.process !== process);
    this.processes[process.place] = this.#spawn(process.place, process.life + 1);
  }

  timePasses(untilMs: number): void {
    this.clock.jumpTo(untilMs);
    this.gates = this.gates.filter((gate) => gate.diesAtMs > untilMs);
    this.queue.timePasses(untilMs);
  }

  /** When something happens by itself. */
  times(): number[] {
    // Messages that are visible already wait for a process that has a hand free: only time frees one.
    const times = this.queue.times(this.clock.now());
    const timer = this.clock.nextTimerAtMs();
    if (timer !== undefined) times.push(timer);
    for (const untilMs of [this.#throttledUntilMs, ...this.processes.map(({ frozenUntilMs }) => frozenUntilMs)])
      if (untilMs > this.clock.now()) times.push(untilMs);
    return times;
  }

  /**
   * Until nobody can go on without a gate being opened. All that processes wait for are gates, timers of the virtual clock
   * and promises, so it is enough that no promise is left to go on: a tick is taken then, without a turn of the event loop.
   */
  async settle(): Promise<void> {
    // Ticks come before promises, unless it is a promise that has gone on last.
    await Promise.resolve();
    await new Promise<void>((resolve) => {
      // eslint-disable-next-line no-restricted-syntax -- it is what is awaited
      process.nextTick(resolve);
    });
    if (this.seen.violation !== undefined) throw this.seen.violation;
  }

  #spawn(place: number, life: number): Process {
    const skewMs = this.#skewMs === 0 ? 0 : Math.round((this.#chooser.fraction("skew") - 0.5) * 2 * this.#skewMs);
    const portsOf = (process: Process): Ports => this.portsOf(process, process.clock);
    return new Process({ place, life, clock: this.clock, skewMs, workflows: this.#workflows, portsOf });
  }
}

/** As the adapters give: an error with the name of what went wrong. */
class PortError extends Error {
  constructor(name: string) {
    super("the port failed on purpose");
    this.name = name;
  }
}

/** Of a conditional write. */
function isRefusal(answer: unknown): boolean {
  return typeof answer === "object" && answer !== null && "applied" in answer && answer.applied === false;
}

export function labelOf({ process, label }: Gate): string {
  return `${process.name}: ${label()}`;
}
