/** Commands without HTTP: what a function is invoked with directly, by other functions, rules and schedules. */
import * as z from "zod";
import type { Commands } from "../runtime/commands.ts";
import { PawlError } from "../runtime/errors.ts";

const runId = z.string();
const byHand = { by: z.exactOptional(z.string()), reason: z.exactOptional(z.string()) };

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
  z.strictObject({ action: z.enum(["pause", "resume", "cancel", "terminate"]), runId }),
  z.strictObject({
    action: z.literal("redrive"),
    runId,
    set: z.exactOptional(z.record(z.string(), z.unknown())),
    skip: z.exactOptional(z.array(z.string())),
    ...byHand,
  }),
]);

export type DirectCommand = z.input<typeof DirectCommand>;

/**
 * Does what is asked, and answers what HTTP would have as its body.
 *
 * @throws {PawlError} invalid_request for what is no command, or what the command throws
 */
export async function performDirectCommand(commands: Commands, given: unknown): Promise<unknown> {
  const parsed = DirectCommand.safeParse(given);
  if (!parsed.success) {
    const { issues } = parsed.error;
    const message = `The event is no command of Pawl. Send { "action": "start", "workflow": …, "input": … }, or one of the other actions: get, signal, pause, resume, cancel, terminate, redrive. ${z.prettifyError(parsed.error)}`;
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
    case "redrive": {
      const { action: _, runId: redriven, ...request } = command;
      return commands.redrive(redriven, request);
    }
  }
}
