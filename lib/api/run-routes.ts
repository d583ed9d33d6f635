import { createRoute, type OpenAPIHono } from "@hono/zod-openapi";
import { durationForm, parseDuration } from "../definition/duration.ts";
import type { RunView } from "../runtime/run-view.ts";
import { ApiError } from "./api-error.ts";
import type { ApiOptions } from "./app.ts";
import { failures, json } from "./describe.ts";
import { readJson, readJsonBody } from "./json-body.ts";
import {
  ForkBody,
  longestWaitMs,
  RedriveBody,
  Run,
  RunIdParams,
  SignalBody,
  SignalParams,
  StartBody,
  Started,
  WaitQuery,
  WorkflowParams,
} from "./schemas.ts";

const startRoute = createRoute({
  method: "post",
  path: "/workflows/{workflow}/runs",
  operationId: "startRun",
  summary: "Start a run",
  request: {
    params: WorkflowParams,
    body: { required: false, content: { "application/json": { schema: StartBody } } },
  },
  responses: {
    202: json(Started, "The run was started"),
    200: json(Run, "The run was there already, from the same start"),
    ...failures(
      "malformed_json",
      "workflow_not_found",
      "run_conflict",
      "payload_too_large",
      "unsupported_content_type",
    ),
  },
});

const showRoute = createRoute({
  method: "get",
  path: "/runs/{runId}",
  operationId: "getRun",
  summary: "Show a run, or wait for its end",
  request: { params: RunIdParams, query: WaitQuery },
  responses: { 200: json(Run, "The run as it is"), ...failures("invalid_request", "run_not_found") },
});

const signalRoute = createRoute({
  method: "post",
  path: "/runs/{runId}/signals/{name}",
  operationId: "signalRun",
  summary: "Send a signal to the run, once; it is kept when its step does not wait for it yet",
  request: {
    params: SignalParams,
    body: { required: false, content: { "application/json": { schema: SignalBody } } },
  },
  responses: {
    202: json(Run, "The run as it is now"),
    ...failures(
      "malformed_json",
      "invalid_payload",
      "run_not_found",
      "signal_not_found",
      "signal_conflict",
      "status_conflict",
      "payload_too_large",
      "unsupported_content_type",
    ),
  },
});

const redriveRoute = createRoute({
  method: "post",
  path: "/runs/{runId}/redrive",
  operationId: "redriveRun",
  summary: "Go on with a run that failed, timed out or was cancelled: what succeeded is kept, the rest begins again",
  request: {
    params: RunIdParams,
    body: { required: false, content: { "application/json": { schema: RedriveBody } } },
  },
  responses: {
    202: json(Run, "The run as it is now"),
    ...failures(
      "malformed_json",
      "invalid_request",
      "run_not_found",
      "status_conflict",
      "payload_too_large",
      "unsupported_content_type",
    ),
  },
});

const forkRoute = createRoute({
  method: "post",
  path: "/runs/{runId}/fork",
  operationId: "forkRun",
  summary: "Start a new run that keeps what this one has done, except from a chosen step on",
  request: {
    params: RunIdParams,
    body: { required: true, content: { "application/json": { schema: ForkBody } } },
  },
  responses: {
    202: json(Started, "The new run was started"),
    200: json(Run, "The new run was there already, from the same fork"),
    ...failures(
      "malformed_json",
      "invalid_request",
      "run_not_found",
      "step_not_found",
      "run_conflict",
      "status_conflict",
      "payload_too_large",
      "unsupported_content_type",
    ),
  },
});

const operations = {
  cancel: "End the run, and undo first what its steps can undo; cancelling again changes nothing",
  pause: "Begin no further steps; steps in flight may end",
  resume: "Go on with a paused run",
  terminate: "End the run at once, also while it unwinds, and undo nothing",
  redrive:
    "Go on with a run that failed, timed out or was cancelled: what succeeded is kept, the rest and what was undone begins again; or try again to undo what could not be undone",
} as const;

type Operation = keyof typeof operations;

function operationRoute(operation: Operation) {
  return createRoute({
    method: "post",
    path: `/runs/{runId}/${operation}`,
    operationId: `${operation}Run`,
    summary: operations[operation],
    request: { params: RunIdParams },
    responses: { 202: json(Run, "The run as it is now"), ...failures("run_not_found", "status_conflict") },
  });
}

export function addRunRoutes(app: OpenAPIHono, options: Required<ApiOptions>): void {
  const { commands, waitForEnd, stopping } = options;

  // Registered by hand: the framework's own check of bodies tells neither where JSON is broken nor what is allowed.
  app.openAPIRegistry.registerPath(startRoute);
  app.post(startRoute.getRoutingPath(), async (c) => {
    const { input, runId, tags, startAt } = await readJsonBody(c.req, StartBody);
    const { created, ...started } = await commands.start(c.req.param("workflow"), {
      ...(input === undefined ? {} : { input }),
      ...(runId === undefined ? {} : { runId }),
      ...(tags === undefined ? {} : { tags }),
      ...(startAt === undefined ? {} : { startAt }),
    });
    c.header("Location", `/runs/${started.runId}`);
    return created ? c.json(started, 202) : c.json(await commands.get(started.runId), 200);
  });

  app.openapi(showRoute, async (c) => {
    const { runId } = c.req.valid("param");
    const waitMs = parseWait(c.req.valid("query").wait);
    const signal = AbortSignal.any([c.req.raw.signal, stopping]);
    const run = waitMs === 0 ? await commands.get(runId) : await waitForEnd(runId, { timeoutMs: waitMs, signal });
    return c.json(run satisfies RunView, 200);
  });

  app.openAPIRegistry.registerPath(signalRoute);
  app.post(signalRoute.getRoutingPath(), async (c) => {
    const payload = await readJson(c.req);
    return c.json(await commands.signal(c.req.param("runId"), c.req.param("name"), payload), 202);
  });

  app.openAPIRegistry.registerPath(redriveRoute);
  app.post(redriveRoute.getRoutingPath(), async (c) => {
    const { set, skip, by, reason } = await readJsonBody(c.req, RedriveBody);
    const run = await commands.redrive(c.req.param("runId"), {
      ...(set === undefined ? {} : { set }),
      ...(skip === undefined ? {} : { skip }),
      ...(by === undefined ? {} : { by }),
      ...(reason === undefined ? {} : { reason }),
    });
    return c.json(run, 202);
  });

  app.openAPIRegistry.registerPath(forkRoute);
  app.post(forkRoute.getRoutingPath(), async (c) => {
    const { from, runId, tags } = await readJsonBody(c.req, ForkBody);
    const { created, ...started } = await commands.fork(c.req.param("runId"), {
      from,
      ...(runId === undefined ? {} : { runId }),
      ...(tags === undefined ? {} : { tags }),
    });
    c.header("Location", `/runs/${started.runId}`);
    return created ? c.json(started, 202) : c.json(await commands.get(started.runId), 200);
  });

  for (const operation of Object.keys(operations) as Operation[]) {
    app.openapi(operationRoute(operation), async (c) =>
      c.json(await commands[operation](c.req.valid("param").runId), 202),
    );
  }
}

function parseWait(text: string | undefined): number {
  if (text === undefined) return 0;
  const waitMs = parseDuration(text);
  if (waitMs !== undefined && waitMs <= longestWaitMs) return waitMs;
  const message = `wait is ${JSON.stringify(text.slice(0, 100))}; allowed is ${durationForm}, up to ${longestWaitMs / 1000}s. To wait longer, ask again.`;
  throw new ApiError("invalid_request", message);
}
