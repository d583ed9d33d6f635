/** Serves the HTTP API, and takes commands from whoever may invoke the function. */
import { randomUUID } from "node:crypto";
import type { Context } from "aws-lambda";
import { ApiError, errorResponse } from "../lib/api/api-error.ts";
import type { Api } from "../lib/api/app.ts";
import { performDirectCommand } from "../lib/api/direct-command.ts";
import { limits } from "../lib/definition/limits.ts";
import { isTerminal } from "../lib/engine/run-state.ts";
import type { Commands } from "../lib/runtime/commands.ts";
import type { Completions } from "../lib/runtime/completion.ts";
import { PawlError } from "../lib/runtime/errors.ts";
import type { Operations } from "../lib/runtime/operations.ts";
import type { Queries } from "../lib/runtime/queries.ts";
import { type HttpEvent, parseHttpEvent, requestOf, resultOf } from "./http-event.ts";
import type { FunctionLogger } from "./logger.ts";
import { once } from "./once.ts";

export interface ApiParts {
  readonly commands: Commands;
  readonly queries: Queries;
  readonly operations: Operations;
  /** For one request that waits: no other needs the code. */
  readonly loadCompletions: () => Promise<Pick<Completions, "waitForEnd" | "close">>;
  readonly cursorKey: () => Promise<string>;
  readonly logger: FunctionLogger;
}

export type ApiHandler = (event: unknown, context: Context) => Promise<unknown>;

export function apiHandler(parts: () => ApiParts): ApiHandler {
  // One environment serves one request at a time.
  let endsAtMs = 0;
  const app = once(async () => {
    const { commands, queries, operations, loadCompletions, cursorKey, logger } = parts();
    const { createApi } = await import("../lib/api/app.ts");
    return createApi({
      commands,
      queries,
      operations,
      cursorKey,
      logger,
      waitForEnd: async (runId, { timeoutMs, signal }) => {
        const run = await commands.get(runId);
        const leftMs = endsAtMs - Date.now() - limits.farewellMs;
        // Nobody makes a queue to wait at for nothing.
        if (isTerminal(run.status) || leftMs <= 0) return run;
        const completions = await loadCompletions();
        try {
          return await completions.waitForEnd(runId, { timeoutMs: Math.min(timeoutMs, leftMs), signal });
        } finally {
          // Nobody tells a function that it will not be asked again, and its reply queue would outlive the stack.
          await completions.close().catch((error: unknown) => {
            logger.warn("a reply queue could not be removed; an audit of the stack does so in a day", { error });
          });
        }
      },
    });
  });
  return async (event, context) => {
    const { logger, ...others } = parts();
    logger.begin(context);
    endsAtMs = Date.now() + context.getRemainingTimeInMillis();
    const http = parseHttpEvent(event);
    if (http !== undefined) return resultOf(await answerHttp(await app(), http));
    try {
      return await performDirectCommand(others, event);
    } catch (error) {
      throw forCaller(error, logger);
    }
  };
}

/** The standard has requests that it makes no `Request` of: of a method like TRACE, or with impossible header fields. */
async function answerHttp(app: Api, event: HttpEvent): Promise<Response> {
  let request: Request;
  try {
    request = requestOf(event);
  } catch {
    return errorResponse(new ApiError("invalid_request", "The request is not valid HTTP for this API."));
  }
  return app.fetch(request);
}

/**
 * What the caller is told: Lambda passes on `name` and message. Retries and on-failure destinations of asynchronous
 * invocations see the same.
 */
function forCaller(error: unknown, logger: FunctionLogger): Error {
  if (error instanceof PawlError) return new CommandError(error.code, error.message);
  const id = randomUUID();
  logger.error("a command failed unexpectedly", { id, error });
  return new CommandError(
    "internal_error",
    `Something unexpected went wrong. The function's log has the cause under the id ${id}.`,
  );
}

class CommandError extends Error {
  override readonly name: string;

  constructor(code: string, message: string) {
    super(message);
    this.name = code;
    // Lambda sends it along, and callers are not told how we are made.
    this.stack = `${code}: ${message}`;
  }
}
