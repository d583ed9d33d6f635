/** The Lambda functions of a stack. A worker file exports what `createHandlers` makes; the constructs do the rest. */
import process from "node:process";
import type { Context } from "aws-lambda";
import { createDynamoClient } from "../lib/aws/clients.ts";
import { connect } from "../lib/aws/connect.ts";
import { readName, readStackAddress } from "../lib/aws/environment.ts";
import { UnknownTaskQueueError } from "../lib/aws/sqs-requests.ts";
import type { Workflow } from "../lib/definition/workflow.ts";
import { createAudit } from "../lib/runtime/audit.ts";
import { createCommands } from "../lib/runtime/commands.ts";
import type { Completions } from "../lib/runtime/completion.ts";
import { settleAll } from "../lib/runtime/settle-all.ts";
import type { TaskQueueOptions } from "../lib/runtime/task-queues.ts";
import { createWorker } from "../lib/runtime/worker.ts";
import { createSystem } from "../lib/system/system.ts";
import { checkWebhooks, type WebhookOptions } from "../lib/system/webhooks.ts";
import type { ApiHandler } from "./api.ts";
import { type AuditHandler, auditHandler } from "./audit.ts";
import { type DeadLettersHandler, deadLettersHandler } from "./dead-letters.ts";
import type { LifecycleHandler, LifecycleParts } from "./lifecycle.ts";
import { functionLogger } from "./logger.ts";
import { stackMetrics } from "./metrics.ts";
import { once } from "./once.ts";
import { type WorkerHandler, workerHandler } from "./worker.ts";

export interface HandlerOptions {
  /** The only workflows that the stack runs. Those that they start as children come along. */
  readonly workflows: readonly Workflow[];
  /** What is said of task queues as a whole, by name: `{ crm: { rateLimit: { limit: 10, per: "1s" } } }`. */
  readonly taskQueues?: Readonly<Record<string, TaskQueueOptions>>;
  /** Who is told of status changes over HTTP. @default nobody */
  readonly webhooks?: readonly WebhookOptions[];
}

/** One bundle has them all; each is the handler of a function of its own, with its own role and environment. */
export interface Handlers {
  /**
   * Runs steps: takes messages of one task queue. Background work of a step is waited for as long as the function may
   * run, less 5 s; what has not ended by then is told in the step's `backgroundErrors`, and Lambda freezes it. Give the
   * function a longer timeout for more.
   */
  readonly worker: WorkerHandler;
  /**
   * Serves the HTTP API, and takes commands: `{ "action": "start", "workflow": "order", "input": … }`. An expected error
   * is thrown with its code as the name. `?wait=` answers when the run has ended; meanwhile the function is paid for.
   */
  readonly api: ApiHandler;
  /** Takes messages that failed at every delivery. */
  readonly deadLetters: DeadLettersHandler;
  /** Looks for runs that do not go on although they should. */
  readonly audit: AuditHandler;
  /** Publishes status changes from the table's stream, and keeps lists and statistics by them. */
  readonly lifecycle: LifecycleHandler;
}

/**
 * Makes the handlers of a stack's functions. Nothing is read or connected before the first event.
 *
 * @example
 * ```ts
 * import { createHandlers } from "pawl/lambda";
 * import { order } from "./order.ts";
 *
 * export const { worker, api, deadLetters, audit, lifecycle } = createHandlers({ workflows: [order] });
 * ```
 */
export function createHandlers({ workflows, taskQueues = {}, webhooks = [] }: HandlerOptions): Handlers {
  checkWebhooks(webhooks);
  const name = (of: Parameters<typeof readName>[1]): string => readName(process.env, of);
  const basics = once(() => {
    const stack = name("stack");
    return { logger: functionLogger(stack), metrics: stackMetrics(stack) };
  });
  const address = once(() => readStackAddress(process.env));
  const connection = once(() => {
    const { logger } = basics();
    return connect(address(), logger);
  });
  const system = once(() => {
    const { ports, runIndex } = connection();
    return createSystem({ workflows, ports, index: runIndex, webhooks });
  });
  const all = once(() => [...workflows, ...system().workflows]);
  const worker = once(() => createWorker({ workflows: all(), taskQueues, ports: connection().ports }));
  return {
    worker: workerHandler(
      once(() => {
        const { ports, sqs } = connection();
        const taskQueue = name("taskQueue");
        const queue = address().queues[taskQueue];
        if (queue === undefined) throw new UnknownTaskQueueError(taskQueue, Object.keys(address().queues));
        return {
          sqs,
          queue: ports.queue,
          clock: ports.clock,
          logger: basics().logger,
          handle: (delivery) => worker().handle(delivery),
          taskQueue,
          queueUrl: queue.url,
          deadLetterQueueUrl: name("deadLetterQueue"),
        };
      }),
    ),
    api: lazily(async () => {
      const [{ apiHandler }, { createQueries }] = await settleAll([
        import("./api.ts"),
        import("../lib/runtime/queries.ts"),
      ]);
      const parts = once(() => {
        const { ports, runIndex, createReplyQueue, cursorKey } = connection();
        const { logger } = basics();
        const commands = createCommands({ workflows, ports });
        const loadCompletions = async (): Promise<Completions> => {
          const { createCompletions } = await import("../lib/runtime/completion.ts");
          return createCompletions({ ports, commands, createReplyQueue });
        };
        return {
          commands,
          queries: createQueries({ index: runIndex, clock: ports.clock, logger }),
          operations: system().operations,
          loadCompletions,
          cursorKey,
          logger,
        };
      });
      return apiHandler(parts);
    }),
    deadLetters: deadLettersHandler(
      once(() => ({
        ...basics(),
        sqs: connection().sqs,
        worker: worker(),
        archiveUrl: name("archive"),
      })),
    ),
    audit: auditHandler(
      once(() => {
        const { ports, openRuns, removeOrphans } = connection();
        const audit = createAudit({ workflows: all(), taskQueues, ports, openRuns });
        return { ...basics(), clock: ports.clock, audit, removeOrphans };
      }),
    ),
    lifecycle: lazily(async () => {
      const [{ lifecycleHandler }, { createProjections }, { createRemoval }, { createEventBridgeClient }] =
        await settleAll([
          import("./lifecycle.ts"),
          import("../lib/aws/projections.ts"),
          import("../lib/runtime/removal.ts"),
          import("../lib/aws/event-bridge-client.ts"),
        ]);
      const parts = once((): LifecycleParts => {
        const own = { ...basics(), eventBus: name("eventBus") };
        const { ports } = connection();
        const { clock, random } = ports;
        const { table } = address();
        const removal = createRemoval({ workflows: all(), ports });
        return {
          ...own,
          eventBridge: createEventBridgeClient(),
          projections: createProjections({ client: createDynamoClient(), table, clock, random }),
          tell: system().tell,
          afterRemoval: ({ runId, fields }) => removal.afterRemove(runId, fields),
          store: ports.store,
          clock,
          random,
        };
      });
      return lifecycleHandler(parts);
    }),
  };
}

type Handler<Result> = (event: unknown, context: Context) => Promise<Result>;

/** A worker starts without the code of functions that are asked for less. */
function lazily<Result>(load: () => Promise<Handler<Result>>): Handler<Result> {
  const loaded = once(load);
  return async (event, context) => (await loaded())(event, context);
}
