import type { StepCode, StepLog } from "../definition/step.ts";
import type { Workflow } from "../definition/workflow.ts";

/** On every line that a step's own code logs: tells it from the engine's lines about the same step. */
export const userLogField = { source: "step" } as const;

/** The same workflow; what its steps log is marked. */
export function markUserLogs(workflow: Workflow): Workflow {
  return { ...workflow, code: new Map([...workflow.code].map(([id, code]) => [id, withMarkedLog(code)])) };
}

/** What waits has no log of its own. */
function withMarkedLog(code: StepCode): StepCode {
  const { compensate } = code;
  const undo = compensate && { compensate: { ...compensate, run: marking(compensate.run) } };
  switch (code.kind) {
    case "step":
      return { ...code, run: marking(code.run), ...undo };
    case "callback":
      return { ...code, run: marking(code.run), ...undo };
    case "signal":
    case "sleep":
      return code;
  }
}

function marking<Context extends { readonly log: StepLog }>(run: (context: Context) => unknown): typeof run {
  return (context) => run({ ...context, log: marked(context.log) });
}

function marked(log: StepLog): StepLog {
  const at =
    (level: keyof StepLog): StepLog["info"] =>
    (message, fields) => {
      log[level](message, { ...fields, ...userLogField });
    };
  return { debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") };
}
