import { randomUUID } from "node:crypto";
import type { Context } from "hono";
import type { Logger } from "../runtime/ports.ts";
import { withoutToken } from "../runtime/task-token.ts";
import { ApiError, errorBody, statusOf, toApiError } from "./api-error.ts";

/** The answer to whatever a route threw. What is not meant for callers is logged under an id that they get. */
export function answerError(
  error: Error,
  c: Context,
  { logger, stopping }: { readonly logger: Logger; readonly stopping: AbortSignal },
): Response {
  const known = toApiError(error) ?? explainUnexpected(error, c, logger, stopping);
  // Whoever asks can do nothing about it; whoever runs the server must.
  if (known.code === "storage_failed") logger.error("a request failed because the storage did", { error });
  return c.json(errorBody(known), statusOf[known.code], known.headers);
}

function explainUnexpected(error: Error, c: Context, logger: Logger, stopping: AbortSignal): ApiError {
  const request = { method: c.req.method, path: withoutToken(c.req.path) };
  if (c.req.raw.signal.aborted) {
    logger.debug("the client went away before its request was answered", { ...request, error });
    return new ApiError("invalid_request", "The request was cut off.");
  }
  if (stopping.aborted) {
    // The store closes while the last requests are under way.
    logger.debug("a request failed because the server is stopping", { ...request, error });
    return new ApiError("unavailable", "The server is stopping. Try again when it is back.");
  }
  const id = randomUUID();
  logger.error("a request failed unexpectedly", { ...request, id, error });
  const message = `Something unexpected went wrong. The server's log has the cause under the id ${id}.`;
  return new ApiError("internal_error", message, { details: { id } });
}
