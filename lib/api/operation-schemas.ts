/** Schemas of bulk operations. */
import { z } from "@hono/zod-openapi";
import { limits } from "../definition/limits.ts";
import { operationActions } from "../runtime/operations.ts";
import { anyFingerprint, anyWorkflow } from "./finding-schemas.ts";
import { anyRunId, instant, isoTime, newRunId, runStatus } from "./schemas.ts";

export const OperationParams = z.object({
  operationId: anyRunId.openapi({ description: "Id of a bulk operation.", example: "mend-the-orders" }),
});

const action = z.enum(operationActions);

const tagPart = z.string().min(1).max(limits.tagLength);

const Filter = z
  .strictObject({
    workflow: anyWorkflow.optional(),
    status: z.union([runStatus, z.array(runStatus).min(1).readonly()]).optional(),
    from: instant
      .optional()
      .openapi({ description: "Created then or later: ISO 8601.", example: "2027-01-31T08:00:00Z" }),
    to: instant.optional().openapi({ description: "Created before then: ISO 8601.", example: "2027-02-01" }),
    tag: z.strictObject({ key: tagPart, value: tagPart }).readonly().optional(),
    parent: anyRunId.optional().openapi({ description: "Started by this run." }),
    fingerprint: anyFingerprint.optional(),
  })
  .readonly()
  .openapi("RunFilter", {
    description: "All that are given must hold, and at least one must be given.",
    example: { workflow: "order", fingerprint: "q3mZ1xYw8LkP" },
  });

export const OperationBody = z
  .strictObject({
    action,
    filter: Filter,
    signal: z
      .strictObject({ name: z.string().min(1).max(limits.nameLength), payload: z.unknown().optional() })
      .optional()
      .openapi({ description: "Of `signal`: its name and payload." }),
    dryRun: z.boolean().optional().openapi({ description: "Only count, and estimate. Default: false." }),
    ratePerSecond: z
      .int()
      .min(1)
      .max(limits.operationRate)
      .optional()
      .openapi({ description: `Runs per second. Default: ${limits.usualOperationRate}.` }),
    limit: z.int().min(1).max(limits.operationRuns).optional().openapi({
      description: "Runs at most; the others are left alone. Default: as many as one operation takes at its rate.",
    }),
    operationId: newRunId.optional().openapi({
      description: "The same id and request begin one operation, however often it is asked for. Default: a random one.",
    }),
  })
  .openapi("OperationRequest", {
    example: { action: "redrive", filter: { fingerprint: "q3mZ1xYw8LkP" }, operationId: "mend-the-orders" },
  });

const OperationFailure = z
  .object({ runId: z.string(), code: z.string(), message: z.string() })
  .readonly()
  .openapi("OperationFailure");

export const Operation = z
  .object({
    operationId: z.string().openapi({ description: "Id of the run that does it." }),
    action,
    filter: Filter,
    status: runStatus,
    createdAt: isoTime,
    endedAt: isoTime.optional(),
    progress: z
      .object({
        selected: z.int().optional().openapi({ description: "Runs that were selected; absent until they are." }),
        done: z.int().openapi({ description: "Acted on, by this operation." }),
        skipped: z.int().openapi({ description: "Left alone: they had changed since they were selected." }),
        failed: z.int(),
      })
      .readonly(),
    failures: z.array(OperationFailure).readonly().openapi({ description: "The first 100." }),
  })
  .openapi("Operation", {
    example: {
      operationId: "mend-the-orders",
      action: "redrive",
      filter: { fingerprint: "q3mZ1xYw8LkP", status: ["failed"] },
      status: "running",
      createdAt: "2027-01-31T08:10:00.000Z",
      progress: { selected: 5_000, done: 1_250, skipped: 3, failed: 0 },
      failures: [],
    },
  });

export const OperationEstimate = z
  .object({
    action,
    dryRun: z.literal(true),
    runs: z.int().openapi({ description: "Runs that match now." }),
    isLimited: z.boolean().openapi({ description: "More match than one operation takes: `runs` is its limit." }),
    examples: z.array(z.string()).readonly().openapi({ description: "First of them." }),
    seconds: z.number().openapi({ description: "At this rate." }),
    estimate: z.object({ writeUnits: z.number(), requests: z.number(), dollars: z.number() }).readonly().openapi({
      description: "What the operation itself is billed, about, in us-east-1; what the runs do then comes on top.",
    }),
  })
  .openapi("OperationEstimate", {
    example: {
      action: "redrive",
      dryRun: true,
      runs: 5_000,
      isLimited: false,
      examples: ["order-1", "order-2"],
      seconds: 100,
      estimate: { writeUnits: 10_000, requests: 10_200, dollars: 0.02 },
    },
  });
