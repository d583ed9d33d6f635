/**
 * The whole engine in one process: store, queue, timers and workers, in memory or on one SQLite file. It serves
 * development, tests and small single-machine use; the rules are the same as on AWS, and so is the code that keeps them.
 */
import { join } from "node:path";
import { limits } from "../definition/limits.ts";
import type { Workflow } from "../definition/workflow.ts";
import { type LifecycleEvent, lifecycleEvent } from "../engine/lifecycle.ts";
import { isRunId } from "../engine/record-id.ts";
import { isTerminal, type RunState } from "../engine/run-state.ts";
import { isParked } from "../engine/waiter.ts";
import { withinMs } from "../runtime/attempt.ts";
import { createAudit } from "../runtime/audit.ts";
import { type Commands, createCommands, type StartArguments, type Started } from "../runtime/commands.ts";
import { PawlError } from "../runtime/errors.ts";
import type { Operations } from "../runtime/operations.ts";
import type { BlobStore, Clock, Logger, Ports, Randomness, RunStore } from "../runtime/ports.ts";
import { createQueries, type Queries } from "../runtime/queries.ts";
import { readRun } from "../runtime/read-run.ts";
import { createRemoval } from "../runtime/removal.ts";
import type { RunView } from "../runtime/run-view.ts";
import { settleAll } from "../runtime/settle-all.ts";
import { systemClock, systemRandomness } from "../runtime/system.ts";
import type { TaskQueueOptions } from "../runtime/task-queues.ts";
import { traceEnd } from "../runtime/tracing.ts";
import { withArchives } from "../runtime/with-archives.ts";
import { withBlobs } from "../runtime/with-blobs.ts";
import { createWorker } from "../runtime/worker.ts";
import type { HttpPost } from "../system/http-post.ts";
import { createSystem } from "../system/system.ts";
import { isTold, type WebhookOptions } from "../system/webhooks.ts";
import { auditAfterStart } from "./audit-after-start.ts";
import type { EmbeddedBackend, RunChange } from "./backend.ts";
import { startConsumer } from "./consumer.ts";
import { startExpiry } from "./expiry.ts";
import { openFileBlobs } from "./file-blobs.ts";
import { stderrLogger } from "./logger.ts";
import { createMemoryBackend } from "./memory-backend.ts";
import { createMemoryBlobs } from "./memory-blobs.ts";
import { passOnChanges } from "./pass-on-changes.ts";
import { startSchedules } from "./schedules.ts";
import { openSqliteBackend } from "./sqlite-backend.ts";
import { StorageError } from "./storage-error.ts";

export interface EngineOptions {
  /** The only workflows that this engine runs. Those that have a schedule are started by it while the engine is up. */
  readonly workflows: readonly Workflow[];
  /** Folder of the SQLite file and of large payloads; one process at a time may use it. @default none: everything is kept in memory only */
  readonly dataDir?: string;
  /** Steps that run at the same time. @default 64 */
  readonly concurrency?: number;
  /** What is said of task queues as a whole, by name: `{ crm: { rateLimit: { limit: 10, per: "1s" } } }`. */
  readonly taskQueues?: Readonly<Record<string, TaskQueueOptions>>;
  /** Who is told of status changes over HTTP. What they are to be told survives a crash. @default nobody */
  readonly webhooks?: readonly WebhookOptions[];
  /** @default warnings and errors as JSON lines on stderr */
  readonly logger?: Logger;
  /** @default the machine's */
  readonly clock?: Clock;
  /** @default the machine's */
  readonly random?: Randomness;
}

/** One committed write of a run, as the run was and is. */
export interface RunUpdate {
  readonly before: RunState | undefined;
  readonly after: RunState;
}

export interface Engine {
  /** Starts a run with an input of the workflow's type. @throws {PawlError} see `Commands.start` */
  start<Input>(workflow: Workflow<string, Input>, ...request: StartArguments<Input>): Promise<Started>;
  /** The run when it has ended, or as it is when the time is over or it is parked first. Event-driven: it reads twice at most. @throws {PawlError} run_not_found */
  waitForEnd(runId: string, options?: { readonly timeoutMs?: number; readonly signal?: AbortSignal }): Promise<RunView>;
  /**
   * Calls back once for each status change of a run. Returns what ends the subscription. A listener that throws or rejects
   * is logged, and disturbs neither the run nor other listeners.
   */
  onEvent(listener: (event: LifecycleEvent) => unknown): () => void;
  /** Calls back after each committed write of a run, e.g. for a live display. Returns what ends the subscription. */
  onUpdate(listener: (update: RunUpdate) => void): () => void;
  readonly commands: Commands;
  /** A secret that is kept with the runs: an HTTP API signs with it what it hands out. */
  cursorKey(): Promise<string>;
  /** Finds runs and counts them: as they are now, nothing lags. */
  readonly queries: Queries;
  /** Acts on many runs at once. */
  readonly operations: Operations;
  /** Messages that could not be handled, newest first. */
  deadLetters: EmbeddedBackend["deadLetters"];
  /**
   * Stops: no new messages, running steps get the abort signal and the grace time, then the store is closed. What did
   * not end in time goes on when the engine is started again. @default graceMs 10,000
   */
  stop(options?: { readonly graceMs?: number }): Promise<void>;
}

/** What stands between an engine and its storage, and sees each call of it. */
export interface Between {
  readonly backend: (own: EmbeddedBackend, clock: Clock) => EmbeddedBackend;
  readonly blobs: (own: BlobStore) => BlobStore;
  /** Around the handling of each message. @default nothing */
  readonly around?: <T>(body: unknown, handle: () => Promise<T>) => Promise<T>;
}

const nothingBetween: Between = { backend: (own) => own, blobs: (own) => own };

/** Starts an engine; what an earlier process on the same data left behind goes on at once. */
export async function createEngine(options: EngineOptions): Promise<Engine> {
  return createEngineWith(options, nothingBetween);
}

/** The same, with something in between. */
export async function createEngineWith(options: EngineOptions, between: Between): Promise<Engine> {
  const { dataDir, logger = stderrLogger(), clock = systemClock() } = options;
  const backend =
    dataDir === undefined
      ? createMemoryBackend({ clock, logger })
      : openSqliteBackend({ file: join(dataDir, "pawl.db"), clock, logger });
  const openBlobs = (): BlobStore =>
    dataDir === undefined ? createMemoryBlobs() : openFileBlobs(join(dataDir, "blobs"));
  return startEngine({ ...options, logger, clock }, backend, openBlobs, between);
}

/** An engine on storage of any kind, which is closed with it. */
export async function startEngine(
  options: EngineOptions & Required<Pick<EngineOptions, "logger" | "clock">> & { readonly post?: HttpPost },
  own: EmbeddedBackend,
  openBlobs: () => BlobStore,
  between = nothingBetween,
): Promise<Engine> {
  const { concurrency = 64, taskQueues = {}, logger, clock, random = systemRandomness } = options;
  const around: NonNullable<Between["around"]> = between.around ?? ((_body, handle) => handle());
  try {
    const backend = between.backend(own, clock);
    const stored = withArchives(withBlobs(backend, between.blobs(openBlobs())));
    let removed = (): void => undefined;
    const store: RunStore = {
      ...stored,
      // Whoever removes a run may fail half-way, and somebody finishes it.
      remove: (runId, guard) => stored.remove(runId, guard).finally(() => removed()),
    };
    const ports: Ports = { store, queue: backend, clock, random, logger };
    const system = createSystem({ ...options, ports, index: backend.runIndex });
    const workflows = [...options.workflows, ...system.workflows];
    const instanceId = random.id().slice(0, 8);
    // Only this process may use the store, so every other owner is a process that has gone.
    const worker = createWorker({
      workflows,
      ports,
      taskQueues,
      instanceId,
      isOwnerGone: () => true,
    });
    const queries = queriesUntilStopped(createQueries({ index: backend.runIndex, clock, logger }));
    const operations = operationsUntilStopped(system.operations);
    await backend.recover();
    const { openRuns } = backend;
    const audit = createAudit({ workflows, ports, openRuns, taskQueues });
    const stopAudit = await auditAfterStart({ audit, openRuns, clock, logger });
    const { webhooks = [] } = options;
    const stopPassingOn =
      system.tell === undefined
        ? async () => undefined
        : passOnChanges({
            backend,
            tell: system.tell,
            isTold: (change) => webhooks.some((webhook) => isTold(webhook, change)),
            clock,
            logger,
          });
    const consumer = startConsumer({
      backend,
      handle: (delivery) => around(delivery.body, () => worker.handle(delivery)),
      onDeadLetter: (body, reason) => worker.deadLetter(body, reason),
      concurrency,
      clock,
      logger,
      visibilityMs: limits.visibilityMs,
    });
    backend.onChange(({ runId, before, after }) => {
      const event = lifecycleEvent(runId, before, after);
      if (event === undefined) return;
      if (isTerminal(event.status)) {
        worker.runEnded(runId);
        traceEnd(readRun(runId, after));
      }
      if (event.status === "unwinding" && readRun(runId, after).unwindTo !== undefined) worker.runUnwinds(runId);
    });
    const removal = createRemoval({ workflows, ports });
    const expiry = startExpiry({ backend, store, removal, clock, logger });
    removed = () => expiry.lookSoon();
    const commands = untilStopped(createCommands({ workflows: options.workflows, ports }));
    const stopSchedules = startSchedules({ workflows: options.workflows, commands, clock, logger });
    return new EmbeddedEngine(backend, { commands, queries, operations }, clock, random, async (graceMs) => {
      const parts = [stopSchedules(), consumer.stop(), stopAudit(), stopPassingOn(), expiry.stop()];
      worker.shutdown(graceMs);
      // The worker gives up in time what hangs; to store that takes another moment.
      try {
        await withinMs(clock, graceMs + settleMs, settleAll(parts));
      } finally {
        await backend.close();
      }
    });
  } catch (error) {
    await own.close();
    throw error;
  }
}

/** To callers a closed store means that the engine was stopped; one that fails says itself what to do. */
async function answer<T>(asked: Promise<T>): Promise<T> {
  try {
    return await asked;
  } catch (error) {
    if (!(error instanceof StorageError)) throw error;
    if (error.code === "closed") {
      throw new PawlError("unavailable", "The engine has been stopped. Its runs go on when it is started again.");
    }
    throw new PawlError("storage_failed", error.message, { reason: error.code }, { cause: error });
  }
}

function queriesUntilStopped(queries: Queries): Queries {
  return {
    list: (request) => answer(queries.list(request)),
    stats: (request) => answer(queries.stats(request)),
    failures: (request) => answer(queries.failures(request)),
  };
}

function operationsUntilStopped(operations: Operations): Operations {
  return {
    begin: (request) => answer(operations.begin(request)),
    get: (operationId) => answer(operations.get(operationId)),
    abort: (operationId) => answer(operations.abort(operationId)),
  };
}

function untilStopped(commands: Commands): Commands {
  return {
    start: (workflow, request) => answer(commands.start(workflow, request)),
    get: (runId) => answer(commands.get(runId)),
    input: (runId) => answer(commands.input(runId)),
    output: (runId, stepId) => answer(commands.output(runId, stepId)),
    cancel: (runId) => answer(commands.cancel(runId)),
    pause: (runId) => answer(commands.pause(runId)),
    resume: (runId) => answer(commands.resume(runId)),
    terminate: (runId) => answer(commands.terminate(runId)),
    redrive: (runId, request) => answer(commands.redrive(runId, request)),
    purge: (runId) => answer(commands.purge(runId)),
    fork: (runId, request) => answer(commands.fork(runId, request)),
    signal: (runId, name, payload) => answer(commands.signal(runId, name, payload)),
    answer: (runId, interruptId, given) => answer(commands.answer(runId, interruptId, given)),
    callbacks: {
      succeed: (token, output) => answer(commands.callbacks.succeed(token, output)),
      fail: (token, failure) => answer(commands.callbacks.fail(token, failure)),
      heartbeat: (token) => answer(commands.callbacks.heartbeat(token)),
    },
    workflows: () => commands.workflows(),
  };
}

const defaultGraceMs = 10_000;
/** Whatever hangs for so long after the grace time hangs for ever. Nothing of it reaches the store, which is closed. */
const settleMs = 2_000;

class EmbeddedEngine implements Engine {
  readonly commands: Commands;
  readonly queries: Queries;
  readonly operations: Operations;
  readonly deadLetters: EmbeddedBackend["deadLetters"];
  readonly #backend: EmbeddedBackend;
  readonly #clock: Clock;
  readonly #random: Randomness;
  readonly #stop: (graceMs: number) => Promise<void>;
  readonly #waiting = new Map<string, Set<() => void>>();
  #stopped: Promise<void> | undefined;

  constructor(
    backend: EmbeddedBackend,
    { commands, queries, operations }: Pick<Engine, "commands" | "queries" | "operations">,
    clock: Clock,
    random: Randomness,
    stop: (graceMs: number) => Promise<void>,
  ) {
    this.#backend = backend;
    this.#clock = clock;
    this.#random = random;
    this.#stop = stop;
    this.commands = commands;
    this.queries = queries;
    this.operations = operations;
    this.deadLetters = (limit) => backend.deadLetters(limit);
    this.#backend.onChange(({ runId, before, after }) => {
      const event = lifecycleEvent(runId, before, after);
      if (event === undefined || !isRunId(runId)) return;
      const isNews = isTerminal(event.status) || (event.status === "paused" && isParked(readRun(runId, after)));
      if (isNews) for (const wake of this.#waiting.get(runId) ?? []) wake();
    });
  }

  cursorKey(): Promise<string> {
    return answer(this.#backend.secret("cursor", this.#random.secret()));
  }

  async start<Input>(workflow: Workflow<string, Input>, ...[request]: StartArguments<Input>): Promise<Started> {
    return this.commands.start(workflow.name, request);
  }

  async waitForEnd(
    runId: string,
    { timeoutMs, signal }: { readonly timeoutMs?: number; readonly signal?: AbortSignal } = {},
  ): Promise<RunView> {
    let wake = (): void => undefined;
    const woken = new Promise<void>((resolve) => {
      wake = resolve;
    });
    // Registered before the read: an end between the two is not missed.
    const waiting = this.#waiting.get(runId) ?? new Set();
    this.#waiting.set(runId, waiting.add(wake));
    signal?.addEventListener("abort", wake, { once: true });
    const cancelTimer = timeoutMs === undefined ? undefined : this.#clock.after(timeoutMs, wake);
    try {
      const now = await this.commands.get(runId);
      if (isTerminal(now.status) || signal?.aborted === true) return now;
      await woken;
      return await this.commands.get(runId);
    } finally {
      cancelTimer?.();
      signal?.removeEventListener("abort", wake);
      waiting.delete(wake);
      if (waiting.size === 0 && this.#waiting.get(runId) === waiting) this.#waiting.delete(runId);
    }
  }

  onEvent(listener: (event: LifecycleEvent) => unknown): () => void {
    return this.#backend.onChange(({ runId, before, after }) => {
      const event = lifecycleEvent(runId, before, after);
      return event === undefined ? undefined : listener(event);
    });
  }

  onUpdate(listener: (update: RunUpdate) => void): () => void {
    return this.#backend.onChange(({ runId, before, after }: RunChange) => {
      if (!isRunId(runId)) return;
      listener({ before: before === undefined ? undefined : readRun(runId, before), after: readRun(runId, after) });
    });
  }

  async stop({ graceMs = defaultGraceMs }: { readonly graceMs?: number } = {}): Promise<void> {
    this.#stopped ??= this.#stop(graceMs).finally(() => {
      for (const waiting of this.#waiting.values()) for (const wake of waiting) wake();
    });
    return this.#stopped;
  }
}
