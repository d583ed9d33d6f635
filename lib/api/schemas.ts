/**
 * What travels over HTTP, as zod schemas: requests are checked by them, answers are typed by them, and the OpenAPI
 * document is made from them.
 */
import { z } from "@hono/zod-openapi";
import { limits } from "../definition/limits.ts";
import { runStatuses, stepStatuses } from "../engine/run-state.ts";
import { type ApiErrorCode, statusOf } from "./api-error.ts";
import { waitText } from "./query-texts.ts";

/**
 * Bytes of a request's body: white space and escapes make JSON longer than the payload that is stored in the end.
 * Lambda takes 6 MB, with the event around the body.
 */
export const bodyBytes = limits.payloadBytes + 1024 * 1024;

export const isoTime = z.iso.datetime().openapi({ example: "2027-01-31T08:00:00.000Z" });

const notAnId = `is no id of a run; allowed are letters, digits and "_.:~-", at most ${limits.derivedRunIdLength} in all`;

/** What the ids of runs are made of, those that other runs have started included: others are in no store. */
export const anyRunId = z
  .string()
  .max(limits.derivedRunIdLength, { error: notAnId })
  .regex(/^[A-Za-z0-9_.:~-]+$/, { error: notAnId });

export const RunIdParams = z.object({
  runId: anyRunId.openapi({ description: "Id of a run.", example: "0h3kd8w0m2q7t4xv5n1c" }),
});
export const SignalParams = RunIdParams.extend({
  name: z.string().openapi({ description: "Id of the step that waits for it.", example: "approval" }),
});
export const StepParams = RunIdParams.extend({
  stepId: z.string().openapi({ description: "Id of a step of the run.", example: "ship" }),
});
export const InterruptParams = RunIdParams.extend({
  interruptId: z.string().openapi({ description: "`steps.<id>.interrupt.id` of the run.", example: "k7f3q9x2mz" }),
});
export const CallbackParams = z.object({
  token: z.string().openapi({
    description: "The task token that the step handed out. It is a secret.",
    example: "cy9vcmRlci0xL2FwcHJvdmFs",
  }),
});
export const WaitQuery = z.strictObject({ wait: waitText });

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
  .openapi("StartRequest", {
    example: { input: { orderId: "A-1" }, runId: "order-1", tags: { customer: "c-1042" } },
  });

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
  .openapi("ForkRequest", { example: { from: "ship", runId: "order-1-again" } });

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
  .openapi("RedriveRequest", {
    example: { set: { ship: { parcel: "x" } }, skip: ["notify"], by: "ada", reason: "paid in cash" },
  });

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
  .openapi("CallbackFailure", { example: { name: "CardDeclined", message: "Insufficient funds" } });

export const runStatus = z.enum(runStatuses);

export const Started = z
  .object({ runId: z.string(), status: runStatus })
  .openapi("Started", { example: { runId: "order-1", status: "running" } });

const PayloadSize = z.object({ bytes: z.int() }).openapi("PayloadSize", {
  description: `Stands for a payload above ${limits.shownPayloadBytes} bytes, which has a path of its own.`,
});
export const CallbackAnswered = z
  .object({ runId: z.string(), status: runStatus })
  .openapi("CallbackAnswered", { example: { runId: "order-1", status: "running" } });

const StepError = z.object({ name: z.string(), message: z.string() }).openapi("StepError");

export const RunFailure = z
  .object({
    name: z.string(),
    message: z.string(),
    step: z.string().optional().openapi({ description: "The step that failed; absent: the run failed as a whole." }),
    fingerprint: z.string().optional().openapi({
      description:
        "The same for failures alike: of the same workflow, step and kind of error, thrown at the same place.",
    }),
  })
  .readonly()
  .openapi("RunFailure", { description: "Why the run failed." });

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
    error: RunFailure.optional(),
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
  .openapi("Run", {
    example: {
      runId: "order-1",
      workflow: "order",
      fingerprint: "Ej-4aLTNXB0Cpnp1",
      status: "failed",
      redrives: 0,
      input: { orderId: "A-1" },
      error: { name: "CardDeclined", message: "Insufficient funds", step: "charge", fingerprint: "q3mZ1xYw8LkP" },
      steps: {
        validate: {
          status: "succeeded",
          attempt: 1,
          startedAt: "2027-01-31T08:00:00.020Z",
          endedAt: "2027-01-31T08:00:00.110Z",
          output: { total: 4200 },
        },
        charge: {
          status: "failed",
          attempt: 1,
          startedAt: "2027-01-31T08:00:00.130Z",
          endedAt: "2027-01-31T08:00:02.120Z",
          error: { name: "CardDeclined", message: "Insufficient funds" },
        },
      },
      tags: { customer: "c-1042" },
      createdAt: "2027-01-31T08:00:00.000Z",
      endedAt: "2027-01-31T08:00:02.120Z",
    },
  });

export const Health = z.object({ status: z.literal("ok") }).openapi("Health", { example: { status: "ok" } });

export const Index = z
  .object({ name: z.literal("pawl"), openapi: z.string(), routes: z.array(z.string()) })
  .openapi("Index", {
    example: { name: "pawl", openapi: "/openapi.json", routes: ["GET /runs/{runId}", "GET /healthz"] },
  });

export const OpenApiDocument = z
  .looseObject({
    openapi: z.string(),
    info: z.looseObject({ title: z.string(), version: z.string() }),
  })
  .openapi("OpenApiDocument", { description: "An OpenAPI 3.1 document." });

export const ErrorAnswer = z
  .object({
    error: z.object({
      code: z.enum(Object.keys(statusOf) as [ApiErrorCode, ...ApiErrorCode[]]),
      message: z.string(),
      details: z.unknown(),
      docs: z.string().openapi({ description: "Page and section of Pawl's documentation." }),
    }),
  })
  .openapi("Error", {
    description: "Programs decide by `code`; `message` is for people.",
    example: {
      error: {
        code: "run_not_found",
        message: 'There is no run "r-1".',
        details: null,
        docs: "docs/errors.md#run_not_found",
      },
    },
  });
