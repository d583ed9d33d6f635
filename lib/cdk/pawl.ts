/** The construct: everything that workflows need to run in one AWS account. */
import { Duration, Names, RemovalPolicy } from "aws-cdk-lib";
import type * as cloudwatch from "aws-cdk-lib/aws-cloudwatch";
import { SnsAction } from "aws-cdk-lib/aws-cloudwatch-actions";
import type * as dynamodb from "aws-cdk-lib/aws-dynamodb";
import * as events from "aws-cdk-lib/aws-events";
import type * as iam from "aws-cdk-lib/aws-iam";
import type * as kms from "aws-cdk-lib/aws-kms";
import * as lambda from "aws-cdk-lib/aws-lambda";
import * as logs from "aws-cdk-lib/aws-logs";
import type * as s3 from "aws-cdk-lib/aws-s3";
import type * as sns from "aws-cdk-lib/aws-sns";
import type * as sqs from "aws-cdk-lib/aws-sqs";
import { Construct } from "constructs";
import { environmentNames, type StackAddress, writeStackAddress } from "../aws/environment.ts";
import type { MetricName } from "../aws/metric-names.ts";
import { reachableWorkflows } from "../definition/reachable.ts";
import type { Workflow } from "../definition/workflow.ts";
import { type Access, accessOf, permissionsFor, permit, type StackParts } from "./access.ts";
import { createApiFunction } from "./api-function.ts";
import { createAudit } from "./audit.ts";
import { bundleCode } from "./bundle.ts";
import { letLogsUse } from "./customer-key.ts";
import { createDeadLetters } from "./dead-letters.ts";
import type { FunctionSettings } from "./function.ts";
import { type ApiProps, HttpApi } from "./http-api.ts";
import { createLifecycle } from "./lifecycle.ts";
import { metricOf } from "./metrics.ts";
import { type AlarmOptions, createAlarms, createDashboard, type Monitored } from "./monitoring.ts";
import { type StartTargetOptions, startTarget } from "./start-target.ts";
import { createBlobs, createTable } from "./storage.ts";
import { createQueue, createTaskQueues, longestRetention, type TaskQueueProps } from "./task-queue.ts";
import { Timers } from "./timers.ts";
import { createSchedules } from "./workflow-schedules.ts";

export interface PawlProps {
  /**
   * The worker file, relative to the directory that the CDK app is run in. It exports what `createHandlers` of
   * `pawl/lambda` makes of the same workflows, and is bundled with all that it imports.
   */
  readonly entry: string;
  /** What runs may be started of. The workflows that these start as children come along. */
  readonly workflows: readonly Workflow[];
  /**
   * The task queues beside `default`, and how each of them, `default` included, is served.
   *
   * @default only `default`, served as `TaskQueueProps` says
   */
  readonly taskQueues?: Readonly<Record<string, TaskQueueProps>>;
  /** The HTTP API, or `false` for none: the api function can then still be invoked directly. @default for callers with AWS credentials */
  readonly api?: ApiProps | false;
  /** Where changes of runs' statuses are published. @default a bus of its own */
  readonly eventBus?: events.IEventBus;
  /**
   * Encrypts the table, the blobs, the queues, the logs and the functions' environment. A key that is imported must itself
   * allow CloudWatch Logs to use it.
   *
   * @default keys that AWS owns
   */
  readonly key?: kms.IKey;
  /** What becomes of the table and the blobs with the stack. `DESTROY` deletes every run. @default RemovalPolicy.RETAIN */
  readonly removalPolicy?: RemovalPolicy;
  /** @default RetentionDays.ONE_MONTH */
  readonly logRetention?: logs.RetentionDays;
  /** X-Ray traces of the functions. @default Tracing.DISABLED */
  readonly tracing?: lambda.Tracing;
  /** How often the audit looks for runs that do not go on although they should. @default 15 minutes */
  readonly auditInterval?: Duration;
  /** Alarms in CloudWatch, or `false` for none. @default the limits of `AlarmOptions` */
  readonly alarms?: AlarmOptions | false;
  /** Who is told of alarms. For other actions see `Pawl.alarms`. @default nobody */
  readonly alarmTopic?: sns.ITopic;
  /** A dashboard in CloudWatch. @default true */
  readonly dashboard?: boolean;
  /** Source maps beside the bundle, so that stack traces tell lines of your files; an error then takes longer. @default false */
  readonly sourceMap?: boolean;
}

/**
 * Workflows on Lambda, SQS and DynamoDB.
 *
 * ```ts
 * const pawl = new Pawl(this, "Orders", { entry: "worker.ts", workflows: [order], taskQueues: { inventory: {} } });
 * stockTable.grantReadWriteData(pawl.workerFor("inventory"));
 * ```
 */
export class Pawl extends Construct {
  readonly table: dynamodb.Table;
  readonly blobs: s3.Bucket;
  /** Gets an event for each change of a run's status: source `pawl`, detail type `Pawl Run Status Change`. */
  readonly eventBus: events.IEventBus;
  /** Keeps what could not be handled, with the reason, for 14 days. */
  readonly archive: sqs.Queue;
  /** Answers HTTP requests, and direct invocations such as `{ action: "start", workflow, input }`. */
  readonly apiFunction: lambda.Function;
  readonly deadLettersFunction: lambda.Function;
  readonly auditFunction: lambda.Function;
  readonly lifecycleFunction: lambda.Function;
  /** `undefined` when there is none. */
  readonly httpApi: HttpApi | undefined;
  readonly alarms: readonly cloudwatch.Alarm[];
  readonly #parts: StackParts;
  readonly #address: StackAddress;
  readonly #workers: ReadonlyMap<string, lambda.Function>;
  readonly #workflows: ReadonlyMap<string, Workflow>;
  readonly #stackName: string;

  /**
   * @throws {TypeError} naming every step whose task queue is not configured or has too little time for it, or every
   *   schedule that EventBridge Scheduler cannot say
   */
  constructor(scope: Construct, id: string, props: PawlProps) {
    super(scope, id);
    const { key, taskQueues: configured = {}, removalPolicy = RemovalPolicy.RETAIN } = props;
    this.#workflows = reachableWorkflows(props.workflows);
    if (key !== undefined) letLogsUse(key, this);
    this.#stackName = this.node.path.replaceAll("/", "-");
    this.table = createTable(this, { key, removalPolicy });
    this.blobs = createBlobs(this, { key, removalPolicy });
    // The CDK's classes are what its interfaces ask for, except to exactOptionalPropertyTypes.
    this.eventBus = props.eventBus ?? (new events.EventBus(this, "EventBus") as events.IEventBus);
    this.archive = createQueue(this, "Archive", key, { retentionPeriod: longestRetention });
    const inner = new Construct(this, "TaskQueues");
    const taskQueues = createTaskQueues(inner, props.workflows, configured, { key, archive: this.archive });
    const queues = new Map([...taskQueues].map(([name, { queue }]) => [name, queue]));
    const timers = new Timers(this, "Timers", [...queues.values()], key);
    // SQS takes names of up to 80 characters, and what follows has up to 21.
    const replyPrefix = `${Names.uniqueResourceName(this, { maxLength: 48, separator: "-" })}-replies-`;
    this.#parts = { table: this.table, blobs: this.blobs, queues, timers, replyPrefix, key };
    this.#address = addressOf(this.#parts);

    const { sourceMap = false } = props;
    const settings: FunctionSettings = {
      code: bundleCode(props.entry, { sourceMap }),
      environment: {
        ...writeStackAddress(this.#address),
        [environmentNames.stack]: this.#stackName,
        // Node does not look at source maps unless it is told to.
        ...(sourceMap ? { NODE_OPTIONS: "--enable-source-maps" } : {}),
      },
      logRetention: props.logRetention ?? logs.RetentionDays.ONE_MONTH,
      tracing: props.tracing ?? lambda.Tracing.DISABLED,
      key,
    };
    this.#workers = new Map(
      [...taskQueues].map(([name, taskQueue]) => [
        name,
        taskQueue.serve(configured[name] ?? {}, this.#parts, settings),
      ]),
    );
    this.deadLettersFunction = createDeadLetters(this, taskQueues, this.archive, this.#parts, settings);
    this.auditFunction = createAudit(this, props.auditInterval ?? Duration.minutes(15), this.#parts, settings);
    const around = { bus: this.eventBus, archive: this.archive };
    this.lifecycleFunction = createLifecycle(this, around, this.#parts, settings);
    this.apiFunction = createApiFunction(this, this.archive, this.#parts, settings);
    createSchedules(this, [...this.#workflows.values()], {
      group: timers.group,
      apiFunction: this.apiFunction,
      archive: this.archive,
      key,
    });
    const { api = {}, alarms = {}, dashboard = true } = props;
    this.httpApi = api === false ? undefined : new HttpApi(this, "HttpApi", this.apiFunction, api, settings);
    const monitored = this.#monitored();
    this.alarms = alarms === false ? [] : createAlarms(this, monitored, alarms);
    if (props.alarmTopic !== undefined) {
      for (const alarm of this.alarms) alarm.addAlarmAction(new SnsAction(props.alarmTopic));
    }
    if (dashboard) createDashboard(this, monitored, this.alarms);
  }

  /** Where the HTTP API is, without a slash at its end. @throws {Error} when there is none (`api: false`) */
  get url(): string {
    return this.#api().url;
  }

  /**
   * The function that runs the steps of a task queue. What these need of your own resources, grant to it:
   * `stockTable.grantReadWriteData(pawl.workerFor("inventory"))`.
   *
   * @throws {Error} when there is no such task queue
   */
  workerFor(taskQueue: string): lambda.Function {
    return this.#of(this.#workers, taskQueue);
  }

  /** The messages of a task queue. @throws {Error} when there is no such task queue */
  queueFor(taskQueue: string): sqs.IQueue {
    return this.#of(this.#parts.queues, taskQueue);
  }

  /** Lets the grantee start runs by `createClient`, and tells it where: by its environment, if it is a function. */
  grantStart(grantee: iam.IGrantable): iam.Grant {
    return this.#grant(grantee, accessOf.start);
  }

  /** Lets the grantee see runs, their inputs and outputs by `createClient`, and wait for their ends, and tells it where. */
  grantRead(grantee: iam.IGrantable): iam.Grant {
    return this.#grant(grantee, accessOf.read);
  }

  /** Lets the grantee send signals and answers to runs by `createClient`, and tells it where. */
  grantSignal(grantee: iam.IGrantable): iam.Grant {
    return this.#grant(grantee, accessOf.signal);
  }

  /** Lets the grantee pause, resume, cancel, terminate, redrive, fork and purge runs, one or many, by `createClient`, and tells it where. */
  grantOperate(grantee: iam.IGrantable): iam.Grant {
    return this.#grant(grantee, accessOf.operate);
  }

  /** Lets the grantee answer callbacks by their task tokens by `createClient`, and tells it where. */
  grantCallback(grantee: iam.IGrantable): iam.Grant {
    return this.#grant(grantee, accessOf.callback);
  }

  /** Lets the grantee call the HTTP API with its AWS credentials. @throws {Error} when there is none (`api: false`) */
  grantHttp(grantee: iam.IGrantable): iam.Grant {
    return this.#api().grantInvoke(grantee);
  }

  /**
   * For `rule.addTarget(…)`: starts a run of the workflow for each event. A start that fails for good is in the archive.
   *
   * @throws {Error} when the workflow is not one of this stack's
   */
  startTarget(workflow: Workflow, options: StartTargetOptions = {}): events.IRuleTarget {
    if (!this.#workflows.has(workflow.name)) {
      const known = [...this.#workflows.keys()].join(", ");
      throw new Error(`Workflow "${workflow.name}" is not one of this stack's: ${known}. Add it to workflows.`);
    }
    return startTarget(this.apiFunction, workflow, options);
  }

  /** Open runs that the audit found not to go on. Always 0 in a healthy stack. @default maximum over 5 minutes */
  metricStuckRuns(options?: cloudwatch.MetricOptions): cloudwatch.Metric {
    return this.#metric("StuckRuns", options);
  }

  /** Runs that have not ended, as the audit saw them. @default maximum over 5 minutes */
  metricOpenRuns(options?: cloudwatch.MetricOptions): cloudwatch.Metric {
    return this.#metric("OpenRuns", options);
  }

  /** Messages that no worker could handle. @default sum over 5 minutes */
  metricDeadLetters(options?: cloudwatch.MetricOptions): cloudwatch.Metric {
    return this.#metric("DeadLetters", options);
  }

  /** Of all workflows, or of one. @default sum over 5 minutes */
  metricRunsStarted(options?: RunMetricOptions): cloudwatch.Metric {
    return this.#metric("RunsStarted", options);
  }

  /** Of all workflows, or of one. @default sum over 5 minutes */
  metricRunsSucceeded(options?: RunMetricOptions): cloudwatch.Metric {
    return this.#metric("RunsSucceeded", options);
  }

  /** Of all workflows, or of one. @default sum over 5 minutes */
  metricRunsFailed(options?: RunMetricOptions): cloudwatch.Metric {
    return this.#metric("RunsFailed", options);
  }

  /** Of all workflows, or of one. @default sum over 5 minutes */
  metricRunsCancelled(options?: RunMetricOptions): cloudwatch.Metric {
    return this.#metric("RunsCancelled", options);
  }

  /** Of all workflows, or of one. @default sum over 5 minutes */
  metricRunsTimedOut(options?: RunMetricOptions): cloudwatch.Metric {
    return this.#metric("RunsTimedOut", options);
  }

  /** Seconds that the oldest message of a task queue has waited. @default maximum over 5 minutes */
  metricOldestMessage(taskQueue: string, options?: cloudwatch.MetricOptions): cloudwatch.Metric {
    return this.queueFor(taskQueue).metricApproximateAgeOfOldestMessage(options);
  }

  #metric(name: MetricName, { workflow, ...options }: RunMetricOptions = {}): cloudwatch.Metric {
    return metricOf(name, { stack: this.#stackName, ...(workflow === undefined ? {} : { workflow }) }, options);
  }

  #monitored(): Monitored {
    return {
      queues: this.#parts.queues,
      archive: this.archive,
      functions: new Map<string, lambda.IFunction>([
        ...[...this.#workers].map(([name, worker]) => [`worker-${name}`, worker] as const),
        ["api", this.apiFunction],
        ["deadLetters", this.deadLettersFunction],
        ["audit", this.auditFunction],
        ["lifecycle", this.lifecycleFunction],
      ]),
      lifecycle: this.lifecycleFunction,
      runs: {
        started: this.metricRunsStarted(),
        succeeded: this.metricRunsSucceeded(),
        failed: this.metricRunsFailed(),
        cancelled: this.metricRunsCancelled(),
        timedOut: this.metricRunsTimedOut(),
        open: this.metricOpenRuns(),
        stuck: this.metricStuckRuns(),
      },
    };
  }

  /** Permission and address by one method, so that neither is there without the other. */
  #grant(grantee: iam.IGrantable, access: Access): iam.Grant {
    if (grantee instanceof lambda.Function) {
      for (const [name, value] of Object.entries(writeStackAddress(this.#address))) grantee.addEnvironment(name, value);
    }
    return permit(grantee, permissionsFor(access, this.#parts));
  }

  #of<Value>(byTaskQueue: ReadonlyMap<string, Value>, name: string): Value {
    const found = byTaskQueue.get(name);
    if (found !== undefined) return found;
    const known = [...byTaskQueue.keys()].join(", ");
    throw new Error(`There is no task queue "${name}". There are: ${known}. Add taskQueues: { "${name}": {} }.`);
  }

  #api(): HttpApi {
    if (this.httpApi !== undefined) return this.httpApi;
    throw new Error("This stack has no HTTP API (api: false). Invoke apiFunction directly, or leave the option out.");
  }
}

export interface RunMetricOptions extends cloudwatch.MetricOptions {
  /** Name of the workflow whose runs are counted. @default all of them */
  readonly workflow?: string;
}

function addressOf({ table, blobs, queues, timers, replyPrefix, key }: StackParts): StackAddress {
  return {
    table: table.tableName,
    blobs: blobs.bucketName,
    queues: Object.fromEntries(
      [...queues].map(([name, queue]) => [name, { url: queue.queueUrl, arn: queue.queueArn }]),
    ),
    scheduleGroup: timers.group.scheduleGroupName,
    scheduleRole: timers.role.roleArn,
    replies: { prefix: replyPrefix, ...(key === undefined ? {} : { key: key.keyArn }) },
  };
}
