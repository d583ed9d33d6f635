/** Starts runs and changes them from anywhere, with AWS credentials: straight on the table and the queues of a stack. */
import process from "node:process";
import { connect } from "../aws/connect.ts";
import { readStackAddress, type StackAddress } from "../aws/environment.ts";
import type { Workflow } from "../definition/workflow.ts";
import { type Commands, createCommands, type StartArguments, type Started } from "../runtime/commands.ts";
import type { Logger } from "../runtime/ports.ts";

export type { StackAddress } from "../aws/environment.ts";
export { PawlError, type PawlErrorCode } from "../runtime/errors.ts";

export interface ClientOptions {
  /** The workflows that it may start, signal and redrive: inputs and payloads are checked before anything is sent. */
  readonly workflows: readonly Workflow[];
  /** Where the stack is. @default what the environment names, as set by `grantStart()` and its like of pawl/cdk */
  readonly stack?: StackAddress;
  /** @default nothing is logged: what goes wrong is thrown */
  readonly logger?: Logger;
}

export interface Client extends Omit<Commands, "start"> {
  /** Starts a run with an input of the workflow's type. @throws {PawlError} see `Commands.start` */
  start<Input>(workflow: Workflow<string, Input>, ...request: StartArguments<Input>): Promise<Started>;
}

/**
 * A client makes its connections once: keep it for the life of the process. Calls that fail for reasons of AWS throw the
 * errors of its SDK, after a few tries; each can be repeated.
 *
 * @example
 * ```ts
 * import { createClient } from "pawl/client";
 * import { order } from "./order.ts";
 *
 * const pawl = createClient({ workflows: [order] });
 * const { runId } = await pawl.start(order, { input: { orderId: "A-1" }, runId: "order-A-1" });
 * ```
 * @throws {Error} when neither the options nor the environment name a stack
 */
export function createClient({ workflows, stack, logger = silent }: ClientOptions): Client {
  const { ports } = connect(stack ?? readStackAddress(process.env), logger);
  const commands = createCommands({ workflows, ports });
  return {
    start: (workflow, ...[request]) => commands.start(workflow.name, request),
    get: (runId) => commands.get(runId),
    input: (runId) => commands.input(runId),
    output: (runId, stepId) => commands.output(runId, stepId),
    cancel: (runId) => commands.cancel(runId),
    pause: (runId) => commands.pause(runId),
    resume: (runId) => commands.resume(runId),
    terminate: (runId) => commands.terminate(runId),
    redrive: (runId, request) => commands.redrive(runId, request),
    purge: (runId) => commands.purge(runId),
    fork: (runId, request) => commands.fork(runId, request),
    signal: (runId, name, payload) => commands.signal(runId, name, payload),
    answer: (runId, interruptId, answer) => commands.answer(runId, interruptId, answer),
    callbacks: commands.callbacks,
    workflows: () => commands.workflows(),
  };
}

const silent: Logger = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };
