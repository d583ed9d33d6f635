/** Runs and workflows as a person reads them. */
import type { WorkflowView } from "../api/workflow-view.ts";
import { formatDuration } from "../definition/duration.ts";
import { formatCompensation, formatElapsed, formatError, oneLine, printableJson } from "../dev/text.ts";
import type { CompensationView, PayloadSize, RunView, StepRunView } from "../runtime/run-view.ts";

/** @param cost in a few words, where it is known */
export function runText(run: RunView, cost?: string): string {
  const ended =
    run.endedAt === undefined
      ? ""
      : ` after ${elapsed(run.startAt ?? run.createdAt, run.endedAt)}${formatCompensation(run.compensation)}`;
  const tags = Object.entries(run.tags ?? {}).map(([key, value]) => `${key}=${value}`);
  const steps = Object.entries(run.steps).map(([id, step]) => [id, ...stepCells(run.runId, id, step)]);
  const questions = Object.entries(run.steps).flatMap(([stepId, { interrupt }]) =>
    interrupt === undefined
      ? []
      : ["", questionText(stepId, interrupt), `answer with: pawl answer ${run.runId} ${interrupt.id} --data '…'`],
  );
  return [
    `run        ${run.runId}`,
    `workflow   ${run.workflow}`,
    `status     ${statusText(run)}${ended}`,
    ...(run.parent === undefined ? [] : [`parent     ${run.parent.runId} (step ${run.parent.step})`]),
    `created    ${run.createdAt}`,
    ...(run.forkedFrom === undefined
      ? []
      : [`forked     from run ${run.forkedFrom.runId}, step ${run.forkedFrom.from}`]),
    ...(run.redrives === 0 ? [] : [`redriven   ${run.redrives === 1 ? "once" : `${run.redrives} times`}`]),
    ...(run.startAt === undefined ? [] : [`begins     ${run.startAt}`]),
    ...(run.deadlineAt === undefined || run.endedAt !== undefined ? [] : [`deadline   ${run.deadlineAt}`]),
    ...(tags.length === 0 ? [] : [`tags       ${oneLine(tags.join(", "))}`]),
    ...(run.waitsForTurn === undefined ? [] : [`waits      ${turnText(run.waitsForTurn)}`]),
    ...(run.pause === undefined ? [] : [`paused     ${oneLine(run.pause.message)}`]),
    ...(run.error === undefined ? [] : [`error      ${errorText(run.error)}`]),
    ...(cost === undefined ? [] : [`on AWS     ${cost}`]),
    ...(run.inputRef === undefined ? [] : [`input      ${sizeText(run.inputRef)}: pawl input ${run.runId}`]),
    "",
    ...table(["step", "status", "attempt", "took", ""], steps),
    ...questions,
    ...(run.output === undefined ? [] : ["", "output", printableJson(run.output, 2)]),
    ...(run.outputRef === undefined ? [] : ["", `output     ${sizeText(run.outputRef)}: pawl output ${run.runId}`]),
  ].join("\n");
}

function turnText({ key, ahead }: NonNullable<RunView["waitsForTurn"]>): string {
  const among = key === undefined ? "" : ` among the runs of ${oneLine(key)}`;
  const behind = ahead === undefined || ahead === 0 ? "" : `, behind ${ahead} ${ahead === 1 ? "other" : "others"}`;
  return `for its turn${among}${behind}`;
}

/** `succeeded`, or `unwinding to cancelled`. */
export function statusText({ status, unwindsTo }: Pick<RunView, "status" | "unwindsTo">): string {
  return [status, ...(unwindsTo === undefined ? [] : ["to", unwindsTo])].join(" ").replaceAll("_", " ");
}

export function workflowsText(workflows: readonly WorkflowView[]): string {
  return workflows.map(workflowText).join("\n\n");
}

function workflowText({ name, fingerprint, steps, takesInput, concurrency }: WorkflowView): string {
  const rows = steps.map((step) => [
    step.id,
    [kindText(step), ...whenTexts(step), rateText(step), undoText(step)].filter((part) => part !== "").join("; "),
  ]);
  const input = takesInput ? "takes an input" : "takes no input";
  const most = concurrency === undefined ? "" : `, ${concurrencyText(concurrency)}`;
  return [`${name}  ${fingerprint}  ${input}${most}`, ...table(undefined, rows)].join("\n");
}

function concurrencyText({ limit, key }: NonNullable<WorkflowView["concurrency"]>): string {
  return `${limit} ${limit === 1 ? "run" : "runs"} at a time${key === null ? " for each key" : ""}`;
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

function undoText(step: WorkflowView["steps"][number]): string {
  return step.kind === "step" && step.compensation !== undefined ? "can be undone" : "";
}

/** Nothing for steps that run code. */
export function kindText(step: WorkflowView["steps"][number]): string {
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
    case "callback":
      return step.timeoutMs === undefined ? "callback" : `callback, for ${formatDuration(step.timeoutMs)} at most`;
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

function rateText(step: WorkflowView["steps"][number]): string {
  if (step.kind !== "step" || step.rateLimit === undefined) return "";
  const { limit, perMs, key } = step.rateLimit;
  return `at most ${limit} per ${formatDuration(perMs)}${key === null ? " for each key" : ""}`;
}

function stepCells(runId: string, id: string, step: StepRunView): string[] {
  const { status, attempt, startedAt, endedAt, nextAttemptAt, waitsUntil, waitsFor, child, outputRef, error, byHand } =
    step;
  const { backgroundErrors, compensation } = step;
  const notes = [
    ...(nextAttemptAt === undefined ? [] : [`attempt ${attempt + 1} at ${nextAttemptAt}`]),
    ...(waitsFor === "callback" ? ["for callback"] : []),
    ...(waitsFor === "answer" ? ["for an answer"] : []),
    ...(status === "waiting" && startedAt !== undefined ? [`since ${startedAt}`] : []),
    ...(waitsUntil === undefined ? [] : [`until ${waitsUntil}`]),
    ...(child === undefined ? [] : [`run ${child}`]),
    ...(outputRef === undefined ? [] : [`${sizeText(outputRef)}: pawl output ${runId} ${id}`]),
    ...(byHand === undefined ? [] : [oneLine(`by hand, ${byHand.by}: ${byHand.reason}`)]),
    ...(error === undefined ? [] : [oneLine(formatError(error))]),
    ...backgroundTexts(backgroundErrors),
    ...(compensation === undefined ? [] : [undoingText(compensation)]),
  ];
  return [
    status.replace("_", " "),
    attempt === 0 ? "" : String(attempt),
    tookText(startedAt, endedAt),
    notes.join("; "),
  ];
}

/** `undone in 0.2s`, or how far that is, and what went wrong last. */
function undoingText(undo: CompensationView): string {
  const { status, attempt, startedAt, endedAt, nextAttemptAt, error, backgroundErrors } = undo;
  if (status === "skipped") return "not this run's to undo";
  const isOver = endedAt !== undefined;
  const what = status === "succeeded" ? `undone in ${tookText(startedAt, endedAt)}` : isOver ? "not undone" : "undoing";
  return [
    status === "succeeded" || nextAttemptAt !== undefined ? what : `${what}, attempt ${attempt}`,
    ...(nextAttemptAt === undefined ? [] : [`attempt ${attempt + 1} at ${nextAttemptAt}`]),
    ...(error === undefined ? [] : [oneLine(formatError(error))]),
    ...backgroundTexts(backgroundErrors),
  ].join(", ");
}

function backgroundTexts(errors: StepRunView["backgroundErrors"] = []): string[] {
  return errors.map((one) => `in the background: ${oneLine(formatError(one))}`);
}

function tookText(startedAt: string | undefined, endedAt: string | undefined): string {
  return startedAt === undefined || endedAt === undefined ? "" : elapsed(startedAt, endedAt);
}

/** What is too large to be shown. */
function sizeText({ bytes }: PayloadSize): string {
  return bytes < 1024 * 1024 ? `${Math.ceil(bytes / 1024)} KiB` : `${(bytes / 1024 / 1024).toFixed(1)} MiB`;
}

/** What a step asks, in one line. */
export function questionText(stepId: string, { payload, rejected }: NonNullable<StepRunView["interrupt"]>): string {
  const asks = payload === undefined ? "asks" : `asks ${printableJson(payload)}`;
  return `${stepId} ${asks}${rejected === undefined ? "" : ` (the last answer was refused: ${oneLine(rejected)})`}`;
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
