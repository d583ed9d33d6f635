// Hunts an evaluation that lets every call pass, or misses what is allowed in vain.
import { describe, expect, test } from "vitest";
import { type Actor, refusals, unused } from "./least-privilege.ts";
import { type AwsRequest, permissionsOf } from "./permissions.ts";

const table = "arn:aws:dynamodb:us-east-1:000000000000:table/Runs";
const role = "arn:aws:iam::000000000000:role/Timers";
const statement = { Effect: "Allow", Action: ["dynamodb:GetItem", "dynamodb:Query"], Resource: table } as const;
const passing = {
  Effect: "Allow",
  Action: "iam:PassRole",
  Resource: role,
  Condition: { StringEquals: { "iam:PassedToService": "scheduler.amazonaws.com" } },
} as const;
const actor: Actor = {
  name: "Api",
  roleArn: "arn:aws:iam::000000000000:role/Api",
  policies: [{ Version: "2012-10-17", Statement: [statement, passing] }],
  calls: [],
};

describe("a call is refused", () => {
  const call = (action: string, resource: string, service?: string) => ({
    action,
    resource,
    ...(service === undefined ? {} : { context: { "iam:PassedToService": service } }),
  });

  test.each([
    ["never, when it is allowed", call("dynamodb:GetItem", table), []],
    ["for another action", call("dynamodb:PutItem", table), [`Api: dynamodb:PutItem on ${table}`]],
    ["on another resource", call("dynamodb:GetItem", `${table}2`), [`Api: dynamodb:GetItem on ${table}2`]],
    ["never, when its condition holds", call("iam:PassRole", role, "scheduler.amazonaws.com"), []],
    [
      "when its condition does not hold",
      call("iam:PassRole", role, "ec2.amazonaws.com"),
      [`Api: iam:PassRole on ${role}`],
    ],
  ])("%s", async (_, made, expected) => {
    expect(await refusals({ ...actor, calls: [made] })).toEqual(expected);
  });
});

test("what is allowed and never done is told", () => {
  expect(unused({ ...actor, calls: [{ action: "dynamodb:GetItem", resource: table }] })).toEqual([
    `dynamodb:Query on ${table}`,
    `iam:PassRole on ${role}`,
  ]);
});

describe("what a request must be allowed", () => {
  const request = (more: Partial<AwsRequest>): AwsRequest => ({
    method: "POST",
    url: "/",
    headers: {},
    body: Buffer.alloc(0),
    status: 200,
    ...more,
  });
  const json = (target: string, body: object): AwsRequest =>
    request({ headers: { "x-amz-target": target }, body: Buffer.from(JSON.stringify(body)) });
  const queue = "arn:aws:sqs:us-east-1:000000000000:Steps";
  const url = "http://localhost:4566/000000000000/Steps";

  test.each<[string, AwsRequest, unknown]>([
    [
      "a query of an index",
      json("DynamoDB_20120810.Query", { TableName: "Runs", IndexName: "status" }),
      [{ action: "dynamodb:Query", resource: `${table}/index/status` }],
    ],
    [
      "a batch of reads",
      json("DynamoDB_20120810.BatchGetItem", { RequestItems: { Runs: {} } }),
      [{ action: "dynamodb:BatchGetItem", resource: table }],
    ],
    ["what we never do", json("DynamoDB_20120810.DeleteTable", { TableName: "Runs" }), undefined],
    [
      "a batch of messages",
      json("AmazonSQS.SendMessageBatch", { QueueUrl: url }),
      [{ action: "sqs:SendMessage", resource: queue }],
    ],
    [
      "an event, by the name of its bus or by its ARN",
      json("AWSEvents.PutEvents", {
        Entries: [{ EventBusName: "b" }, { EventBusName: "arn:aws:events:us-east-1:000000000000:event-bus/b" }],
      }),
      [{ action: "events:PutEvents", resource: "arn:aws:events:us-east-1:000000000000:event-bus/b" }],
    ],
    [
      "a schedule, which sends in a role",
      request({
        url: "/schedules/one",
        body: Buffer.from(JSON.stringify({ GroupName: "g", Target: { Arn: queue, RoleArn: role } })),
      }),
      [
        { action: "scheduler:CreateSchedule", resource: "arn:aws:scheduler:us-east-1:000000000000:schedule/g/one" },
        { action: "iam:PassRole", resource: role, context: { "iam:PassedToService": "scheduler.amazonaws.com" } },
        { action: "sqs:SendMessage", resource: queue, role },
      ],
    ],
    [
      "an object that is not there",
      request({ method: "GET", url: "/blobs/run-1/abc?x-id=GetObject", status: 404 }),
      [
        { action: "s3:GetObject", resource: "arn:aws:s3:::blobs/run-1/abc" },
        { action: "s3:ListBucket", resource: "arn:aws:s3:::blobs" },
      ],
    ],
    [
      "a new object",
      request({ method: "PUT", url: "/blobs/run-1/abc" }),
      [{ action: "s3:PutObject", resource: "arn:aws:s3:::blobs/run-1/abc" }],
    ],
  ])("%s", (_, made, expected) => {
    expect(permissionsOf(made)).toEqual(expected);
  });
});
