/**
 * The HTTP API: one app for Lambda and for the local server. It knows commands, not stores; what is specific to a host
 * (listening, client disconnects, shutdown) comes in as options or with the request.
 */
import { OpenAPIHono } from "@hono/zod-openapi";
import type { Commands } from "../runtime/commands.ts";
import type { Logger } from "../runtime/ports.ts";
import type { RunView } from "../runtime/run-view.ts";
import { answerError } from "./answer-error.ts";
import { ApiError } from "./api-error.ts";
import { addIndexRoutes, refuseOtherMethods } from "./index-routes.ts";
import { invalidRequest } from "./json-body.ts";
import { addPayloadRoutes } from "./payload-routes.ts";
import { addRunRoutes } from "./run-routes.ts";
import { addWorkflowRoutes } from "./workflow-routes.ts";

export interface ApiOptions {
  readonly commands: Commands;
  /** The run when it has ended; as it is when the time is over or the signal is aborted. Must not poll. */
  readonly waitForEnd: (
    runId: string,
    options: { readonly timeoutMs: number; readonly signal: AbortSignal },
  ) => Promise<RunView>;
  /** Told of unexpected errors, with the id that the caller was given. */
  readonly logger: Logger;
  /** Aborted when the server stops: waits end, and new requests are answered with `unavailable`. @default never */
  readonly stopping?: AbortSignal;
}

export type Api = OpenAPIHono;

/** @example `const response = await createApi({ commands, waitForEnd, logger }).fetch(request)` */
export function createApi(options: ApiOptions): Api {
  const { stopping = new AbortController().signal } = options;
  const app = new OpenAPIHono({
    defaultHook: (result, c) => {
      if (!result.success) throw invalidRequest(`${c.req.method} ${c.req.path}`, result.error.issues);
    },
  });
  app.onError((error, c) => answerError(error, c, { logger: options.logger, stopping }));
  app.notFound((c) => {
    const message = `There is no route ${c.req.method} ${c.req.path.slice(0, 200)}. GET / lists the routes, GET /openapi.json describes them.`;
    return answerError(new ApiError("route_not_found", message), c, { logger: options.logger, stopping });
  });
  app.use(async (_c, next) => {
    if (stopping.aborted) throw new ApiError("unavailable", "The server is stopping. Try again when it is back.");
    try {
      await next();
    } catch (thrown) {
      // Hono handles errors only; a workflow's schema may throw anything.
      throw thrown instanceof Error ? thrown : new Error("A value that is no error was thrown", { cause: thrown });
    }
  });
  addRunRoutes(app, { ...options, stopping });
  addPayloadRoutes(app, options.commands);
  addWorkflowRoutes(app, options.commands);
  addIndexRoutes(app);
  refuseOtherMethods(app);
  return app;
}
