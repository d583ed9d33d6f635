/** Inputs and outputs by themselves: what is too large to be shown with its run. */
import type { OpenAPIHono, z } from "@hono/zod-openapi";
import type { Commands } from "../runtime/commands.ts";
import { ApiError, type ApiErrorCode } from "./api-error.ts";
import { answer, serve } from "./route.ts";
import { Payload, RunIdParams, StepParams } from "./schemas.ts";

const inputRoute = payloadRoute("/runs/{runId}/input", "getRunInput", "The run's input, however large", RunIdParams);
const outputRoute = payloadRoute(
  "/runs/{runId}/output",
  "getRunOutput",
  "The run's output, however large",
  RunIdParams,
  "status_conflict",
);
const stepOutputRoute = payloadRoute(
  "/runs/{runId}/steps/{stepId}/output",
  "getStepOutput",
  "The output of a step, however large",
  StepParams,
  "step_not_found",
  "status_conflict",
);

function payloadRoute<Params extends z.ZodObject>(
  path: string,
  operationId: string,
  summary: string,
  params: Params,
  ...codes: ApiErrorCode[]
) {
  return {
    method: "get",
    path,
    operationId,
    summary,
    tag: "Runs",
    params,
    answers: { 200: answer(Payload, "The payload itself") },
    errors: ["run_not_found", "payload_not_found", ...codes],
  } as const;
}

export function addPayloadRoutes(app: OpenAPIHono, commands: Commands): void {
  serve(
    app,
    inputRoute,
  )(async ({ params: { runId } }) => {
    return found(await commands.input(runId), `Run ${runId} has no input.`);
  });
  serve(
    app,
    outputRoute,
  )(async ({ params: { runId } }) => {
    const missing = `Run ${runId} has no output: it has not succeeded yet, or its workflow returns nothing.`;
    return found(await commands.output(runId), missing);
  });
  serve(
    app,
    stepOutputRoute,
  )(async ({ params: { runId, stepId } }) => {
    const missing = `Step "${stepId}" of run ${runId} has no output: it has not succeeded yet, or it returned nothing.`;
    return found(await commands.output(runId, stepId), missing);
  });
}

/** @throws {ApiError} payload_not_found */
function found(payload: unknown, missing: string): { readonly status: 200; readonly body: unknown } {
  if (payload === undefined) throw new ApiError("payload_not_found", missing);
  return { status: 200, body: payload };
}
