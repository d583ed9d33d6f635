/** Processes that run the worker: each with a memory and a clock of its own, which it loses when it dies. */
import type { Workflow } from "../../definition/workflow.ts";
import type { Clock, Ports } from "../../runtime/ports.ts";
import { createWorker, type Worker } from "../../runtime/worker.ts";
import type { VirtualClock } from "../virtual-clock.ts";

export class Process {
  /** Of its place and its life, such as `a1`: whatever it makes bears it, so nothing depends on what the others do. */
  readonly name: string;
  readonly place: number;
  readonly life: number;
  readonly clock: Clock;
  readonly ports: Ports;
  readonly worker: Worker;
  alive = true;
  /** Until then it stands still: it neither acts nor hears anything. */
  frozenUntilMs = 0;
  /** Deliveries in hand. */
  handling = 0;
  #idsMade = 0;

  constructor({ place, life, clock, skewMs, workflows, portsOf }: ProcessOptions) {
    this.name = `${String.fromCharCode(97 + place)}${life}`;
    this.place = place;
    this.life = life;
    this.clock = new ProcessClock(clock, skewMs, this);
    this.ports = portsOf(this);
    this.worker = createWorker({ workflows, ports: this.ports, instanceId: this.name });
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
      const { alive, frozenUntilMs } = this.#process;
      const leftMs = frozenUntilMs - this.#clock.now();
      if (leftMs > 0) cancel = this.#clock.after(leftMs, fire);
      else if (alive) callback();
    };
    let cancel = this.#clock.after(delayMs, fire);
    return () => cancel();
  }
}
