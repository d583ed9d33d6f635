/**
 * A world of which every next event is known: all messages that could be delivered, port calls that could be answered, faults
 * that could strike, and things that users could do. `explore-all.ts` tries them all.
 *
 * What is left out, as it makes no difference (`reduced`): while no stall is to come, time stands still as long as anybody
 * has something to do, and then a port call that neither reads nor writes a run commutes with all that others do: it
 * writes what nobody reads before a later write refers to it, or adds a message, or ends its own delivery. So does a delivery,
 * as there is always a worker with a free hand, and whoever takes it waits at a gate. It is enough to let such an event
 * happen first, and to let the faults that could hit it strike just there: crashes of that process, failures of that call,
 * repetitions of that message. Only reads and writes of runs are tried in every order.
 *
 * What is bounded: how many faults strike; a worker handles one message at a time, and each user has a process of his own; all
 * clocks agree; random fractions are one half; time goes on when nobody has anything to do, or by a stall of one length;
 * whoever heard nothing asks again when all else is at rest; and a message that comes again and again comes late.
 */
import type { Workflow } from "../../definition/workflow.ts";
import { isTerminal } from "../../engine/run-state.ts";
import type { Commands } from "../../runtime/commands.ts";
import { PawlError } from "../../runtime/errors.ts";
import type { Ports } from "../../runtime/ports.ts";
import type { Chooser } from "./chooser.ts";
import { type FaultKind, type Faults, noFaults } from "./faults.ts";
import { Histories } from "./histories.ts";
import { type Gate, labelOf } from "./machinery.ts";
import type { Process } from "./processes.ts";
import { describeMessage, type Receipt, type StoredMessage } from "./simulated-queue.ts";
import { rememberSecret, stateKey } from "./state-key.ts";
import { World } from "./world.ts";

/** Kinds of faults that are tried wherever they could strike. */
export const exploredFaults = [
  "crashes",
  "duplicates",
  "copies",
  "lostResponses",
  "falseFailures",
  "failures",
  "stalls",
] as const satisfies readonly FaultKind[];

export type FaultBudget = Readonly<Partial<Record<(typeof exploredFaults)[number], number>>>;

/** Something that a user does. It is done at any moment from when it may be; whoever hears nothing does it again. */
export interface Operation {
  readonly label: string;
  /** Once it holds, it must hold until it is done. @default always */
  readonly mayBegin?: (world: ExploredWorld) => boolean;
  /** A `PawlError` is a refusal, which ends it as well. */
  readonly act: (commands: Commands, world: ExploredWorld) => Promise<unknown>;
  /** A refusal means that it is to be done anew. @default false */
  readonly isRepeated?: boolean;
}

export interface ExploredOptions {
  readonly workflows: readonly Workflow[];
  /** What each of the users does, in this order; each with a process of his own. */
  readonly users: readonly (readonly Operation[])[];
  readonly budget: FaultBudget;
  /** @default true */
  readonly isReduced?: boolean;
  /** @default false */
  readonly isTraced?: boolean;
  /** As of a world. @default the ports as they are */
  readonly tamper?: (ports: Ports) => Ports;
}

/** Something that could happen next. */
export interface Event {
  readonly label: () => string;
  readonly happen: () => void;
}

interface User {
  readonly operations: readonly Operation[];
  readonly place: number;
  done: number;
  /** The one that is under way. */
  process: Process | undefined;
}

/** More than any world of a few steps ever needs at the same time; it fails when they are not enough. */
const workers = 8;
/** Leases end after 30 s, and a message shows again after 40 s. Whoever waits for an answer of his own has gone by then. */
const stallMs = 40_000;

/**
 * A message that comes for the third time, or more often, comes late, as queues may: so somebody who looks every second for
 * something that never comes makes a few states, not hundreds.
 */
const lateFrom = 3;
const lateMs = 40_000;

/** Calls that neither read nor write a run. Whatever is not named here counts as one that does. */
const isAside = /^(user code|send |tell |put |payloads |graph |blob |extend |\{"kind")/;

export class ExploredWorld {
  readonly world: World;
  /** Task tokens that were handed out, the newest last. */
  readonly tokens: string[] = [];
  readonly usedTokens = new Set<string>();
  readonly left: Faults;
  readonly #isReduced: boolean;
  readonly #users: readonly User[];
  readonly #histories: Histories;
  readonly #holders = new WeakMap<Receipt, Process>();
  /** Messages that have been made to come late, by how often they had come. */
  readonly #late = new WeakMap<StoredMessage, number>();
  /** Processes of which a call has failed. */
  readonly #failing = new WeakSet<Process>();
  readonly #aside = new WeakMap<Gate, boolean>();
  #actingPlace = 0;

  constructor({ workflows, users, budget, isReduced = true, isTraced = false, tamper }: ExploredOptions) {
    this.#isReduced = isReduced;
    this.left = { ...noFaults, ...budget };
    this.#users = users.map((operations, at) => ({ operations, place: workers + at, done: 0, process: undefined }));
    const chooser: Chooser = {
      choose: (_options, kind) => (kind === "process" ? this.#actingPlace : 0),
      chance: () => false,
      fraction: () => 0.5,
    };
    this.world = new World({
      workflows,
      chooser,
      faults: noFaults,
      processes: workers + users.length,
      isTraced,
      ...(tamper === undefined ? {} : { tamper }),
    });
    this.#histories = new Histories(this.world.machinery);
  }

  /** Given by a step's code. */
  handOut(token: string): void {
    rememberSecret(Buffer.from(token, "base64url").toString().split("/")[0] ?? "");
    this.tokens.push(token);
  }

  /** All that could happen next; none: it has come to rest. The calm events come first. */
  events(): Event[] {
    const { machinery } = this.world;
    const messages = machinery.queue.visible(machinery.clock.now());
    const isReduced = this.#isReduced && this.left.stalls === 0;
    if (isReduced) {
      const aside = machinery.gates.find((gate) => this.#isAside(gate));
      if (aside !== undefined) return [this.#opening(aside), ...this.#faultsAt(aside)];
      const [message] = messages;
      if (message !== undefined && !this.#mayLeaveAttempts())
        return [...this.#deliveries(message), ...this.#copyOf(message)];
    }
    const events = machinery.gates.map((gate) => this.#opening(gate));
    for (const message of messages) events.push(...this.#deliveries(message));
    for (const user of this.#users) events.push(...this.#operationOf(user));
    const times = this.isQuiet ? machinery.times() : [];
    if (times.length > 0) events.push(this.#passing(Math.min(...times)));
    if (events.length === 0) return this.#repetitions();
    return [...events, ...this.#faults(messages)];
  }

  /** Nobody has anything to do before time passes. */
  get isQuiet(): boolean {
    const { gates, queue, clock } = this.world.machinery;
    return gates.length === 0 && queue.visible(clock.now()).length === 0;
  }

  async happen({ happen }: Event): Promise<void> {
    happen();
    await this.world.machinery.settle();
    this.#delayRepetitions();
    for (const user of this.#users) this.#settleUser(user);
    for (const process of this.world.machinery.processes) if (this.#isIdle(process)) this.#histories.rests(process);
  }

  key(): string {
    const { world, left, tokens, usedTokens } = this;
    const users = this.#users.map(({ done, process }) => `${done}${process === undefined ? "" : "!"}`);
    const budget = exploredFaults.map((kind) => left[kind]);
    const handedOut = tokens.map((token) => {
      return `${Buffer.from(token, "base64url").toString()} ${usedTokens.has(token)}`;
    });
    return stateKey({
      world,
      histories: this.#histories,
      workers,
      holderOf: (receipt) => this.#holders.get(receipt),
      rest: [users.join(), budget.join(), ...handedOut],
    });
  }

  /** @throws when the world has come to rest and something is not as it must be */
  async assertDone(): Promise<void> {
    const { world } = this;
    if (!(await world.isAtRest())) world.seen.fail("something is under way, and nothing can happen");
    for (const { runId, status } of world.seen.allRuns())
      if (!isTerminal(status)) world.seen.fail(`R5: ${runId} is ${status} and nothing is in flight`);
    const [orphan] = world.orphans();
    if (orphan !== undefined) world.seen.fail(`R5: ${orphan} outlived its parent`);
    world.assertWaitersTold();
  }

  /** @throws when an audit takes a run for stuck, although nothing was lost */
  async assertNoFalseAlarm(): Promise<void> {
    const { stuck } = await this.world.audit();
    if (stuck > 0) this.world.seen.fail("R5: an audit takes runs for stuck, and all their messages are there");
  }

  #delayRepetitions(): void {
    const { queue, clock } = this.world.machinery;
    for (const message of queue.messages) {
      if (
        message.heldBy !== undefined ||
        message.receiveCount < lateFrom ||
        this.#late.get(message) === message.receiveCount
      )
        continue;
      this.#late.set(message, message.receiveCount);
      if (message.visibleAtMs > clock.now()) message.visibleAtMs = Math.max(message.visibleAtMs, clock.now() + lateMs);
    }
  }

  #opening(gate: Gate): Event {
    return { label: () => labelOf(gate), happen: () => this.#open(gate, "once") };
  }

  #open(gate: Gate, how: "once" | "twice" | "never" | "unheard"): void {
    const { machinery } = this.world;
    const watched = this.#histories.watched(gate);
    if (how === "never" || how === "unheard") this.#failing.add(gate.process);
    machinery.gates = machinery.gates.map((one) => (one === gate ? watched : one));
    machinery.open(watched, how);
  }

  /** One for each kind of worker that could take it: those that know something of their own, and the others. */
  #deliveries(message: StoredMessage): Event[] {
    const { machinery } = this.world;
    const idle = machinery.processes.slice(0, workers).filter((process) => this.#isIdle(process));
    if (idle.length === 0)
      throw new Error(`More than ${workers} deliveries at the same time: give the world more workers.`);
    const stored = [...machinery.store.runs.values()].map((fields) => JSON.stringify(fields)).join();
    const kinds = new Map<string, Process>();
    for (const process of idle) {
      // It takes what an attempt of its own has left behind for lost.
      const isKnown = stored.includes(`.${process.name}-`);
      const kind = isKnown ? process.name : this.#histories.textOf(process);
      if (!kinds.has(kind)) kinds.set(kind, process);
    }
    return [...kinds.values()].map((process) => ({
      label: () => `${process.name}: receives ${describeMessage(message.body)}`,
      happen: () => {
        this.#histories.begins(process, `${JSON.stringify(message.body)} ${message.receiveCount === 0}`);
        machinery.deliver(message, process);
        if (message.heldBy !== undefined) this.#holders.set(message.heldBy, process);
      },
    }));
  }

  #operationOf(user: User): Event[] {
    const operation = user.operations[user.done];
    if (operation === undefined || user.process !== undefined) return [];
    if (operation.mayBegin?.(this) === false) return [];
    return [{ label: () => operation.label, happen: () => this.#begin(user, operation) }];
  }

  #begin(user: User, operation: Operation): void {
    const process = this.world.machinery.processes[user.place] as Process;
    user.process = process;
    this.#actingPlace = user.place;
    this.#histories.begins(process, operation.label);
    this.world.act(operation.label, async (commands) => {
      const isDone = await operation.act(commands, this).then(
        () => true,
        (error: unknown) => {
          this.world.machinery.note(() => `${process.name}: ${operation.label} refused: ${String(error)}`);
          // Nobody refused it: it was not heard, and is done again.
          return error instanceof PawlError && operation.isRepeated !== true;
        },
      );
      if (user.process !== process) return;
      user.process = undefined;
      if (isDone) user.done++;
    });
  }

  /** Whoever died with what he did, or has given up waiting, has heard nothing. */
  #settleUser(user: User): void {
    const { process } = user;
    if (process === undefined || this.#hasGates(process)) return;
    if (!process.alive) this.#histories.rests(process);
  }

  /** Whoever heard nothing does it again, when all else has come to rest. */
  #repetitions(): Event[] {
    return this.#users.flatMap((user) => {
      const operation = user.operations[user.done];
      if (user.process === undefined || operation === undefined || this.#hasGates(user.process)) return [];
      return [{ label: () => `${operation.label}, again`, happen: () => this.#begin(user, operation) }];
    });
  }

  #passing(atMs: number): Event {
    return { label: () => "time passes", happen: () => this.#pass(Math.max(atMs, this.world.machinery.clock.now())) };
  }

  #pass(untilMs: number): void {
    const { machinery } = this.world;
    machinery.note(() => `TIME PASSES: ${untilMs - machinery.clock.now()} ms`);
    machinery.timePasses(untilMs);
    for (const process of machinery.processes) this.#histories.timePassed(process);
  }

  /** Those that could strike anywhere now. */
  #faults(messages: readonly StoredMessage[]): Event[] {
    const { machinery } = this.world;
    const faults: Event[] = [];
    const busy = machinery.processes.filter((process) => process.handling > 0 || this.#hasGates(process));
    for (const process of busy) faults.push(...this.#crashOf(process));
    for (const gate of machinery.gates) faults.push(...this.#failuresOf(gate));
    for (const message of machinery.queue.messages)
      if (message.heldBy !== undefined) faults.push(...this.#repeat(message));
    for (const message of messages) faults.push(...this.#copyOf(message));
    if (busy.length > 0)
      faults.push(
        ...this.#fault(
          "stalls",
          () => `STALL of ${stallMs} ms`,
          () => this.#pass(machinery.clock.now() + stallMs),
        ),
      );
    return faults;
  }

  /** Those that could make a difference to this call, or to the delivery that makes it. */
  #faultsAt(gate: Gate): Event[] {
    const held = this.world.machinery.queue.messages.filter(
      ({ heldBy }) => heldBy !== undefined && this.#holders.get(heldBy) === gate.process,
    );
    return [
      ...this.#crashOf(gate.process),
      ...this.#failuresOf(gate),
      ...held.flatMap((message) => this.#repeat(message)),
    ];
  }

  #crashOf(process: Process): Event[] {
    return this.#fault(
      "crashes",
      () => `${process.name}: CRASHES`,
      () => {
        this.world.machinery.crash(process);
      },
    );
  }

  #failuresOf(gate: Gate): Event[] {
    const label = (how: string) => (): string => `${labelOf(gate)}, ${how}`;
    const { isWrite } = gate;
    // A lost answer to a question is a failure; only of what was done it is more.
    return [
      ...(isWrite ? this.#fault("lostResponses", label("LOST and repeated"), () => this.#open(gate, "twice")) : []),
      ...(isWrite
        ? this.#fault("falseFailures", label("DONE and said to fail"), () => this.#open(gate, "unheard"))
        : []),
      ...this.#fault("failures", label("FAILS"), () => this.#open(gate, "never")),
    ];
  }

  #repeat(message: StoredMessage): Event[] {
    const { machinery } = this.world;
    const label = (): string => `VISIBLE AGAIN: ${describeMessage(message.body)}`;
    return this.#fault("duplicates", label, () => {
      machinery.note(label);
      machinery.queue.showAgain(message, machinery.clock.now());
    });
  }

  #copyOf(message: StoredMessage): Event[] {
    const { machinery } = this.world;
    const label = (): string => `COPIED: ${describeMessage(message.body)}`;
    return this.#fault("copies", label, () => {
      machinery.note(label);
      machinery.queue.copy(message);
    });
  }

  #fault(kind: FaultKind, label: () => string, strike: () => void): Event[] {
    if (this.left[kind] === 0) return [];
    return [
      {
        label,
        happen: () => {
          this.left[kind]--;
          strike();
        },
      },
    ];
  }

  /**
   * A worker whose call fails leaves its attempt behind, and knows that nobody is at work on it: then it makes a difference
   * whether a message comes before or after that one has its hand free.
   */
  #mayLeaveAttempts(): boolean {
    const { processes } = this.world.machinery;
    const isFailing = processes.some((process) => process.handling > 0 && this.#failing.has(process));
    return isFailing || this.left.failures + this.left.falseFailures > 0;
  }

  #isAside(gate: Gate): boolean {
    const known = this.#aside.get(gate);
    if (known !== undefined) return known;
    const is = isAside.test(gate.label());
    this.#aside.set(gate, is);
    return is;
  }

  #hasGates(process: Process): boolean {
    return this.world.machinery.gates.some((gate) => gate.process === process);
  }

  #isIdle(process: Process): boolean {
    const isActing = this.#users.some((user) => user.process === process);
    return process.handling === 0 && !isActing && !this.#hasGates(process);
  }
}
