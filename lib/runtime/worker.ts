/**
 * The delivery rule (design: claim, run user code, commit, send effects, only then acknowledge). One call handles one
 * delivery of one message; `lib/engine` decides, this does.
 *
 * Invariants:
 * 1. A message is acknowledged only when everything that it stands for is committed and sent on, or cannot matter (R5).
 * 2. Whatever `handle` throws is the engine's own failure: the message comes back. User code never makes it throw.
 * 3. What cannot be read is never written to, and delays nobody else: its message comes back, and ends as a dead letter.
 */
import type { Graph } from "../definition/graph.ts";
import { limits } from "../definition/limits.ts";
import type { Workflow } from "../definition/workflow.ts";
import { archive } from "../engine/archive.ts";
import { commit, giveUp, type Outcome } from "../engine/commit.ts";
import { StoredShapeError } from "../engine/field-reader.ts";
import type { DeadlineMessage, Message, NudgeMessage, SlotMessage, StepMessage } from "../engine/message.ts";
import { timeOut } from "../engine/operate.ts";
import { payloadKey } from "../engine/placement.ts";
import { isTerminal, type RunError } from "../engine/run-state.ts";
import { type Attempt, stateOn, type Track } from "../engine/track.ts";
import type { Transition } from "../engine/transition.ts";
import { RunningAttempt } from "./attempt.ts";
import { endChild, takeChildEnd } from "./child-messages.ts";
import { type ClaimedStep, claimStep, keepError, park, runMissing } from "./claim-step.ts";
import { Definitions } from "./definitions.ts";
import { advanceAll, advanceBecauseOf, tellWaiters } from "./effects.ts";
import { countHops, runawayReason } from "./hops.ts";
import { ContendedRunError, change, type Image, imageOf } from "./image.ts";
import { Lease, withDetails } from "./lease.ts";
import { parseMessage } from "./message-codec.ts";
import { performStep, type StepWork } from "./perform-step.ts";
import { performUndo } from "./perform-undo.ts";
import type { Delivery, Disposition, Logger, Ports } from "./ports.ts";
import { RateGate } from "./rate-gate.ts";
import { settleAll } from "./settle-all.ts";
import { Slots } from "./slots.ts";
import { idOf, recordError } from "./step-data.ts";
import { compileTaskQueues, type TaskQueueOptions, type TaskQueueRates } from "./task-queues.ts";
import { formatToken, hashSecret } from "./task-token.ts";
import { type TracedAttempt, type TracedFailure, traceAttempt } from "./tracing.ts";
import { archiveIdOf } from "./with-archives.ts";

export interface WorkerOptions {
  /** The only workflows that this worker runs. */
  readonly workflows: readonly Workflow[];
  readonly ports: Ports;
  /** What is said of task queues as a whole, by name. */
  readonly taskQueues?: Readonly<Record<string, TaskQueueOptions>>;
  /** Owners whose process is known to be gone, so that their leases need not be waited for. @default none is known */
  readonly isOwnerGone?: (owner: string) => boolean;
  /** Prefix of this worker's owner names. @default random */
  readonly instanceId?: string;
}

export interface Worker {
  /**
   * Handles one delivery and says what becomes of its message. Throws when a port does, and when it cannot read what is
   * stored or sent: it is another version's, or damaged.
   */
  handle(delivery: Delivery): Promise<Disposition>;
  /** For a message that failed at every delivery: ends its step with the cause, so that its run does not hang. */
  deadLetter(body: unknown, reason: string): Promise<void>;
  /** Tells running attempts of a run that ended; they would notice by themselves at the next renewal of their lease. */
  runEnded(runId: string): void;
  /** The same of a run that was cancelled or timed out and now unwinds: what its attempts still return counts. */
  runUnwinds(runId: string): void;
  /** Asks running attempts to end, and waits for them within bounds. Attempts that stop in time are given back unused. */
  shutdown(graceMs: number): void;
}

export function createWorker(options: WorkerOptions): Worker {
  return new DeliveryWorker(options);
}

const acknowledge: Disposition = { kind: "acknowledge" };

class DeliveryWorker implements Worker {
  readonly #ports: Ports;
  readonly #definitions: Definitions;
  readonly #taskQueues: TaskQueueRates;
  readonly #isOwnerGone: (owner: string) => boolean;
  readonly #instanceId: string;
  readonly #running = new Map<RunningAttempt, { readonly runId: string; readonly track: Track }>();
  /** Owners that are at work in this process. Ours that are not were left behind by a failure: nobody waits for them. */
  readonly #owners = new Set<string>();
  #ownersMade = 0;
  #shutdownGraceMs: number | undefined;

  constructor({ workflows, ports, taskQueues = {}, isOwnerGone = () => false, instanceId }: WorkerOptions) {
    this.#ports = ports;
    this.#definitions = new Definitions(workflows, ports.store);
    this.#taskQueues = compileTaskQueues(taskQueues);
    this.#isOwnerGone = isOwnerGone;
    this.#instanceId = instanceId ?? ports.random.id().slice(0, 8);
  }

  async handle(delivery: Delivery): Promise<Disposition> {
    const parsed = parseMessage(delivery.body);
    if (!parsed.ok) return { kind: "deadLetter", reason: parsed.reason };
    if (this.#shutdownGraceMs !== undefined) return { kind: "redeliver", delayMs: 0 };
    const { message } = parsed;
    const runaway = runawayReason(message);
    if (runaway !== undefined) return { kind: "deadLetter", reason: runaway };
    const ports = countHops(this.#ports, message);
    switch (message.kind) {
      case "step":
      case "undo":
        return this.#handleStep(ports, message, delivery);
      case "nudge":
        return this.#handleNudge(ports, message);
      case "deadline":
        return this.#handleDeadline(ports, message);
      case "slot":
        return this.#handleSlot(ports, message);
      case "childEnded":
        return takeChildEnd(ports, this.#definitions, message, this.#logFor(message));
      case "endChild":
        return endChild(ports, this.#definitions, message, delivery.receiveCount === 1, this.#logFor(message));
    }
  }

  runEnded(runId: string): void {
    for (const [attempt, of] of this.#running) {
      if (of.runId === runId) attempt.abort("run_ended", "The run has ended.");
    }
  }

  runUnwinds(runId: string): void {
    for (const [attempt, of] of this.#running) if (of.runId === runId && of.track === "step") attempt.hurry();
  }

  shutdown(graceMs: number): void {
    this.#shutdownGraceMs = graceMs;
    for (const attempt of this.#running.keys()) attempt.abort("shutdown", "The worker is shutting down.", graceMs);
  }

  async #handleStep(ports: Ports, message: StepMessage, delivery: Delivery): Promise<Disposition> {
    const graph = await this.#definitions.graph(message.workflow, message.fingerprint);
    const log = this.#logFor(message, graph);
    const owner = this.#newOwner();
    this.#owners.add(owner);
    try {
      const { clock, random } = ports;
      const isCallback = message.kind === "step" && graph?.steps[message.step]?.kind === "callback";
      const secret = isCallback ? random.secret() : undefined;
      const by = {
        owner,
        nowMs: clock.now(),
        isOwnerGone: this.#isGone,
        fraction: random.fraction(),
        ...(secret === undefined ? {} : { tokenHash: hashSecret(secret) }),
      };
      const rates = new RateGate(ports, this.#taskQueues);
      const claiming = { by, rates, isFirstTime: delivery.receiveCount === 1 };
      const claimed = await claimStep(ports, this.#definitions, graph, message, claiming, log);
      if (claimed.kind === "done") return claimed.disposition;
      const { work } = claimed;
      const isResumed = message.wakeAtMs !== undefined;
      const { runId, epoch } = work.image.run;
      const token = secret === undefined ? {} : { token: formatToken({ ...work.mine, runId, epoch, secret }) };
      const won = { ...work, isResumed, ...token };
      return await traceAttempt(work.image.run, tracedAttempt(work), (failed, traceId) => {
        const { attempt } = work.mine;
        const ownLog = withFields(log, { attempt, ...(traceId === undefined ? {} : { traceId }) });
        return this.#work(ports, won, delivery, ownLog, failed);
      });
    } finally {
      this.#owners.delete(owner);
    }
  }

  async #work(
    ports: Ports,
    won: ClaimedStep & Pick<StepWork, "isResumed" | "token">,
    delivery: Delivery,
    log: Logger,
    traceFailure: (failure: TracedFailure) => void,
  ): Promise<Disposition> {
    const { graph, image, mine } = won;
    const attempt = new RunningAttempt(ports.clock, log, won.token);
    this.#running.set(attempt, { runId: image.run.runId, track: mine.track });
    const lease = new Lease(ports, delivery, log, image, mine, attempt);
    try {
      if (this.#shutdownGraceMs !== undefined) attempt.abort("shutdown", "The worker is shutting down.");
      log.info("step started");
      const work = {
        ...won,
        ports,
        definitions: this.#definitions,
        slots: this.#slots(ports),
        attempt,
        log,
      };
      const outcome = await (mine.track === "step" ? performStep(work) : performUndo(work));
      const latest = await lease.stop();
      // Still running code of a stopping worker: its lease tells that it was not finished.
      if (outcome === undefined) return { kind: "redeliver", delayMs: 0 };
      if (outcome.kind === "failed") traceFailure(outcome.error);
      return await this.#commit(ports, graph, latest, withDetails(mine, attempt), outcome, log);
    } finally {
      await lease.stop();
      // However the attempt went: also when a port failed, nothing of it outlives this call.
      await this.#drain(attempt, won, delivery, log);
      this.#running.delete(attempt);
    }
  }

  async #commit(
    ports: Ports,
    graph: Graph,
    image: Image,
    mine: Attempt,
    outcome: Outcome,
    log: Logger,
  ): Promise<Disposition> {
    const { store, clock } = ports;
    let current = image;
    for (let tries = 0; tries < limits.decisionTries; tries++) {
      const nowMs = clock.now();
      const verdict = commit(graph, current.run, mine, outcome, nowMs);
      switch (verdict.kind) {
        case "runEnded":
          log.warn("the run ended before the step did; its result is refused", { status: current.run.status });
          // Whoever took the attempt over, and ended the run, may have died before it sent what follows, and this message was
          // its, too. And a child that was started here has perhaps not been met by the end of the run.
          await advanceBecauseOf(ports, graph, current, mine.step, mine.track);
          return acknowledge;
        case "lost": {
          log.warn("the attempt was taken over by another worker; its result is refused");
          const waitMs = Math.max(limits.startRetryMs, (verdict.leaseUntilMs ?? 0) - nowMs);
          return { kind: "redeliver", delayMs: Math.min(waitMs, limits.visibilityMs) };
        }
        case "endedElsewhere":
          log.info("the step was ended from outside before its code returned", {
            status: stateOn(mine.track, current.run, mine.step)?.status,
          });
          await advanceBecauseOf(ports, graph, current, mine.step, mine.track);
          return acknowledge;
        case "committed":
          await advanceBecauseOf(ports, graph, current, mine.step, mine.track);
          return acknowledge;
        case "write":
          break;
      }
      const before = current.run;
      const write = await this.#archived(ports, graph, current, mine, verdict.transition);
      const result = await store.update(current.run.runId, write, "soon");
      if (result.fields === undefined) throw new Error(`Run ${current.run.runId} is gone from the store.`);
      current = imageOf(current.run.runId, result.fields);
      if (!result.applied) continue;
      this.#logEnd(outcome, verdict.ends, log);
      const advanced = await advanceBecauseOf(ports, graph, current, mine.step, mine.track, before);
      if (isTerminal(advanced.run.status)) log.info("run ended", { status: advanced.run.status });
      return acknowledge;
    }
    throw new ContendedRunError(image.run.runId);
  }

  /** The same write, perhaps with outputs moved out of the run that others would pay for. */
  async #archived(
    ports: Ports,
    graph: Graph,
    { run, fields }: Image,
    { step }: Attempt,
    write: Transition,
  ): Promise<Transition> {
    const archived = archive(graph, run, fields, write, step, archiveIdOf);
    if (archived === undefined) return write;
    await ports.store.putPayload(run.runId, archived.key, archived.text);
    return archived.transition;
  }

  #logEnd(outcome: Outcome, status: string, log: Logger): void {
    if (outcome.kind === "notYet" && status === "backing_off") log.debug("not yet; another look follows");
    else if (outcome.kind !== "failed") log.info("step ended", { status });
    else if (status === "failed") log.warn("step failed", { error: outcome.error });
    else log.info("attempt failed; another follows", { error: outcome.error });
  }

  /**
   * Background work ends before the message is acknowledged. Its failures are logged, and kept with the step. What is
   * still under way when the process is about to be ended is given up, and told as a failure: the step itself counts.
   */
  async #drain(
    attempt: RunningAttempt,
    { image, mine, token }: ClaimedStep & Pick<StepWork, "token">,
    delivery: Delivery,
    log: Logger,
  ): Promise<void> {
    if (!attempt.hasBackground) {
      await attempt.drain();
      return;
    }
    const remainingMs = (delivery.remainingMs?.() ?? Infinity) - limits.farewellMs;
    const atMostMs = Math.max(0, Math.min(limits.backgroundMs, remainingMs));
    // A message that comes again meanwhile finds its step ended: that is no reason to leave the work behind.
    const extended = delivery.extend(atMostMs + limits.visibilityMs).catch((error: unknown) => {
      log.warn("the message could not be kept invisible while background work goes on", { error });
    });
    const [errors] = await settleAll([attempt.drain(atMostMs), extended]);
    if (errors.length === 0) return;
    const records = errors.map((error) => recordError(error, this.#ports.clock.now(), token));
    for (const error of records) log.error("background work failed", { error });
    const key = payloadKey.background(mine.step, image.run.epoch, mine.attempt, mine.track);
    const kept = records.slice(0, limits.backgroundErrors).map(({ stack: _stack, ...record }) => record);
    await this.#ports.store.putPayload(image.run.runId, key, JSON.stringify(kept));
  }

  async #handleNudge(ports: Ports, message: NudgeMessage): Promise<Disposition> {
    const graph = await this.#definitions.graph(message.workflow, message.fingerprint);
    const fields = await ports.store.get(message.runId);
    if (fields === undefined) return acknowledge;
    const image = imageOf(message.runId, fields);
    if (graph !== undefined) await advanceAll(ports, graph, image);
    // Without its graph a run begins nothing more, but others may wait for its slot.
    else {
      await this.#slots(ports).settle(image);
      await tellWaiters(ports, image.run);
    }
    return acknowledge;
  }

  async #handleDeadline(ports: Ports, message: DeadlineMessage): Promise<Disposition> {
    const { store, clock } = ports;
    const log = this.#logFor(message);
    const fields = await store.get(message.runId);
    if (fields === undefined) return runMissing(message, clock.now());
    const image = imageOf(message.runId, fields);
    const { deadlineAtMs, fingerprint, workflow } = image.run;
    const graph = await this.#definitions.graph(workflow, fingerprint);
    // Without its graph nobody knows what is to be undone: the run is parked, and its resume sends this again.
    if (graph === undefined || fingerprint !== message.fingerprint) return acknowledge;
    if (isTerminal(image.run.status)) {
      // Whoever ended the run may have died before it sent what is due because of that.
      await advanceAll(ports, graph, image);
      return acknowledge;
    }
    if (deadlineAtMs === undefined) return acknowledge;
    const earlyMs = deadlineAtMs - clock.now();
    // Delivered by another clock than this one. Within bounds, whatever that clock said.
    if (earlyMs > 0) return { kind: "redeliver", delayMs: Math.min(earlyMs, limits.delayMs) };
    const after = await change(store, image, (run) => {
      const verdict = timeOut(graph, run, clock.now());
      return verdict.kind === "write" ? verdict.transition : undefined;
    });
    if (after.run.status === "timed_out" || after.run.unwindTo === "timed_out") log.warn("run timed out");
    await advanceAll(ports, graph, after);
    return acknowledge;
  }

  /** Whatever epoch the message is of: it only asks for a look at what the run is now. */
  async #handleSlot(ports: Ports, message: SlotMessage): Promise<Disposition> {
    const { store, clock, random } = ports;
    const fields = await store.get(message.runId);
    if (fields === undefined) return runMissing(message, clock.now());
    if (await this.#slots(ports).settle(imageOf(message.runId, fields))) return acknowledge;
    return { kind: "redeliver", delayMs: Math.ceil(limits.startRetryMs * random.fraction()) };
  }

  async deadLetter(body: unknown, reason: string): Promise<void> {
    try {
      await this.#endWithCause(body, reason);
    } catch (error) {
      if (!(error instanceof StoredShapeError)) throw error;
      // Nobody may change what cannot be read; the message is kept, and the log says why.
      this.#ports.logger.error("the run of a dead letter cannot be read", { error, reason });
    }
  }

  async #endWithCause(body: unknown, reason: string): Promise<void> {
    const parsed = parseMessage(body);
    if (!parsed.ok) {
      this.#ports.logger.error("a message that is not Pawl's is kept as a dead letter", { reason });
      return;
    }
    const { message } = parsed;
    const ports = countHops(this.#ports, message);
    const graph = await this.#graphOrPark(ports, message);
    const log = this.#logFor(message, graph);
    log.error("a message failed at every delivery and is kept as a dead letter", { kind: message.kind, reason });
    // Others wait for it: while this throws, the message comes again.
    if (message.kind === "slot" && (await this.#handleSlot(ports, message)).kind !== "acknowledge") {
      throw new Error(`The slot of run ${message.runId} is still to be handed on.`);
    }
    if (!("step" in message)) return;
    const fields = await ports.store.get(message.runId);
    if (graph === undefined || fields === undefined) return;
    const error: RunError = { name: "EngineFailure", message: reason, step: graph.steps[message.step]?.id ?? "" };
    const image = imageOf(message.runId, fields);
    if (image.run.epoch !== message.epoch || image.run.fingerprint !== message.fingerprint) return;
    const mine = { track: message.kind === "undo" ? "undo" : "step", step: message.step } as const;
    const attempt = stateOn(mine.track, image.run, mine.step)?.attempt ?? 0;
    await keepError(ports, image.run, mine, attempt, { ...error, atMs: ports.clock.now() });
    const after = await change(ports.store, image, (run) => giveUp(graph, run, mine, error, ports.clock.now()));
    // What runs in a circle does not begin another round.
    if (after === image && runawayReason(message) !== undefined) return;
    await advanceBecauseOf(ports, graph, after, mine.step, mine.track);
  }

  /** A run whose graph cannot be read goes on when somebody has restored it, or has deployed what can read it. */
  async #graphOrPark(ports: Ports, message: Message): Promise<Graph | undefined> {
    const { runId, workflow, fingerprint } = message;
    try {
      return await this.#definitions.graph(workflow, fingerprint);
    } catch (error) {
      if (!(error instanceof StoredShapeError)) throw error;
      const fields = await ports.store.get(runId);
      const image = fields && imageOf(runId, fields);
      if (image?.run.fingerprint === fingerprint && image.run.epoch === message.epoch) {
        const reason = `${error.message} Then resume the run.`;
        await park(ports, image, { code: "graph_missing", message: reason }, this.#logFor(message));
      }
      return undefined;
    }
  }

  #slots(ports: Ports): Slots {
    return new Slots(ports, this.#definitions);
  }

  #newOwner(): string {
    this.#ownersMade++;
    return `${this.#instanceId}-${this.#ownersMade.toString(36)}`;
  }

  readonly #isGone = (owner: string): boolean =>
    owner.startsWith(`${this.#instanceId}-`) ? !this.#owners.has(owner) : this.#isOwnerGone(owner);

  #logFor(message: Message, graph?: Graph): Logger {
    const { runId, workflow } = message;
    const stepId = "step" in message ? graph?.steps[message.step]?.id : undefined;
    return withFields(this.#ports.logger, {
      runId,
      workflow,
      ...(stepId === undefined ? {} : { step: stepId }),
      ...(message.kind === "undo" ? { undo: true } : {}),
    });
  }
}

function tracedAttempt({ graph, image, mine }: ClaimedStep): TracedAttempt {
  const taskQueue = graph.steps[mine.step]?.taskQueue ?? "default";
  return { ...mine, stepId: idOf(graph, mine.step), epoch: image.run.epoch, taskQueue };
}

/** The logger with fields that every line of it carries. */
function withFields(logger: Logger, always: Readonly<Record<string, unknown>>): Logger {
  return {
    debug: (message, fields) => {
      logger.debug(message, { ...fields, ...always });
    },
    info: (message, fields) => {
      logger.info(message, { ...fields, ...always });
    },
    warn: (message, fields) => {
      logger.warn(message, { ...fields, ...always });
    },
    error: (message, fields) => {
      logger.error(message, { ...fields, ...always });
    },
  };
}
