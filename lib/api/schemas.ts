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

/** Bytes of a request's body: white space and escapes make JSON longer than the payload that is stored in the end. */
export const bodyBytes = 2 * limits.payloadBytes;

const isoTime = z.iso.datetime().openapi({ example: "2027-01-31T08:00:00.000Z" });

export const RunIdParams = z.object({ runId: z.string().openapi({ example: "0h3kd8w0m2q7t4xv5n1c" }) });
export const SignalParams = RunIdParams.extend({ name: z.string().openapi({ example: "approval" }) });
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

export const StartBody = z
  .strictObject({
    input: z.unknown().optional().openapi({ description: "Checked by the workflow's own input schema." }),
    runId: z
      .string()
      .optional()
      .openapi({
        description: `The same id and input start one run, however often it is asked for. At most ${limits.runIdLength} characters. Default: a random one.`,
      }),
    tags: z
      .record(z.string(), z.string())
      .optional()
      .openapi({
        description: `Up to ${limits.tagsPerRun} short texts to find the run by.`,
        example: { customer: "c-1042" },
      }),
    startAt: z.string().optional().openapi({
      description: "ISO 8601. Steps do not begin before this time. Default: now.",
    }),
  })
  .openapi("StartRequest");

export const SignalBody = z
  .unknown()
  .openapi("SignalPayload", { description: "Checked by the signal's own payload schema. No body: no payload." });

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

export const CallbackAnswered = z.object({ runId: z.string(), status: runStatus }).openapi("CallbackAnswered");

const StepError = z.object({ name: z.string(), message: z.string() }).openapi("StepError");

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
    waitsFor: z.enum(["signal", "time", "callback", "answer"]).optional(),
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
    output: z.unknown().optional(),
    error: StepError.optional(),
    backgroundErrors: z.array(StepError).readonly().optional(),
  })
  .openapi("StepRun");

export const Run = z
  .object({
    runId: z.string(),
    workflow: z.string(),
    fingerprint: z.string().openapi({ description: "Of the graph that the run is pinned to." }),
    status: runStatus,
    input: z.unknown().optional(),
    output: z.unknown().optional(),
    error: z
      .object({ name: z.string(), message: z.string(), step: z.string().optional() })
      .optional()
      .openapi({ description: "Why the run failed, and which step did." }),
    pause: z
      .object({
        code: z.enum(["requested", "workflow_missing", "step_missing", "graph_missing"]),
        message: z.string(),
      })
      .optional()
      .openapi({ description: "Why the run is paused." }),
    steps: z.record(z.string(), StepRun).openapi({ description: "By step id, in the order of the definition." }),
    tags: z.record(z.string(), z.string()).optional(),
    createdAt: isoTime,
    startAt: isoTime.optional(),
    deadlineAt: isoTime.optional(),
    endedAt: isoTime.optional(),
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

const retryPolicy = z.object({
  maxAttempts: z.union([z.int(), z.literal("unlimited")]),
  backoff: z.object({
    type: z.enum(["fixed", "linear", "exponential"]),
    baseMs: z.number(),
    factor: z.number(),
    maxMs: z.number(),
    jitter: z.enum(["none", "full"]),
  }),
});

const WorkflowCodeStep = WorkflowNode.extend({
  kind: z.literal("step"),
  startAt: z.union([isoTime, z.literal("computed")]).optional(),
  timeoutMs: z.int().openapi({ description: "Limit of one attempt." }),
  heartbeatTimeoutMs: z.int().optional().openapi({ description: "The longest time that it may run in silence." }),
  poll: z
    .object({ timeoutMs: z.int().optional() })
    .optional()
    .openapi({ description: "Of a poll: its retry policy says how often it looks, and this how long at most." }),
  retry: retryPolicy,
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
  retry: retryPolicy,
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

const WorkflowStep = z
  .discriminatedUnion("kind", [WorkflowCodeStep, WorkflowCallback, WorkflowSignal, WorkflowSleep])
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
