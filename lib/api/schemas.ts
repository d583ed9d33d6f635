/**
 * What travels over HTTP, as zod schemas: requests are checked by them, answers are typed by them, and the OpenAPI
 * document is made from them.
 */
import { z } from "@hono/zod-openapi";
import { limits } from "../definition/limits.ts";
import { runStatuses, stepStatuses } from "../engine/run-state.ts";
import { type ApiErrorCode, statusOf } from "./api-error.ts";

/** The longest `?wait=`. API Gateway ends a request after 30 s. */
export const longestWaitMs = 25_000;

/**
 * Bytes of a request's body: white space and escapes make JSON longer than the payload that is stored in the end.
 * Lambda takes 6 MB, with the event around the body.
 */
export const bodyBytes = limits.payloadBytes + 1024 * 1024;

const isoTime = z.iso.datetime().openapi({ example: "2027-01-31T08:00:00.000Z" });

export const RunIdParams = z.object({ runId: z.string().openapi({ example: "0h3kd8w0m2q7t4xv5n1c" }) });
export const SignalParams = RunIdParams.extend({ name: z.string().openapi({ example: "approval" }) });
export const StepParams = RunIdParams.extend({ stepId: z.string().openapi({ example: "ship" }) });
export const InterruptParams = RunIdParams.extend({
  interruptId: z.string().openapi({ description: "`steps.<id>.interrupt.id` of the run.", example: "k7f3q9x2mz" }),
});
export const CallbackParams = z.object({
  token: z.string().openapi({ description: "The task token that the step handed out. It is a secret." }),
});
export const WorkflowParams = z.object({ workflow: z.string().openapi({ example: "order" }) });

export const WaitQuery = z.object({
  wait: z.string().optional().openapi({
    description: "Answer when the run has ended, or after this time with the run as it is then: up to 25s.",
    example: "25s",
  }),
});

const runTags = z
  .record(z.string(), z.string())
  .optional()
  .openapi({
    description: `Up to ${limits.tagsPerRun} short texts to find the run by.`,
    example: { customer: "c-1042" },
  });

export const StartBody = z
  .strictObject({
    input: z.unknown().optional().openapi({ description: "Checked by the workflow's own input schema." }),
    runId: z
      .string()
      .optional()
      .openapi({
        description: `The same id and input start one run, however often it is asked for. At most ${limits.runIdLength} characters. Default: a random one.`,
      }),
    tags: runTags,
    startAt: z.string().optional().openapi({
      description: "ISO 8601. Steps do not begin before this time. Default: now.",
    }),
  })
  .openapi("StartRequest");

export const ForkBody = z
  .strictObject({
    from: z.string().openapi({
      description: "Id of the step that begins anew, and with it every step that depends on it.",
      example: "ship",
    }),
    runId: z.string().optional().openapi({
      description: "Of the new run. The same id and the same fork make one run. Default: a random one.",
    }),
    tags: runTags,
  })
  .openapi("ForkRequest");

export const RedriveBody = z
  .strictObject({
    set: z
      .record(z.string(), z.unknown())
      .optional()
      .openapi({
        description: "Outputs of steps that did not end well, by step id; checked by the step's own schema.",
        example: { ship: { parcel: "x" } },
      }),
    skip: z.array(z.string()).optional().openapi({ description: "Ids of steps that did not end well." }),
    by: z.string().optional().openapi({ description: "Who ends these steps by hand; needed with set and skip." }),
    reason: z.string().optional().openapi({ description: "Why; needed with set and skip." }),
  })
  .openapi("RedriveRequest");

export const SignalBody = z
  .unknown()
  .openapi("SignalPayload", { description: "Checked by the signal's own payload schema. No body: no payload." });

export const Payload = z.unknown().openapi("Payload", { description: "An input or output: any JSON." });
export const InterruptAnswer = z
  .unknown()
  .openapi("InterruptAnswer", { description: "Checked by the JSON Schema that the interrupt shows." });

export const CallbackOutput = z
  .unknown()
  .openapi("CallbackOutput", { description: "Checked by the callback's own output schema. No body: no output." });

export const CallbackFailure = z
  .strictObject({
    name: z.string().min(1).max(limits.nameLength).optional().openapi({
      description: "Of the step's error. Default: CallbackFailed.",
      example: "CardDeclined",
    }),
    message: z.string().max(limits.errorMessageLength),
    retryable: z.boolean().optional().openapi({
      description: "false: no further attempt is made. Default: true, as often as the step's retry policy says.",
    }),
  })
  .openapi("CallbackFailure");

const runStatus = z.enum(runStatuses);

export const Started = z.object({ runId: z.string(), status: runStatus }).openapi("Started");

const PayloadSize = z.object({ bytes: z.int() }).openapi("PayloadSize", {
  description: `Stands for a payload above ${limits.shownPayloadBytes} bytes, which has a path of its own.`,
});
export const CallbackAnswered = z.object({ runId: z.string(), status: runStatus }).openapi("CallbackAnswered");

const StepError = z.object({ name: z.string(), message: z.string() }).openapi("StepError");

const Compensation = z
  .object({
    status: z.enum(stepStatuses),
    attempt: z.int().openapi({ description: "The last attempt to undo the step." }),
    startedAt: isoTime.optional(),
    endedAt: isoTime.optional(),
    nextAttemptAt: isoTime.optional(),
    error: StepError.optional().openapi({ description: "Of the last attempt that failed." }),
    backgroundErrors: z.array(StepError).readonly().optional(),
  })
  .openapi("Compensation", {
    description: "How the step is undone, from the first attempt on; absent: it is not, or not yet.",
  });

const StepRun = z
  .object({
    status: z.enum(stepStatuses),
    attempt: z.int().openapi({ description: "The last attempt; 0 before the first." }),
    startedAt: isoTime.optional(),
    endedAt: isoTime.optional(),
    nextAttemptAt: isoTime.optional().openapi({ description: "When a step that backs off begins its next attempt." }),
    signalKept: z.literal(true).optional().openapi({
      description: "The step's signal has come, and is kept until the step begins to wait.",
    }),
    waitsFor: z.enum(["signal", "time", "callback", "answer", "run"]).optional(),
    interrupt: z
      .object({
        id: z.string(),
        payload: z.unknown().optional(),
        schema: z.record(z.string(), z.unknown()).readonly().nullable().openapi({
          description: "JSON Schema of the answer; null: JSON Schema cannot tell it.",
        }),
        rejected: z.string().optional().openapi({ description: "Why the step refused the answer that it had." }),
      })
      .optional()
      .openapi({ description: "What a step that waits for an answer asks." }),
    waitsUntil: isoTime.optional().openapi({
      description:
        "When the wait ends at the latest: the timeout of a signal or a callback, the end of a sleep. A heartbeat may put it off.",
    }),
    heartbeat: z.unknown().optional().openapi({ description: "Details of the step's last heartbeat that were kept." }),
    child: z.string().optional().openapi({ description: "Id of the run that the step started." }),
    output: z.unknown().optional(),
    outputRef: PayloadSize.optional(),
    error: StepError.optional(),
    byHand: z
      .object({ by: z.string(), reason: z.string(), at: isoTime })
      .optional()
      .openapi({ description: "Who ended the step in a redrive, and why." }),
    backgroundErrors: z.array(StepError).readonly().optional(),
    compensation: Compensation.optional(),
  })
  .openapi("StepRun");

export const Run = z
  .object({
    runId: z.string(),
    workflow: z.string(),
    fingerprint: z.string().openapi({ description: "Of the graph that the run is pinned to." }),
    status: runStatus,
    input: z.unknown().optional(),
    inputRef: PayloadSize.optional(),
    output: z.unknown().optional(),
    outputRef: PayloadSize.optional(),
    error: z
      .object({
        name: z.string(),
        message: z.string(),
        step: z.string().optional(),
        fingerprint: z.string().optional().openapi({
          description:
            "The same for failures alike: of the same workflow, step and kind of error, thrown at the same place.",
        }),
      })
      .optional()
      .openapi({ description: "Why the run failed, and which step did." }),
    unwindsTo: z
      .enum(["failed", "cancelled", "timed_out"])
      .optional()
      .openapi({ description: "Of an unwinding run: the status that it ends with." }),
    compensation: z.enum(["running", "complete", "incomplete"]).optional().openapi({
      description:
        "Of a run that unwinds or has ended without success, when it has something to undo. To try an incomplete one again, redrive the run.",
    }),
    pause: z
      .object({
        code: z.enum(["requested", "workflow_missing", "step_missing", "graph_missing"]),
        message: z.string(),
      })
      .optional()
      .openapi({ description: "Why the run is paused." }),
    waitsForTurn: z
      .object({
        key: z.string().optional().openapi({
          description: "What the runs that it waits for have in common with it; absent: all runs of its workflow.",
        }),
        ahead: z.int().optional().openapi({
          description:
            "Runs that asked before it and have not had their turn, at most: some may have ended. Absent until it has asked.",
        }),
      })
      .optional()
      .openapi({ description: "Present while the run waits for its turn; no step has begun then." }),
    redrives: z.int().openapi({ description: "How often the run has been redriven." }),
    forkedFrom: z
      .object({ runId: z.string(), from: z.string() })
      .optional()
      .openapi({ description: "Of a forked run: where it comes from, and the step that began anew." }),
    steps: z.record(z.string(), StepRun).openapi({ description: "By step id, in the order of the definition." }),
    parent: z
      .object({ runId: z.string(), step: z.string() })
      .optional()
      .openapi({ description: "The step of another run that started this one." }),
    tags: z.record(z.string(), z.string()).optional(),
    createdAt: isoTime,
    startAt: isoTime.optional(),
    deadlineAt: isoTime.optional(),
    endedAt: isoTime.optional(),
    expiresAt: isoTime.optional().openapi({ description: "Of a run that has ended: when it may be deleted." }),
  })
  .openapi("Run");

const stepIds = z.array(z.string());

const WorkflowNode = z.object({
  id: z.string(),
  after: stepIds,
  afterAny: stepIds,
  afterFailed: stepIds,
  afterSettled: stepIds,
  skipWithDependency: z.boolean(),
  when: z.boolean().openapi({ description: "Whether code decides if the step is skipped." }),
  delayMs: z.int().optional(),
  onFailure: z.enum(["fail", "continue"]),
  taskQueue: z.string(),
});

const flowKey = z.string().nullable().optional().openapi({
  description: "What shares the limit; null: the code computes it. Absent: there is one limit for all.",
});

export const RetryPolicy = z
  .object({
    maxAttempts: z.union([z.int(), z.literal("unlimited")]),
    backoff: z.object({
      type: z.enum(["fixed", "linear", "exponential"]),
      baseMs: z.number(),
      factor: z.number(),
      maxMs: z.number(),
      jitter: z.enum(["none", "full"]),
    }),
  })
  .openapi("RetryPolicy");

const WorkflowCompensation = z
  .object({ timeoutMs: z.int().openapi({ description: "Limit of one attempt." }), retry: RetryPolicy })
  .optional()
  .openapi({ description: "How the step is undone when its run unwinds; absent: it is not." });

const WorkflowCodeStep = WorkflowNode.extend({
  kind: z.literal("step"),
  startAt: z.union([isoTime, z.literal("computed")]).optional(),
  timeoutMs: z.int().openapi({ description: "Limit of one attempt." }),
  rateLimit: z
    .object({ limit: z.int(), perMs: z.int(), key: flowKey })
    .optional()
    .openapi({ description: "How many attempts may begin within a time." }),
  heartbeatTimeoutMs: z.int().optional().openapi({ description: "The longest time that it may run in silence." }),
  poll: z
    .object({ timeoutMs: z.int().optional() })
    .optional()
    .openapi({ description: "Of a poll: its retry policy says how often it looks, and this how long at most." }),
  retry: RetryPolicy,
  compensation: WorkflowCompensation,
}).openapi("WorkflowCodeStep");

const jsonSchema = z.record(z.string(), z.unknown()).nullable();

const WorkflowCallback = WorkflowNode.extend({
  kind: z.literal("callback"),
  output: jsonSchema.openapi({
    description: "JSON Schema of what answers it; null: no output is taken, or JSON Schema cannot tell it.",
  }),
  takesOutput: z.boolean(),
  attemptTimeoutMs: z.int().openapi({ description: "Limit of the code that hands the task token out." }),
  timeoutMs: z.int().optional().openapi({ description: "The longest wait of one attempt; absent: for ever." }),
  heartbeatTimeoutMs: z.int().optional().openapi({ description: "The longest time without a sign of life." }),
  retry: RetryPolicy,
  compensation: WorkflowCompensation,
}).openapi("WorkflowCallback");

const WorkflowSignal = WorkflowNode.extend({
  kind: z.literal("signal"),
  payload: jsonSchema.openapi({
    description: "JSON Schema of the payload; null: no payload is taken, or JSON Schema cannot tell it.",
  }),
  takesPayload: z.boolean(),
  timeoutMs: z.int().optional().openapi({ description: "The longest wait; absent: for ever." }),
  onTimeout: z
    .union([z.enum(["fail", "skip"]), z.object({ value: z.unknown().optional() })])
    .openapi({ description: "What a wait without answer does to the step; a value becomes its output." }),
}).openapi("WorkflowSignal");

const WorkflowSleep = WorkflowNode.extend({
  kind: z.literal("sleep"),
  durationMs: z.int().optional(),
  until: z.literal("computed").optional(),
}).openapi("WorkflowSleep");

const WorkflowChild = WorkflowNode.extend({
  kind: z.literal("child"),
  workflow: z.string().optional().openapi({ description: "Whose run the step starts." }),
  whenParentEnds: z.enum(["cancel", "leave"]).openapi({
    description: "What becomes of the child when this run unwinds, or ends otherwise than by success.",
  }),
  compensation: WorkflowCompensation,
}).openapi("WorkflowChild");

const WorkflowMap = WorkflowNode.extend({
  kind: z.literal("map"),
  each: z.string().optional().openapi({ description: "Whose run each item starts; absent: each item runs code." }),
  retry: RetryPolicy.optional().openapi({ description: "Of each item." }),
  timeoutMs: z.int().optional().openapi({ description: "Limit of one attempt of one item." }),
  concurrency: z.int().optional().openapi({ description: "Items in flight at the same time; absent: all of them." }),
  toleratedFailures: z
    .union([z.int(), z.string()])
    .openapi({ description: "Items that may fail without failing the map: a number, or percent.", example: "5%" }),
}).openapi("WorkflowMap");

const WorkflowStep = z
  .discriminatedUnion("kind", [
    WorkflowCodeStep,
    WorkflowCallback,
    WorkflowSignal,
    WorkflowSleep,
    WorkflowChild,
    WorkflowMap,
  ])
  .openapi("WorkflowStep");

export const Workflow = z
  .object({
    name: z.string(),
    fingerprint: z.string().openapi({ description: "Changes when the graph changes." }),
    input: jsonSchema.openapi({
      description: "JSON Schema of the input; null: no input is taken, or JSON Schema cannot tell it.",
    }),
    takesInput: z.boolean(),
    output: z.string().optional().openapi({ description: "Id of the step whose output is the run's." }),
    timeoutMs: z.int().optional(),
    concurrency: z
      .object({ limit: z.int(), key: flowKey })
      .optional()
      .openapi({ description: "How many runs may go on at the same time." }),
    schedule: z
      .union([z.object({ cron: z.string(), timezone: z.string() }), z.object({ everyMs: z.int() })])
      .optional()
      .openapi({ description: "When runs begin by themselves." }),
    steps: z.array(WorkflowStep),
  })
  .openapi("Workflow");

export const Workflows = z
  .object({ workflows: z.array(z.object({ name: z.string(), fingerprint: z.string(), steps: stepIds })) })
  .openapi("Workflows");

export const Health = z.object({ status: z.literal("ok") }).openapi("Health");

export const Index = z
  .object({ name: z.literal("pawl"), openapi: z.string(), routes: z.array(z.string()) })
  .openapi("Index");

export const ErrorAnswer = z
  .object({
    error: z.object({
      code: z.enum(Object.keys(statusOf) as [ApiErrorCode, ...ApiErrorCode[]]),
      message: z.string(),
      details: z.unknown(),
      docs: z.string().openapi({ description: "Page and section of Pawl's documentation." }),
    }),
  })
  .openapi("Error");
