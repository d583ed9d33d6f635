/**
 * Who may do what: each function of the stack, and each grant, does exactly the calls that are listed here.
 * `test/cdk/access.test.ts` holds them against the synthesised policies.
 */
import { Stack, Validations } from "aws-cdk-lib";
import type * as dynamodb from "aws-cdk-lib/aws-dynamodb";
import * as iam from "aws-cdk-lib/aws-iam";
import type * as kms from "aws-cdk-lib/aws-kms";
import type * as s3 from "aws-cdk-lib/aws-s3";
import type * as sqs from "aws-cdk-lib/aws-sqs";
import { Construct } from "constructs";
import { tableSchema, waiterWrite } from "../aws/table.ts";
import type { Timers } from "./timers.ts";

export interface Access {
  readonly table: readonly TableAction[];
  /** Asks the index of runs by status. */
  readonly index?: true;
  readonly blobs: readonly ("GetObject" | "PutObject" | "DeleteObject")[];
  /** Sends messages to the task queues, later ones by schedules, and tells those who wait for runs. */
  readonly sends: boolean;
  /** Waits for the ends of runs: registers on them, at a reply queue that it makes and deletes. */
  readonly waits?: true;
  /** Deletes reply queues that others have left behind. */
  readonly collects?: true;
}

type TableAction =
  | "GetItem"
  | "BatchGetItem"
  | "Query"
  | "PutItem"
  | "UpdateItem"
  | "DeleteItem"
  | "BatchWriteItem"
  | "DescribeTable";

const reads = ["GetItem", "BatchGetItem", "Query"] as const;
const writes = ["PutItem", "UpdateItem"] as const;
const deletes = ["DeleteItem", "BatchWriteItem"] as const;
const everything: Access = { table: [...reads, ...writes], blobs: ["GetObject", "PutObject"], sends: true };
/** Also removes runs. */
const operates: Access = {
  ...everything,
  table: [...everything.table, ...deletes],
  blobs: [...everything.blobs, "DeleteObject"],
};

const repairs: Access = { table: ["GetItem", "BatchGetItem", ...writes], blobs: [], sends: true };

export const accessOf = {
  worker: everything,
  /** Of the task queue `default`: bulk operations find their runs there, and remove some. */
  defaultWorker: { ...operates, index: true },
  /** Lists runs, too, and tells how much is stored. */
  api: { ...operates, table: [...operates.table, "DescribeTable"], index: true, waits: true },
  deadLetters: repairs,
  audit: { ...repairs, index: true, collects: true },
  /** Keeps lists and statistics, removes what belongs to a run that is gone, and starts the runs that tell webhooks. */
  lifecycle: { table: [...reads, ...writes, ...deletes], blobs: ["DeleteObject"], sends: false },
  /** Clients: `grantStart`, `grantRead` and so on. */
  start: { ...repairs, blobs: ["PutObject"] },
  read: { table: [...reads, "DescribeTable"], index: true, blobs: ["GetObject"], sends: false, waits: true },
  /** Sends answers, too, and what was asked may be a blob. */
  signal: everything,
  /** Selects runs for bulk operations, too. */
  operate: { ...operates, index: true },
  callback: { ...repairs, blobs: ["PutObject"] },
} as const satisfies Record<string, Access>;

/** What there is in a stack to be accessed. */
export interface StackParts {
  readonly table: dynamodb.Table;
  readonly blobs: s3.Bucket;
  /** By task queue. */
  readonly queues: ReadonlyMap<string, sqs.IQueue>;
  readonly timers: Timers;
  /** What the names of reply queues begin with. */
  readonly replyPrefix: string;
  readonly key: kms.IKey | undefined;
}

export interface Permission {
  readonly actions: string[];
  readonly resourceArns: string[];
  readonly conditions?: Record<string, Record<string, unknown>>;
  /** Why its resources are not named one by one. */
  readonly wide?: string;
}

/** One permission per kind of resource. */
export function permissionsFor(access: Access, parts: StackParts): readonly Permission[] {
  const { table, blobs, queues, timers, key } = parts;
  const replies = replyQueues(parts);
  const permissions: Permission[] = [
    { actions: access.table.map((action) => `dynamodb:${action}`), resourceArns: [table.tableArn] },
  ];
  if (access.index === true) {
    permissions.push({
      actions: ["dynamodb:Query"],
      resourceArns: [`${table.tableArn}/index/${tableSchema.statusIndex.name}`],
    });
  }
  if (access.blobs.length > 0) {
    permissions.push({
      actions: access.blobs.map((action) => `s3:${action}`),
      resourceArns: [blobs.arnForObjects("*")],
      wide: "Blobs are named by the runs that they belong to",
    });
  }
  if (access.blobs.includes("GetObject") || access.blobs.includes("DeleteObject")) {
    // Without it, S3 does not say that an object is missing, but that access to it is denied; and blobs are found by it.
    permissions.push({ actions: ["s3:ListBucket"], resourceArns: [blobs.bucketArn] });
  }
  if (access.sends) {
    permissions.push(
      { actions: ["sqs:SendMessage"], resourceArns: [...queues.values()].map((queue) => queue.queueArn) },
      {
        actions: ["scheduler:CreateSchedule"],
        resourceArns: [timers.anyScheduleArn],
        wide: "Schedules are named by the messages that they send",
      },
      {
        actions: ["iam:PassRole"],
        resourceArns: [timers.role.roleArn],
        conditions: { StringEquals: { "iam:PassedToService": "scheduler.amazonaws.com" } },
      },
      { actions: ["sqs:SendMessage"], ...replies },
    );
  }
  if (access.waits === true) {
    permissions.push({
      actions: ["sqs:CreateQueue", "sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:DeleteQueue"],
      ...replies,
    });
    if (!access.table.includes("UpdateItem")) permissions.push(registerWaiters(table));
  }
  if (access.collects === true) {
    permissions.push(
      { actions: ["sqs:DeleteQueue"], ...replies },
      { actions: ["sqs:ListQueues"], resourceArns: ["*"], wide: "SQS lists the queues of the account or none" },
    );
  }
  return key === undefined ? permissions : [...permissions, useKey(key, "kms:Encrypt", "kms:DescribeKey")];
}

function replyQueues({ table, replyPrefix }: StackParts): Pick<Permission, "resourceArns" | "wide"> {
  return {
    resourceArns: [Stack.of(table).formatArn({ service: "sqs", resource: `${replyPrefix}*` })],
    wide: "Processes that wait for runs make a queue each",
  };
}

/** Whoever may only read writes nothing else: neither another field of a run nor anything that is no run. */
function registerWaiters(table: dynamodb.Table): Permission {
  return {
    actions: ["dynamodb:UpdateItem"],
    resourceArns: [table.tableArn],
    conditions: {
      "ForAllValues:StringLike": {
        "dynamodb:Attributes": waiterWrite.attributes,
        "dynamodb:LeadingKeys": [waiterWrite.partitions],
      },
      // Without it, a request that names no attributes would pass: all of none are allowed.
      Null: { "dynamodb:Attributes": "false", "dynamodb:LeadingKeys": "false" },
    },
  };
}

/**
 * For whoever reads and sends what is encrypted with the customer's key.
 *
 * @param more what DynamoDB asks for of those who use the table
 */
export function useKey(key: kms.IKey, ...more: readonly string[]): Permission {
  return { actions: ["kms:Decrypt", "kms:GenerateDataKey", ...more], resourceArns: [key.keyArn] };
}

/** For a function that Lambda feeds from a queue. */
export function consume(queue: sqs.IQueue, ...more: readonly string[]): Permission {
  return {
    actions: ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes", ...more],
    resourceArns: [queue.queueArn],
  };
}

export function permit(grantee: iam.IGrantable, permissions: readonly Permission[]): iam.Grant {
  return permissions
    .map(({ wide, ...permission }) => {
      if (wide !== undefined) explain(grantee, permission.resourceArns, wide);
      return iam.Grant.addToPrincipal({ grantee, ...permission });
    })
    .reduce((all, grant) => all.combine(grant));
}

/** For the checks of cdk-nag, which ask for a reason for each wildcard. */
function explain({ grantPrincipal }: iam.IGrantable, resourceArns: readonly string[], reason: string): void {
  if (!Construct.isConstruct(grantPrincipal)) return;
  for (const arn of resourceArns) {
    const id = `AwsSolutions-IAM5[Resource::${asWritten(Stack.of(grantPrincipal).resolve(arn))}]`;
    Validations.of(grantPrincipal).acknowledge({ id, reason });
  }
}

/** An ARN in the way in which cdk-nag names it: `<Ref>`, `<Resource.Attribute>`. */
function asWritten(value: unknown): string {
  if (typeof value === "string") return value;
  const {
    Ref: ref,
    "Fn::GetAtt": attribute,
    "Fn::Join": join,
  } = value as {
    readonly Ref?: string;
    readonly "Fn::GetAtt"?: readonly string[];
    readonly "Fn::Join"?: readonly [string, readonly unknown[]];
  };
  if (join !== undefined) return join[1].map(asWritten).join(join[0]);
  return `<${ref ?? attribute?.join(".") ?? ""}>`;
}
