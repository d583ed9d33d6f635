/** What is done to many runs at once. */
import { type OpenAPIHono, z } from "@hono/zod-openapi";
import { PawlError } from "../runtime/errors.ts";
import type {
  OperationEstimate as Estimate,
  OperationRequest,
  Operations,
  OperationView,
} from "../runtime/operations.ts";
import { given } from "./given.ts";
import { Operation, OperationBody, OperationEstimate, OperationParams } from "./operation-schemas.ts";
import { answer, serve } from "./route.ts";

const beginRoute = {
  method: "post",
  path: "/operations",
  operationId: "beginOperation",
  summary: "Redrive, cancel, terminate, signal or purge all runs that match, at a bounded rate",
  tag: "Bulk operations",
  body: { schema: OperationBody, required: true, description: "What is to be done, and to which runs" },
  answers: {
    202: answer(Operation, "The operation has begun"),
    200: answer(z.union([Operation, OperationEstimate]), "It was there already; or what a dry run has found"),
  },
  errors: ["run_conflict", "workflow_not_found"],
} as const;

const showRoute = {
  method: "get",
  path: "/operations/{operationId}",
  operationId: "getOperation",
  summary: "Show a bulk operation: its progress and its report",
  tag: "Bulk operations",
  params: OperationParams,
  answers: { 200: answer(Operation, "The operation as it is") },
  errors: ["operation_not_found"],
} as const;

const abortRoute = {
  method: "post",
  path: "/operations/{operationId}/abort",
  operationId: "abortOperation",
  summary: "Act on no further run; what was done stays",
  tag: "Bulk operations",
  params: OperationParams,
  answers: { 202: answer(Operation, "The operation as it is now") },
  errors: ["operation_not_found", "status_conflict"],
} as const;

export function addOperationRoutes(app: OpenAPIHono, operations: Operations): void {
  serve(
    app,
    beginRoute,
  )(async ({ body }) => {
    const request = readRequest(body);
    const isThere = await exists(operations, request.operationId);
    const answered = await operations.begin(request);
    if ("dryRun" in answered) return { status: 200, body: viewEstimate(answered) };
    const headers = { Location: `/operations/${answered.operationId}` };
    return { status: isThere ? 200 : 202, body: view(answered), headers };
  });
  serve(
    app,
    showRoute,
  )(async ({ params }) => {
    return { status: 200, body: view(await operations.get(params.operationId)) };
  });
  serve(
    app,
    abortRoute,
  )(async ({ params }) => {
    return { status: 202, body: view(await operations.abort(params.operationId)) };
  });
}

function readRequest({ filter, signal, ...rest }: z.output<typeof OperationBody>): OperationRequest {
  return { ...given(rest), filter: given(filter), ...given({ signal: signal && given(signal) }) };
}

/** Tells a repeated request from the first; two that come at once may both be told that theirs has begun it. */
async function exists(operations: Operations, operationId: string | undefined): Promise<boolean> {
  if (operationId === undefined) return false;
  try {
    await operations.get(operationId);
    return true;
  } catch (error) {
    if (error instanceof PawlError && error.code === "operation_not_found") return false;
    throw error;
  }
}

function view({ filter, ...operation }: OperationView): z.output<typeof Operation> {
  const { from, to, ...criteria } = filter;
  return { ...operation, filter: { ...criteria, ...given({ from: isoText(from), to: isoText(to) }) } };
}

function isoText(time: string | Date | undefined): string | undefined {
  return time instanceof Date ? time.toISOString() : time;
}

function viewEstimate(estimate: Estimate): z.output<typeof OperationEstimate> {
  return estimate;
}
