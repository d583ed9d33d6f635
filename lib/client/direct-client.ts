/** The client with AWS credentials, straight on the table and the queues of a stack. */
import process from "node:process";
import { connect } from "../aws/connect.ts";
import { readStackAddress, type StackAddress } from "../aws/environment.ts";
import type { Workflow } from "../definition/workflow.ts";
import { createCommands } from "../runtime/commands.ts";
import { createCompletions } from "../runtime/completion.ts";
import type { Logger } from "../runtime/ports.ts";
import { createQueries } from "../runtime/queries.ts";
import { createSystem } from "../system/system.ts";
import { type Client, outputOf } from "./client.ts";

export interface ClientOptions {
  /** The workflows that it may start, signal and redrive: inputs and payloads are checked before anything is sent. */
  readonly workflows: readonly Workflow[];
  /** Where the stack is. @default what the environment names, as set by `grantStart()` and its like of pawl/cdk */
  readonly stack?: StackAddress;
  /** @default nothing is logged: what goes wrong is thrown */
  readonly logger?: Logger;
}

/**
 * A client makes its connections once: keep it for the life of the process, and close it when it has waited for runs. Calls
 * that fail for reasons of AWS throw the errors of its SDK, after a few tries; each can be repeated.
 *
 * @example
 * ```ts
 * import { createClient } from "pawl/client";
 * import { order } from "./order.ts";
 *
 * const pawl = createClient({ workflows: [order] });
 * const { runId } = await pawl.start(order, { input: { orderId: "A-1" }, runId: "order-A-1" });
 * const shipped = await pawl.result(order, runId, { timeout: "10m" });
 * ```
 * @throws {Error} when neither the options nor the environment name a stack
 */
export function createClient({ workflows, stack, logger = silent }: ClientOptions): Client {
  const connection = connect(stack ?? readStackAddress(process.env), logger);
  const { ports, runIndex, createReplyQueue } = connection;
  const commands = createCommands({ workflows, ports });
  const queries = createQueries({ index: runIndex, clock: ports.clock, logger });
  const { operations } = createSystem({ workflows, ports, index: runIndex });
  const completions = createCompletions({ ports, commands, createReplyQueue });
  const client: Client = {
    start: (workflow: Workflow | string, request?: Parameters<typeof commands.start>[1]) =>
      commands.start(typeof workflow === "string" ? workflow : workflow.name, request),
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
    list: (request) => queries.list(request),
    stats: (request) => queries.stats(request),
    failures: (request) => queries.failures(request),
    operations,
    waitForCompletion: (runId, options) => completions.waitForCompletion(runId, options),
    result: async (workflow, runId, options) => {
      const run = await completions.waitForCompletion(runId, options);
      return (await outputOf(workflow, run, (id) => commands.output(id))) as never;
    },
    close: () => completions.close(),
    [Symbol.asyncDispose]: () => completions.close(),
  };
  return client;
}

const silent: Logger = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };
