// Two steps, and two runs at a time.
import { setTimeout as sleep } from "node:timers/promises";
import * as z from "zod";
import { workflow } from "../../lib/definition/workflow.ts";

export const turns = workflow(
  "turns",
  { input: z.number(), concurrency: { limit: 2 }, defaults: { retry: { maxAttempts: 1_000 } } },
  (w) => {
    const first = w.step("first", { run: () => sleep(30) });
    return w.step("second", {
      after: [first],
      run: async ({ input }) => {
        await sleep(30);
        return input;
      },
    });
  },
);
