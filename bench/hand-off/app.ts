// The stack of the hand-offs: the smallest stack of Pawl, and beside it what is the least that a step needs.
import { createRequire } from "node:module";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { App, AssetHashType, CfnOutput, DockerImage, RemovalPolicy, Stack } from "aws-cdk-lib";
import * as dynamodb from "aws-cdk-lib/aws-dynamodb";
import * as lambda from "aws-cdk-lib/aws-lambda";
import * as sources from "aws-cdk-lib/aws-lambda-event-sources";
import * as sqs from "aws-cdk-lib/aws-sqs";
import { Construct } from "constructs";
import type * as Esbuild from "esbuild";
import { Pawl } from "pawl/cdk";
import { chain } from "./chain.ts";

const stack = new Stack(new App(), "HandOff");
const here = (file: string): string => fileURLToPath(new URL(file, import.meta.url));

const pawl = new Pawl(stack, "Pawl", {
  entry: here("worker.ts"),
  workflows: [chain],
  api: false,
  alarms: false,
  dashboard: false,
  removalPolicy: RemovalPolicy.DESTROY,
});

const bare = new Construct(stack, "Bare");
const table = new dynamodb.Table(bare, "Table", {
  partitionKey: { name: "pk", type: dynamodb.AttributeType.STRING },
  sortKey: { name: "sk", type: dynamodb.AttributeType.STRING },
  billingMode: dynamodb.BillingMode.PAY_PER_REQUEST,
  removalPolicy: RemovalPolicy.DESTROY,
});
const queue = new sqs.Queue(bare, "Queue");
const floor = new lambda.Function(bare, "Function", {
  // As Pawl's workers are made.
  runtime: lambda.Runtime.NODEJS_24_X,
  architecture: lambda.Architecture.ARM_64,
  memorySize: 256,
  recursiveLoop: lambda.RecursiveLoop.ALLOW,
  handler: "index.handler",
  code: bundled(here("floor")),
  environment: { TABLE: table.tableName, QUEUE: queue.queueUrl },
});
table.grantReadWriteData(floor);
queue.grantSendMessages(floor);
floor.addEventSource(new sources.SqsEventSource(queue, { batchSize: 1 }));

const outputs: Readonly<Record<string, string>> = {
  ApiFunction: pawl.apiFunction.functionName,
  Table: pawl.table.tableName,
  FloorTable: table.tableName,
  FloorQueue: queue.queueUrl,
};
for (const [name, value] of Object.entries(outputs)) new CfnOutput(stack, name, { value });

function bundled(folder: string): lambda.Code {
  const esbuild = createRequire(import.meta.url)("esbuild") as typeof Esbuild;
  return lambda.Code.fromAsset(folder, {
    assetHashType: AssetHashType.OUTPUT,
    bundling: {
      local: {
        tryBundle(outputDir) {
          esbuild.buildSync({
            entryPoints: [join(folder, "handler.ts")],
            outfile: join(outputDir, "index.mjs"),
            bundle: true,
            platform: "node",
            target: "node24",
            format: "esm",
            mainFields: ["module", "main"],
            banner: { js: "import{createRequire as __cr}from'node:module';const require=__cr(import.meta.url);" },
            minify: true,
            logLevel: "error",
          });
          return true;
        },
      },
      image: DockerImage.fromRegistry("scratch"),
    },
  });
}
