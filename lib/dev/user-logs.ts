import type { StepCode, StepLog } from "../definition/step.ts";
import type { Workflow } from "../definition/workflow.ts";

/** On every line that a step's own code logs: tells it from the engine's lines about the same step. */
export const userLogField = { source: "step" } as const;

/** One for each: a child is the workflow that is also served by itself. */
const markedOf = new WeakMap<Workflow, Workflow>();

/** The same workflow; what its steps log is marked, and what its children log. */
export function markUserLogs(workflow: Workflow): Workflow {
  const known = markedOf.get(workflow);
  if (known !== undefined) return known;
  const code = new Map([...workflow.code].map(([id, one]) => [id, withMarkedLog(one)]));
  const made: Workflow = { ...workflow, code };
  markedOf.set(workflow, made);
  return made;
}

/** What waits has no log of its own. */
function withMarkedLog(code: StepCode): StepCode {
  switch (code.kind) {
    case "step":
    case "callback":
      return withMarkedUndo(withMarkedRun(code));
    case "child":
      return withMarkedUndo(withMarkedChild(code));
    case "map":
      return { ...code, item: code.item.kind === "step" ? withMarkedRun(code.item) : withMarkedChild(code.item) };
    case "shard":
    case "signal":
    case "sleep":
      return code;
  }
}

function withMarkedRun<Context extends { readonly log: StepLog }, Code extends { run(context: Context): unknown }>(
  code: Code,
): Code {
  return { ...code, run: (context: Context) => code.run({ ...context, log: marked(context.log) }) };
}

function withMarkedUndo<Code extends StepCode>(code: Code): Code {
  return code.compensate === undefined ? code : { ...code, compensate: withMarkedRun(code.compensate) };
}

function withMarkedChild<Code extends { readonly workflow: () => Workflow }>(code: Code): Code {
  return { ...code, workflow: () => markUserLogs(code.workflow()) };
}

function marked(log: StepLog): StepLog {
  const at =
    (level: keyof StepLog): StepLog["info"] =>
    (message, fields) => {
      log[level](message, { ...fields, ...userLogField });
    };
  return { debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") };
}
