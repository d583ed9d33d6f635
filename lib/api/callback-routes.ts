/** What holders of task tokens ask for. A token is a secret: no answer, message or log repeats it. */
import { createRoute, type OpenAPIHono } from "@hono/zod-openapi";
import type { Commands } from "../runtime/commands.ts";
import { failures, json } from "./describe.ts";
import { readJson, readJsonBody } from "./json-body.ts";
import { CallbackAnswered, CallbackFailure, CallbackOutput, CallbackParams } from "./schemas.ts";

const request = { params: CallbackParams };
const answers = { 202: json(CallbackAnswered, "It counts") };

const succeedRoute = createRoute({
  method: "post",
  path: "/callbacks/{token}/succeed",
  operationId: "succeedCallback",
  summary: "Answer a callback: its step has succeeded, and the token is used up",
  request: { ...request, body: { required: false, content: { "application/json": { schema: CallbackOutput } } } },
  responses: {
    ...answers,
    ...failures(
      "malformed_json",
      "invalid_payload",
      "callback_not_found",
      "status_conflict",
      "payload_too_large",
      "unsupported_content_type",
    ),
  },
});

const failRoute = createRoute({
  method: "post",
  path: "/callbacks/{token}/fail",
  operationId: "failCallback",
  summary: "Answer a callback: its attempt has failed, and the token is used up",
  request: { ...request, body: { required: true, content: { "application/json": { schema: CallbackFailure } } } },
  responses: {
    ...answers,
    ...failures(
      "malformed_json",
      "invalid_request",
      "callback_not_found",
      "payload_too_large",
      "unsupported_content_type",
    ),
  },
});

const heartbeatRoute = createRoute({
  method: "post",
  path: "/callbacks/{token}/heartbeat",
  operationId: "heartbeatCallback",
  summary: "Tell that the outside party is alive: the callback has its whole heartbeat timeout again",
  request,
  responses: { ...answers, ...failures("callback_not_found") },
});

export function addCallbackRoutes(app: OpenAPIHono, { callbacks }: Commands): void {
  // Registered by hand, as the routes of runs with a body are.
  app.openAPIRegistry.registerPath(succeedRoute);
  app.post(succeedRoute.getRoutingPath(), async (c) => {
    const output = await readJson(c.req);
    return c.json(await callbacks.succeed(c.req.param("token"), output), 202);
  });

  app.openAPIRegistry.registerPath(failRoute);
  app.post(failRoute.getRoutingPath(), async (c) => {
    const { name, message, retryable } = await readJsonBody(c.req, CallbackFailure);
    const failure = {
      message,
      ...(name === undefined ? {} : { name }),
      ...(retryable === undefined ? {} : { retryable }),
    };
    return c.json(await callbacks.fail(c.req.param("token"), failure), 202);
  });

  app.openapi(heartbeatRoute, async (c) => c.json(await callbacks.heartbeat(c.req.valid("param").token), 202));
}
