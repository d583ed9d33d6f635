/** What wakes people up, and what they look at then. */
import { Duration } from "aws-cdk-lib";
import * as cloudwatch from "aws-cdk-lib/aws-cloudwatch";
import type * as lambda from "aws-cdk-lib/aws-lambda";
import type * as sqs from "aws-cdk-lib/aws-sqs";
import type { Construct } from "constructs";

export interface Monitored {
  /** By task queue. */
  readonly queues: ReadonlyMap<string, sqs.IQueue>;
  readonly archive: sqs.IQueue;
  /** By name. */
  readonly functions: ReadonlyMap<string, lambda.IFunction>;
  readonly lifecycle: lambda.IFunction;
  readonly runs: {
    readonly started: cloudwatch.IMetric;
    readonly succeeded: cloudwatch.IMetric;
    readonly failed: cloudwatch.IMetric;
    readonly cancelled: cloudwatch.IMetric;
    readonly timedOut: cloudwatch.IMetric;
    readonly open: cloudwatch.IMetric;
    readonly stuck: cloudwatch.IMetric;
  };
}

export interface AlarmOptions {
  /** A message that waits for longer than this means that its task queue cannot keep up. @default 15 minutes */
  readonly oldestMessage?: Duration;
  /** Runs that fail within five minutes, from which on it is an alarm. @default 1 */
  readonly failedRuns?: number;
}

/** Nothing to count is nothing wrong. */
const quiet = { treatMissingData: cloudwatch.TreatMissingData.NOT_BREACHING };
const atLeast = cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD;

export function createAlarms(
  scope: Construct,
  { queues, archive, functions, lifecycle, runs }: Monitored,
  { oldestMessage = Duration.minutes(15), failedRuns = 1 }: AlarmOptions,
): readonly cloudwatch.Alarm[] {
  const alarm = (id: string, metric: cloudwatch.IMetric, props: Omit<cloudwatch.AlarmProps, "metric">) =>
    new cloudwatch.Alarm(scope, id, { ...quiet, comparisonOperator: atLeast, metric, ...props });
  return [
    alarm("DeadLettersAlarm", archive.metricApproximateNumberOfMessagesVisible({ statistic: "Maximum" }), {
      threshold: 1,
      evaluationPeriods: 1,
      alarmDescription:
        "There are messages that Pawl could not handle, or starts that failed. They are kept in the archive queue with the reason; delete them when they are understood.",
    }),
    alarm("StuckRunsAlarm", runs.stuck, {
      threshold: 1,
      evaluationPeriods: 1,
      alarmDescription:
        "The audit found runs that did not go on although they should have, and sent their messages again.",
    }),
    alarm("FailedRunsAlarm", runs.failed, {
      threshold: failedRuns,
      evaluationPeriods: 1,
      alarmDescription: "Runs have failed. pawl failures --stack NAME groups them by cause, and so does GET /failures.",
    }),
    ...[...queues].map(([name, queue]) =>
      alarm(`OldestMessageAlarm-${name}`, queue.metricApproximateAgeOfOldestMessage({ statistic: "Maximum" }), {
        threshold: oldestMessage.toSeconds(),
        evaluationPeriods: 1,
        alarmDescription: `Work on task queue ${name} waits for longer than ${oldestMessage.toHumanString()}.`,
      }),
    ),
    ...[...functions].flatMap(([name, target]) => [
      alarm(`ErrorsAlarm-${name}`, target.metricErrors(), {
        threshold: 1,
        evaluationPeriods: 3,
        alarmDescription: `Invocations of function ${name} crash or time out, and have done so for 15 minutes.`,
      }),
      alarm(`ThrottlesAlarm-${name}`, target.metricThrottles(), {
        threshold: 1,
        evaluationPeriods: 3,
        alarmDescription: `Lambda has turned invocations of function ${name} away for 15 minutes.`,
      }),
    ]),
    alarm("LateEventsAlarm", lifecycle.metric("IteratorAge", { statistic: "Maximum" }), {
      threshold: Duration.minutes(15).toMilliseconds(),
      evaluationPeriods: 1,
      alarmDescription: "Changes of runs' statuses reach the event bus more than 15 minutes late.",
    }),
  ];
}

export function createDashboard(scope: Construct, monitored: Monitored, alarms: readonly cloudwatch.Alarm[]): void {
  const { queues, archive, functions, runs } = monitored;
  const graph = (title: string, left: readonly cloudwatch.IMetric[], label?: string): cloudwatch.GraphWidget =>
    new cloudwatch.GraphWidget({
      title,
      width: 12,
      left: [...left],
      leftYAxis: { min: 0, showUnits: false, ...(label === undefined ? {} : { label }) },
    });
  const perQueue = (of: (queue: sqs.IQueue, label: string) => cloudwatch.Metric): readonly cloudwatch.Metric[] =>
    [...queues].map(([name, queue]) => of(queue, name));
  const perFunction = (of: (target: lambda.IFunction, label: string) => cloudwatch.Metric) =>
    [...functions].map(([name, target]) => of(target, name));
  new cloudwatch.Dashboard(scope, "Dashboard", {
    widgets: [
      ...(alarms.length === 0
        ? []
        : [[new cloudwatch.AlarmStatusWidget({ title: "Alarms", width: 24, height: 3, alarms: [...alarms] })]]),
      [
        graph("Runs", [runs.started, runs.succeeded, runs.failed, runs.cancelled, runs.timedOut]),
        graph("Open runs, stuck runs", [runs.open, runs.stuck]),
      ],
      [
        graph(
          "Waiting messages",
          perQueue((queue, label) => queue.metricApproximateNumberOfMessagesVisible({ label })),
        ),
        graph(
          "Age of the oldest message",
          perQueue((queue, label) => queue.metricApproximateAgeOfOldestMessage({ label })),
          "seconds",
        ),
      ],
      [
        graph(
          "Invocations",
          perFunction((target, label) => target.metricInvocations({ label })),
        ),
        graph(
          "Duration, p95",
          perFunction((target, label) => target.metricDuration({ label, statistic: "p95" })),
          "ms",
        ),
      ],
      [
        graph("Errors and throttles", [
          ...perFunction((target, label) => target.metricErrors({ label: `${label} errors` })),
          ...perFunction((target, label) => target.metricThrottles({ label: `${label} throttles` })),
        ]),
        graph("Kept dead letters", [archive.metricApproximateNumberOfMessagesVisible({ label: "archive" })]),
      ],
    ],
  });
}
