/**
 * A world in which the real worker and commands run over a store and a queue that misbehave on purpose. Every port
 * call waits at a gate; the world opens one gate at a time, delivers messages, lets time pass, kills processes, repeats
 * messages and loses responses, as its chooser says. Each applied write is checked against the invariants at once.
 *
 * Invariants:
 * 1. Whatever happens is decided by the chooser: the same choices make the same world.
 * 2. What a process knows, it lost when it died: nothing but the store and the queue outlives it.
 */
import type { Rate } from "../../definition/flow.ts";
import { limits } from "../../definition/limits.ts";
import type { Workflow } from "../../definition/workflow.ts";
import { isTerminal, type RunState } from "../../engine/run-state.ts";
import type { Fields } from "../../engine/transition.ts";
import { registerWaiter } from "../../engine/waiter.ts";
import { type Audited, createAudit } from "../../runtime/audit.ts";
import { type Commands, createCommands } from "../../runtime/commands.ts";
import type { Ports, RunStore } from "../../runtime/ports.ts";
import { createRemoval } from "../../runtime/removal.ts";
import { silent } from "../silent.ts";
import { orphans } from "./child-checks.ts";
import { type Chooser, pick } from "./chooser.ts";
import type { Evidence } from "./evidence.ts";
import { type FaultKind, type Faults, faultKinds, noFaults, threatsTo } from "./faults.ts";
import { labelOf, Machinery } from "./machinery.ts";
import { type Move, Outsiders } from "./outsiders.ts";
import type { Process } from "./processes.ts";
import { describeMessage } from "./simulated-queue.ts";
import type { Call } from "./simulated-store.ts";
import { checkTold } from "./waiter-checks.ts";

export interface WorldOptions {
  readonly workflows: readonly Workflow[];
  readonly chooser: Chooser;
  /** How many of each kind may strike. */
  readonly faults: Faults;
  /** The one that all rate-limited steps share. @default none is limited */
  readonly rate?: Rate;
  /** @default 3 */
  readonly processes?: number;
  /** That a process handles at the same time. @default 2 */
  readonly deliveriesAtOnce?: number;
  /** Of all moments at which a fault could strike, those at which one does. @default 0.06 */
  readonly faultChance?: number;
  /** Whether what happens is told in words. @default true */
  readonly isTraced?: boolean;
  /** Stands between the processes and their ports, e.g. with a bug that is to be found. @default the ports as they are */
  readonly tamper?: (ports: Ports) => Ports;
  /** Sees each change of a record, in their order. */
  readonly onChange?: (change: RecordChange, seen: Evidence) => void;
}

/** As the store's change stream tells it. */
export interface RecordChange {
  readonly runId: string;
  readonly before: Fields | undefined;
  /** `undefined`: it was removed. */
  readonly after: Fields | undefined;
  readonly atMs: number;
}

/** Far below the time after which an audit gives alarm. */
const auditEveryMs = 5_000;

/** The delivery rule counts on it: whoever changes a run from outside lives for less than the delay of its nudge. */
const senderLivesMs = 30_000;

export class World {
  readonly chooser: Chooser;
  /** How many of each kind may still strike. */
  readonly faults: Faults;
  /** How many have. */
  readonly struck: Record<FaultKind, number> = { ...noFaults };
  readonly outsiders: Outsiders;
  readonly machinery: Machinery;
  readonly #workflows: readonly Workflow[];
  readonly #deliveriesAtOnce: number;
  readonly #faultChance: number;
  #mayBeStuck = false;
  #auditedAtMs = 0;

  constructor(options: WorldOptions) {
    const { workflows, chooser, faults, deliveriesAtOnce = 2, faultChance = 0.06 } = options;
    this.#faultChance = faultChance;
    this.#workflows = workflows;
    this.chooser = chooser;
    this.faults = { ...faults };
    this.#deliveriesAtOnce = deliveriesAtOnce;
    this.machinery = new Machinery(options);
    this.outsiders = new Outsiders({
      chooser,
      nowMs: () => this.machinery.clock.now(),
      seen: this.seen,
      act: (label, what) => this.act(label, what),
    });
  }

  /** What is stored, and what was seen so far. */
  get seen(): Evidence {
    return this.machinery.seen;
  }

  get trace(): readonly string[] {
    return this.machinery.trace;
  }

  /**
   * Something that a user does: runs in one of the processes, and dies with it or when its time is over.
   *
   * @param onlyRun the only run that it may change
   */
  act(label: string, what: (commands: Commands) => Promise<unknown>, onlyRun?: string): void {
    const process = this.#pickProcess();
    this.#note(() => `${process.name}: ${label}`);
    const ports = this.machinery.portsOf(process, process.clock, this.machinery.clock.now() + senderLivesMs);
    const update: RunStore["update"] = (runId, transition) => {
      if (onlyRun !== undefined && runId !== onlyRun) this.seen.fail(`${label} changes run ${runId}`);
      return ports.store.update(runId, transition);
    };
    const commands = createCommands({
      workflows: this.#workflows,
      ports: { ...ports, store: { ...ports.store, update } },
    });
    this.machinery.goOn(what(commands), (error) =>
      this.#note(() => `${process.name}: ${label} refused: ${String(error)}`),
    );
  }

  /** Somebody begins to wait for the end of a run, without having looked at it. */
  waitFor(runId: string): void {
    const process = this.#pickProcess();
    const replyTo = process.newId();
    this.#note(() => `${process.name}: waits for ${runId} at ${replyTo}`);
    const waiter = registerWaiter(replyTo, this.machinery.clock.now() + 1000 * limits.delayMs);
    this.machinery.goOn(process.ports.store.update(runId, waiter), (error) =>
      this.#note(() => `${process.name}: waits in vain: ${String(error)}`),
    );
  }

  terminate(runId: string): void {
    this.seen.terminated.add(runId);
    this.act(`terminate ${runId}`, (commands) => commands.terminate(runId));
  }

  /** Waits at a gate in the middle of user code, where a crash may hit. */
  async userCode(label: string, isRateLimited = false): Promise<void> {
    const process = this.machinery.current;
    if (isRateLimited) this.machinery.invariants.limitedCodeBegins();
    if (process === undefined) return;
    const gate = { process, isWrite: false, perform: () => undefined, diesAtMs: Number.POSITIVE_INFINITY };
    await this.machinery.gate({ ...gate, label: () => `user code ${label}` });
  }

  /** When nothing is in flight any more, everybody who waits for a run that has ended has been told of it. */
  assertWaitersTold(): void {
    // Of a run that has ended an audit knows nothing: a notice that is lost for good costs its waiter an hour.
    if (this.#mayBeStuck) return;
    for (const run of this.seen.allRuns()) checkTold(this.seen, run);
  }

  /** Everything that is in flight is lost for good. From now on an audit may find runs that are stuck. */
  loseMessages(): void {
    const { queue } = this.machinery;
    const lost = queue.messages;
    this.#note(() => `LOST: ${lost.map(({ body }) => describeMessage(body)).join(", ")}`);
    queue.messages = [];
    this.#mayBeStuck = true;
  }

  /** Whether also what was asked for just now has come to its end. */
  async isAtRest(): Promise<boolean> {
    await this.machinery.settle();
    return this.machinery.gates.length === 0;
  }

  /** So much time passes although nothing happens. */
  wait(ms: number): void {
    this.#note(() => `WAIT of ${ms} ms`);
    this.machinery.timePasses(this.machinery.clock.now() + ms);
  }

  /** An audit of all open runs, in one go. */
  async audit(): Promise<Audited> {
    const { machinery } = this;
    const perform: Call = async (_label, performed) => performed();
    const ports: Ports = {
      ...machinery.portsOf(machinery.processes[0] as Process, machinery.clock),
      logger: {
        ...silent,
        warn: (message, fields) => this.#note(() => `AUDIT: ${message} ${JSON.stringify(fields)}`),
      },
      store: machinery.store.portFor(perform, "audit"),
      queue: { send: async (messages) => machinery.send(messages) },
      replies: { send: async (replies) => machinery.tell(replies) },
    };
    const runIds = [...this.seen.allRuns()].flatMap(({ runId, status }) => (isTerminal(status) ? [] : [runId]));
    const openRuns = { page: async () => ({ runIds, cursor: undefined }) };
    const audited = await createAudit({ workflows: this.#workflows, ports, openRuns })();
    if (audited.stuck > 0) this.#note(() => `AUDIT: ${audited.stuck} of ${audited.seen} open runs are stuck`);
    return audited;
  }

  /** Whoever does it may die in between, and somebody else does it again. `false`: none is to be finished. */
  finishRemovals(): boolean {
    const { removals } = this.machinery.store;
    for (const [runId, last] of removals) {
      const process = this.#pickProcess();
      this.#note(() => `${process.name}: finish the removal of ${runId}`);
      const removal = createRemoval({ workflows: this.#workflows, ports: process.ports });
      this.machinery.goOn(removal.afterRemove(runId, last), (error) =>
        this.#note(() => `${process.name}: could not finish it: ${String(error)}`),
      );
    }
    return removals.size > 0;
  }

  /** Runs that have not ended, though their parents have, and end with them. */
  orphans(): string[] {
    return orphans(this.seen);
  }

  /** Whether the step, which waits, waits for a signal alone. */
  awaitsSignal(run: RunState, index: number): boolean {
    const state = run.steps[index];
    const step = this.seen.graphOf(run).steps[index];
    return step?.kind === "signal" && state?.status === "waiting" && state.wakeAtMs === undefined;
  }

  /** One step of the schedule. `false` when nothing can happen any more. */
  async step(): Promise<boolean> {
    const moves = this.#moves();
    const hasStruck = this.#strike(moves.length > 0);
    if (!hasStruck && moves.length > 0) pick(this.chooser, moves, "next", ({ label }) => label()).make();
    if (!hasStruck && moves.length === 0) {
      if (this.machinery.clock.now() >= this.#auditedAtMs + auditEveryMs) await this.assertNoFalseAlarm();
      if (!this.#passTime()) return false;
    }
    await this.machinery.settle();
    return true;
  }

  /** Whether a fault strikes now, instead of what is due. */
  #strike(isBusy: boolean): boolean {
    const areLeft = faultKinds.some((kind) => this.faults[kind] > 0);
    if (!areLeft || !this.chooser.chance(this.#faultChance, "fault")) return false;
    const threats = threatsTo(this.machinery, this.faults, isBusy, this.chooser);
    if (threats.length === 0) return false;
    const threat = pick(this.chooser, threats, "fault", ({ kind }) => kind);
    this.faults[threat.kind]--;
    this.struck[threat.kind]++;
    threat.strike(this.chooser.choose(threat.places, "fault", threat.labelOf));
    return true;
  }

  #moves(): Move[] {
    const { machinery } = this;
    const moves = this.outsiders.moves();
    for (const gate of machinery.openGates())
      moves.push({ label: () => labelOf(gate), make: () => machinery.open(gate, "once") });
    const nowMs = machinery.clock.now();
    const idle = machinery.processes.filter(
      ({ handling, frozenUntilMs }) => handling < this.#deliveriesAtOnce && frozenUntilMs <= nowMs,
    );
    if (idle.length === 0) return moves;
    for (const message of machinery.queue.visible(nowMs)) {
      moves.push({
        label: () => `deliver ${describeMessage(message.body)}`,
        make: () => machinery.deliver(message, this.#pickProcess(idle)),
      });
    }
    return moves;
  }

  /** To the next moment at which something happens by itself. */
  #passTime(): boolean {
    const times = [...this.machinery.times(), ...this.outsiders.times()];
    if (times.length === 0) return false;
    this.machinery.timePasses(Math.max(this.machinery.clock.now(), Math.min(...times)));
    return true;
  }

  /** Nobody lost anything, so whatever has not moved for long waits for somebody outside. */
  async assertNoFalseAlarm(): Promise<void> {
    if (this.#mayBeStuck) return;
    this.#auditedAtMs = this.machinery.clock.now();
    const { stuck } = await this.audit();
    if (stuck > 0) this.seen.fail("R5: an audit takes runs for stuck, and all their messages are there");
  }

  #pickProcess(from: readonly Process[] = this.machinery.processes): Process {
    return pick(this.chooser, from, "process", ({ name }) => name);
  }

  #note(text: () => string): void {
    this.machinery.note(text);
  }
}
