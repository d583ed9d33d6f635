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

const runStatus = z.enum(runStatuses);

export const Started = z.object({ runId: z.string(), status: runStatus }).openapi("Started");

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
    waitsUntil: isoTime.optional().openapi({
      description: "When the wait ends at the latest: the timeout of a signal, the end of a sleep.",
    }),
    child: z.string().optional().openapi({ description: "Id of the run that the step started." }),
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
    parent: z
      .object({ runId: z.string(), step: z.string() })
      .optional()
      .openapi({ description: "The step of another run that started this one." }),
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

export const Retry = z.object({
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
  poll: z
    .object({ timeoutMs: z.int().optional() })
    .optional()
    .openapi({ description: "Of a poll: its retry policy says how often it looks, and this how long at most." }),
  retry: Retry,
}).openapi("WorkflowCodeStep");

const jsonSchema = z.record(z.string(), z.unknown()).nullable();

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
}).openapi("WorkflowChild");

const WorkflowMap = WorkflowNode.extend({
  kind: z.literal("map"),
  each: z.string().optional().openapi({ description: "Whose run each item starts; absent: each item runs code." }),
  retry: Retry.optional().openapi({ description: "Of each item." }),
  timeoutMs: z.int().optional().openapi({ description: "Limit of one attempt of one item." }),
  concurrency: z.int().optional().openapi({ description: "Items in flight at the same time; absent: all of them." }),
  toleratedFailures: z
    .union([z.int(), z.string()])
    .openapi({ description: "Items that may fail without failing the map: a number, or percent.", example: "5%" }),
}).openapi("WorkflowMap");

const WorkflowStep = z
  .discriminatedUnion("kind", [WorkflowCodeStep, WorkflowSignal, WorkflowSleep, WorkflowChild, WorkflowMap])
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
