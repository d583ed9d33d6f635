// The stack of the scenarios, in the edition that EDITION names. Beside what users write, it lets the tests see more.
import { fileURLToPath } from "node:url";
import { App, Aspects, CfnOutput, type IAspect, RemovalPolicy, Stack } from "aws-cdk-lib";
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

const stack = new Stack(new App(), "Scenarios");
const key = new kms.Key(stack, "Key", { enableKeyRotation: true, removalPolicy: RemovalPolicy.DESTROY });
const pawl = new Pawl(stack, "Pawl", {
  entry: fileURLToPath(new URL(`worker-${edition}.ts`, import.meta.url)),
  workflows: Object.values(edition === "after" ? after : before),
  taskQueues: { inventory: {}, fragile: {} },
  key,
  removalPolicy: RemovalPolicy.DESTROY,
});
Aspects.of(pawl).add(new NamedFunctions());

// A message of this task queue that fails is a dead letter soon.
const fragile = pawl.queueFor("fragile").node.defaultChild as sqs.CfnQueue;
fragile.addPropertyOverride("RedrivePolicy.maxReceiveCount", 2);

const published = new sqs.Queue(stack, "Published");
new events.Rule(stack, "Changes", {
  eventBus: pawl.eventBus,
  eventPattern: { source: ["pawl"] },
  targets: [new targets.SqsQueue(published)],
});
new events.Rule(stack, "Orders", {
  eventPattern: { source: ["shop"], detailType: ["Guests"] },
  targets: [pawl.startTarget("family")],
});

const outputs: Readonly<Record<string, string>> = {
  Url: pawl.url,
  Published: published.queueUrl,
  Archive: pawl.archive.queueUrl,
  DefaultQueue: pawl.queueFor("default").queueUrl,
  Blobs: pawl.blobs.bucketName,
  Key: key.keyArn,
  ApiFunction: pawl.apiFunction.functionName,
  AuditFunction: pawl.auditFunction.functionName,
};
for (const [name, value] of Object.entries(outputs)) new CfnOutput(stack, name, { value });
