/**
 * Who may do what: each function of the stack, and each grant, does exactly the calls that are listed here.
 * `test/cdk/access.test.ts` holds them against the synthesised policies.
 */
import type * as dynamodb from "aws-cdk-lib/aws-dynamodb";
import * as iam from "aws-cdk-lib/aws-iam";
import type * as kms from "aws-cdk-lib/aws-kms";
import type * as s3 from "aws-cdk-lib/aws-s3";
import type * as sqs from "aws-cdk-lib/aws-sqs";
import { statusIndexName } from "./storage.ts";
import type { Timers } from "./timers.ts";

export interface Access {
  readonly table: readonly ("GetItem" | "BatchGetItem" | "Query" | "PutItem" | "UpdateItem")[];
  /** Asks the index of open runs. */
  readonly index?: true;
  readonly blobs: readonly ("GetObject" | "PutObject")[];
  /** Sends messages to the task queues, later ones by schedules. */
  readonly sends: boolean;
}

const reads = ["GetItem", "BatchGetItem", "Query"] as const;
const writes = ["PutItem", "UpdateItem"] as const;
const everything: Access = { table: [...reads, ...writes], blobs: ["GetObject", "PutObject"], sends: true };

export const accessOf = {
  worker: everything,
  api: everything,
  deadLetters: { ...everything, table: ["GetItem", "BatchGetItem", ...writes] },
  audit: { ...everything, table: ["GetItem", "BatchGetItem", ...writes], index: true },
  /** Clients: `grantStart`, `grantRead` and so on. */
  start: { table: ["GetItem", "BatchGetItem", ...writes], blobs: ["PutObject"], sends: true },
  read: { table: reads, blobs: ["GetObject"], sends: false },
  signal: { table: [...reads, ...writes], blobs: ["PutObject"], sends: true },
  operate: everything,
  callback: { table: ["GetItem", "BatchGetItem", ...writes], blobs: ["PutObject"], sends: true },
} as const satisfies Record<string, Access>;

/** What there is in a stack to be accessed. */
export interface StackParts {
  readonly table: dynamodb.Table;
  readonly blobs: s3.Bucket;
  /** By task queue. */
  readonly queues: ReadonlyMap<string, sqs.IQueue>;
  readonly timers: Timers;
  readonly key: kms.IKey | undefined;
}

export interface Permission {
  readonly actions: string[];
  readonly resourceArns: string[];
  readonly conditions?: Record<string, Record<string, unknown>>;
}

/** One permission per kind of resource. */
export function permissionsFor(access: Access, parts: StackParts): readonly Permission[] {
  const { table, blobs, queues, timers, key } = parts;
  const permissions: Permission[] = [
    { actions: access.table.map((action) => `dynamodb:${action}`), resourceArns: [table.tableArn] },
  ];
  if (access.index === true) {
    permissions.push({ actions: ["dynamodb:Query"], resourceArns: [`${table.tableArn}/index/${statusIndexName}`] });
  }
  if (access.blobs.length > 0) {
    permissions.push({
      actions: access.blobs.map((action) => `s3:${action}`),
      resourceArns: [blobs.arnForObjects("*")],
    });
  }
  if (access.sends) {
    permissions.push(
      { actions: ["sqs:SendMessage"], resourceArns: [...queues.values()].map((queue) => queue.queueArn) },
      { actions: ["scheduler:CreateSchedule"], resourceArns: [timers.anyScheduleArn] },
      {
        actions: ["iam:PassRole"],
        resourceArns: [timers.role.roleArn],
        conditions: { StringEquals: { "iam:PassedToService": "scheduler.amazonaws.com" } },
      },
    );
  }
  return key === undefined ? permissions : [...permissions, useKey(key)];
}

/** For whoever reads and writes what is encrypted with the customer's key. */
export function useKey(key: kms.IKey): Permission {
  return {
    actions: ["kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey", "kms:DescribeKey"],
    resourceArns: [key.keyArn],
  };
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
    .map((permission) => iam.Grant.addToPrincipal({ grantee, ...permission }))
    .reduce((all, grant) => all.combine(grant));
}
