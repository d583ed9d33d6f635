/**
 * The server's answers, checked by the schemas that the API is made from, so that what is shown is what they say it is.
 * They are passed on as they came: a newer server may say more than its schemas did when this was built.
 */
import type * as z from "zod";
import { RunCost as CostSchema } from "../api/cost-schemas.ts";
import { Failures, RunPage as RunPageSchema, Stats as StatsSchema } from "../api/finding-schemas.ts";
import { OperationEstimate as EstimateSchema, Operation as OperationSchema } from "../api/operation-schemas.ts";
import { CallbackAnswered as CallbackSchema, Payload, Run, RunIdParams, Started } from "../api/schemas.ts";
import { Workflow, Workflows } from "../api/workflow-schemas.ts";
import type { WorkflowView } from "../api/workflow-view.ts";
import type { RunCost } from "../cost/run-meter.ts";
import type { CallbackAnswered } from "../runtime/callbacks.ts";
import type { OperationEstimate, OperationView } from "../runtime/operations.ts";
import type { FailureView, RunPage, Stats } from "../runtime/queries.ts";
import type { RunView } from "../runtime/run-view.ts";

/** Tells answers of `Body` from others. */
export interface Shape<Body> {
  /** With its article, for messages. */
  readonly name: string;
  /** What is wrong with the answer; `undefined`: nothing. */
  readonly faultOf: (answer: unknown) => string | undefined;
  /** Only for the compiler. */
  readonly body?: Body;
}

function shape<Body>(name: string, schema: z.ZodType): Shape<Body> {
  return {
    name,
    faultOf: (answer) => {
      const [issue] = schema.safeParse(answer).error?.issues ?? [];
      if (issue === undefined) return undefined;
      return issue.path.length === 0 ? issue.message : `${issue.path.join(".")}: ${issue.message}`;
    },
  };
}

export const anyJson = shape<unknown>("JSON", Payload);
export const aRun = shape<RunView>("a run", Run);
/** Of a start: a new run, or the one that was there already. */
export const aStart = shape<Pick<RunView, "runId" | "status">>("a run", Started);
export const aCost = shape<RunCost>("the cost of a run", CostSchema);
export const aRunId = shape<Pick<RunView, "runId">>("the id of a run", RunIdParams);
export const aCallback = shape<CallbackAnswered>("an answered callback", CallbackSchema);
export const aPage = shape<RunPage>("a list of runs", RunPageSchema);
export const theFailures = shape<{ readonly failures: readonly FailureView[] }>("a list of failures", Failures);
export const theStats = shape<Stats>("statistics", StatsSchema);
export const theWorkflows = shape<{ readonly workflows: readonly { readonly name: string }[] }>(
  "a list of workflows",
  Workflows,
);
export const aWorkflow = shape<WorkflowView>("a workflow", Workflow);
export const anOperation = shape<OperationView>("a bulk operation", OperationSchema);
export const anEstimate = shape<OperationEstimate>("an estimate", EstimateSchema);
