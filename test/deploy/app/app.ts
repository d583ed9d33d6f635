// The stack of the scenarios, in the edition that EDITION names. Beside what users write, it lets the tests see more.
import { fileURLToPath } from "node:url";
import { App, Aspects, CfnOutput, type IAspect, RemovalPolicy, Stack } from "aws-cdk-lib";
import * as cloudwatch from "aws-cdk-lib/aws-cloudwatch";
import * as events from "aws-cdk-lib/aws-events";
import * as targets from "aws-cdk-lib/aws-events-targets";
import * as kms from "aws-cdk-lib/aws-kms";
import * as lambda from "aws-cdk-lib/aws-lambda";
import * as sqs from "aws-cdk-lib/aws-sqs";
import type { IConstruct } from "constructs";
import { Pawl } from "pawl/cdk";
import * as after from "./after.ts";
import * as before from "./before.ts";

const edition = process.env.EDITION === "after" ? "after" : "before";
const workflows = { before, after }[edition];

/** Functions say who they are with every AWS call: the SDK puts this into its user agent. */
class NamedFunctions implements IAspect {
  visit(node: IConstruct): void {
    if (node instanceof lambda.Function) node.addEnvironment("AWS_SDK_UA_APP_ID", nameOf(node));
  }
}

/** `TaskQueues.default.Worker` */
function nameOf(node: IConstruct): string {
  return node.node.path.split("/").slice(2, -1).join(".");
}

/** The emulator knows no alarms on calculated metrics: they watch one of the metrics that theirs is calculated from. */
class PlainAlarms implements IAspect {
  visit(node: IConstruct): void {
    if (!(node instanceof cloudwatch.CfnAlarm) || node.metrics === undefined) return;
    node.addPropertyDeletionOverride("Metrics");
    for (const [name, value] of Object.entries({
      Namespace: "AWS/Lambda",
      MetricName: "Errors",
      Statistic: "Sum",
      Period: 300,
    })) {
      node.addPropertyOverride(name, value);
    }
  }
}

const stack = new Stack(new App(), "Scenarios");
const key = new kms.Key(stack, "CustomerKey", { enableKeyRotation: true, removalPolicy: RemovalPolicy.DESTROY });
const pawl = new Pawl(stack, "Pawl", {
  entry: fileURLToPath(new URL(`worker-${edition}.ts`, import.meta.url)),
  workflows: Object.values(workflows),
  taskQueues: { inventory: {}, fragile: {} },
  key,
  removalPolicy: RemovalPolicy.DESTROY,
});
Aspects.of(pawl).add(new NamedFunctions());
Aspects.of(pawl).add(new PlainAlarms());

// A message of this task queue that fails is a dead letter soon.
const fragile = pawl.queueFor("fragile").node.defaultChild as sqs.CfnQueue;
fragile.addPropertyOverride("RedrivePolicy.maxReceiveCount", 2);

const published = new sqs.Queue(stack, "StatusChanges");
new events.Rule(stack, "PublishStatusChanges", {
  eventBus: pawl.eventBus,
  eventPattern: { source: ["pawl"] },
  targets: [new targets.SqsQueue(published)],
});
new events.Rule(stack, "StartForGuests", {
  eventPattern: { source: ["shop"], detailType: ["Guests"] },
  targets: [pawl.startTarget(workflows.family)],
});

const outputs: Readonly<Record<string, string>> = {
  Url: pawl.url,
  Published: published.queueUrl,
  Archive: pawl.archive.queueUrl,
  DefaultQueue: pawl.queueFor("default").queueUrl,
  Table: pawl.table.tableName,
  Blobs: pawl.blobs.bucketName,
  Key: key.keyArn,
  ApiFunction: pawl.apiFunction.functionName,
  AuditFunction: pawl.auditFunction.functionName,
};
for (const [name, value] of Object.entries(outputs)) new CfnOutput(stack, name, { value });
