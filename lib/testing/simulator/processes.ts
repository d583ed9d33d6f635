/** Processes that run the worker: each with a memory and a clock of its own, which it loses when it dies. */
import type { Workflow } from "../../definition/workflow.ts";
import type { Clock, Ports } from "../../runtime/ports.ts";
import { createWorker, type Worker } from "../../runtime/worker.ts";
import type { VirtualClock } from "../virtual-clock.ts";

export class Process {
  /**
   * Of its place and its life, such as `A1`: whatever it makes bears it, so nothing depends on what the others do. In
   * capitals, which no number in a record has: so names are found in whatever is stored.
   */
  readonly name: string;
  readonly place: number;
  readonly life: number;
  readonly clock: Clock;
  readonly #clock: ProcessClock;
  readonly ports: Ports;
  readonly worker: Worker;
  alive = true;
  /** Until then it stands still: it neither acts nor hears anything. */
  frozenUntilMs = 0;
  /** Deliveries in hand. */
  handling = 0;
  #idsMade = 0;

  constructor({ place, life, clock, skewMs, workflows, portsOf }: ProcessOptions) {
    this.name = `${String.fromCharCode(65 + place)}${life}`;
    this.place = place;
    this.life = life;
    this.#clock = new ProcessClock(clock, skewMs, this);
    this.clock = this.#clock;
    this.ports = portsOf(this);
    this.worker = createWorker({ workflows, ports: this.ports, instanceId: this.name });
  }

  /** Its timers die with it. */
  die(): void {
    this.alive = false;
    this.#clock.stop();
  }

  /** Unique also among all that it does for its users: an answer is told from another by its id. */
  newId(): string {
    return `${this.name}x${this.#idsMade++}`;
  }
}

interface ProcessOptions {
  readonly place: number;
  readonly life: number;
  readonly clock: VirtualClock;
  readonly skewMs: number;
  readonly workflows: readonly Workflow[];
  readonly portsOf: (process: Process) => Ports;
}

class ProcessClock implements Clock {
  readonly #clock: VirtualClock;
  readonly #skewMs: number;
  readonly #process: Process;
  readonly #cancels = new Set<() => void>();

  constructor(clock: VirtualClock, skewMs: number, process: Process) {
    this.#clock = clock;
    this.#skewMs = skewMs;
    this.#process = process;
  }

  now(): number {
    return this.#clock.now() + this.#skewMs;
  }

  after(delayMs: number, callback: () => void): () => void {
    const fire = (): void => {
      const leftMs = this.#process.frozenUntilMs - this.#clock.now();
      if (leftMs > 0) {
        cancelTimer = this.#clock.after(leftMs, fire);
        return;
      }
      this.#cancels.delete(cancel);
      callback();
    };
    let cancelTimer = this.#clock.after(delayMs, fire);
    const cancel = (): void => {
      this.#cancels.delete(cancel);
      cancelTimer();
    };
    this.#cancels.add(cancel);
    return cancel;
  }

  stop(): void {
    for (const cancel of this.#cancels) cancel();
  }
}
