// Hunts: a permission that is missing, or one more than a function or a client needs.
import * as iam from "aws-cdk-lib/aws-iam";
import * as kms from "aws-cdk-lib/aws-kms";
import * as lambda from "aws-cdk-lib/aws-lambda";
import { describe, expect, it, vi } from "vitest";
import { updateRequest } from "../../lib/aws/dynamo-requests.ts";
import { registerWaiter } from "../../lib/engine/waiter.ts";
import { type Built, build, ofType, type Part, SYNTH_TIMEOUT_MS } from "./stack.ts";

vi.setConfig({ testTimeout: SYNTH_TIMEOUT_MS });

const usual = build();
const { pawl, stack } = usual;
const callers = Object.fromEntries(
  (["Start", "Read", "Signal", "Operate", "Callback", "Http"] as const).map((name) => {
    const caller = new iam.Role(stack, name, { assumedBy: new iam.AccountRootPrincipal() });
    pawl[`grant${name}`](caller);
    return [name, caller];
  }),
);

const list = (value: unknown): unknown[] => (Array.isArray(value) ? value : [value]);

/** `dynamodb:GetItem OrdersTable`: resources by what they are, without the hashes of their ids. */
function short(resource: Part): string {
  if (typeof resource === "string") return resource;
  if (resource["Fn::GetAtt"]) return resource["Fn::GetAtt"][0].replace(/[0-9A-F]{8}$/, "");
  if (resource.Ref) return resource.Ref.replace(/[0-9A-F]{8}$/, "");
  const joined = resource["Fn::Join"][1].map(short).join("");
  return joined
    .replace("arn:AWS::Partition:", "")
    .replace("AWS::Region:AWS::AccountId:", "")
    .replace(/-[0-9A-F]{8}/, "");
}

/** What the role of a construct is allowed to do, one line per action and resource. */
function allowed(built: Built, role: iam.IRole): readonly string[] {
  const id = built.stack.getLogicalId(role.node.defaultChild as iam.CfnRole);
  const policies = Object.values(ofType(built, "AWS::IAM::Policy")).filter(({ Properties }) =>
    Properties.Roles.some(({ Ref }: Part) => Ref === id),
  );
  const statements = policies.flatMap(({ Properties }) => Properties.PolicyDocument.Statement);
  expect(statements.filter(({ Effect }) => Effect !== "Allow")).toEqual([]);
  return statements
    .flatMap(({ Action, Resource }) =>
      list(Action).flatMap((action) => list(Resource).map((resource) => `${String(action)} ${short(resource)}`)),
    )
    .toSorted();
}

const table = (...actions: string[]): string[] => actions.map((action) => `dynamodb:${action} OrdersTable`);
const queues = ["default", "inventory"];
const sending = [
  ...queues.map((name) => `sqs:SendMessage OrdersTaskQueues${name}Queue`),
  "scheduler:CreateSchedule scheduler:schedule/Shop-Orders-Timers-Group/*",
  "iam:PassRole OrdersTimersRole",
  "sqs:SendMessage sqs:Shop-Orders-replies-*",
];
const waiting = ["CreateQueue", "ReceiveMessage", "DeleteMessage", "DeleteQueue"].map(
  (action) => `sqs:${action} sqs:Shop-Orders-replies-*`,
);
const consuming = (queue: string, ...more: string[]): string[] =>
  ["ReceiveMessage", "DeleteMessage", "GetQueueAttributes", ...more].map((action) => `sqs:${action} ${queue}`);
const logging = (logs: string): string[] => [`logs:CreateLogStream ${logs}`, `logs:PutLogEvents ${logs}`];
const readBlobs = ["s3:GetObject OrdersBlobs/*", "s3:ListBucket OrdersBlobs"];
const writeBlobs = ["s3:PutObject OrdersBlobs/*"];
const finding = ["dynamodb:Query OrdersTable/index/status", ...table("DescribeTable")];
const items = table("GetItem", "BatchGetItem", "PutItem", "UpdateItem");
const removing = [...table("DeleteItem", "BatchWriteItem"), "s3:DeleteObject OrdersBlobs/*"];

const sorted = (...groups: readonly (readonly string[])[]): string[] => groups.flat().toSorted();

describe("each function may do what it does", () => {
  it.each(queues)("worker of %s", (name) => {
    expect(allowed(usual, pawl.workerFor(name).role!)).toEqual(
      sorted(
        items,
        table("Query"),
        name === "default" ? ["dynamodb:Query OrdersTable/index/status"] : [],
        readBlobs,
        writeBlobs,
        name === "default" ? removing : [],
        sending,
        consuming(`OrdersTaskQueues${name}Queue`, "ChangeMessageVisibility"),
        [`sqs:SendMessage OrdersTaskQueues${name}DeadLetters`],
        logging(`OrdersTaskQueues${name}WorkerLogs`),
      ),
    );
  });

  it("api", () => {
    expect(allowed(usual, pawl.apiFunction.role!)).toEqual(
      sorted(
        items,
        table("Query"),
        finding,
        removing,
        readBlobs,
        writeBlobs,
        sending,
        waiting,
        ["sqs:SendMessage OrdersArchive"],
        logging("OrdersApiLogs"),
      ),
    );
  });

  it("dead letters", () => {
    expect(allowed(usual, pawl.deadLettersFunction.role!)).toEqual(
      sorted(
        items,
        sending,
        ...queues.map((name) => consuming(`OrdersTaskQueues${name}DeadLetters`)),
        ["sqs:SendMessage OrdersArchive"],
        logging("OrdersDeadLettersLogs"),
      ),
    );
  });

  it("audit", () => {
    expect(allowed(usual, pawl.auditFunction.role!)).toEqual(
      sorted(
        items,
        ["dynamodb:Query OrdersTable/index/status"],
        sending,
        ["sqs:DeleteQueue sqs:Shop-Orders-replies-*", "sqs:ListQueues *"],
        logging("OrdersAuditLogs"),
      ),
    );
  });

  it("lifecycle", () => {
    const stream = ["DescribeStream", "GetRecords", "GetShardIterator"].map(
      (action) => `dynamodb:${action} OrdersTable`,
    );
    expect(allowed(usual, pawl.lifecycleFunction.role!)).toEqual(
      sorted(
        stream,
        table("GetItem", "BatchGetItem", "Query", "PutItem", "UpdateItem"),
        removing,
        ["s3:ListBucket OrdersBlobs"],
        ["dynamodb:ListStreams *", "events:PutEvents OrdersEventBus", "sqs:SendMessage OrdersArchive"],
        // Tells webhooks, by runs of their own.
        ["sqs:SendMessage OrdersTaskQueuesdefaultQueue"],
        logging("OrdersLifecycleLogs"),
      ),
    );
  });
});

describe("each grant gives what its calls need", () => {
  it.each<[string, readonly string[]]>([
    ["Start", sorted(items, writeBlobs, sending)],
    ["Read", sorted(table("GetItem", "BatchGetItem", "Query", "UpdateItem"), finding, readBlobs, waiting)],
    ["Signal", sorted(items, table("Query"), readBlobs, writeBlobs, sending)],
    [
      "Operate",
      sorted(
        items,
        table("Query"),
        ["dynamodb:Query OrdersTable/index/status"],
        removing,
        readBlobs,
        writeBlobs,
        sending,
      ),
    ],
    ["Callback", sorted(items, writeBlobs, sending)],
    ["Http", ["execute-api:Invoke execute-api:OrdersHttpApi/*"]],
  ])("grant%s", (name, expected) => {
    expect(allowed(usual, callers[name]!)).toEqual(expected);
  });

  it("and tells a function where, by its environment", () => {
    const built = build();
    const starter = new lambda.Function(built.stack, "Starter", {
      runtime: lambda.Runtime.NODEJS_24_X,
      handler: "index.handler",
      code: lambda.Code.fromInline("//"),
    });
    built.pawl.grantStart(starter);
    const { Properties } = Object.values(ofType(built, "AWS::Lambda::Function")).find(
      ({ Properties }) => Properties.Code.ZipFile,
    )!;
    expect(Object.keys(Properties.Environment.Variables).toSorted()).toEqual([
      "PAWL_BLOBS",
      "PAWL_QUEUES",
      "PAWL_REPLIES",
      "PAWL_SCHEDULE_GROUP",
      "PAWL_SCHEDULE_ROLE",
      "PAWL_TABLE",
    ]);
  });
});

it("who may only read writes nothing but that it waits for a run", () => {
  const id = stack.getLogicalId(callers.Read!.node.defaultChild as iam.CfnRole);
  const statements = Object.values(ofType(usual, "AWS::IAM::Policy"))
    .filter(({ Properties }) => Properties.Roles.some(({ Ref }: Part) => Ref === id))
    .flatMap(({ Properties }) => Properties.PolicyDocument.Statement);
  const writing = statements.filter(({ Action }) => list(Action).includes("dynamodb:UpdateItem"));
  expect(writing).toHaveLength(1);
  expect(writing[0].Condition).toEqual({
    "ForAllValues:StringLike": {
      "dynamodb:Attributes": ["pk", "sk", "st", "@*"],
      "dynamodb:LeadingKeys": ["r#*"],
    },
    Null: { "dynamodb:Attributes": "false", "dynamodb:LeadingKeys": "false" },
  });
  // What the write names, the policy allows.
  const { ExpressionAttributeNames = {} } = updateRequest("table", "run", registerWaiter("t1-a", 1));
  expect(Object.values(ExpressionAttributeNames).toSorted()).toEqual(["@", "@t1-a", "st"]);
});

it("a customer's key is that of reply queues, too", () => {
  const built = build((inner) => ({ key: new kms.Key(inner, "Key") }));
  const functions = Object.values(ofType(built, "AWS::Lambda::Function"));
  const environment = functions.find(({ Properties }) => Properties.Environment?.Variables.PAWL_REPLIES)!;
  expect(short(environment.Properties.Environment.Variables.PAWL_REPLIES_KEY)).toBe("Key");
});

it("roles are only passed to EventBridge Scheduler, and only its schedules of this group assume them", () => {
  const statements = Object.values(ofType(usual, "AWS::IAM::Policy")).flatMap(
    ({ Properties }) => Properties.PolicyDocument.Statement,
  );
  const passing = statements.filter(({ Action }) => list(Action).includes("iam:PassRole"));
  expect(passing.length).toBeGreaterThan(0);
  for (const { Condition } of passing) {
    expect(Condition).toEqual({ StringEquals: { "iam:PassedToService": "scheduler.amazonaws.com" } });
  }
  const trusted = Object.values(ofType(usual, "AWS::IAM::Role"))
    .flatMap(({ Properties }) => Properties.AssumeRolePolicyDocument.Statement)
    .filter(({ Principal }) => Principal.Service === "scheduler.amazonaws.com");
  expect(trusted.length).toBe(2);
  for (const { Condition } of trusted) {
    expect(Condition.StringEquals).toEqual({
      "aws:SourceAccount": { Ref: "AWS::AccountId" },
      "aws:SourceArn": { "Fn::GetAtt": [expect.stringContaining("OrdersTimersGroup"), "Arn"] },
    });
  }
});

it("schedules may start runs, and send what is due", () => {
  const roles = stack.node.findAll().filter((node): node is iam.Role => node instanceof iam.Role);
  const roleAt = (path: string): iam.Role => roles.find(({ node }) => node.path === path)!;
  expect(allowed(usual, roleAt("Shop/Orders/Timers/Role"))).toEqual(
    sorted(queues.map((name) => `sqs:SendMessage OrdersTaskQueues${name}Queue`)),
  );
  expect(allowed(usual, roleAt("Shop/Orders/Schedules/Role"))).toEqual(
    sorted(["lambda:InvokeFunction OrdersApiFunction", "sqs:SendMessage OrdersArchive"]),
  );
});

it("a customer's key adds its use, and nothing else", () => {
  const built = build((inner) => ({ key: new kms.Key(inner, "Key") }));
  const added = {
    apiFunction: ["Decrypt", "GenerateDataKey", "Encrypt", "DescribeKey"],
    auditFunction: ["Decrypt", "GenerateDataKey", "Encrypt", "DescribeKey"],
    deadLettersFunction: ["Decrypt", "GenerateDataKey", "Encrypt", "DescribeKey"],
    lifecycleFunction: ["Decrypt", "GenerateDataKey", "Encrypt", "DescribeKey"],
  } as const;
  for (const of of ["apiFunction", "auditFunction", "deadLettersFunction", "lifecycleFunction"] as const) {
    const more = added[of].map((action) => `kms:${action} Key`);
    expect(allowed(built, built.pawl[of].role!), of).toEqual(sorted(allowed(usual, pawl[of].role!), more));
  }
});

it("no role has a policy that AWS manages", () => {
  for (const { Properties } of Object.values(ofType(usual, "AWS::IAM::Role"))) {
    expect(Properties.ManagedPolicyArns).toBeUndefined();
  }
});
