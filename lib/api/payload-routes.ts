/** Inputs and outputs by themselves: what is too large to be shown with its run. */
import { createRoute, type OpenAPIHono, type z } from "@hono/zod-openapi";
import type { JSONValue } from "hono/utils/types";
import type { Commands } from "../runtime/commands.ts";
import { ApiError, type ApiErrorCode } from "./api-error.ts";
import { failures, json } from "./describe.ts";
import { Payload, RunIdParams, StepParams } from "./schemas.ts";

const inputRoute = payloadRoute("/runs/{runId}/input", "getRunInput", "The run's input, however large", RunIdParams);
const outputRoute = payloadRoute(
  "/runs/{runId}/output",
  "getRunOutput",
  "The run's output, however large",
  RunIdParams,
);
const stepOutputRoute = payloadRoute(
  "/runs/{runId}/steps/{stepId}/output",
  "getStepOutput",
  "The output of a step, however large",
  StepParams,
  "step_not_found",
);

function payloadRoute<const Path extends string, Params extends z.ZodObject>(
  path: Path,
  operationId: string,
  summary: string,
  params: Params,
  ...codes: ApiErrorCode[]
) {
  return createRoute({
    method: "get",
    path,
    operationId,
    summary,
    request: { params },
    responses: {
      200: json(Payload, "The payload itself"),
      ...failures("run_not_found", "payload_not_found", ...codes),
    },
  });
}

export function addPayloadRoutes(app: OpenAPIHono, commands: Commands): void {
  app.openapi(inputRoute, async (c) => {
    const { runId } = c.req.valid("param");
    return c.json(there(await commands.input(runId), `Run ${runId} has no input.`), 200);
  });
  app.openapi(outputRoute, async (c) => {
    const { runId } = c.req.valid("param");
    const missing = `Run ${runId} has no output: it has not succeeded yet, or its workflow returns nothing.`;
    return c.json(there(await commands.output(runId), missing), 200);
  });
  app.openapi(stepOutputRoute, async (c) => {
    const { runId, stepId } = c.req.valid("param");
    const missing = `Step "${stepId}" of run ${runId} has no output: it has not succeeded yet, or it returned nothing.`;
    return c.json(there(await commands.output(runId, stepId), missing), 200);
  });
}

/** The payload, which is JSON. @throws {ApiError} payload_not_found */
function there(payload: unknown, missing: string): JSONValue {
  if (payload === undefined) throw new ApiError("payload_not_found", missing);
  return payload as JSONValue;
}
