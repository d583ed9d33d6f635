/** Schemas of lists, statistics and failures. */
import { z } from "@hono/zod-openapi";
import { limits } from "../definition/limits.ts";
import { runStatuses } from "../engine/run-state.ts";
import { instantText, statusesText, tagText, wholeNumberText } from "./query-texts.ts";
import { anyRunId, isoTime, RunFailure, runStatus } from "./schemas.ts";

/** In a filter any text is a name: one that is nobody's finds nothing. */
export const anyWorkflow = z
  .string()
  .min(1)
  .max(limits.nameLength)
  .openapi({ description: "Name of a workflow.", example: "order" });

export const anyFingerprint = z.string().min(1).max(limits.nameLength).openapi({
  description: "Failed like this: `error.fingerprint` of a run, or one of `GET /failures`.",
  example: "q3mZ1xYw8LkP",
});

export const ListQuery = z.strictObject({
  workflow: anyWorkflow.optional(),
  status: statusesText,
  from: instantText("Created then or later: ISO 8601."),
  to: instantText("Created before then: ISO 8601."),
  tag: tagText,
  parent: anyRunId.optional().openapi({
    description: "Started by this run: its children, and the runs of the items of its maps.",
    example: "order-1",
  }),
  fingerprint: anyFingerprint.optional(),
  limit: wholeNumberText(1, limits.answeredRuns, "Runs of one page at most. Default: 50."),
  cursor: z.string().optional().openapi({ description: "`cursor` of the page before, of the same query." }),
});

export const FailuresQuery = z.strictObject({ workflow: anyWorkflow.optional() });

export const StatsQuery = z.strictObject({
  days: wholeNumberText(1, limits.statsDays, "Today and so many days less one before (UTC). Default: 7."),
  workflow: anyWorkflow.optional(),
});

const RunSummary = z
  .object({
    runId: z.string(),
    workflow: z.string(),
    status: runStatus,
    error: RunFailure.optional(),
    tags: z.record(z.string(), z.string()).readonly().optional(),
    parent: z.object({ runId: z.string(), step: z.string() }).readonly().optional(),
    redrives: z.int(),
    createdAt: isoTime,
    startAt: isoTime.optional(),
    endedAt: isoTime.optional(),
    expiresAt: isoTime.optional().openapi({ description: "When it may be deleted." }),
  })
  .readonly()
  .openapi("RunSummary", {
    description: "A run in a list: all but its steps and payloads.",
    example: {
      runId: "order-1",
      workflow: "order",
      status: "failed",
      error: { name: "CardDeclined", message: "Insufficient funds", step: "charge", fingerprint: "q3mZ1xYw8LkP" },
      tags: { customer: "c-1042" },
      redrives: 0,
      createdAt: "2027-01-31T08:00:00.000Z",
      endedAt: "2027-01-31T08:00:02.120Z",
      expiresAt: "2027-05-01T08:00:02.120Z",
    },
  });

export const RunPage = z
  .object({
    runs: z.array(RunSummary).readonly().openapi({
      description: "Newest first. May be fewer than asked for, even none, although there are more.",
    }),
    cursor: z.string().optional().openapi({ description: "For the next page; absent: this is the last." }),
  })
  .openapi("RunPage", {
    example: {
      runs: [
        {
          runId: "order-1",
          workflow: "order",
          status: "succeeded",
          redrives: 0,
          createdAt: "2027-01-31T08:00:00.000Z",
          endedAt: "2027-01-31T08:00:02.120Z",
        },
      ],
      cursor: "mXW4W0Yw3mZLr0kV7m0qVnsiYXQiOjE3NjM3MTU5MjF9",
    },
  });

const day = z.iso.date().openapi({ example: "2027-01-31" });

const StatusCounts = z
  .partialRecord(z.enum(runStatuses), z.int())
  .readonly()
  .openapi("StatusCounts", {
    description: "Runs by their status now; a status that is not there has none.",
    example: { succeeded: 41, failed: 2 },
  });

const durations = {
  p50Ms: z.number().optional().openapi({
    description: "From creation to end, within 9 %: half of the runs took no longer. Absent: none has ended.",
  }),
  p95Ms: z.number().optional(),
};

const WorkflowStats = z
  .object({
    workflow: z.string(),
    runs: z.int(),
    byStatus: StatusCounts,
    ...durations,
    days: z
      .array(z.object({ day, runs: z.int(), byStatus: StatusCounts, ...durations }).readonly())
      .readonly()
      .openapi({ description: "Newest first; days without runs are left out." }),
  })
  .readonly()
  .openapi("WorkflowStats");

export const Stats = z
  .object({
    from: day.openapi({ description: "Runs that were created on these days (UTC), both included." }),
    to: day,
    runs: z.int(),
    byStatus: StatusCounts,
    workflows: z.array(WorkflowStats).readonly().openapi({ description: "By name." }),
    storage: z
      .object({
        bytes: z.number().optional().openapi({ description: "Of runs and payloads up to 300 KB." }),
        bytesAt: isoTime.optional().openapi({ description: "When they were counted: AWS does so every six hours." }),
        oldestRun: day.optional().openapi({ description: "Day on which the oldest run that is kept was created." }),
        nextExpiry: day.optional().openapi({ description: "Day on which the next run expires." }),
      })
      .readonly(),
  })
  .openapi("Stats", {
    example: {
      from: "2027-01-25",
      to: "2027-01-31",
      runs: 43,
      byStatus: { succeeded: 41, failed: 2 },
      workflows: [
        {
          workflow: "order",
          runs: 43,
          byStatus: { succeeded: 41, failed: 2 },
          p50Ms: 2_130,
          p95Ms: 9_870,
          days: [{ day: "2027-01-31", runs: 43, byStatus: { succeeded: 41, failed: 2 }, p50Ms: 2_130, p95Ms: 9_870 }],
        },
      ],
      storage: { bytes: 183_500, oldestRun: "2027-01-31", nextExpiry: "2027-05-01" },
    },
  });

const FailureView = z
  .object({
    fingerprint: z.string(),
    workflow: z.string(),
    step: z.string().optional(),
    name: z.string().openapi({ description: "Of the error." }),
    message: z.string().openapi({ description: "Of the last of them." }),
    example: z.string().openapi({ description: "Id of the run that failed so last." }),
    count: z.int().openapi({ description: "Runs that are failed like this now." }),
    firstSeenAt: isoTime,
    lastSeenAt: isoTime,
  })
  .readonly()
  .openapi("Failure");

export const Failures = z
  .object({ failures: z.array(FailureView).readonly().openapi({ description: "Most recent first; up to 1,000." }) })
  .openapi("Failures", {
    example: {
      failures: [
        {
          fingerprint: "q3mZ1xYw8LkP",
          workflow: "order",
          step: "charge",
          name: "CardDeclined",
          message: "Insufficient funds",
          example: "order-1",
          count: 2,
          firstSeenAt: "2027-01-31T07:12:40.002Z",
          lastSeenAt: "2027-01-31T08:00:02.120Z",
        },
      ],
    },
  });
