// A world in which the real worker and commands run over a store and a queue that misbehave on purpose. Every port
// call waits at a gate; a seeded scheduler opens one gate at a time, delivers messages, lets time pass, kills
// processes, repeats messages and loses responses. Each applied write is checked against the invariants at once.

import { dependencies, endsWithParent, type Graph, startsRun } from "../../lib/definition/graph.ts";
import type { MapSummary } from "../../lib/definition/map.ts";
import { deriveGraph, parseShardFingerprint } from "../../lib/definition/shards.ts";
import type { Workflow } from "../../lib/definition/workflow.ts";
import { childRunId, mapRunId, parentRunId } from "../../lib/engine/child.ts";
import { decodeRun, decodeStep } from "../../lib/engine/codec.ts";
import { lifecycleEvent } from "../../lib/engine/lifecycle.ts";
import { readiness } from "../../lib/engine/readiness.ts";
import { isRunId } from "../../lib/engine/record-id.ts";
import {
  type ForkOrigin,
  hasEnded,
  isBeforeEnd,
  isTerminal,
  type RunState,
  type StepState,
} from "../../lib/engine/run-state.ts";
import { applyTransition, type Condition, type Fields, type Transition } from "../../lib/engine/transition.ts";
import { type Audited, createAudit } from "../../lib/runtime/audit.ts";
import { type Commands, createCommands } from "../../lib/runtime/commands.ts";
import type {
  BlobStore,
  Clock,
  Disposition,
  Logger,
  OutgoingMessage,
  Ports,
  RunStore,
  WriteResult,
} from "../../lib/runtime/ports.ts";
import { createRemoval } from "../../lib/runtime/removal.ts";
import { withBlobs } from "../../lib/runtime/with-blobs.ts";
import { createWorker, type Worker } from "../../lib/runtime/worker.ts";
import { VirtualClock } from "../../lib/testing/virtual-clock.ts";
import { faultOfExpiry } from "./expiry-checks.ts";
import { faultOfGate, faultOfTurn, RateLedger } from "./flow-checks.ts";
import { Outsiders } from "./outsiders.ts";

export interface Faults {
  /** Processes that die, losing their memory. */
  crashes: number;
  /** Messages that become visible while their delivery is still being handled. */
  duplicates: number;
  /** Writes whose answer is lost, and that the client repeats. */
  lostResponses: number;
  /** Port calls that fail before they do anything. */
  failures: number;
  /** Time that passes although processes have work to do: leases expire under living workers. */
  stalls: number;
  /** Each process's clock is off by up to so many ms. */
  skewMs: number;
}

interface StoredMessage {
  readonly id: number;
  readonly body: unknown;
  visibleAtMs: number;
  /** Delivery that holds it. */
  heldBy: number | undefined;
  receiveCount: number;
  failures: number;
}

interface Gate {
  readonly process: Process;
  readonly label: string;
  readonly isWrite: boolean;
  readonly perform: () => unknown;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
  readonly diesAtMs: number;
}

interface Process {
  readonly name: string;
  readonly ports: Ports;
  readonly worker: Worker;
  readonly clock: SkewedClock;
  alive: boolean;
  handling: number;
}

/** Asks the world for something: done, or not, when the schedule comes to it. */
type Call = <T>(label: string, perform: () => T, isWrite?: boolean) => Promise<T>;

/** The delivery rule counts on it: whoever changes a run from outside lives for less than the delay of its nudge. */
const senderLivesMs = 30_000;

/**
 * Far below the limit, and above what is legitimate: a message per level of runs, and one for each look at something that
 * another process has just changed, or is about to. Those are bounded by the deliveries in hand, crashed ones included.
 */
const hopsMost = 40;

class Violation extends Error {}

const silent: Logger = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };

export class World {
  readonly clock = new VirtualClock();
  readonly runs = new Map<string, Fields>();
  readonly #payloads = new Map<string, string>();
  readonly #blobs = new Map<string, string>();
  readonly #graphs = new Map<string, string>();
  /** Runs that are gone, as they were, until their removal has come to its end. */
  readonly #removals = new Map<string, Fields>();
  readonly trace: string[] = [];
  readonly successes = new Map<string, number>();
  readonly starts = new Map<string, number>();
  readonly eventIds = new Set<string>();
  /** Children that did not succeed, with the epoch and attempt of the step that waited for them then. */
  readonly #badEnds = new Set<string>();
  readonly #rates = new RateLedger();
  writes = 0;
  messages: StoredMessage[] = [];
  deadLetters = 0;
  /** What its users have asked to end without undoing anything. */
  readonly #terminated = new Set<string>();
  #gates: Gate[] = [];
  #processes: Process[] = [];
  #made = 0;
  #deliveries = 0;
  /** Unique also among all that one process does for its users: an answer is told from another by its id. */
  #ids = 0;
  readonly #workflows: readonly Workflow[];
  readonly #random: () => number;
  readonly faults: Faults;
  readonly outsiders = new Outsiders({
    nowMs: () => this.clock.now(),
    random: () => this.#random(),
    runs: () => [...this.runs].flatMap(([id, fields]) => (isRunId(id) ? [decodeRun(id, fields)] : [])),
    payload: (runId, key) => this.#payloads.get(`${runId}/${key}`),
    act: (label, what) => {
      this.act(label, what);
    },
    violated: (message) => this.#fail(message),
  });
  readonly #maxProcesses = 3;

  constructor(workflows: readonly Workflow[], random: () => number, faults: Faults) {
    this.#workflows = workflows;
    this.#random = random;
    this.faults = { ...faults };
    while (this.#processes.length < this.#maxProcesses) this.#processes.push(this.#spawn());
  }

  /**
   * Something that a user does: runs in one of the processes, and dies with it or when its time is over.
   *
   * @param onlyRun the only run that it may change
   */
  act(label: string, what: (commands: Commands) => Promise<unknown>, onlyRun?: string): void {
    const process = this.#pick(this.#processes);
    this.trace.push(`${process.name}: ${label}`);
    const ports = this.#portsOf(() => process, process.clock, process.name, this.clock.now() + senderLivesMs);
    const update: RunStore["update"] = (runId, transition) => {
      if (onlyRun !== undefined && runId !== onlyRun) this.#fail(`${label} changes run ${runId}`);
      return ports.store.update(runId, transition);
    };
    what(createCommands({ workflows: this.#workflows, ports: { ...ports, store: { ...ports.store, update } } })).catch(
      (error: unknown) => {
        this.trace.push(`${process.name}: ${label} refused: ${error instanceof Error ? error.message : String(error)}`);
      },
    );
  }

  /** Everything that is in flight is lost for good. From now on an audit may find runs that are stuck. */
  loseMessages(): void {
    this.trace.push(`LOST: ${this.messages.map(({ body }) => describe(body)).join(", ")}`);
    this.messages = [];
    this.#mayBeStuck = true;
  }
  #mayBeStuck = false;

  /** Whether also what was asked for just now has come to its end. */
  async isAtRest(): Promise<boolean> {
    await this.#settle();
    return this.#gates.length === 0;
  }

  /** So much time passes although nothing happens. */
  wait(ms: number): void {
    this.trace.push(`WAIT of ${ms} ms`);
    this.#timePasses(this.clock.now() + ms);
  }

  /** An audit of all open runs, in one go. */
  async audit(): Promise<Audited> {
    const { seen, stuck } = await this.#audit();
    if (stuck > 0) this.trace.push(`AUDIT: ${stuck} of ${seen} open runs are stuck`);
    return { seen, stuck, cursor: undefined };
  }

  readonly #audit = (): Promise<Audited> => {
    const perform: Call = async (_label, performed) => performed();
    const process = this.#processes[0] as Process;
    const ports: Ports = {
      ...this.#portsOf(() => process, this.clock, "audit"),
      logger: {
        ...silent,
        warn: (message, fields) => void this.trace.push(`AUDIT: ${message} ${JSON.stringify(fields)}`),
      },
      store: withBlobs(this.#storeOf(perform, "audit"), this.#blobsOf(perform)),
      queue: {
        send: async (messages) => {
          for (const outgoing of messages) this.#enqueue(outgoing);
        },
      },
    };
    const runIds = [...this.runs].flatMap(([id, { st }]) =>
      isRunId(id) && !isTerminal(st as RunState["status"]) ? [id] : [],
    );
    const openRuns = { page: async () => ({ runIds, cursor: undefined }) };
    return createAudit({ workflows: this.#workflows, ports, openRuns })();
  };

  /** Nobody lost anything, so whatever has not moved for long waits for somebody outside. */
  async #assertNoFalseAlarm(): Promise<void> {
    if (this.#mayBeStuck) return;
    const { stuck } = await this.audit();
    if (stuck > 0) this.#fail("R5: an audit takes runs for stuck, and all their messages are there");
  }

  terminate(runId: string): void {
    this.#terminated.add(runId);
    this.act(`terminate ${runId}`, (commands) => commands.terminate(runId));
  }

  /** Waits at a gate in the middle of user code, where a crash may hit. */
  async userCode(label: string): Promise<void> {
    const process = this.#current;
    if (label.endsWith("limited")) this.#assertNone(this.#rates.codeBegan());
    if (process === undefined) return;
    await this.#gate(process, `user code ${label}`, false, () => undefined);
  }
  #current: Process | undefined;

  /** One step of the schedule. `false` when nothing can happen any more. */
  async step(): Promise<boolean> {
    const visible = this.messages.filter(
      (message) => message.heldBy === undefined && message.visibleAtMs <= this.clock.now(),
    );
    const choices: (() => void)[] = this.outsiders.choices();
    const faults: (() => void)[] = [];
    for (const gate of this.#gates) {
      choices.push(() => {
        this.#open(gate, "once");
      });
    }
    const [message] = visible.length === 0 ? [] : [this.#pick(visible)];
    const idle = this.#processes.filter((process) => process.handling < 2);
    if (message !== undefined && idle.length > 0) {
      const weight = Math.max(1, Math.min(visible.length, 3));
      for (let i = 0; i < weight; i++) choices.push(() => this.#deliver(message, this.#pick(idle)));
    }
    if (this.faults.crashes > 0 && this.#gates.length > 0)
      faults.push(() => this.#crash(this.#pick(this.#gates).process));
    if (this.faults.duplicates > 0) {
      const held = this.messages.filter((one) => one.heldBy !== undefined);
      if (held.length > 0) faults.push(() => this.#duplicate(this.#pick(held)));
    }
    const writes = this.#gates.filter((gate) => gate.isWrite);
    if (this.faults.lostResponses > 0 && writes.length > 0) faults.push(() => this.#open(this.#pick(writes), "twice"));
    if (this.faults.failures > 0 && this.#gates.length > 0)
      faults.push(() => this.#open(this.#pick(this.#gates), "never"));
    if (this.faults.stalls > 0 && choices.length > 0) faults.push(() => this.#stall());

    if (faults.length > 0 && this.#random() < 0.06) this.#pick(faults)();
    else if (choices.length > 0) this.#pick(choices)();
    else {
      await this.#assertNoFalseAlarm();
      if (!this.#passTime()) return false;
    }
    await this.#settle();
    return true;
  }

  #spawn(): Process {
    const name = `p${this.#made++}`;
    const clock = new SkewedClock(
      this.clock,
      Math.round((this.#random() - 0.5) * 2 * this.faults.skewMs),
      () => process.alive,
    );
    const ports = this.#portsOf(() => process, clock, name);
    const process: Process = {
      name,
      ports,
      clock,
      worker: createWorker({ workflows: this.#workflows, ports, instanceId: name }),
      alive: true,
      handling: 0,
    };
    return process;
  }

  #portsOf(process: () => Process, clock: Clock, name: string, diesAtMs = Number.POSITIVE_INFINITY): Ports {
    const call: Call = <T>(label: string, perform: () => T, isWrite = false): Promise<T> =>
      this.#gate(process(), label, isWrite, perform, diesAtMs) as Promise<T>;
    return {
      clock,
      random: {
        fraction: () => this.#random(),
        id: () => `${name}${(this.#ids++).toString(36)}`,
        secret: () => `secret-${this.#ids++}`,
      },
      logger: silent,
      queue: {
        send: (messages) =>
          call(`send ${messages.map(({ message }) => describe(message)).join(", ")}`, () => {
            for (const outgoing of messages) this.#enqueue(outgoing);
          }),
      },
      store: withBlobs(this.#storeOf(call, name), this.#blobsOf(call)),
    };
  }

  #storeOf(call: Call, name: string): RunStore {
    return {
      update: (runId, transition) =>
        call(`write ${runId} ${JSON.stringify(transition.set)}`, () => this.#update(runId, transition, name), true),
      remove: (runId, guard) => call(`remove ${runId}`, () => this.#remove(runId, guard), true),
      removeRest: (runId) =>
        call(`remove rest of ${runId}`, () => {
          this.#removeBeside(runId);
          this.#removals.delete(runId);
        }),
      get: (runId) => call("read", () => this.runs.get(runId)),
      load: (runId) =>
        call("load", () => {
          const fields = this.runs.get(runId);
          return fields === undefined ? undefined : { fields, payloads: this.#payloadsOf(runId), larger: new Map() };
        }),
      putPayload: (runId, key, json) =>
        call(`put ${key}`, () => {
          const at = `${runId}/${key}`;
          if (!isRunId(runId) && this.#payloads.has(at) && this.#payloads.get(at) !== json) {
            this.#fail(`${at} was written with two contents`);
          }
          if (!this.#payloads.has(at)) this.#payloads.set(at, json);
        }),
      getPayloads: (runId, keys) =>
        call("payloads", () => new Map([...this.#payloadsOf(runId)].filter(([key]) => keys.includes(key)))),
      putGraph: (workflow, fingerprint, json) =>
        call("put graph", () => {
          this.#graphs.set(`${workflow}#${fingerprint}`, json);
        }),
      getGraph: (workflow, fingerprint) => call("graph", () => this.#graphs.get(`${workflow}#${fingerprint}`)),
    };
  }

  #blobsOf(call: Call): BlobStore {
    return {
      put: (key, text) => call(`put blob ${key}`, () => void this.#blobs.set(key, text)),
      get: (key) => call(`blob ${key}`, () => this.#blobs.get(key)),
      removeAll: (runId) =>
        call(`remove blobs of ${runId}`, () => {
          for (const key of this.#blobs.keys()) if (key.startsWith(`${runId}/`)) this.#blobs.delete(key);
        }),
    };
  }

  #remove(runId: string, guard: readonly Condition[]): boolean {
    const before = this.runs.get(runId);
    if (before === undefined || applyTransition({ guard, set: {} }, before) === undefined) return false;
    if (!isTerminal(decodeRun(runId, before).status)) this.#fail(`R2: ${runId} was removed and has not ended`);
    this.runs.delete(runId);
    this.#removals.set(runId, before);
    this.#removeBeside(runId);
    return true;
  }

  /** Whoever does it may die in between, and somebody else does it again. `false`: none is to be finished. */
  finishRemovals(): boolean {
    for (const [runId, last] of this.#removals) {
      const process = this.#pick(this.#processes);
      this.trace.push(`${process.name}: finish the removal of ${runId}`);
      const removal = createRemoval({ workflows: this.#workflows, ports: process.ports });
      removal.afterRemove(runId, last).catch((error: unknown) => {
        this.trace.push(`${process.name}: could not finish it: ${String(error)}`);
      });
    }
    return this.#removals.size > 0;
  }

  /** What is left of runs that are gone. */
  leftovers(): string[] {
    const stored = [...this.#payloads.keys(), ...this.#blobs.keys()].filter((key) => {
      return isRunId(key.slice(0, key.indexOf("/"))) && !this.runs.has(key.slice(0, key.indexOf("/")));
    });
    const runs = [...this.runs].flatMap(([runId, fields]) => {
      const run = isRunId(runId) ? decodeRun(runId, fields) : undefined;
      if (run?.parent === undefined || this.runs.has(parentRunId(runId))) return [];
      return run.retentionMs === undefined ? [`${runId}, which is ${run.status} and never expires`] : [];
    });
    return [...stored, ...runs];
  }

  #removeBeside(runId: string): void {
    if (this.runs.has(runId)) return;
    for (const key of this.#payloads.keys()) if (key.startsWith(`${runId}/`)) this.#payloads.delete(key);
  }

  #payloadsOf(runId: string): Map<string, string> {
    const prefix = `${runId}/`;
    const own = [...this.#payloads].filter(([key]) => key.startsWith(prefix));
    return new Map(own.map(([key, json]) => [key.slice(prefix.length), json]));
  }

  #gate(
    process: Process,
    label: string,
    isWrite: boolean,
    perform: () => unknown,
    diesAtMs = Number.POSITIVE_INFINITY,
  ): Promise<unknown> {
    return new Promise((resolve, reject) => {
      // A dead process never goes on: its calls neither act nor answer.
      if (process.alive) this.#gates.push({ process, label, isWrite, perform, resolve, reject, diesAtMs });
    });
  }

  #open(gate: Gate, times: "once" | "twice" | "never"): void {
    this.#gates = this.#gates.filter((one) => one !== gate);
    this.#current = gate.process;
    if (times === "never") {
      this.faults.failures--;
      this.trace.push(`${gate.process.name}: FAILS ${gate.label}`);
      gate.reject(new Error("the port failed on purpose"));
      return;
    }
    this.trace.push(`${gate.process.name}: ${gate.label}`);
    let answer = gate.perform();
    if (times === "twice") {
      this.faults.lostResponses--;
      this.trace.push(`${gate.process.name}: LOST RESPONSE, repeated`);
      answer = gate.perform();
    }
    gate.resolve(answer);
  }

  #deliver(message: StoredMessage, process: Process): void {
    const delivery = this.#deliveries++;
    message.heldBy = delivery;
    message.receiveCount++;
    message.visibleAtMs = this.clock.now() + 40_000;
    process.handling++;
    this.#current = process;
    this.trace.push(`${process.name}: receives ${describe(message.body)} (#${message.receiveCount})`);
    const isOurs = (): boolean => process.alive && message.heldBy === delivery;
    const disposed = (disposition: Disposition): void => {
      process.handling--;
      this.trace.push(`${process.name}: ${JSON.stringify(disposition)} for ${describe(message.body)}`);
      if (!isOurs()) return;
      message.heldBy = undefined;
      if (disposition.kind === "redeliver") message.visibleAtMs = this.clock.now() + disposition.delayMs;
      else this.messages = this.messages.filter((one) => one !== message);
      if (disposition.kind === "deadLetter") throw new Violation(`dead letter: ${disposition.reason}`);
    };
    const extend = (visibleInMs: number): Promise<void> =>
      this.#gate(process, "extend", false, () => {
        if (isOurs()) message.visibleAtMs = this.clock.now() + visibleInMs;
      }) as Promise<void>;
    process.worker
      .handle({ body: message.body, receiveCount: message.receiveCount, extend })
      .catch((): Disposition => ({ kind: "redeliver", delayMs: 1_000 }))
      .then(disposed)
      .catch((error: unknown) => {
        this.#violation ??= error instanceof Error ? error : new Error(String(error));
      });
  }
  #violation: Error | undefined;

  #duplicate(message: StoredMessage): void {
    this.faults.duplicates--;
    this.trace.push(`VISIBLE AGAIN: ${describe(message.body)}`);
    message.heldBy = undefined;
    message.visibleAtMs = this.clock.now();
  }

  #crash(process: Process): void {
    this.faults.crashes--;
    this.trace.push(`${process.name}: CRASHES`);
    process.alive = false;
    this.#gates = this.#gates.filter((gate) => gate.process !== process);
    this.#processes = this.#processes.map((one) => (one === process ? this.#spawn() : one));
  }

  #stall(): void {
    this.faults.stalls--;
    const untilMs = this.clock.now() + Math.round(this.#random() * 90_000);
    this.trace.push(`STALL of ${untilMs - this.clock.now()} ms`);
    this.#timePasses(untilMs);
  }

  /** To the next moment at which something happens by itself. */
  #passTime(): boolean {
    // Those that are visible already wait for a process that has a hand free: only time frees one.
    const times = this.messages.map(({ visibleAtMs }) => visibleAtMs).filter((atMs) => atMs > this.clock.now());
    const timer = this.clock.nextTimerAtMs();
    if (timer !== undefined) times.push(timer);
    times.push(...this.outsiders.times());
    if (times.length === 0) return false;
    this.#timePasses(Math.max(this.clock.now(), Math.min(...times)));
    return true;
  }

  #timePasses(untilMs: number): void {
    this.clock.jumpTo(untilMs);
    this.#gates = this.#gates.filter((gate) => gate.diesAtMs > untilMs);
    for (const message of this.messages) if (message.visibleAtMs <= untilMs) message.heldBy = undefined;
  }

  #enqueue({ message, delayMs }: OutgoingMessage): void {
    if ((message.hops ?? 0) > hopsMost) this.#fail(`${describe(message)} is sent after ${message.hops} in vain`);
    const id = this.#deliveries++;
    const body: unknown = JSON.parse(JSON.stringify(message));
    this.messages.push({
      id,
      body,
      visibleAtMs: this.clock.now() + delayMs,
      heldBy: undefined,
      receiveCount: 0,
      failures: 0,
    });
  }

  #update(runId: string, transition: Transition, writer: string): WriteResult {
    const before = this.runs.get(runId);
    const after = applyTransition(transition, before);
    if (after === undefined) return { applied: false, fields: before };
    this.writes++;
    this.runs.set(runId, after);
    if (isRunId(runId)) this.#check(runId, before, after, writer);
    else this.#assertNone(this.#faultOfShared(runId, before, after));
    return { applied: true, fields: after };
  }

  #faultOfShared(id: string, before: Fields | undefined, after: Fields): string | undefined {
    if (id.startsWith("rate#")) return this.#rates.written(id, before, after);
    const limit = this.#workflows.find(({ name }) => id.startsWith(`gate#${name}#`))?.concurrency?.limit;
    return limit === undefined ? `nobody knows ${id}` : faultOfGate(id, limit, before, after);
  }

  #assertNone(fault: string | undefined): void {
    if (fault !== undefined) this.#fail(fault);
  }

  #check(runId: string, before: Fields | undefined, after: Fields, writer: string): void {
    const was = before === undefined ? undefined : decodeRun(runId, before);
    const is = decodeRun(runId, after);
    const graph = this.graphOf(is);
    const workflow = this.#workflows.find(({ name }) => name === is.workflow);
    const isRedrive = was !== undefined && is.epoch === was.epoch + 1;
    if (was !== undefined && isTerminal(was.status) && !isRedrive) this.#fail("R2: a terminal run changed");
    if (isRedrive && !isTerminal(was.status)) this.#fail("R2: an open run was redriven");
    this.#assertNone(faultOfExpiry(was, is));
    const event = lifecycleEvent(runId, before, after);
    if (event !== undefined) {
      if (this.eventIds.has(event.id)) this.#fail(`R9: event id ${event.id} twice`);
      this.eventIds.add(event.id);
    }
    if (is.status === "succeeded" || is.status === "failed") {
      const left = graph.steps.findIndex(
        (_step, index) => decodeStep(String(after[`s${index}`] ?? ""))?.status === "running",
      );
      if (left !== -1) this.#fail(`R2: the run is ${is.status} while step ${left} runs`);
    }
    // The part of a map goes on in the turn of its run.
    if (workflow !== undefined && graph.shard === undefined)
      this.#assertNone(faultOfTurn(this.runs, workflow, was, is));
    if (JSON.stringify(after).includes("secret-")) this.#fail("the secret of a task token was stored");
    this.#checkSignals(was, is);
    this.#checkInterrupts(was, is);
    if (graph.shard !== undefined) this.#checkConcurrency(is, graph.shard.map);
    this.#checkPayloads(is);
    if (was === undefined && is.forkedFrom !== undefined) {
      this.#checkFork(graph, is, is.forkedFrom);
      return;
    }
    this.#checkChildren(graph, was, is);
    graph.steps.forEach((step, index) => {
      this.#checkStep(graph, was, is, index, step.retry.maxAttempts);
      // A run that the step started, and whoever holds its token, ends the attempt from outside.
      const isAnswer = step.kind === "callback" && this.#checkToken(was, is, index);
      if (!isAnswer && !startsRun(step)) this.#checkFence(was?.steps[index], is.steps[index], index, writer);
      this.#checkFence(was?.undos[index], is.undos[index], index, writer);
    });
    this.#checkUndos(graph, was, is, isRedrive);
  }

  /** Undoing: after all that was in flight, in reverse order, once, and of nothing that plainly failed. */
  #checkUndos(graph: Graph, was: RunState | undefined, is: RunState, isRedrive: boolean): void {
    graph.steps.forEach((step, index) => {
      const before = was?.undos[index];
      const after = is.undos[index];
      if (JSON.stringify(before) === JSON.stringify(after)) return;
      const at = `the undoing of step ${index}`;
      if (after === undefined) {
        if (!isRedrive) this.#fail(`R6: ${at} lost its state`);
        return;
      }
      // What a fork has taken over is not its own to undo.
      if (was === undefined && after.status === "skipped" && is.forkedFrom !== undefined) return;
      if (hasEnded(before)) this.#fail(`R6: ${at} had ended and changed`);
      const maxAttempts = step.compensate?.retry.maxAttempts ?? 0;
      if (maxAttempts !== "unlimited" && after.attempt > maxAttempts) {
        this.#fail(`R3: ${at} made attempt ${after.attempt} of ${maxAttempts}`);
      }
      if (Math.abs(after.attempt - (before?.attempt ?? 0)) > 1) this.#fail(`R3: ${at} left out an attempt`);
      if (before === undefined) this.#checkUndoBegins(graph, was, is, index);
      if (after.status === "succeeded" && before?.status !== "running") this.#fail(`R4: ${at} was not claimed`);
    });
    const hasEndedBadly = was !== undefined && isTerminal(is.status) && is.status !== "succeeded";
    if (!hasEndedBadly || this.#terminated.has(is.runId)) return;
    graph.steps.forEach((step, index) => {
      const stored = decodeStep(String(this.runs.get(is.runId)?.[`s${index}`] ?? ""));
      if (step.compensate !== undefined && stored?.status === "backing_off" && stored.mayHaveActed === true) {
        this.#fail(`step ${index} may have taken effect, and the run is ${is.status} without having undone it`);
      }
      const isStuck = [...this.#after(graph, index)].some((later) => is.undos[later]?.status === "failed");
      if (this.#mayHaveTakenEffect(graph, is, index) && !hasEnded(is.undos[index]) && !isStuck) {
        this.#fail(`the run is ${is.status} and step ${index} was not undone`);
      }
    });
  }

  #checkUndoBegins(graph: Graph, was: RunState | undefined, is: RunState, index: number): void {
    const at = `step ${index}`;
    if (was?.status !== "unwinding") this.#fail(`${at} was undone while the run was ${was?.status}`);
    const status = is.steps[index]?.status;
    if (status !== "succeeded" && status !== "unknown") this.#fail(`${at} was undone, and it is ${status}`);
    const busy = is.steps.findIndex((step, other) => {
      // Of a step that was ended by hand, or that a redrive repeats and that has not begun, nobody waits for the child.
      const hasChild = step !== undefined && is.byHand?.[other] === undefined;
      return step?.status === "running" || (hasChild && this.#isAtWork(graph, is, other));
    });
    if (busy !== -1) this.#fail(`${at} was undone while step ${busy} runs`);
    for (const later of this.#after(graph, index)) {
      const isUndone = !this.#mayHaveTakenEffect(graph, is, later) || is.undos[later]?.status === "succeeded";
      if (!isUndone) this.#fail(`${at} was undone before step ${later}, which came after it`);
    }
  }

  #mayHaveTakenEffect(graph: Graph, is: RunState, index: number): boolean {
    const status = is.steps[index]?.status;
    if (graph.steps[index]?.compensate === undefined || is.undos[index]?.status === "skipped") return false;
    return status === "succeeded" || status === "unknown";
  }

  #after(graph: Graph, index: number): ReadonlySet<number> {
    const after = new Set<number>();
    graph.steps.forEach((step, at) => {
      if (dependencies(step).some((dependency) => dependency === index || after.has(dependency))) after.add(at);
    });
    return after;
  }

  /** What a fork keeps is its original's, to the letter; the rest, and all that depends on its step, has not begun. */
  #checkFork(graph: Graph, is: RunState, { runId, from }: ForkOrigin): void {
    const original = decodeRun(runId, this.runs.get(runId) ?? {});
    const dependsOnStep = (index: number): boolean => {
      const step = graph.steps[index];
      return step?.id === from || (step !== undefined && dependencies(step).some(dependsOnStep));
    };
    is.steps.forEach((step, index) => {
      // Without an attempt, it was settled just now.
      if (step === undefined || step.attempt === 0) return;
      if (dependsOnStep(index)) this.#fail(`R7: a fork from ${from} keeps step ${index}, which depends on it`);
      if (step.status !== "succeeded" && step.status !== "skipped" && step.status !== "failed") {
        this.#fail(`R4: a fork keeps step ${index}, which is ${step.status}`);
      }
      // A failure that was tolerated may have been repeated since, and what was undone has begun anew.
      const isAnew =
        original.generations[index] === original.epoch &&
        JSON.stringify(original.steps[index]) !== JSON.stringify(step);
      if (step.status === "failed" || isAnew) return;
      const before = [original.steps[index], this.#contentOf(original, index), original.byHand?.[index]];
      const kept = [step, this.#contentOf(is, index), is.byHand?.[index]];
      if (JSON.stringify(kept) !== JSON.stringify(before))
        this.#fail(`R6: a fork keeps step ${index} otherwise than it is`);
      if (step.status === "succeeded") this.successes.set(`${is.runId}/${index}`, 1);
    });
  }

  #contentOf(run: RunState, index: number): string | undefined {
    const output = run.outputs[index];
    if (output === undefined) return undefined;
    return "key" in output ? this.#payloads.get(`${run.runId}/${output.key}`) : output.json;
  }

  #checkStep(
    graph: Graph,
    was: RunState | undefined,
    is: RunState,
    index: number,
    maxAttempts: number | "unlimited",
  ): void {
    const before = was?.steps[index];
    const after = is.steps[index];
    const at = `step ${index}`;
    const isRedrive = was !== undefined && was.epoch !== is.epoch;
    if (is.byHand?.[index] !== undefined && !hasEnded(after)) this.#fail(`R6: ${at} was ended by hand and is repeated`);
    if (after === undefined) {
      if (before !== undefined && !isRedrive) this.#fail(`R6: ${at} lost its state`);
      // Only what was undone, or built on that, is done again.
      const isAnew = is.generations[index] === is.epoch && isRedrive;
      if (before?.status === "succeeded" && !isAnew) this.#fail(`R6: ${at} had succeeded and was forgotten`);
      if (isAnew) this.successes.delete(`${is.runId}/${index}`);
      return;
    }
    if (before?.status === "succeeded" && JSON.stringify(was?.outputs[index]) !== JSON.stringify(is.outputs[index])) {
      this.#fail(`R6: the output of ${at} changed after it had succeeded`);
    }
    if (isRedrive && is.byHand?.[index] !== was.byHand?.[index]) {
      this.#checkByHand(is, index, before, after);
      return;
    }
    if (isRedrive && is.status === "running" && was.undos[index]?.status === "succeeded")
      this.#fail(`${at} was undone and is kept as done`);
    if (isRedrive && JSON.stringify(before) !== JSON.stringify(after)) {
      this.#fail(`R6: ${at} was changed by a redrive instead of repeated`);
    }
    if (hasEnded(before) && JSON.stringify(before) !== JSON.stringify(after))
      this.#fail(`R6: ${at} had ended and changed`);
    const steps = after.attempt - (before?.attempt ?? 0);
    if (steps > 1 || steps < -1) this.#fail(`R3: ${at} went from attempt ${before?.attempt ?? 0} to ${after.attempt}`);
    if (maxAttempts !== "unlimited" && after.attempt > maxAttempts)
      this.#fail(`R3: ${at} made attempt ${after.attempt} of ${maxAttempts}`);
    if (after.status === "succeeded" && before?.status !== "succeeded") {
      const count = (this.successes.get(`${is.runId}/${index}`) ?? 0) + 1;
      this.successes.set(`${is.runId}/${index}`, count);
      if (before?.status !== "running" && before?.status !== "waiting")
        this.#fail(`R4: ${at} succeeded without a claim`);
      if (count > 1) this.#fail(`R6: ${at} succeeded twice`);
      if (is.outputs[index] === undefined) this.#fail(`R6: ${at} succeeded without an output`);
    }
    const begins = after.status === "running" && (before?.status !== "running" || before.owner !== after.owner);
    const step = graph.steps[index];
    if (begins && step !== undefined) {
      if (was?.status !== "running") this.#fail(`R2: ${at} was claimed while the run was ${was?.status}`);
      if (readiness(step, is.steps) !== "ready")
        this.#fail(`R7: ${at} was claimed when it was ${readiness(step, is.steps)}`);
    }
  }

  /** Only what did not end well is ended by hand, and somebody answers for it. */
  #checkByHand(is: RunState, index: number, before: StepState | undefined, after: StepState): void {
    const at = `step ${index}`;
    if (!["failed", "unknown", "cancelled"].includes(before?.status ?? "pending"))
      this.#fail(`R6: ${at} was ${before?.status} and is ended by hand`);
    if (!["succeeded", "skipped"].includes(after.status) || after.attempt !== before?.attempt)
      this.#fail(`R3: ${at} is ${after.status} by hand, at attempt ${after.attempt}`);
    const record = this.#payloads.get(`${is.runId}/hand#${index}#${is.byHand?.[index]}`);
    if (record === undefined) this.#fail(`R6: nobody answers for ${at}, which was ended by hand`);
    if (after.status === "succeeded") {
      this.successes.set(`${is.runId}/${index}`, 1);
      if (this.#contentOf(is, index) !== (JSON.parse(record) as { reason: string }).reason)
        this.#fail(`R6: ${at} was ended by hand with the output of somebody else`);
    }
  }

  /** A run refers to nothing that is not stored, wherever its content is. */
  #checkPayloads(is: RunState): void {
    for (const payload of [is.input, ...is.outputs, ...is.signals.map((signal) => signal?.payload)]) {
      if (payload === undefined || !("key" in payload)) continue;
      const stored = this.#payloads.get(`${is.runId}/${payload.key}`);
      if (stored === undefined) this.#fail(`R6: the run refers to ${payload.key}, which is not stored`);
      const [, blob] = /^@blob:\d+:(.*)$/.exec(stored) ?? [];
      if (blob !== undefined && !this.#blobs.has(`${is.runId}/${blob}`)) {
        this.#fail(`R6: the run refers to ${payload.key}, whose blob is not stored`);
      }
    }
  }

  /** A signal is taken once, and is the output of the step that took it. */
  #checkSignals(was: RunState | undefined, is: RunState): void {
    was?.signals.forEach((before, index) => {
      const after = is.signals[index];
      const isAnew = was.epoch !== is.epoch && is.generations[index] === is.epoch;
      if (isAnew) return;
      if (before !== undefined && after?.id !== before.id)
        this.#fail(`R6: the signal of step ${index} was replaced or lost`);
      // A kept signal is taken when its step begins to wait; the step cannot end without it.
      const step = is.steps[index];
      if (before?.payload !== undefined && after?.payload !== undefined && hasEnded(step) && step.attempt > 0) {
        if (is.status === "running" || is.status === "paused")
          this.#fail(`R6: step ${index} ended without the signal that was kept for it`);
      }
      const isWaiting = after?.payload !== undefined && step?.status === "waiting";
      if (isWaiting) this.#fail(`R6: step ${index} waits although its signal is there`);
      const isTaken = before?.payload !== undefined && after?.payload === undefined;
      if (isTaken && is.steps[index]?.status !== "succeeded")
        this.#fail(`R6: the signal of step ${index} was taken by nobody`);
    });
  }

  /** Answers are kept in their order, one for each question, and a step is parked exactly while it asks. */
  #checkInterrupts(was: RunState | undefined, is: RunState): void {
    is.interrupts.forEach((after, index) => {
      const before = was?.interrupts[index];
      const given = before?.answers ?? [];
      if (after === undefined || after === before) return;
      if (JSON.stringify(after.answers.slice(0, given.length)) !== JSON.stringify(given))
        this.#fail(`R6: step ${index} lost an answer`);
      if (after.answers.length > given.length + (before?.pending === undefined ? 0 : 1))
        this.#fail(`R6: step ${index} has an answer without a question`);
      const [from, to] = [was?.steps[index], is.steps[index]];
      if (from?.status === "running" && to?.status === "waiting" && to.attempt !== from.attempt - 1)
        this.#fail(`R3: step ${index} used attempt ${from.attempt} up with a question`);
      const status = to?.status;
      if (after.pending !== undefined && status !== "waiting" && isBeforeEnd(is.status))
        this.#fail(`R5: step ${index} is ${status} while its question is open`);
    });
  }

  /** An attempt has a token of its own, and what ends it from outside takes the token. Whether it is such an end. */
  #checkToken(was: RunState | undefined, is: RunState, index: number): boolean {
    const [before, after] = [was?.steps[index], is.steps[index]];
    if (was !== undefined && was.epoch !== is.epoch) return false;
    const isNewToken = was?.tokens[index] !== is.tokens[index];
    const begins = after?.status === "running" && (before?.status !== "running" || before.owner !== after.owner);
    if (begins && !isNewToken) this.#fail(`R7: attempt ${after.attempt} of step ${index} has the token of another`);
    if (begins) return false;
    if (after?.status === "succeeded" && before?.status !== "succeeded" && !isNewToken)
      this.#fail(`R6: step ${index} succeeded and its token is as it was`);
    if (!isNewToken) return false;
    const isOpen = before?.status === "running" || before?.status === "waiting";
    if (!isOpen || after?.status === "running" || after?.status === "waiting")
      this.#fail(`R6: the token of step ${index} was taken, and its attempt goes on`);
    return true;
  }

  /** A step has its child's end, and a run that has unwound has none of its children still at work. */
  #checkChildren(graph: Graph, was: RunState | undefined, is: RunState): void {
    graph.steps.forEach((step, index) => {
      if (!startsRun(step)) return;
      const childId = childRunId(graph, is, index);
      const fields = this.runs.get(childId);
      const child = fields === undefined ? undefined : decodeRun(childId, fields);
      const before = was?.steps[index];
      const after = is.steps[index];
      // A run that unwinds asks whether the lost worker had started it.
      if (after?.status === "waiting" && child === undefined && is.status !== "unwinding")
        this.#fail(`R5: step ${index} waits for a child that is not there`);
      if (
        after?.status === "succeeded" &&
        before?.status !== "succeeded" &&
        is.byHand?.[index] === undefined &&
        step.kind !== "map" &&
        child?.status !== "succeeded"
      )
        this.#fail(`R6: step ${index} succeeded, and its child is ${child?.status}`);
      const hasMapped = after?.status === "succeeded" && before?.status !== "succeeded";
      if (step.kind === "map" && hasMapped) this.#checkMap(childId, index, is);
      const hasFailed = after?.status === "failed" || after?.status === "unknown";
      const isFailed = hasFailed && before?.status === "waiting" && was?.epoch === is.epoch;
      // In a run that unwinds, the last attempt may have been lost before it took the child over from an earlier one.
      const hasEndedBadly =
        was?.status === "unwinding"
          ? [...this.#badEnds].some((end) => end.startsWith(`${childId} `))
          : this.#badEnds.has(`${childId} ${is.epoch}.${after?.attempt}`);
      // A worker that stalls may start it after it was looked for; the end of the run meets it then.
      const error = this.#payloads.get(`${is.runId}/err#${index}#${is.epoch}.${after?.attempt}`);
      const wasNotThere = was?.status === "unwinding" && error?.includes("was not started any more") === true;
      if (isFailed && !hasEndedBadly && !wasNotThere) this.#fail(`R6: step ${index} failed, and its child has not`);
      const hasUnwound = was?.status === "unwinding" && isTerminal(is.status) && !this.#terminated.has(is.runId);
      if (hasUnwound && !hasEnded(before) && this.#isAtWork(graph, is, index))
        this.#fail(`the run has unwound, and child ${index} is at work`);
    });
    const { parent } = is;
    if (parent !== undefined && isTerminal(is.status) && is.status !== "succeeded")
      this.#badEnds.add(`${is.runId} ${parent.epoch}.${parent.attempt}`);
    if (parent !== undefined && was === undefined && this.runs.has(parentRunId(is.runId))) {
      const starter = decodeRun(parentRunId(is.runId), this.runs.get(parentRunId(is.runId)) ?? {});
      // Unless the parent has been redriven since: then its step takes the child over when it begins.
      if (starter.epoch === parent.epoch && starter.steps[parent.step] === undefined)
        this.#fail(`${is.runId} was started by a step that has not begun`);
    }
  }

  /** Whether the step's child must end before its run has unwound, and has not. */
  #isAtWork(graph: Graph, is: RunState, index: number): boolean {
    const childId = childRunId(graph, is, index);
    const fields = this.runs.get(childId);
    if (fields === undefined || !endsWithParent(graph.steps[index])) return false;
    const child = decodeRun(childId, fields);
    // One whose end was taken may have been redriven by hand; it ends with its parent, too, and nobody waits for it.
    const hasEndedBefore = this.#badEnds.has(`${childId} ${child.parent?.epoch}.${child.parent?.attempt}`);
    return !isTerminal(child.status) && !hasEndedBefore;
  }

  /** Also of a shard. */
  graphOf({ workflow, fingerprint }: RunState): Graph {
    const own = this.#workflows.find(({ name }) => name === workflow)?.graph;
    const shard = parseShardFingerprint(fingerprint);
    const graph = own === undefined || shard === undefined ? own : deriveGraph(own, shard);
    if (graph === undefined) throw new Violation(`There is no graph ${fingerprint} of workflow ${workflow}`);
    return graph;
  }

  /** A map tells of each of its items, once: what its leaves say is what it says. */
  #checkMap(runId: string, index: number, is: RunState): void {
    const output = is.outputs[index];
    const json =
      output !== undefined && "key" in output ? this.#payloads.get(`${is.runId}/${output.key}`) : output?.json;
    if (json === undefined) return this.#fail(`map ${index} of ${is.runId} has no output`);
    const told = JSON.parse(json) as MapSummary;
    let ended = 0;
    let failures = 0;
    for (const [id, fields] of this.runs) {
      if (id !== runId && !id.startsWith(`${runId}.`)) continue;
      const leaf = decodeRun(id, fields);
      // Repeated by hand since it told.
      if (leaf.epoch > 0) return;
      this.graphOf(leaf).steps.forEach((step, at) => {
        const status = leaf.steps[at]?.status;
        if (step.kind === "shard") return;
        if (status === "succeeded" || status === "failed") ended++;
        if (status === "failed") failures++;
      });
    }
    if (told.items !== ended || told.failures !== failures)
      this.#fail(`map ${index} tells ${JSON.stringify(told)}, and its leaves ${ended} items and ${failures} failures`);
  }

  /** Never more items are in flight than the map allows, in all of its shards together. */
  #checkConcurrency(is: RunState, mapId: string): void {
    const base = this.#workflows.find(({ name }) => name === is.workflow)?.graph;
    const map = base?.steps.find(({ id }) => id === mapId);
    if (map?.kind !== "map" || map.concurrency === undefined) return;
    const root = `${mapRunId(is.runId)}~${mapId}`;
    let inFlight = 0;
    for (const [id, fields] of this.runs) {
      if (id !== root && !id.startsWith(`${root}.`)) continue;
      const shard = decodeRun(id, fields);
      // A shard that a person redrives by hand knows nothing of the others.
      if (shard.epoch > 0) return;
      this.graphOf(shard).steps.forEach((step, at) => {
        const status = shard.steps[at]?.status;
        if (step.kind !== "shard" && (status === "running" || status === "backing_off")) inFlight++;
      });
    }
    if (inFlight > map.concurrency) this.#fail(`${inFlight} items of ${root} are in flight, not ${map.concurrency}`);
  }

  /** Whether the step, which waits, waits for a signal alone. */
  awaitsSignal(run: RunState, index: number): boolean {
    const state = run.steps[index];
    const step = this.graphOf(run).steps[index];
    return step?.kind === "signal" && state?.status === "waiting" && state.wakeAtMs === undefined;
  }

  /** Runs that have not ended, though their parents have, and end with them. */
  orphans(): string[] {
    return [...this.runs].flatMap(([runId, fields]) => {
      if (!isRunId(runId)) return [];
      const run = decodeRun(runId, fields);
      if (run.parent === undefined || isTerminal(run.status) || !this.runs.has(parentRunId(runId))) return [];
      // It had ended, and was redriven by hand since.
      if (this.#badEnds.has(`${runId} ${run.parent.epoch}.${run.parent.attempt}`)) return [];
      const parent = decodeRun(parentRunId(runId), this.runs.get(parentRunId(runId)) ?? {});
      const isLeft = !endsWithParent(this.graphOf(parent).steps[run.parent.step]);
      return isTerminal(parent.status) && parent.status !== "succeeded" && !isLeft ? [runId] : [];
    });
  }

  /** A commit is by the owner of the attempt, and whoever takes over makes the next attempt. */
  #checkFence(before: StepState | undefined, after: StepState | undefined, index: number, writer: string): void {
    if (before?.status !== "running" || after === undefined || after === before) return;
    if (after.status === "running" && after.owner !== before.owner && after.attempt !== before.attempt + 1) {
      this.#fail(`R3: step ${index} was taken over at attempt ${before.attempt} as attempt ${after.attempt}`);
    }
    const isCommit = ["succeeded", "skipped", "backing_off", "waiting"].includes(after.status);
    if (isCommit && !before.owner.startsWith(`${writer}-`)) {
      this.#fail(`R4: step ${index} of ${before.owner} was committed by ${writer}`);
    }
  }

  #fail(message: string): never {
    this.#violation ??= new Violation(message);
    throw this.#violation;
  }

  async #settle(): Promise<void> {
    await new Promise<void>((resolve) => {
      setImmediate(resolve);
    });
    if (this.#violation !== undefined) throw this.#violation;
  }

  #pick<T>(from: readonly T[]): T {
    return from[Math.floor(this.#random() * from.length)] as T;
  }
}

class SkewedClock implements Clock {
  readonly #clock: VirtualClock;
  readonly #skewMs: number;
  readonly #isAlive: () => boolean;

  constructor(clock: VirtualClock, skewMs: number, isAlive: () => boolean) {
    this.#clock = clock;
    this.#skewMs = skewMs;
    this.#isAlive = isAlive;
  }

  now(): number {
    return this.#clock.now() + this.#skewMs;
  }

  after(delayMs: number, callback: () => void): () => void {
    return this.#clock.after(delayMs, () => {
      if (this.#isAlive()) callback();
    });
  }
}

function describe(body: unknown): string {
  const { kind, runId, step, attempt, wakeAtMs } = body as {
    kind: string;
    runId: string;
    step?: number;
    attempt?: number;
    wakeAtMs?: number;
  };
  const at = step === undefined ? "" : ` s${step}`;
  return kind === "step" ? `${runId} s${step}@${attempt}${wakeAtMs === undefined ? "" : "!"}` : `${runId} ${kind}${at}`;
}
