// Hunts: a resource that the construct makes and docs/deployer-policy.json does not let CloudFormation make or delete.
import { readFileSync } from "node:fs";
import { Duration } from "aws-cdk-lib";
import * as sns from "aws-cdk-lib/aws-sns";
import { expect, test } from "vitest";
import { build, resources, SYNTH_TIMEOUT_MS } from "./stack.ts";

const { Statement: statements } = JSON.parse(
  readFileSync(new URL("../../docs/deployer-policy.json", import.meta.url), "utf8"),
) as { readonly Statement: readonly { readonly Action: string | readonly string[] }[] };
const allowed = statements.flatMap(({ Action }) => Action);

/** What CloudFormation calls to make, change, read and delete a resource of the type: its schema names them, abridged. */
const calls: Readonly<Record<string, readonly string[]>> = {
  "AWS::ApiGatewayV2::Api": ["apigateway:POST", "apigateway:DELETE", "apigateway:GET"],
  "AWS::ApiGatewayV2::Authorizer": ["apigateway:POST", "apigateway:DELETE"],
  "AWS::ApiGatewayV2::Integration": ["apigateway:POST", "apigateway:DELETE"],
  "AWS::ApiGatewayV2::Route": ["apigateway:POST", "apigateway:PATCH"],
  "AWS::ApiGatewayV2::Stage": ["apigateway:POST", "logs:CreateLogDelivery", "logs:PutResourcePolicy"],
  "AWS::CloudWatch::Alarm": ["cloudwatch:PutMetricAlarm", "cloudwatch:DeleteAlarms", "cloudwatch:DescribeAlarms"],
  "AWS::CloudWatch::Dashboard": ["cloudwatch:PutDashboard", "cloudwatch:DeleteDashboards", "cloudwatch:GetDashboard"],
  "AWS::DynamoDB::Table": [
    "dynamodb:CreateTable",
    "dynamodb:DeleteTable",
    "dynamodb:UpdateTable",
    "dynamodb:UpdateTimeToLive",
    "dynamodb:UpdateContinuousBackups",
    "dynamodb:DescribeTable",
    "dynamodb:TagResource",
  ],
  "AWS::Events::EventBus": ["events:CreateEventBus", "events:DeleteEventBus", "events:DescribeEventBus"],
  "AWS::Events::Rule": ["events:PutRule", "events:PutTargets", "events:RemoveTargets", "events:DeleteRule"],
  "AWS::IAM::Policy": ["iam:PutRolePolicy", "iam:DeleteRolePolicy", "iam:GetRolePolicy"],
  "AWS::IAM::Role": ["iam:CreateRole", "iam:DeleteRole", "iam:GetRole", "iam:PassRole", "iam:AttachRolePolicy"],
  "AWS::Lambda::EventInvokeConfig": ["lambda:PutFunctionEventInvokeConfig"],
  "AWS::Lambda::EventSourceMapping": ["lambda:CreateEventSourceMapping", "lambda:DeleteEventSourceMapping"],
  "AWS::Lambda::Function": [
    "lambda:CreateFunction",
    "lambda:UpdateFunctionCode",
    "lambda:DeleteFunction",
    "lambda:PutFunctionRecursionConfig",
    "s3:GetObject",
  ],
  "AWS::Lambda::Permission": ["lambda:AddPermission", "lambda:RemovePermission"],
  "AWS::Logs::LogGroup": ["logs:CreateLogGroup", "logs:PutRetentionPolicy", "logs:DeleteLogGroup"],
  "AWS::S3::Bucket": [
    "s3:CreateBucket",
    "s3:DeleteBucket",
    "s3:PutEncryptionConfiguration",
    "s3:PutLifecycleConfiguration",
    "s3:PutBucketPublicAccessBlock",
  ],
  "AWS::S3::BucketPolicy": ["s3:PutBucketPolicy", "s3:DeleteBucketPolicy"],
  "AWS::SQS::Queue": ["sqs:CreateQueue", "sqs:SetQueueAttributes", "sqs:DeleteQueue", "sqs:GetQueueAttributes"],
  "AWS::SQS::QueuePolicy": ["sqs:SetQueueAttributes"],
  "AWS::Scheduler::Schedule": ["scheduler:CreateSchedule", "scheduler:DeleteSchedule", "iam:PassRole"],
  "AWS::Scheduler::ScheduleGroup": ["scheduler:CreateScheduleGroup", "scheduler:DeleteScheduleGroup"],
  // The topic of the alarms is the user's own.
  "AWS::SNS::Topic": [],
};

test(
  "CloudFormation may make and delete all that a stack with every option has",
  () => {
    const built = build((stack) => ({
      alarmTopic: new sns.Topic(stack, "Alarms"),
      auditInterval: Duration.minutes(5),
      api: { auth: { issuer: "https://issuer.example", audience: ["pawl"] }, openCallbacks: true },
    }));
    const types = new Set(Object.values(resources(built)).map(({ Type }) => Type));
    expect([...types].filter((type) => calls[type] === undefined)).toEqual([]);
    const needed = new Set([...types].flatMap((type) => calls[type] ?? []));
    expect([...needed].filter((action) => !isAllowed(action))).toEqual([]);
  },
  SYNTH_TIMEOUT_MS,
);

test("it may not touch what the construct has nothing to do with", () => {
  const others = ["ec2:RunInstances", "iam:CreateUser", "iam:CreateAccessKey", "dynamodb:Scan", "sqs:ReceiveMessage"];
  expect(others.filter(isAllowed)).toEqual([]);
});

/** Every statement is about all resources, or about none of these. */
function isAllowed(action: string): boolean {
  return allowed.some((pattern) => new RegExp(`^${pattern.replaceAll("*", ".*")}$`).test(action));
}
