/** Commands without HTTP: what a function is invoked with directly, by other functions, rules and schedules. */
import * as z from "zod";
import { runStatuses } from "../engine/run-state.ts";
import type { Commands } from "../runtime/commands.ts";
import { PawlError } from "../runtime/errors.ts";
import { type Operations, operationActions } from "../runtime/operations.ts";
import type { Queries } from "../runtime/queries.ts";
import { assertNoHiddenKey } from "./hidden-key.ts";

const runId = z.string();
const byHand = { by: z.exactOptional(z.string()), reason: z.exactOptional(z.string()) };

const runStatus = z.enum(runStatuses);
const criteria = {
  workflow: z.exactOptional(z.string()),
  status: z.exactOptional(z.union([runStatus, z.array(runStatus)])),
  from: z.exactOptional(z.string()),
  to: z.exactOptional(z.string()),
  tag: z.exactOptional(z.strictObject({ key: z.string(), value: z.string() })),
  parent: z.exactOptional(z.string()),
  fingerprint: z.exactOptional(z.string()),
};

const operationRequest = z.strictObject({
  action: z.enum(operationActions),
  filter: z.strictObject(criteria),
  signal: z.exactOptional(z.strictObject({ name: z.string(), payload: z.exactOptional(z.unknown()) })),
  dryRun: z.exactOptional(z.boolean()),
  ratePerSecond: z.exactOptional(z.number()),
  limit: z.exactOptional(z.number()),
  operationId: z.exactOptional(z.string()),
});

const DirectCommand = z.discriminatedUnion("action", [
  z.strictObject({
    action: z.literal("start"),
    workflow: z.string(),
    input: z.exactOptional(z.unknown()),
    runId: z.exactOptional(runId),
    tags: z.exactOptional(z.record(z.string(), z.string())),
    startAt: z.exactOptional(z.string()),
  }),
  z.strictObject({ action: z.literal("get"), runId }),
  z.strictObject({ action: z.literal("signal"), runId, name: z.string(), payload: z.exactOptional(z.unknown()) }),
  z.strictObject({ action: z.enum(["pause", "resume", "cancel", "terminate", "purge"]), runId }),
  z.strictObject({
    action: z.literal("redrive"),
    runId,
    set: z.exactOptional(z.record(z.string(), z.unknown())),
    skip: z.exactOptional(z.array(z.string())),
    ...byHand,
  }),
  z.strictObject({
    action: z.literal("list"),
    ...criteria,
    limit: z.exactOptional(z.number()),
    // Those of HTTP are signed, and others than these.
    cursor: z.exactOptional(z.string()),
  }),
  z.strictObject({ action: z.literal("failures"), workflow: z.exactOptional(z.string()) }),
  z.strictObject({
    action: z.literal("stats"),
    workflow: z.exactOptional(z.string()),
    days: z.exactOptional(z.number()),
  }),
  z.strictObject({ action: z.literal("beginOperation"), operation: operationRequest }),
  z.strictObject({ action: z.enum(["getOperation", "abortOperation"]), operationId: z.string() }),
]);

export type DirectCommand = z.input<typeof DirectCommand>;

/** Whom they are passed on to. */
export interface DirectParts {
  readonly commands: Commands;
  readonly queries: Queries;
  readonly operations: Operations;
}

const others = DirectCommand.options
  .flatMap(({ shape: { action } }): string[] => (action instanceof z.ZodEnum ? action.options : [...action.values]))
  .filter((action) => action !== "start");

/**
 * Does what is asked, and answers what HTTP would have as its body.
 *
 * @throws {PawlError} invalid_request for what is no command, or what the command throws
 */
export async function performDirectCommand(
  { commands, queries, operations }: DirectParts,
  given: unknown,
): Promise<unknown> {
  assertNoHiddenKey(given, "The event");
  const parsed = DirectCommand.safeParse(given);
  if (!parsed.success) {
    const { issues } = parsed.error;
    const message = `The event is no command of Pawl. Send { "action": "start", "workflow": …, "input": … }, or one of the other actions: ${others.join(", ")}. ${z.prettifyError(parsed.error)}`;
    throw new PawlError("invalid_request", message, { issues });
  }
  const command = parsed.data;
  switch (command.action) {
    case "start": {
      const { action: _, workflow, ...request } = command;
      const { created, ...started } = await commands.start(workflow, request);
      return created ? started : commands.get(started.runId);
    }
    case "get":
      return commands.get(command.runId);
    case "signal":
      return commands.signal(command.runId, command.name, command.payload);
    case "pause":
    case "resume":
    case "cancel":
    case "terminate":
      return commands[command.action](command.runId);
    case "purge":
      await commands.purge(command.runId);
      return { runId: command.runId };
    case "redrive": {
      const { action: _, runId: redriven, ...request } = command;
      return commands.redrive(redriven, request);
    }
    case "list": {
      const { action: _, ...request } = command;
      return queries.list(request);
    }
    case "failures": {
      const { action: _, ...request } = command;
      return { failures: await queries.failures(request) };
    }
    case "stats": {
      const { action: _, ...request } = command;
      return queries.stats(request);
    }
    case "beginOperation":
      return operations.begin(command.operation);
    case "getOperation":
      return operations.get(command.operationId);
    case "abortOperation":
      return operations.abort(command.operationId);
  }
}
