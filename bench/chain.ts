import type { StepRef } from "../lib/definition/step.ts";
import { type Workflow, workflow } from "../lib/definition/workflow.ts";

/** So many steps, one after the other, that all do the same. */
export function chainOf<Output>(
  steps: number,
  run: (context: { readonly runId: string; readonly attempt: number }, index: number) => Output,
  options: { readonly idempotent?: true } = {},
): Workflow {
  return workflow("chain", {}, (w) => {
    let last: StepRef<string, Output> | undefined;
    for (let index = 0; index < steps; index++) {
      const after = last === undefined ? [] : [last];
      last = w.step(`s${index}`, { ...options, after, run: (context) => run(context, index) });
    }
    return last;
  });
}
