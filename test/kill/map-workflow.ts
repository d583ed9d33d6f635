// A map over 200 items, some of which fail at first and three for good; and a run for each of twenty more.
import { setTimeout as sleep } from "node:timers/promises";
import * as z from "zod";
import { FatalError } from "../../lib/definition/errors.ts";
import { workflow } from "../../lib/definition/workflow.ts";

export const items = 200;
export const children = 20;
const lost = [13, 77, 150];

/** An attempt that a kill took counts, and a dozen kills may all hit the same step: none of them may use its retries up. */
const patient = { maxAttempts: 1_000, backoff: { type: "fixed", base: "20ms" } } as const;

const square = workflow("square", { input: z.number(), defaults: { retry: patient } }, (w) => {
  const first = w.step("first", { run: ({ input }) => sleep(30, input) });
  return w.step("second", { after: [first], run: ({ outputs }) => sleep(30, outputs.first * outputs.first) });
});

export const wide = workflow("wide", { input: z.number(), defaults: { retry: patient } }, (w) => {
  const each = w.map("each", {
    items: () => Array.from({ length: items }, (_, index) => index),
    concurrency: 40,
    toleratedFailures: lost.length,
    run: async ({ item, attempt }) => {
      await sleep(30);
      if (lost.includes(item)) throw new FatalError("lost");
      if (item % 10 === 0 && attempt % 3 !== 0) throw new Error("again");
      return item;
    },
  });
  const runs = w.map("runs", {
    each: square,
    items: () => Array.from({ length: children }, (_, index) => index),
  });
  return w.step("sum", {
    after: [each, runs],
    run: async ({ input, outputs: { each, runs } }) => {
      const sum = (all: readonly (number | undefined)[]): number => all.reduce<number>((a, b) => a + (b ?? 0), 0);
      const failed = (await each.errors()).map(({ index }) => index);
      return { sum: input + sum(await each.toArray()), squares: sum(await runs.toArray()), failed };
    },
  });
});

/** What a run with this input must come to. */
export function expectedOutput(input: number): object {
  const numbers = Array.from({ length: items }, (_, index) => index).filter((index) => !lost.includes(index));
  const squares = Array.from({ length: children }, (_, index) => index * index);
  const sum = (all: readonly number[]): number => all.reduce((a, b) => a + b, 0);
  return { sum: input + sum(numbers), squares: sum(squares), failed: lost };
}
