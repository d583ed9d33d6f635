/** One Lambda function of the stack: a handler of the bundle, with a role and a log group of its own. */
import { type Duration, RemovalPolicy, Validations } from "aws-cdk-lib";
import * as iam from "aws-cdk-lib/aws-iam";
import type * as kms from "aws-cdk-lib/aws-kms";
import * as lambda from "aws-cdk-lib/aws-lambda";
import * as logs from "aws-cdk-lib/aws-logs";
import { Construct } from "constructs";
import { handlerPath, type handlers } from "./bundle.ts";

/** The same for all functions of a stack. */
export interface FunctionSettings {
  readonly code: lambda.Code;
  readonly environment: Readonly<Record<string, string>>;
  readonly logRetention: logs.RetentionDays;
  readonly tracing: lambda.Tracing;
  readonly key: kms.IKey | undefined;
}

export interface FunctionOptions {
  /** The name that the worker file exports it by. */
  readonly handler: (typeof handlers)[number];
  readonly description: string;
  readonly timeout: Duration;
  readonly memorySize: number;
  readonly environment?: Readonly<Record<string, string>> | undefined;
  readonly reservedConcurrency?: number | undefined;
}

export function createFunction(
  scope: Construct,
  id: string,
  settings: FunctionSettings,
  options: FunctionOptions,
): lambda.Function {
  const parts = new Construct(scope, id);
  const { key } = settings;
  const logGroup = createLogGroup(parts, "Logs", settings);
  const role = new iam.Role(parts, "Role", { assumedBy: new iam.ServicePrincipal("lambda.amazonaws.com") });
  logGroup.grantWrite(role);
  if (settings.tracing !== lambda.Tracing.DISABLED) {
    const reason = "X-Ray has no resources that its permissions could be narrowed to";
    Validations.of(role).acknowledge({ id: "AwsSolutions-IAM5[Resource::*]", reason });
  }
  return new lambda.Function(parts, "Function", {
    code: settings.code,
    handler: handlerPath(options.handler),
    description: options.description,
    // The one that the bundle is made for and the tests run on.
    runtime: lambda.Runtime.NODEJS_24_X,
    architecture: lambda.Architecture.ARM_64,
    timeout: options.timeout,
    memorySize: options.memorySize,
    environment: { ...settings.environment, ...options.environment },
    // Otherwise Lambda stops every run after about 16 steps: it takes the chain of messages for a loop.
    recursiveLoop: lambda.RecursiveLoop.ALLOW,
    role,
    logGroup,
    tracing: settings.tracing,
    ...(key === undefined ? {} : { environmentEncryption: key }),
    ...(options.reservedConcurrency === undefined ? {} : { reservedConcurrentExecutions: options.reservedConcurrency }),
  });
}

export function createLogGroup(
  scope: Construct,
  id: string,
  { logRetention, key }: Pick<FunctionSettings, "logRetention" | "key">,
): logs.LogGroup {
  return new logs.LogGroup(scope, id, {
    retention: logRetention,
    // They end by themselves; keeping them after their stack would only leave something behind that nobody looks for.
    removalPolicy: RemovalPolicy.DESTROY,
    ...(key === undefined ? {} : { encryptionKey: key }),
  });
}
