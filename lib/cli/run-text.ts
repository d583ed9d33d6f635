/** Runs and workflows as a person reads them. */
import type { WorkflowView } from "../api/workflow-view.ts";
import { formatDuration } from "../definition/duration.ts";
import { formatElapsed, formatError, oneLine } from "../dev/text.ts";
import type { RunView, StepRunView } from "../runtime/run-view.ts";

export function runText(run: RunView): string {
  const ended = run.endedAt === undefined ? "" : ` after ${elapsed(run.startAt ?? run.createdAt, run.endedAt)}`;
  const tags = Object.entries(run.tags ?? {}).map(([key, value]) => `${key}=${value}`);
  const steps = Object.entries(run.steps).map(([id, step]) => [id, ...stepCells(step)]);
  return [
    `run        ${run.runId}`,
    `workflow   ${run.workflow}`,
    `status     ${run.status.replace("_", " ")}${ended}`,
    ...(run.parent === undefined ? [] : [`parent     ${run.parent.runId} (step ${run.parent.step})`]),
    `created    ${run.createdAt}`,
    ...(run.startAt === undefined ? [] : [`begins     ${run.startAt}`]),
    ...(run.deadlineAt === undefined || run.endedAt !== undefined ? [] : [`deadline   ${run.deadlineAt}`]),
    ...(tags.length === 0 ? [] : [`tags       ${oneLine(tags.join(", "))}`]),
    ...(run.pause === undefined ? [] : [`paused     ${oneLine(run.pause.message)}`]),
    ...(run.error === undefined ? [] : [`error      ${errorText(run.error)}`]),
    "",
    ...table(["step", "status", "attempt", "took", ""], steps),
    ...(run.output === undefined ? [] : ["", "output", JSON.stringify(run.output, undefined, 2)]),
  ].join("\n");
}

export function workflowsText(workflows: readonly WorkflowView[]): string {
  return workflows.map(workflowText).join("\n\n");
}

function workflowText({ name, fingerprint, steps, takesInput }: WorkflowView): string {
  const rows = steps.map((step) => [
    step.id,
    [kindText(step), ...whenTexts(step)].filter((part) => part !== "").join("; "),
  ]);
  const input = takesInput ? "takes an input" : "takes no input";
  return [`${name}  ${fingerprint}  ${input}`, ...table(undefined, rows)].join("\n");
}

function whenTexts({ after, afterAny, afterFailed, afterSettled }: WorkflowView["steps"][number]): string[] {
  const kinds: readonly (readonly [text: string, ids: readonly string[]])[] = [
    ["after", after],
    ["after any of", afterAny],
    ["after the failure of", afterFailed],
    ["after the end of", afterSettled],
  ];
  return kinds.filter(([, ids]) => ids.length > 0).map(([text, ids]) => `${text} ${ids.join(", ")}`);
}

/** Nothing for steps that run code. */
function kindText(step: WorkflowView["steps"][number]): string {
  switch (step.kind) {
    case "step":
      if (step.poll === undefined) return "";
      return step.poll.timeoutMs === undefined ? "poll" : `poll, for ${formatDuration(step.poll.timeoutMs)} at most`;
    case "signal": {
      if (step.timeoutMs === undefined) return "signal";
      const { onTimeout } = step;
      const then = typeof onTimeout === "object" ? "takes a value" : onTimeout === "fail" ? "fails" : "is skipped";
      return `signal, ${then} after ${formatDuration(step.timeoutMs)}`;
    }
    case "sleep":
      return step.durationMs === undefined ? "sleep, computed" : `sleep, ${formatDuration(step.durationMs)}`;
    case "child": {
      const child = step.workflow === undefined ? "child" : `child, a run of ${step.workflow}`;
      return step.whenParentEnds === "leave" ? `${child}, left alone when this run ends` : child;
    }
    case "map": {
      const { each, concurrency, toleratedFailures } = step;
      const inFlight = concurrency === undefined ? "" : `, ${concurrency} at a time`;
      const tolerated = toleratedFailures === 0 ? "" : `, up to ${toleratedFailures} may fail`;
      return `map${each === undefined ? "" : ` to runs of ${each}`}${inFlight}${tolerated}`;
    }
  }
}

function stepCells({
  status,
  attempt,
  startedAt,
  endedAt,
  nextAttemptAt,
  waitsUntil,
  child,
  error,
  backgroundErrors,
}: StepRunView): string[] {
  const notes = [
    ...(nextAttemptAt === undefined ? [] : [`attempt ${attempt + 1} at ${nextAttemptAt}`]),
    ...(status === "waiting" && startedAt !== undefined ? [`since ${startedAt}`] : []),
    ...(waitsUntil === undefined ? [] : [`until ${waitsUntil}`]),
    ...(child === undefined ? [] : [`run ${child}`]),
    ...(error === undefined ? [] : [oneLine(formatError(error))]),
    ...(backgroundErrors ?? []).map((one) => `in the background: ${oneLine(formatError(one))}`),
  ];
  const took = startedAt === undefined || endedAt === undefined ? "" : elapsed(startedAt, endedAt);
  return [status.replace("_", " "), attempt === 0 ? "" : String(attempt), took, notes.join("; ")];
}

function errorText(error: NonNullable<RunView["error"]>): string {
  return `${oneLine(formatError(error))}${error.step === undefined ? "" : ` (step ${error.step})`}`;
}

function elapsed(from: string, to: string): string {
  return formatElapsed(Date.parse(to) - Date.parse(from));
}

function table(head: readonly string[] | undefined, rows: readonly (readonly string[])[]): string[] {
  const all = head === undefined ? rows : [head, ...rows];
  const widths = (all[0] ?? []).map((_cell, column) => Math.max(...all.map((row) => row[column]?.length ?? 0)));
  return all.map((row) => `  ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join("  ")}`.trimEnd());
}
