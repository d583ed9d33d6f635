/** What holders of task tokens ask for. A token is a secret: no answer, message or log repeats it. */
import type { OpenAPIHono } from "@hono/zod-openapi";
import type { Commands } from "../runtime/commands.ts";
import { given } from "./given.ts";
import { answer, serve } from "./route.ts";
import { CallbackAnswered, CallbackFailure, CallbackOutput, CallbackParams } from "./schemas.ts";

const answers = { 202: answer(CallbackAnswered, "It counts") } as const;

const succeedRoute = {
  method: "post",
  path: "/callbacks/{token}/succeed",
  operationId: "succeedCallback",
  summary: "Answer a callback: its step has succeeded, and the token is used up",
  tag: "Callbacks",
  params: CallbackParams,
  body: { schema: CallbackOutput, required: false, description: "The output itself" },
  answers,
  errors: ["callback_not_found", "invalid_payload", "status_conflict"],
} as const;

const failRoute = {
  method: "post",
  path: "/callbacks/{token}/fail",
  operationId: "failCallback",
  summary: "Answer a callback: its attempt has failed, and the token is used up",
  tag: "Callbacks",
  params: CallbackParams,
  body: { schema: CallbackFailure, required: true, description: "Why it has failed" },
  answers,
  errors: ["callback_not_found"],
} as const;

const heartbeatRoute = {
  method: "post",
  path: "/callbacks/{token}/heartbeat",
  operationId: "heartbeatCallback",
  summary: "Tell that the outside party is alive: the callback has its whole heartbeat timeout again",
  tag: "Callbacks",
  params: CallbackParams,
  answers,
  errors: ["callback_not_found"],
} as const;

export function addCallbackRoutes(app: OpenAPIHono, { callbacks }: Commands): void {
  serve(
    app,
    succeedRoute,
  )(async ({ params, body }) => {
    return { status: 202, body: await callbacks.succeed(params.token, body) };
  });
  serve(
    app,
    failRoute,
  )(async ({ params, body: { message, ...rest } }) => {
    return { status: 202, body: await callbacks.fail(params.token, { message, ...given(rest) }) };
  });
  serve(
    app,
    heartbeatRoute,
  )(async ({ params }) => {
    return { status: 202, body: await callbacks.heartbeat(params.token) };
  });
}
