// From a request as it goes over the wire to what IAM asks of its sender.
import type { IncomingHttpHeaders } from "node:http";
import * as z from "zod";

/** One thing that a caller must be allowed. */
export interface Permission {
  /** `service:Action` */
  readonly action: string;
  /** ARN */
  readonly resource: string;
  /** Context keys that AWS sets for it. */
  readonly context?: Readonly<Record<string, string>>;
  /** ARN of the role that must be allowed it. @default the caller's */
  readonly role?: string;
}

export interface AwsRequest {
  readonly method: string;
  /** Path and query. */
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  /** Of the answer. */
  readonly status: number;
}

export const region = "us-east-1";
export const account = "000000000000";

/** The parts of a request's body that name resources. */
interface Body {
  readonly TableName?: string;
  readonly IndexName?: string;
  readonly RequestItems?: object;
  readonly TransactItems?: readonly Readonly<Record<string, { readonly TableName?: string }>>[];
  readonly QueueUrl?: string;
  /** Of a queue that is to be made. */
  readonly QueueName?: string;
  readonly Entries?: readonly { readonly EventBusName?: string }[];
}

/** @returns `undefined` for a request that it does not know */
export function permissionsOf(request: AwsRequest): readonly Permission[] | undefined {
  const target = request.headers["x-amz-target"];
  if (typeof target === "string") {
    const [api = "", action = ""] = target.split(".");
    const body = JSON.parse(request.body.toString()) as Body;
    if (api.startsWith("DynamoDB_")) return ofTable(action, body);
    if (api === "AmazonSQS") return ofQueue(action, body);
    if (api === "AWSEvents" && action === "PutEvents") return ofBus(body);
    return undefined;
  }
  if (request.url.startsWith("/schedules/")) return ofSchedule(request);
  return ofBlob(request);
}

function ofTable(action: string, body: Body): readonly Permission[] | undefined {
  const table = (name = ""): string => `arn:aws:dynamodb:${region}:${account}:table/${name}`;
  if (action === "BatchGetItem" || action === "BatchWriteItem") {
    return Object.keys(body.RequestItems ?? {}).map((name) => ({
      action: `dynamodb:${action}`,
      resource: table(name),
    }));
  }
  if (action === "TransactWriteItems") return ofTransaction(body, table);
  if (!["GetItem", "PutItem", "UpdateItem", "DeleteItem", "Query", "Scan", "DescribeTable"].includes(action))
    return undefined;
  const index = body.IndexName === undefined ? "" : `/index/${body.IndexName}`;
  return [{ action: `dynamodb:${action}`, resource: `${table(body.TableName)}${index}` }];
}

const transactionActions = { Put: "PutItem", Update: "UpdateItem", Delete: "DeleteItem" } as const;

/** A transaction is allowed by what allows its parts. */
function ofTransaction(
  { TransactItems: parts = [] }: Body,
  table: (name: string | undefined) => string,
): readonly Permission[] | undefined {
  const kinds = Object.keys(transactionActions) as (keyof typeof transactionActions)[];
  const permissions = parts.map((part) => {
    const kind = kinds.find((one) => part[one] !== undefined);
    return kind && { action: `dynamodb:${transactionActions[kind]}`, resource: table(part[kind]?.TableName) };
  });
  const known = permissions.filter((one) => one !== undefined);
  return known.length < permissions.length ? undefined : known;
}

function ofQueue(action: string, body: Body): readonly Permission[] {
  // SQS knows no narrower permission to list.
  if (action === "ListQueues") return [{ action: "sqs:ListQueues", resource: "*" }];
  const name = body.QueueName ?? new URL(body.QueueUrl ?? "").pathname.split("/").at(-1);
  // A batch is allowed by what allows its entries.
  return [{ action: `sqs:${action.replace(/Batch$/, "")}`, resource: `arn:aws:sqs:${region}:${account}:${name}` }];
}

function ofBus(body: Body): readonly Permission[] {
  const arns = (body.Entries ?? []).map(({ EventBusName: bus = "default" }) =>
    bus.startsWith("arn:") ? bus : `arn:aws:events:${region}:${account}:event-bus/${bus}`,
  );
  return [...new Set(arns)].map((resource) => ({ action: "events:PutEvents", resource }));
}

const Schedule = z.object({
  GroupName: z.string(),
  Target: z.object({ Arn: z.string(), RoleArn: z.string() }),
});

/** Whoever has another service act in a role must be allowed to hand that role on, and the role to do what is asked. */
function ofSchedule({ method, url, body }: AwsRequest): readonly Permission[] | undefined {
  if (method !== "POST") return undefined;
  const { GroupName: group, Target: target } = Schedule.parse(JSON.parse(body.toString()));
  const name = decodeURIComponent(new URL(url, "http://aws").pathname.slice("/schedules/".length));
  return [
    {
      action: "scheduler:CreateSchedule",
      resource: `arn:aws:scheduler:${region}:${account}:schedule/${group}/${name}`,
    },
    {
      action: "iam:PassRole",
      resource: target.RoleArn,
      context: { "iam:PassedToService": "scheduler.amazonaws.com" },
    },
    { action: "sqs:SendMessage", resource: target.Arn, role: target.RoleArn },
  ];
}

const blobActions: Readonly<Record<string, string>> = { GET: "GetObject", HEAD: "GetObject", PUT: "PutObject" };

/** Buckets are in the path: an endpoint that is no AWS has no host name for each. */
function ofBlob({ method, url, status, body }: AwsRequest): readonly Permission[] | undefined {
  const { pathname, searchParams: query } = new URL(url, "http://aws");
  const [bucket = "", ...parts] = decodeURIComponent(pathname.slice(1)).split("/");
  const key = parts.join("/");
  const listing = { action: "s3:ListBucket", resource: `arn:aws:s3:::${bucket}` };
  const on = (action: string, object: string) => ({
    action: `s3:${action}`,
    resource: `arn:aws:s3:::${bucket}/${object}`,
  });
  if (key === "") {
    if (method === "GET" && query.has("list-type")) return [listing];
    if (method !== "POST" || !query.has("delete")) return undefined;
    return [...body.toString().matchAll(/<Key>([^<]*)<\/Key>/g)].map(([, object = ""]) => on("DeleteObject", object));
  }
  const action = blobActions[method];
  if (action === undefined) return undefined;
  // Whoever may not list a bucket is not told that an object is missing, but refused.
  return action === "GetObject" && status === 404 ? [on(action, key), listing] : [on(action, key)];
}
