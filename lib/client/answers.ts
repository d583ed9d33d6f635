/** What a server answers, checked as far as the client relies on it; the rest is passed on as it came. */
import * as z from "zod";
import { runStatuses } from "../engine/run-state.ts";
import { PawlError } from "../runtime/errors.ts";
import type { OperationEstimate, OperationView } from "../runtime/operations.ts";
import type { FailureView, RunPage, Stats } from "../runtime/queries.ts";
import type { RunView } from "../runtime/run-view.ts";

const status = z.enum(runStatuses);
const counts = z.partialRecord(status, z.number());
const error = z.looseObject({ name: z.string(), message: z.string() });

const Run = z.looseObject({
  runId: z.string(),
  workflow: z.string(),
  status,
  redrives: z.number(),
  steps: z.record(z.string(), z.looseObject({ status: z.string(), attempt: z.number() })),
  createdAt: z.string(),
  error: error.optional(),
  pause: z.looseObject({ code: z.string(), message: z.string() }).optional(),
  outputRef: z.object({ bytes: z.number() }).optional(),
});
const Started = z.looseObject({ runId: z.string(), status });
const Page = z.looseObject({
  runs: z.array(z.looseObject({ runId: z.string(), workflow: z.string(), status, createdAt: z.string() })),
  cursor: z.string().optional(),
});
const Failures = z.looseObject({
  failures: z.array(z.looseObject({ fingerprint: z.string(), workflow: z.string(), count: z.number() })),
});
const Statistics = z.looseObject({
  runs: z.number(),
  byStatus: counts,
  workflows: z.array(z.looseObject({ workflow: z.string(), runs: z.number(), byStatus: counts })),
  storage: z.looseObject({}),
});
const Operation = z.looseObject({
  operationId: z.string(),
  action: z.string(),
  status,
  progress: z.looseObject({ done: z.number(), skipped: z.number(), failed: z.number() }),
  failures: z.array(z.looseObject({ runId: z.string(), code: z.string() })),
});
const Estimate = z.looseObject({ action: z.string(), dryRun: z.literal(true), runs: z.number() });

type As<Shape> = (body: unknown) => Shape;

export const asRun: As<RunView> = check("a run", Run);
export const asStarted: As<Pick<RunView, "runId" | "status">> = check("a started run", Started);
export const asPage: As<RunPage> = check("a page of runs", Page);
export const asFailures: As<{ readonly failures: readonly FailureView[] }> = check("failures", Failures);
export const asStats: As<Stats> = check("statistics", Statistics);
export const asOperation: As<OperationView> = check("a bulk operation", Operation);
export const asBegun: As<OperationView | OperationEstimate> = check("a bulk operation", z.union([Estimate, Operation]));

function check<Shape>(what: string, schema: z.ZodType): As<Shape> {
  return (body) => {
    const { success, error: fault } = schema.safeParse(body);
    if (success) return body as Shape;
    const message = `The server answered with something that is not ${what}: ${z.prettifyError(fault)}. Is there a Pawl server of this version at this address?`;
    throw new PawlError("request_failed", message, {});
  };
}
