/**
 * What the functions of a stack are told by their environment. The constructs write it, the functions and the client
 * read it, and the names stand here only.
 */
import * as z from "zod/mini";
import { check } from "../runtime/small-schema.ts";

export const environmentNames = {
  /** Name of the table. */
  table: "PAWL_TABLE",
  /** Bucket of payloads above `limits.itemPayloadBytes`. */
  blobs: "PAWL_BLOBS",
  /** Queues by task queue, as JSON: see `QueueAddress`. */
  queues: "PAWL_QUEUES",
  /** Group of the one-time schedules that wait longer than SQS can. */
  scheduleGroup: "PAWL_SCHEDULE_GROUP",
  /** ARN of the role that EventBridge Scheduler assumes to send a message. */
  scheduleRole: "PAWL_SCHEDULE_ROLE",
  /** What the names of reply queues begin with. */
  replies: "PAWL_REPLIES",
  /** ARN of the customer's key that reply queues are encrypted with, if there is one. */
  repliesKey: "PAWL_REPLIES_KEY",
  /** Name of the stack in metrics: their dimension `stack`. */
  stack: "PAWL_STACK",
  /** The task queue that a worker takes its messages from. */
  taskQueue: "PAWL_TASK_QUEUE",
  /** URL of the queue that a worker puts messages on which cannot be handled, ever. */
  deadLetterQueue: "PAWL_DEAD_LETTER_QUEUE",
  /** URL of the queue that keeps dead letters for people to look at. */
  archive: "PAWL_ARCHIVE",
  /** Name or ARN of the bus that lifecycle events are published on. */
  eventBus: "PAWL_EVENT_BUS",
} as const;

/** How the description of the output begins that tells where a stack's HTTP API is; its construct's path there follows. */
export const urlDescriptionPrefix = "HTTP API of Pawl ";

const QueueAddress = z.strictObject({ url: z.url(), arn: z.string().check(z.startsWith("arn:")) });

/** Where a task queue's messages are sent to: by us (URL), and by EventBridge Scheduler (ARN). */
export type QueueAddress = z.output<typeof QueueAddress>;

/** How the queues are named and made at which processes wait for runs: see `reply-queues.ts`. */
export interface ReplyAddress {
  readonly prefix: string;
  /** ARN of the customer's key that they are encrypted with. @default SQS's own */
  readonly key?: string;
}

/** Everything that the adapters need to know of a deployed stack. */
export interface StackAddress {
  readonly table: string;
  readonly blobs: string;
  readonly queues: Readonly<Record<string, QueueAddress>>;
  readonly scheduleGroup: string;
  readonly scheduleRole: string;
  readonly replies: ReplyAddress;
}

type Environment = Readonly<Record<string, string | undefined>>;

const Queues = z.record(z.string(), QueueAddress);

/** @throws {Error} naming every variable that is missing or malformed */
export function readStackAddress(environment: Environment): StackAddress {
  const faults: string[] = [];
  const text = (name: string): string => {
    const value = environment[name];
    if (value === undefined || value === "") faults.push(`${name} is not set`);
    return value ?? "";
  };
  const queues = (): StackAddress["queues"] => {
    const json = text(environmentNames.queues);
    if (json === "") return {};
    let value: unknown;
    try {
      value = JSON.parse(json);
    } catch {
      faults.push(`${environmentNames.queues}: is not JSON`);
      return {};
    }
    const parsed = check(Queues, value);
    if (parsed.success) return parsed.data;
    for (const { path, message } of parsed.error.issues) {
      faults.push(`${environmentNames.queues}${path.map((key) => `.${String(key)}`).join("")}: ${message}`);
    }
    return {};
  };
  const address = {
    table: text(environmentNames.table),
    blobs: text(environmentNames.blobs),
    queues: queues(),
    scheduleGroup: text(environmentNames.scheduleGroup),
    scheduleRole: text(environmentNames.scheduleRole),
    replies: readReplies(text(environmentNames.replies), environment[environmentNames.repliesKey]),
  };
  if (faults.length > 0) {
    throw new Error(
      `The environment does not name a Pawl stack: ${faults.join("; ")}. The constructs of pawl/cdk set these variables on their functions, and on yours with grantStart() and its like.`,
    );
  }
  return address;
}

function readReplies(prefix: string, key: string | undefined): ReplyAddress {
  return { prefix, ...(key === undefined || key === "" ? {} : { key }) };
}

/** One of the names beside the stack's address, which only some functions are told. @throws {Error} when it is missing */
export function readName(
  environment: Environment,
  name: Exclude<keyof typeof environmentNames, keyof StackAddress | "repliesKey">,
): string {
  const value = environment[environmentNames[name]];
  if (value !== undefined && value !== "") return value;
  throw new Error(
    `${environmentNames[name]} is not set. The constructs of pawl/cdk set it on the functions that need it; give this handler to the function it is made for.`,
  );
}

/** The inverse of `readStackAddress`. Values may be tokens of the CDK. */
export function writeStackAddress(address: StackAddress): Record<string, string> {
  return {
    [environmentNames.table]: address.table,
    [environmentNames.blobs]: address.blobs,
    [environmentNames.queues]: JSON.stringify(address.queues),
    [environmentNames.scheduleGroup]: address.scheduleGroup,
    [environmentNames.scheduleRole]: address.scheduleRole,
    [environmentNames.replies]: address.replies.prefix,
    ...(address.replies.key === undefined ? {} : { [environmentNames.repliesKey]: address.replies.key }),
  };
}
