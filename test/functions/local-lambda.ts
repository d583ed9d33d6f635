// The functions of a stack on a fake SQS and a store in memory, in virtual time. Each process has clients of its own and can be killed.
import { CreateScheduleCommand, type CreateScheduleCommandInput, SchedulerClient } from "@aws-sdk/client-scheduler";
import type { SQSClient } from "@aws-sdk/client-sqs";
import { mockClient } from "aws-sdk-client-mock";
import { deadLettersHandler } from "../../functions/dead-letters.ts";
import type { Counts } from "../../functions/metrics.ts";
import { workerHandler } from "../../functions/worker.ts";
import { createSchedule } from "../../lib/aws/scheduler.ts";
import { createSqsQueue } from "../../lib/aws/sqs-queue.ts";
import { limits } from "../../lib/definition/limits.ts";
import type { Workflow } from "../../lib/definition/workflow.ts";
import { createMemoryBackend } from "../../lib/embedded/memory-backend.ts";
import { createMemoryBlobs } from "../../lib/embedded/memory-blobs.ts";
import { type Commands, createCommands } from "../../lib/runtime/commands.ts";
import { type Completions, createCompletions } from "../../lib/runtime/completion.ts";
import type { Operations } from "../../lib/runtime/operations.ts";
import type { Clock, Ports, RunStore } from "../../lib/runtime/ports.ts";
import { createQueries, type Queries } from "../../lib/runtime/queries.ts";
import type { RunIndex } from "../../lib/runtime/run-index.ts";
import type { RunView } from "../../lib/runtime/run-view.ts";
import { withBlobs } from "../../lib/runtime/with-blobs.ts";
import { createWorker } from "../../lib/runtime/worker.ts";
import { createSystem, type System } from "../../lib/system/system.ts";
import { VirtualClock } from "../../lib/testing/virtual-clock.ts";
import { type LogLine, recordingLogger } from "../behaviour/harness.ts";
import { PostOffice } from "../runtime/post-office.ts";
import { FakeSqs, type Wire } from "./fake-sqs.ts";

export interface LocalProcess {
  readonly handle: ReturnType<typeof workerHandler>;
  readonly deadLetters: ReturnType<typeof deadLettersHandler>;
  readonly ports: Ports;
  readonly sqs: SQSClient;
  /** From now on nothing of it happens any more. */
  kill(): void;
}

export interface LocalLambdaOptions {
  /** Of the worker functions. @default 60,000 */
  readonly timeoutMs?: number;
  readonly batchSize?: number;
  /** Stands between every process and SQS. */
  readonly wire?: Wire;
  /** Stands between every process and the store. */
  readonly store?: (store: RunStore) => RunStore;
  readonly taskQueues?: readonly string[];
}

export class LocalLambda {
  readonly clock = new VirtualClock();
  readonly sqs = new FakeSqs(this.clock);
  readonly logs: LogLine[] = [];
  readonly counts: Counts[] = [];
  readonly schedules = new Map<string, CreateScheduleCommandInput>();
  readonly replies = new PostOffice();
  readonly commands: Commands;
  readonly queries: Queries;
  readonly operations: Operations;
  readonly #index: RunIndex;
  readonly createCompletions: () => Completions;
  readonly #workflows: readonly Workflow[];
  readonly #options: LocalLambdaOptions;
  readonly #store: RunStore;
  readonly #queues: Record<string, { readonly url: string; readonly arn: string }> = {};
  #current: LocalProcess;
  #ids = 0;

  constructor(workflows: readonly Workflow[], options: LocalLambdaOptions = {}) {
    this.#workflows = workflows;
    this.#options = options;
    const { timeoutMs = 60_000, batchSize = 1, taskQueues = ["default"], store = (inner) => inner } = options;
    const logger = recordingLogger(this.logs);
    const memory = createMemoryBackend({ clock: this.clock, logger });
    this.#index = memory.runIndex;
    this.queries = createQueries({ index: memory.runIndex, clock: this.clock, logger });
    this.#store = store(withBlobs(memory, createMemoryBlobs()));
    this.sqs.create("dead");
    this.sqs.create("archive");
    for (const name of taskQueues) {
      this.#queues[name] = this.sqs.create(name, { redrive: { to: "dead", receives: limits.receives } });
    }
    this.#current = this.process();
    for (const name of taskQueues) {
      this.sqs.connect(name, {
        invoke: (event, context) => this.#current.handle(event, context),
        timeoutMs,
        batchSize,
      });
    }
    this.sqs.connect("dead", { invoke: (event, context) => this.#current.deadLetters(event, context), timeoutMs });
    const { ports } = this.process();
    this.commands = createCommands({ workflows, ports });
    this.operations = this.#system(ports).operations;
    this.createCompletions = () =>
      createCompletions({ ports, commands: this.commands, createReplyQueue: this.replies.create });
  }

  /** A new execution environment. */
  process({
    taskQueue = "default",
    wire = this.#options.wire ?? ((_, perform) => perform()),
    store = this.#store,
  }: {
    readonly taskQueue?: string;
    readonly wire?: Wire;
    readonly store?: RunStore;
  } = {}): LocalProcess {
    let isAlive = true;
    const clock: Clock = {
      now: () => this.clock.now(),
      after: (delayMs, callback) =>
        this.clock.after(delayMs, () => {
          if (isAlive) callback();
        }),
    };
    const never = new Promise<never>(() => undefined);
    const sqs = this.sqs.client((command, perform) => (isAlive ? wire(command, perform) : never));
    const logger = { ...recordingLogger(this.logs), begin: () => undefined };
    const next = (): string => (this.#ids++).toString().padStart(6, "0");
    const random = { fraction: () => 0.5, id: () => `id${next()}`, secret: () => `secret${next()}` };
    const address = { queues: this.#queues, scheduleGroup: "group", scheduleRole: "arn:aws:iam::0:role/schedules" };
    const scheduler = this.#scheduler();
    const schedule = (input: CreateScheduleCommandInput): Promise<void> => createSchedule(scheduler, input);
    const queue = createSqsQueue({ sqs, createSchedule: schedule, address, clock, random });
    const ports: Ports = { store, queue, replies: this.replies, clock, random, logger };
    const workflows = [...this.#workflows, ...this.#system(ports).workflows];
    const worker = createWorker({ workflows, ports });
    const receiver = {
      sqs,
      queue,
      clock,
      logger,
      taskQueue,
      handle: worker.handle.bind(worker),
      queueUrl: this.sqs.url(taskQueue),
      deadLetterQueueUrl: this.sqs.url("dead"),
    };
    const metrics = { count: (counts: Counts) => void this.counts.push(counts) };
    return {
      ports,
      sqs,
      handle: workerHandler(() => receiver),
      deadLetters: deadLettersHandler(() => ({ sqs, worker, archiveUrl: this.sqs.url("archive"), logger, metrics })),
      kill: () => {
        isAlive = false;
      },
    };
  }

  /** The environment that handles messages is gone; another takes its place. */
  crash(process: LocalProcess = this.process()): void {
    this.#current.kill();
    this.#current = process;
  }

  pass(ms: number): Promise<void> {
    return this.clock.advance(ms);
  }

  async start(workflow: Workflow, input?: unknown): Promise<string> {
    const { runId } = await this.commands.start(workflow.name, { input });
    return runId;
  }

  show(runId: string): Promise<RunView> {
    return this.commands.get(runId);
  }

  #system(ports: Ports): System {
    return createSystem({ workflows: this.#workflows, ports, index: this.#index });
  }

  /** One-time schedules that fire on time, and are gone then. */
  #scheduler(): SchedulerClient {
    const client = new SchedulerClient({ region: "us-east-1" });
    mockClient(client)
      .on(CreateScheduleCommand)
      .callsFake(async (input: CreateScheduleCommandInput) => {
        this.schedules.set(input.Name!, input);
        const [, at] = /^at\((.+)\)$/.exec(input.ScheduleExpression!) ?? [];
        this.clock.after(Date.parse(`${at}Z`) - this.clock.now(), () => {
          this.schedules.delete(input.Name!);
          this.sqs.put(input.Target!.Arn!, input.Target!.Input!);
        });
        return {};
      });
    return client;
  }
}
