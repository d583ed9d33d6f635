/** The handler of a stack's API, with all that it needs. Loaded when it is asked for. */
import { createCommands } from "../lib/runtime/commands.ts";
import type { Completions } from "../lib/runtime/completion.ts";
import { createQueries } from "../lib/runtime/queries.ts";
import { type ApiHandler, apiHandler } from "./api.ts";
import { once } from "./once.ts";
import type { Stack } from "./stack.ts";
import { systemOf } from "./upkeep.ts";

export function createApiOf(stack: Stack): ApiHandler {
  const { workflows, connection } = stack;
  return apiHandler(
    once(() => {
      const logger = stack.logger();
      const { ports, runIndex, createReplyQueue, cursorKey } = connection();
      const commands = createCommands({ workflows, ports });
      const loadCompletions = async (): Promise<Completions> => {
        const { createCompletions } = await import("../lib/runtime/completion.ts");
        return createCompletions({ ports, commands, createReplyQueue });
      };
      return {
        commands,
        queries: createQueries({ index: runIndex, clock: ports.clock, logger }),
        operations: systemOf(stack).operations,
        loadCompletions,
        cursorKey,
        logger,
      };
    }),
  );
}
