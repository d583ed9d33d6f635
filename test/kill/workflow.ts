// Eight steps with branches, a join, retries, a timer and outputs that depend on each other.
import { setTimeout as sleep } from "node:timers/promises";
import * as z from "zod";
import { limits } from "../../lib/definition/limits.ts";
import { workflow } from "../../lib/definition/workflow.ts";

const backoff = { type: "fixed", base: "20ms" } as const;
const pauseMs = 40;

export const work = workflow(
  "work",
  { input: z.number(), defaults: { retry: { maxAttempts: 1_000, backoff } } },
  (w) => {
    const first = w.step("first", {
      run: async ({ input }) => {
        await sleep(pauseMs);
        return input;
      },
    });
    const branches = [1, 2, 3].map((number) =>
      w.step(`branch${number}`, {
        after: [first],
        run: async ({ outputs }) => {
          await sleep(pauseMs * number);
          return { value: outputs.first + number, text: textOf(outputs.first, number) };
        },
      }),
    );
    const timer = w.step("timer", { after: [first], delay: "150ms", run: ({ outputs }) => outputs.first * 2 });
    const flaky = w.step("flaky", {
      after: [first],
      run: async ({ outputs, attempt }) => {
        await sleep(pauseMs);
        if (attempt % 3 !== 0) throw new Error("again");
        return outputs.first;
      },
    });
    const skipped = w.step("skipped", { after: [first], when: () => false, run: () => 0 });
    return w.step("sum", {
      after: [first, ...branches, timer, flaky, skipped],
      run: ({ outputs }) => {
        const parts = outputs as Record<string, unknown>;
        const values = [1, 2, 3].map((number) => {
          const { value, text } = parts[`branch${number}`] as { value: number; text: string };
          if (text !== textOf(outputs.first, number)) throw new Error(`branch ${number} has lost its text`);
          return value;
        });
        return [...values, parts.timer, parts.flaky].reduce<number>((sum, value) => sum + Number(value), 0);
      },
    });
  },
);

/** Inside the run, beside it, and in every tenth run a blob. */
function textOf(input: number, branch: number): string {
  return "x".repeat(branch === 3 && input % 10 === 0 ? limits.itemPayloadBytes : branch * 700);
}

/** What a run with this input must come to. */
export function expectedOutput(input: number): number {
  return input + 1 + input + 2 + input + 3 + input * 2 + input;
}
