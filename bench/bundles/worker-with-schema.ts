// The same with a workflow whose input has a schema, as most have: zod's large form comes with it.
import { workflow } from "pawl";
import { createHandlers } from "pawl/lambda";
import * as z from "zod";

const Input = z.object({ name: z.string().min(1) });

const hello = workflow("hello", { input: Input }, (w) =>
  w.step("greet", { run: ({ input }) => `hello ${input.name}` }),
);

export const { worker, api, deadLetters, audit, lifecycle } = createHandlers({ workflows: [hello] });
