import { setTimeout } from "node:timers/promises";
import { workflow } from "pawl";
import * as z from "zod";

export const hello = workflow("hello", { input: z.object({ name: z.string() }) }, (w) => {
  const greet = w.step("greet", {
    run: ({ input }) => `Hello, ${input.name}`,
  });

  const ponder = w.step("ponder", {
    after: [greet],
    run: async ({ signal }) => {
      await setTimeout(5_000, undefined, { signal });
      return 42;
    },
  });

  return w.step("answer", {
    after: [greet, ponder],
    run: ({ outputs }) => `${outputs.greet}! The answer is ${outputs.ponder}.`,
  });
});
