/**
 * What commands rely on in the server's answers. Whatever else is in them is printed as it came: a newer server may say
 * more.
 */
import * as z from "zod";
import type { WorkflowView } from "../api/workflow-view.ts";
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

const text = z.string();
const count = z.number();
const listOf = (item: Readonly<Record<string, z.ZodType>>): z.ZodType => z.array(z.looseObject(item));

const failed = z.looseObject({ name: text, message: text }).optional();
const summary = { runId: text, workflow: text, status: text, createdAt: text, error: failed };
const step = z.looseObject({ status: text, attempt: count, error: failed });

export const anyJson = shape<unknown>("JSON", z.unknown());

export const aRun = shape<RunView>(
  "a run",
  z.looseObject({ ...summary, redrives: count, steps: z.record(z.string(), step) }),
);

/** Of a start: a new run, or the one that was there already. */
export const aStart = shape<Pick<RunView, "runId" | "status">>("a run", z.looseObject({ runId: text, status: text }));

export const aCallback = shape<CallbackAnswered>("an answered callback", z.looseObject({ runId: text, status: text }));

export const aRunId = shape<Pick<RunView, "runId">>("the id of a run", z.looseObject({ runId: text }));

export const aPage = shape<RunPage>(
  "a list of runs",
  z.looseObject({ runs: listOf(summary), cursor: text.optional() }),
);

export const theFailures = shape<{ readonly failures: readonly FailureView[] }>(
  "a list of failures",
  z.looseObject({
    failures: listOf({ fingerprint: text, workflow: text, name: text, message: text, count, lastSeenAt: text }),
  }),
);

const byStatus = z.record(z.string(), count);

export const theStats = shape<Stats>(
  "statistics",
  z.looseObject({
    from: text,
    to: text,
    runs: count,
    byStatus,
    storage: z.looseObject({}),
    workflows: listOf({ workflow: text, runs: count, byStatus, days: listOf({ day: text, runs: count, byStatus }) }),
  }),
);

export const theWorkflows = shape<{ readonly workflows: readonly { readonly name: string }[] }>(
  "a list of workflows",
  z.looseObject({ workflows: listOf({ name: text }) }),
);

const ids = z.array(z.string());

export const aWorkflow = shape<WorkflowView>(
  "a workflow",
  z.looseObject({
    name: text,
    fingerprint: text,
    steps: listOf({ id: text, kind: text, after: ids, afterAny: ids, afterFailed: ids, afterSettled: ids }),
  }),
);

const operation = z.looseObject({
  operationId: text,
  action: text,
  status: text,
  progress: z.looseObject({ done: count, skipped: count, failed: count, selected: count.optional() }),
  failures: listOf({ runId: text, code: text, message: text }),
});

export const anOperation = shape<OperationView>("a bulk operation", operation);

export const anEstimate = shape<OperationEstimate>(
  "an estimate",
  z.looseObject({ runs: count, seconds: count, examples: ids, estimate: z.looseObject({ dollars: count }) }),
);
