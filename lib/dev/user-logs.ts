import type { StepCode, StepLog } from "../definition/step.ts";
import type { Workflow } from "../definition/workflow.ts";

/** On every line that a step's own code logs: tells it from the engine's lines about the same step. */
export const userLogField = { source: "step" } as const;

/** The same workflow; what its steps log is marked. */
export function markUserLogs(workflow: Workflow): Workflow {
  const code = [...workflow.code].map(([id, own]): [string, StepCode] => [
    id,
    { ...own, run: (context) => own.run({ ...context, log: marked(context.log) }) },
  ]);
  return { ...workflow, code: new Map(code) };
}

function marked(log: StepLog): StepLog {
  const at =
    (level: keyof StepLog): StepLog["info"] =>
    (message, fields) => {
      log[level](message, { ...fields, ...userLogField });
    };
  return { debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") };
}
