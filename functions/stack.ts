/** What the functions of a stack have in common. Nothing is read or made before it is asked for. */
import process from "node:process";
import { type Connection, connect } from "../lib/aws/connect.ts";
import { readName, readStackAddress, type StackAddress } from "../lib/aws/environment.ts";
import type { Workflow } from "../lib/definition/workflow.ts";
import type { TaskQueueOptions } from "../lib/runtime/task-queues.ts";
import type { WebhookOptions } from "../lib/system/webhooks.ts";
import { type FunctionLogger, functionLogger } from "./logger.ts";
import { once } from "./once.ts";

/** What a user says of the stack. */
export interface StackOptions {
  readonly workflows: readonly Workflow[];
  readonly taskQueues: Readonly<Record<string, TaskQueueOptions>>;
  readonly webhooks: readonly WebhookOptions[];
}

/** Each function that is missing a variable says so. */
export interface Stack extends StackOptions {
  readonly name: (of: Parameters<typeof readName>[1]) => string;
  readonly logger: () => FunctionLogger;
  readonly address: () => StackAddress;
  readonly connection: () => Connection;
}

export function stackOf(options: StackOptions): Stack {
  const name: Stack["name"] = (of) => readName(process.env, of);
  const logger = once(() => functionLogger(name("stack")));
  const address = once(() => readStackAddress(process.env));
  const connection = once(() => {
    const log = logger();
    return connect(address(), log);
  });
  return { ...options, name, logger, address, connection };
}
