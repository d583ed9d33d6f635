/** What a run costs, as it travels over HTTP. */
import { z } from "@hono/zod-openapi";

const dollars = z.number().openapi({ description: "For a million of them.", example: 3.22 });

const CostLine = z
  .object({
    service: z.string(),
    what: z.string().openapi({ description: "What is billed, in words." }),
    units: z.number().openapi({ description: "For this one run." }),
    dollars,
  })
  .readonly()
  .openapi("CostLine", {
    example: { service: "DynamoDB", what: "write units of the table", units: 21.5, dollars: 13.44 },
  });

export const RunCost = z
  .object({
    runId: z.string(),
    runs: z.int().openapi({ description: "That are billed: the run, and those that it has started." }),
    attempts: z.int().openapi({ description: "Of steps and of items of maps." }),
    isWhole: z.boolean().openapi({
      description: "Whether they were metered all the time since they began. If not, they have cost more than this.",
    }),
    dollars: dollars.openapi({ description: "For a million runs like this one." }),
    dollarsPerMillionAttempts: dollars.optional().openapi({ description: "Absent when there was no attempt." }),
    services: z.record(z.string(), dollars).readonly(),
    lines: z.array(CostLine).readonly(),
    region: z.string().openapi({ description: "Whose prices." }),
    pricesOf: z.string().openapi({ description: "The day on which the prices were read." }),
    assumptions: z
      .object({
        memoryMb: z.number().openapi({ description: "Of the functions that run steps." }),
        invocationMs: z
          .number()
          .optional()
          .openapi({ description: "That each of them takes; absent: as long as they took on the server." }),
        changesAtOnce: z.number().openapi({ description: "Status changes that come together." }),
      })
      .readonly(),
  })
  .openapi("RunCost", {
    example: {
      runId: "order-1",
      runs: 1,
      attempts: 10,
      isWhole: true,
      dollars: 32.2,
      dollarsPerMillionAttempts: 3.22,
      services: { DynamoDB: 15.63 },
      lines: [{ service: "DynamoDB", what: "write units of the table", units: 21.5, dollars: 13.44 }],
      region: "us-east-1",
      pricesOf: "2026-11-20",
      assumptions: { memoryMb: 256, changesAtOnce: 20 },
    },
  });
