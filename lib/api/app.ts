/**
 * The HTTP API: one app for Lambda and for the local server. It knows commands, not stores; what is specific to a host
 * (listening, client disconnects, shutdown) comes in as options or with the request.
 */
import { OpenAPIHono } from "@hono/zod-openapi";
import { limits } from "../definition/limits.ts";
import type { Commands } from "../runtime/commands.ts";
import type { Operations } from "../runtime/operations.ts";
import type { Logger } from "../runtime/ports.ts";
import type { Queries } from "../runtime/queries.ts";
import type { RunView } from "../runtime/run-view.ts";
import { withoutToken } from "../runtime/task-token.ts";
import { answerError } from "./answer-error.ts";
import { ApiError, answerHeaders } from "./api-error.ts";
import { addCallbackRoutes } from "./callback-routes.ts";
import { addCostRoute, type CostOf } from "./cost-route.ts";
import { addFindingRoutes } from "./finding-routes.ts";
import { addIndexRoutes, refuseOtherMethods } from "./index-routes.ts";
import { addOperationRoutes } from "./operation-routes.ts";
import { addPayloadRoutes } from "./payload-routes.ts";
import { addRunRoutes } from "./run-routes.ts";
import { addWorkflowRoutes } from "./workflow-routes.ts";

export interface ApiOptions {
  readonly commands: Commands;
  readonly queries: Queries;
  readonly operations: Operations;
  /** The run when it has ended; as it is when the time is over or the signal is aborted. Must not poll. */
  readonly waitForEnd: (
    runId: string,
    options: { readonly timeoutMs: number; readonly signal: AbortSignal },
  ) => Promise<RunView>;
  /** A secret that is kept with the runs: whoever serves them must know the cursors that another has handed out. */
  readonly cursorKey: () => Promise<string>;
  /** What AWS would bill for the run; `undefined` when that was not counted. @default nobody counts */
  readonly costOf?: CostOf;
  /** Told of unexpected errors, with the id that the caller was given. */
  readonly logger: Logger;
  /** Aborted when the server stops: waits end, and new requests are answered with `unavailable`. @default never */
  readonly stopping?: AbortSignal;
}

export type Api = OpenAPIHono;

/** @example `const response = await createApi({ commands, queries, operations, waitForEnd, cursorKey, logger }).fetch(request)` */
export function createApi(options: ApiOptions): Api {
  const { commands, queries, operations, cursorKey, logger } = options;
  const { stopping = new AbortController().signal } = options;
  const app = new OpenAPIHono();
  app.onError((error, c) => answerError(error, c, { logger, stopping }));
  app.notFound((c) => {
    const message = `There is no route ${c.req.method.slice(0, 50)} ${withoutToken(c.req.path).slice(0, 200)}. GET / lists the routes, GET /openapi.json describes them.`;
    return answerError(new ApiError("route_not_found", message), c, { logger, stopping });
  });
  app.use(async (c, next) => {
    await next();
    for (const [name, value] of Object.entries(answerHeaders)) c.res.headers.set(name, value);
  });
  app.use(async (c, next) => {
    if (stopping.aborted) throw new ApiError("unavailable", "The server is stopping. Try again when it is back.");
    assertUrl(c.req.url);
    try {
      await next();
    } catch (thrown) {
      // Hono handles errors only; a workflow's schema may throw anything.
      throw thrown instanceof Error ? thrown : new Error("A value that is no error was thrown", { cause: thrown });
    }
  });
  addRunRoutes(app, { ...options, stopping });
  addFindingRoutes(app, queries, cursorKey);
  addOperationRoutes(app, operations);
  addPayloadRoutes(app, commands);
  addCostRoute(app, options);
  addCallbackRoutes(app, commands);
  addWorkflowRoutes(app, commands);
  addIndexRoutes(app);
  refuseOtherMethods(app);
  return app;
}

/** @throws {ApiError} url_too_long, invalid_request */
function assertUrl(url: string): void {
  if (url.length > limits.urlLength) {
    const message = `The URL has ${url.length} characters; at most ${limits.urlLength} are allowed. Send what is long in a body.`;
    throw new ApiError("url_too_long", message, { details: { maxLength: limits.urlLength } });
  }
  try {
    decodeURIComponent(url);
  } catch {
    throw new ApiError("invalid_request", "The URL has a % that encodes no UTF-8 text. Write a percent sign as %25.");
  }
}
