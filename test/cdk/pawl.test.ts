// Hunts: a resource that is replaced by an update, or is not made as the engine and its limits need it.
import { fileURLToPath } from "node:url";
import { Duration, RemovalPolicy } from "aws-cdk-lib";
import { Annotations, Match, Template } from "aws-cdk-lib/assertions";
import * as events from "aws-cdk-lib/aws-events";
import * as kms from "aws-cdk-lib/aws-kms";
import * as lambda from "aws-cdk-lib/aws-lambda";
import * as sns from "aws-cdk-lib/aws-sns";
import { Construct } from "constructs";
import { describe, expect, it, vi } from "vitest";
import * as z from "zod";
import { metricNamespace } from "../../lib/aws/metric-names.ts";
import { Pawl } from "../../lib/cdk/index.ts";
import type { StartTargetOptions } from "../../lib/cdk/start-target.ts";
import { limits } from "../../lib/definition/limits.ts";
import { type Workflow, workflow } from "../../lib/definition/workflow.ts";
import { build, ofType, order, type Part, pack, resources, SYNTH_TIMEOUT_MS } from "./stack.ts";

vi.setConfig({ testTimeout: SYNTH_TIMEOUT_MS });

const usual = build();
const functions = Object.values(ofType(usual, "AWS::Lambda::Function")).map(({ Properties }) => Properties);
const handlerOf = (name: string) => functions.filter(({ Handler }) => Handler.endsWith(`.${name}`));

describe("what holds state", () => {
  it("keeps its logical ids: another one would be another, empty resource", () => {
    const stateful = Object.entries(resources(usual)).filter(([, { Type }]) =>
      ["AWS::DynamoDB::Table", "AWS::S3::Bucket", "AWS::SQS::Queue", "AWS::Events::EventBus"].includes(Type),
    );
    expect(stateful.map(([id]) => id).toSorted()).toMatchInlineSnapshot(`
      [
        "OrdersArchive89D7DF73",
        "OrdersBlobs31FAFF66",
        "OrdersEventBus1ACCA97B",
        "OrdersTable1F8332C7",
        "OrdersTaskQueuesdefaultDeadLetters69A509D8",
        "OrdersTaskQueuesdefaultQueue9205B0AC",
        "OrdersTaskQueuesinventoryDeadLettersE781D4C8",
        "OrdersTaskQueuesinventoryQueueDF37E37E",
      ]
    `);
  });

  it("outlives its stack, as far as it holds runs, and nothing else does", () => {
    const kept = Object.values(resources(usual)).filter(({ DeletionPolicy }) => DeletionPolicy === "Retain");
    expect(kept.map(({ Type }) => Type).toSorted()).toEqual(["AWS::DynamoDB::Table", "AWS::S3::Bucket"]);
    const none = build({ removalPolicy: RemovalPolicy.DESTROY });
    expect(Object.values(resources(none)).filter(({ DeletionPolicy }) => DeletionPolicy === "Retain")).toEqual([]);
  });

  it("is the table that the store writes to", () => {
    const [table] = Object.values(ofType(usual, "AWS::DynamoDB::Table"));
    expect(table!.Properties).toMatchObject({
      KeySchema: [
        { AttributeName: "pk", KeyType: "HASH" },
        { AttributeName: "sk", KeyType: "RANGE" },
      ],
      BillingMode: "PAY_PER_REQUEST",
      PointInTimeRecoverySpecification: { PointInTimeRecoveryEnabled: true },
      StreamSpecification: { StreamViewType: "NEW_AND_OLD_IMAGES" },
      TimeToLiveSpecification: { AttributeName: "ttl", Enabled: true },
      GlobalSecondaryIndexes: [
        {
          IndexName: "status",
          KeySchema: [
            { AttributeName: "ip", KeyType: "HASH" },
            { AttributeName: "is", KeyType: "RANGE" },
          ],
          Projection: { ProjectionType: "KEYS_ONLY" },
        },
      ],
    });
  });
});

describe("every function", () => {
  it.each(functions)("$Description", (properties) => {
    expect(properties).toMatchObject({
      Runtime: "nodejs24.x",
      Architectures: ["arm64"],
      RecursiveLoop: "Allow",
      Environment: {
        Variables: {
          PAWL_TABLE: expect.anything(),
          PAWL_BLOBS: expect.anything(),
          PAWL_QUEUES: expect.anything(),
          PAWL_SCHEDULE_GROUP: expect.anything(),
          PAWL_SCHEDULE_ROLE: expect.anything(),
          PAWL_STACK: "Shop-Orders",
        },
      },
      LoggingConfig: { LogGroup: expect.anything() },
    });
  });

  it("is there, and runs what the same file was bundled to", () => {
    const handlers = functions.map(({ Handler }) => Handler).toSorted();
    const others = ["audit", "deadLetters", "lifecycle", "worker", "worker"].map((name) => `index.${name}`);
    expect(handlers).toEqual(["api.api", ...others]);
    expect(new Set(functions.map(({ Code }) => JSON.stringify(Code))).size).toBe(1);
  });

  it("keeps its logs for a month", () => {
    const groups = Object.values(ofType(usual, "AWS::Logs::LogGroup"));
    expect(groups.map(({ Properties }) => Properties.RetentionInDays)).toEqual(groups.map(() => 30));
    expect(groups.length).toBe(functions.length + 1);
  });
});

describe("a task queue", () => {
  const queues = Object.values(ofType(usual, "AWS::SQS::Queue")).map(({ Properties }) => Properties);
  const sources = Object.values(ofType(usual, "AWS::Lambda::EventSourceMapping")).map(({ Properties }) => Properties);
  const logicalId = (of: { readonly node: { readonly defaultChild?: unknown } }): string =>
    usual.stack.getLogicalId(of.node.defaultChild as never);

  it("hides a message for longer than its function runs", () => {
    for (const [name, timeoutSeconds] of [
      ["default", 90],
      ["inventory", 150],
    ] as const) {
      const worker = handlerOf("worker").find(({ Environment }) => Environment.Variables.PAWL_TASK_QUEUE === name);
      expect(worker.Timeout).toBe(timeoutSeconds);
      const queue = resources(usual)[logicalId(usual.pawl.queueFor(name))]!.Properties;
      expect(queue.VisibilityTimeout).toBe(timeoutSeconds + 10);
    }
  });

  it("sends what cannot be handled to its dead letters, and from there to the archive, and keeps all for 14 days", () => {
    expect(queues.map(({ MessageRetentionPeriod }) => MessageRetentionPeriod)).toEqual(queues.map(() => 1_209_600));
    const chains = queues.flatMap(({ RedrivePolicy }) => RedrivePolicy?.maxReceiveCount ?? []);
    // Two task queues and their dead letters; the archive is the end.
    expect(chains).toEqual([20, 20, 20, 20]);
    expect(queues.length).toBe(5);
    expect(limits.deliveries).toBeLessThan(20);
  });

  it("gives its function one message at a time, and takes answers for each", () => {
    const ofTasks = sources.filter(({ BatchSize }) => BatchSize === 1);
    expect(ofTasks.length).toBe(2);
    for (const source of sources) expect(source.FunctionResponseTypes).toEqual(["ReportBatchItemFailures"]);
  });

  it("is configured as asked", () => {
    const own = build({
      taskQueues: {
        inventory: {
          timeout: Duration.minutes(5),
          memorySize: 1024,
          batchSize: 10,
          maxConcurrency: 7,
          reservedConcurrency: 9,
          environment: { SHELF: "north" },
        },
      },
    });
    const inventory = Object.values(ofType(own, "AWS::Lambda::Function"))
      .map(({ Properties }) => Properties)
      .find(({ Environment }) => Environment.Variables.SHELF === "north");
    expect(inventory).toMatchObject({ Timeout: 300, MemorySize: 1024, ReservedConcurrentExecutions: 9 });
    expect(
      Object.values(ofType(own, "AWS::Lambda::EventSourceMapping")).map(({ Properties }) => Properties),
    ).toContainEqual(expect.objectContaining({ BatchSize: 10, ScalingConfig: { MaximumConcurrency: 7 } }));
  });

  it("that no step is on any more gets a warning", () => {
    const { stack } = build({ taskQueues: { inventory: {}, old: {} } });
    const warnings = Annotations.fromStack(stack).findWarning("*", Match.stringLikeRegexp('task queue "old"'));
    expect(warnings.length).toBe(1);
  });

  it("that is missing ends the synthesis", () => {
    expect(() => build({ taskQueues: {} })).toThrow('step "reserve" of workflow "pack" is on task queue "inventory"');
  });

  it("is found by its name only", () => {
    expect(usual.pawl.workerFor("inventory").functionArn).toBeDefined();
    expect(() => usual.pawl.workerFor("inventroy")).toThrow(
      'There is no task queue "inventroy". There are: default, inventory.',
    );
  });
});

describe("the HTTP API", () => {
  const routes = (api: Parameters<typeof build>[0]) =>
    Object.values(ofType(build(api), "AWS::ApiGatewayV2::Route")).map(({ Properties }) => [
      Properties.RouteKey,
      Properties.AuthorizationType,
    ]);

  const everywhere = (authorization: string) =>
    ["GET /", "POST /", "GET /{path+}", "POST /{path+}", "DELETE /{path+}"].map((route) => [route, authorization]);

  it("is for callers with AWS credentials", () => {
    expect(routes({})).toEqual(everywhere("AWS_IAM"));
  });

  it("is found by the stack's name: an output tells where it is, and of which construct", () => {
    const { stack } = build({ api: { auth: "none" } });
    const outer = new Construct(stack, "Back");
    const entry = fileURLToPath(new URL("../../examples/worker.ts", import.meta.url));
    new Pawl(outer, "Stock", { entry, workflows: [order], taskQueues: { inventory: {} } });
    const outputs = Object.values<Part>(Template.fromStack(stack).toJSON().Outputs ?? {});
    const told = outputs.filter(({ Description }) => Description !== undefined);
    expect(told.map(({ Description }) => Description).sort()).toEqual([
      "HTTP API of Pawl Back/Stock",
      "HTTP API of Pawl Orders",
    ]);
    for (const { Value } of told) expect(JSON.stringify(Value)).toContain("ApiEndpoint");
    const without = Template.fromStack(build({ api: false }).stack).toJSON().Outputs ?? {};
    expect(JSON.stringify(without)).not.toContain("HTTP API of Pawl");
  });

  it("logs who called which route, and no path: a task token is a secret", () => {
    const [stage] = Object.values(ofType(usual, "AWS::ApiGatewayV2::Stage"));
    const { Format } = stage?.Properties.AccessLogSettings ?? {};
    expect(JSON.parse(Format)).toMatchObject({ route: "$context.routeKey", caller: "$context.identity.userArn" });
    expect(Format).not.toMatch(/\$context\.(path|resourcePath)\b/);
  });

  it("takes JWTs, and leaves callbacks to their tokens", () => {
    const auth = { issuer: "https://login.example.com", audience: ["shop"], scopes: ["runs"] };
    expect(routes({ api: { auth, openCallbacks: true } })).toEqual([
      ...everywhere("JWT"),
      ["GET /callbacks/{path+}", "NONE"],
      ["POST /callbacks/{path+}", "NONE"],
    ]);
  });

  it("is open, or not there, only by choice", () => {
    expect(routes({ api: { auth: "none" } })).toEqual(everywhere("NONE"));
    const without = build({ api: false });
    expect(ofType(without, "AWS::ApiGatewayV2::Api")).toEqual({});
    expect(() => without.pawl.url).toThrow("This stack has no HTTP API");
  });

  it("is throttled as asked, and logs who called", () => {
    const stage = Object.values(
      ofType(build({ api: { throttle: { rateLimit: 50, burstLimit: 20 } } }), "AWS::ApiGatewayV2::Stage"),
    );
    expect(stage[0]!.Properties).toMatchObject({
      StageName: "$default",
      AutoDeploy: true,
      AccessLogSettings: { DestinationArn: expect.anything() },
      DefaultRouteSettings: { ThrottlingRateLimit: 50, ThrottlingBurstLimit: 20 },
    });
  });

  it("gives up before a change that it began is nudged", () => {
    expect(handlerOf("api")[0].Timeout * 1_000).toBeLessThan(limits.nudgeDelayMs);
  });
});

describe("runs that begin by themselves", () => {
  it("have a schedule, and an id that says when", () => {
    const [schedule] = Object.values(ofType(usual, "AWS::Scheduler::Schedule"));
    expect(schedule!.Properties).toMatchObject({
      ScheduleExpression: "cron(0 6 ? * MON-FRI *)",
      ScheduleExpressionTimezone: "Europe/Berlin",
      FlexibleTimeWindow: { Mode: "OFF" },
      Target: {
        Input: JSON.stringify({ action: "start", workflow: "report", runId: "report-<aws.scheduler.scheduled-time>" }),
        DeadLetterConfig: { Arn: expect.anything() },
      },
    });
  });

  it("cannot begin at times that EventBridge Scheduler does not know", () => {
    const odd = workflow("odd", { schedule: { cron: "0 6 13 * FRI" } }, (w) => w.step("a", { run: () => 1 }));
    expect(() => build({ workflows: [odd] })).toThrow(
      'The schedule of workflow "odd" names days of the month and days of the week',
    );
  });

  const ruleFor = (options: StartTargetOptions, given: Workflow = order) => {
    const built = build({ workflows: [given] });
    const targets = [built.pawl.startTarget(given, options)];
    new events.Rule(built.stack, "Rule", { eventPattern: { source: ["shop"] }, targets });
    const rules = Object.values(ofType(built, "AWS::Events::Rule")).map(({ Properties }) => Properties);
    return rules.find(({ EventPattern }) => EventPattern !== undefined).Targets[0].InputTransformer;
  };

  it("of an event have its id, so that a second delivery starts no second run", () => {
    expect(ruleFor({})).toEqual({
      InputPathsMap: { id: "$.id" },
      InputTemplate: '{"action":"start","workflow":"order","runId":<id>}',
    });
  });

  it("of an event have what is picked from it as their input, or its detail", () => {
    const takes = workflow("takes", { input: z.unknown() }, (w) => w.step("a", { run: () => 1 }));
    expect(ruleFor({}, takes).InputTemplate).toBe(
      '{"action":"start","workflow":"takes","runId":<id>,"input":<detail>}',
    );
    const input = { id: events.EventField.fromPath("$.detail.orderId"), from: "shop" };
    expect(ruleFor({ input, runId: "x" }, takes)).toEqual({
      InputPathsMap: { "detail-orderId": "$.detail.orderId" },
      InputTemplate: '{"action":"start","workflow":"takes","runId":"x","input":{"id":<detail-orderId>,"from":"shop"}}',
    });
  });

  it("are of workflows that the stack runs", () => {
    const other = workflow("other", {}, (w) => w.step("a", { run: () => 1 }));
    expect(() => usual.pawl.startTarget(other)).toThrow(
      'Workflow "other" is not one of this stack\'s: order, report, pack. Add it to workflows.',
    );
  });

  it("and fail for good are kept", () => {
    const [config] = Object.values(ofType(usual, "AWS::Lambda::EventInvokeConfig"));
    expect(config!.Properties).toMatchObject({ DestinationConfig: { OnFailure: { Destination: expect.anything() } } });
  });
});

it("wakes the lifecycle function by changes of status alone, and keeps what it cannot publish", () => {
  const [stream] = Object.values(ofType(usual, "AWS::Lambda::EventSourceMapping"))
    .map(({ Properties }) => Properties)
    .filter(({ StartingPosition }) => StartingPosition === "TRIM_HORIZON");
  expect(stream.FilterCriteria.Filters.length).toBe(5);
  expect(stream).toMatchObject({
    FunctionResponseTypes: ["ReportBatchItemFailures"],
    BisectBatchOnFunctionError: true,
    MaximumRecordAgeInSeconds: 21_600,
    DestinationConfig: { OnFailure: { Destination: expect.anything() } },
  });
});

describe("alarms", () => {
  const names = (built: typeof usual): string[] => built.pawl.alarms.map(({ node }) => node.id).toSorted();

  it("watch what must not happen, each task queue and each function", () => {
    expect(names(usual)).toEqual(
      [
        ...["DeadLettersAlarm", "StuckRunsAlarm", "FailedRunsAlarm", "LateEventsAlarm"],
        ...["default", "inventory"].map((name) => `OldestMessageAlarm-${name}`),
        ...["worker-default", "worker-inventory", "api", "audit", "deadLetters", "lifecycle"].flatMap((name) => [
          `ErrorsAlarm-${name}`,
          `ThrottlesAlarm-${name}`,
        ]),
      ].toSorted(),
    );
  });

  it("tell the topic", () => {
    const built = build((stack) => ({ alarmTopic: new sns.Topic(stack, "Topic") }));
    const alarms = Object.values(ofType(built, "AWS::CloudWatch::Alarm"));
    expect(alarms.filter(({ Properties }) => Properties.AlarmActions?.length !== 1)).toEqual([]);
  });

  it("count what the functions count", () => {
    const alarm = Object.entries(ofType(usual, "AWS::CloudWatch::Alarm")).find(([id]) => id.includes("StuckRuns"));
    expect(alarm![1].Properties).toMatchObject({
      Namespace: metricNamespace,
      MetricName: "StuckRuns",
      Dimensions: [{ Name: "stack", Value: "Shop-Orders" }],
      Statistic: "Maximum",
      TreatMissingData: "notBreaching",
    });
    expect(usual.pawl.metricRunsFailed({ workflow: "order" }).dimensions).toEqual({
      stack: "Shop-Orders",
      workflow: "order",
    });
  });

  it("and the dashboard can be left out", () => {
    const built = build({ alarms: false, dashboard: false });
    expect(ofType(built, "AWS::CloudWatch::Alarm")).toEqual({});
    expect(ofType(built, "AWS::CloudWatch::Dashboard")).toEqual({});
  });
});

describe("a customer's key", () => {
  const built = build((stack) => ({ key: new kms.Key(stack, "Key") }));

  it("encrypts everything that keeps something", () => {
    const encrypted: Record<string, (properties: Part) => unknown> = {
      "AWS::DynamoDB::Table": ({ SSESpecification }) => SSESpecification.KMSMasterKeyId,
      "AWS::S3::Bucket": ({
        BucketEncryption: {
          ServerSideEncryptionConfiguration: [rule],
        },
      }) => rule.ServerSideEncryptionByDefault.KMSMasterKeyID,
      "AWS::SQS::Queue": ({ KmsMasterKeyId }) => KmsMasterKeyId,
      "AWS::Logs::LogGroup": ({ KmsKeyId }) => KmsKeyId,
      "AWS::Lambda::Function": ({ KmsKeyArn }) => KmsKeyArn,
    };
    const keyId = Object.keys(ofType(built, "AWS::KMS::Key"))[0];
    for (const [type, keyOf] of Object.entries(encrypted)) {
      const keys = Object.values(ofType(built, type)).map(({ Properties }) => keyOf(Properties));
      expect(keys, type).toEqual(keys.map(() => ({ "Fn::GetAtt": [keyId, "Arn"] })));
    }
  });

  it("lets CloudWatch Logs use it", () => {
    const [key] = Object.values(ofType(built, "AWS::KMS::Key"));
    const services = key!.Properties.KeyPolicy.Statement.map(({ Principal }: Part) => Principal.Service);
    expect(JSON.stringify(services)).toContain('"logs."');
  });
});

it("publishes to the bus that is given, and traces and maps stack traces when asked", () => {
  const built = build((stack) => ({
    eventBus: events.EventBus.fromEventBusName(stack, "Bus", "company"),
    tracing: lambda.Tracing.ACTIVE,
    sourceMap: true,
    workflows: [pack],
  }));
  expect(ofType(built, "AWS::Events::EventBus")).toEqual({});
  for (const { Properties } of Object.values(ofType(built, "AWS::Lambda::Function"))) {
    expect(Properties.TracingConfig).toEqual({ Mode: "Active" });
    expect(Properties.Environment.Variables.NODE_OPTIONS).toBe("--enable-source-maps");
  }
});
