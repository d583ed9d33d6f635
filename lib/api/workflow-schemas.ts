/** Schemas of workflows and their graphs. */
import { z } from "@hono/zod-openapi";
import { isoTime } from "./schemas.ts";

export const WorkflowParams = z.object({
  workflow: z.string().openapi({ description: "Name of a workflow.", example: "order" }),
});

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

const idempotent = z
  .literal(true)
  .optional()
  .openapi({ description: "Its attempts begin without a claim: one may run twice at the same time, and counts once." });

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
  idempotent,
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
  idempotent,
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
  .openapi("Workflow", {
    example: {
      name: "greet",
      fingerprint: "Ej-4aLTNXB0Cpnp1",
      takesInput: true,
      input: { type: "object", properties: { name: { type: "string" } }, required: ["name"] },
      output: "greet",
      steps: [
        {
          kind: "step",
          id: "greet",
          after: [],
          afterAny: [],
          afterFailed: [],
          afterSettled: [],
          skipWithDependency: false,
          when: false,
          onFailure: "fail",
          taskQueue: "default",
          timeoutMs: 60_000,
          retry: {
            maxAttempts: 3,
            backoff: { type: "exponential", baseMs: 1_000, factor: 2, maxMs: 60_000, jitter: "full" },
          },
        },
      ],
    },
  });

export const Workflows = z
  .object({ workflows: z.array(z.object({ name: z.string(), fingerprint: z.string(), steps: stepIds })) })
  .openapi("Workflows", {
    example: { workflows: [{ name: "greet", fingerprint: "Ej-4aLTNXB0Cpnp1", steps: ["greet"] }] },
  });
