import type { StepRef } from "../../lib/definition/step.ts";
import { type Workflow, workflow } from "../../lib/definition/workflow.ts";

/** Steps one after the other, each of which returns a text of so many bytes as JSON. */
export function chain(steps: number, bytes: number, idempotent = false): Workflow {
  return workflow("chain", {}, (w) => {
    let last: StepRef<string, string> | undefined;
    for (let index = 0; index < steps; index++) {
      last = w.step(`s${index}`, {
        after: last === undefined ? [] : [last],
        idempotent,
        run: () => "x".repeat(bytes - 2),
      });
    }
    return last;
  });
}
