/** The Lambda functions of a stack. A worker file exports what `createHandlers` makes; the constructs do the rest. */
import type { Context } from "aws-lambda";
import { UnknownTaskQueueError } from "../lib/aws/sqs-requests.ts";
import { isSystemName } from "../lib/definition/option-checks.ts";
import type { Workflow } from "../lib/definition/workflow.ts";
import type { TaskQueueOptions } from "../lib/runtime/task-queues.ts";
import { createWorker } from "../lib/runtime/worker.ts";
import { checkWebhooks, type WebhookOptions } from "../lib/system/webhooks.ts";
import type { ApiHandler } from "./api.ts";
import type { AuditHandler } from "./audit.ts";
import type { DeadLettersHandler } from "./dead-letters.ts";
import type { LifecycleHandler } from "./lifecycle.ts";
import { once } from "./once.ts";
import { type Stack, stackOf } from "./stack.ts";
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
  const stack = stackOf({ workflows, taskQueues, webhooks });
  return {
    worker: createStepWorker(stack),
    api: lazily(async () => {
      const { createApiOf } = typeof PAWL_WITHOUT_API === "undefined" ? await import("./api-of-stack.ts") : notHere();
      return createApiOf(stack);
    }),
    deadLetters: lazily(async () => (await import("./upkeep.ts")).createDeadLetters(stack)),
    audit: lazily(async () => (await import("./upkeep.ts")).createAuditor(stack)),
    lifecycle: lazily(async () => (await import("./lifecycle-of-stack.ts")).createLifecycleOf(stack)),
  };
}

/** Defined while the code of the other functions is bundled: what the API alone needs of packages is then left out. */
declare const PAWL_WITHOUT_API: unknown;

function notHere(): never {
  throw new Error("This bundle does not have the API: its function is started from api.mjs.");
}

function createStepWorker(stack: Stack): WorkerHandler {
  const { workflows, taskQueues, name, logger, address, connection } = stack;
  const worker = once(() => createWorker({ workflows, taskQueues, ports: connection().ports }));
  const systemWorker = once(async () => (await import("./upkeep.ts")).createSystemWorker(stack));
  return workerHandler(
    once(() => {
      const { ports, sqs } = connection();
      const taskQueue = name("taskQueue");
      const queue = address().queues[taskQueue];
      if (queue === undefined) throw new UnknownTaskQueueError(taskQueue, Object.keys(address().queues));
      return {
        sqs,
        queue: ports.queue,
        clock: ports.clock,
        logger: logger(),
        // Pawl's own workflows need most of the code that users' steps do not, and are rare.
        handle: async (delivery) => (isOfSystem(delivery.body) ? await systemWorker() : worker()).handle(delivery),
        taskQueue,
        queueUrl: queue.url,
        deadLetterQueueUrl: name("deadLetterQueue"),
      };
    }),
  );
}

/** Nothing is trusted yet: the worker that gets the message parses it. */
function isOfSystem(body: unknown): boolean {
  return isSystemName((body as { readonly workflow?: unknown } | null | undefined)?.workflow);
}

type Handler<Result> = (event: unknown, context: Context) => Promise<Result>;

/** A worker starts without the code of functions that are asked for less. */
function lazily<Result>(load: () => Promise<Handler<Result>>): Handler<Result> {
  const loaded = once(load);
  return async (event, context) => (await loaded())(event, context);
}
