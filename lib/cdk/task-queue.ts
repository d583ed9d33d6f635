/** A task queue: an SQS queue, the queue of its dead letters, and the function that works on it. */
import { Annotations, Duration } from "aws-cdk-lib";
import type * as kms from "aws-cdk-lib/aws-kms";
import * as lambda from "aws-cdk-lib/aws-lambda";
import * as sqs from "aws-cdk-lib/aws-sqs";
import { Construct } from "constructs";
import { environmentNames } from "../aws/environment.ts";
import type { Workflow } from "../definition/workflow.ts";
import { accessOf, consume, permissionsFor, permit, type StackParts } from "./access.ts";
import { createFunction, type FunctionSettings } from "./function.ts";
import { planTaskQueues } from "./task-queue-plan.ts";

/** How a task queue is served. */
export interface TaskQueueProps {
  /**
   * How long one invocation may run: at least 30 s longer than the longest attempt of a step on this task queue, and at
   * most 15 min.
   *
   * @default the longest attempt and 30 s more
   */
  readonly timeout?: Duration;
  /** MB. The share of a processor grows with it. @default 256 */
  readonly memorySize?: number;
  /**
   * Messages of one invocation, 1 to 10. They are worked on at the same time, in one process; each is acknowledged by itself.
   *
   * @default 1: an invocation is a step
   */
  readonly batchSize?: number;
  /** Invocations at the same time, 2 to 1,000. What is more waits in the queue. @default as many as the account allows */
  readonly maxConcurrency?: number;
  /** Concurrency set aside for this function alone, at least `maxConcurrency`. @default none */
  readonly reservedConcurrency?: number;
  /** Environment of this task queue's function, for the code of its steps. @default none */
  readonly environment?: Readonly<Record<string, string>>;
}

/** Throttled deliveries count as received, too; the engine itself gives up on a message after `limits.deliveries`. */
const maxReceiveCount = 20;

/** The longest that SQS keeps a message. */
export const longestRetention = Duration.days(14);

/** Of the function that all queues of dead letters share. */
export const deadLettersTimeout = Duration.minutes(1);

/** A message is hidden for longer than its function may run, so that nobody else gets it meanwhile. */
const visibilityMargin = Duration.seconds(10);

export class TaskQueue extends Construct {
  readonly queue: sqs.Queue;
  readonly deadLetters: sqs.Queue;
  readonly #name: string;
  readonly #timeout: Duration;

  constructor(
    taskQueues: Construct,
    name: string,
    options: { readonly timeout: Duration; readonly key: kms.IKey | undefined; readonly archive: sqs.IQueue },
  ) {
    super(taskQueues, name);
    const { timeout, key, archive } = options;
    this.#name = name;
    this.#timeout = timeout;
    this.deadLetters = createQueue(this, "DeadLetters", key, {
      retentionPeriod: longestRetention,
      visibilityTimeout: deadLettersTimeout.plus(visibilityMargin),
      deadLetterQueue: { queue: archive, maxReceiveCount },
    });
    this.queue = createQueue(this, "Queue", key, {
      retentionPeriod: longestRetention,
      visibilityTimeout: timeout.plus(visibilityMargin),
      deadLetterQueue: { queue: this.deadLetters, maxReceiveCount },
    });
  }

  /** Its function, which can only be made when all queues are there: each of them may send to all. */
  serve(props: TaskQueueProps, parts: StackParts, settings: FunctionSettings): lambda.Function {
    const { memorySize = 256, batchSize = 1, maxConcurrency, reservedConcurrency, environment } = props;
    const worker = createFunction(this, "Worker", settings, {
      handler: "worker",
      description: `Runs steps of task queue ${this.#name}`,
      timeout: this.#timeout,
      memorySize,
      reservedConcurrency,
      environment: {
        ...environment,
        [environmentNames.taskQueue]: this.#name,
        [environmentNames.deadLetterQueue]: this.deadLetters.queueUrl,
      },
    });
    permit(worker, [
      ...permissionsFor(this.#name === "default" ? accessOf.defaultWorker : accessOf.worker, parts),
      consume(this.queue, "sqs:ChangeMessageVisibility"),
      { actions: ["sqs:SendMessage"], resourceArns: [this.deadLetters.queueArn] },
    ]);
    feed(worker, "Messages", this.queue, { batchSize, maxConcurrency });
    return worker;
  }
}

/**
 * The task queues that the workflows need, by name; one that no workflow uses any more gets a warning.
 *
 * @throws {TypeError} naming every step whose task queue is not configured, or has too little time for it
 */
export function createTaskQueues(
  scope: Construct,
  workflows: readonly Workflow[],
  configured: Readonly<Record<string, TaskQueueProps>>,
  options: { readonly key: kms.IKey | undefined; readonly archive: sqs.IQueue },
): ReadonlyMap<string, TaskQueue> {
  const timeouts = Object.entries(configured).map(([name, { timeout }]): [string, { timeoutMs?: number }] => [
    name,
    timeout === undefined ? {} : { timeoutMs: timeout.toMilliseconds() },
  ]);
  const plans = planTaskQueues(workflows, Object.fromEntries(timeouts));
  return new Map(
    [...plans].map(([name, { timeoutMs, isUnused }]) => {
      const timeout = Duration.seconds(Math.ceil(timeoutMs / 1_000));
      const taskQueue = new TaskQueue(scope, name, { timeout, ...options });
      if (isUnused) {
        Annotations.of(taskQueue).addWarningV2(
          "pawl:unusedTaskQueue",
          `No step is on task queue "${name}". Keep it while there are runs that began when some were, then remove it.`,
        );
      }
      return [name, taskQueue];
    }),
  );
}

export function createQueue(scope: Construct, id: string, key: kms.IKey | undefined, props: sqs.QueueProps): sqs.Queue {
  return new sqs.Queue(scope, id, {
    ...props,
    enforceSSL: true,
    ...(key === undefined
      ? { encryption: sqs.QueueEncryption.SQS_MANAGED }
      : { encryption: sqs.QueueEncryption.KMS, encryptionMasterKey: key }),
  });
}

/** Lambda takes messages from the queue and gives them to the function. */
export function feed(
  target: lambda.Function,
  id: string,
  queue: sqs.IQueue,
  options: { readonly batchSize: number; readonly maxConcurrency?: number | undefined },
): void {
  new lambda.EventSourceMapping(target, id, {
    target,
    eventSourceArn: queue.queueArn,
    batchSize: options.batchSize,
    // What has been done of a batch is not done again because of what has not.
    reportBatchItemFailures: true,
    ...(options.maxConcurrency === undefined ? {} : { maxConcurrency: options.maxConcurrency }),
  });
}
