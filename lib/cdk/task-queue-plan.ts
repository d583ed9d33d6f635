/**
 * What the workflows ask of the task queues, and whether the configured ones can give it. Plain data: it knows nothing
 * of the CDK.
 */
import { formatDuration } from "../definition/duration.ts";
import type { GraphStep } from "../definition/graph.ts";
import { isName, nameForm } from "../definition/option-checks.ts";
import { reachableWorkflows } from "../definition/reachable.ts";
import type { Workflow } from "../definition/workflow.ts";

/** What an invocation needs besides an attempt: to start, to claim, to commit, to send, and to end one that was aborted. */
const attemptMarginMs = 30_000;

/** Lambda stops a function after this. */
const functionTimeoutMostMs = 15 * 60_000;

/** What code may take that has no limit of its own, such as the functions `when` and `items`. */
const usualAttemptMs = 60_000;

/** Each function knows all queues by its environment, and Lambda takes 4 KB of it. */
const taskQueuesMost = 10;

export interface TaskQueuePlan {
  /** Of the function: as configured, or what the longest attempt on this task queue needs. */
  readonly timeoutMs: number;
  /** No workflow has a step on it. It may still serve runs that began with an earlier version. */
  readonly isUnused: boolean;
}

/**
 * @param configured the task queues that there are, by name, with the timeouts of their functions if these are said
 * @throws {TypeError} when two workflows share a name, or naming every step that has no task queue or too little time
 */
export function planTaskQueues(
  workflows: readonly Workflow[],
  configured: Readonly<Record<string, { readonly timeoutMs?: number | undefined }>>,
): ReadonlyMap<string, TaskQueuePlan> {
  const faults: string[] = [];
  const names = ["default", ...Object.keys(configured).filter((name) => name !== "default")];
  if (names.length > taskQueuesMost) {
    faults.push(`there are ${names.length} task queues (${names.join(", ")}); at most ${taskQueuesMost} are allowed.`);
  }
  for (const name of names) {
    if (!isName(name)) faults.push(`taskQueues: ${JSON.stringify(name)} is no name; allowed is ${nameForm}.`);
  }
  const steps = [...reachableWorkflows(workflows).values()].flatMap(({ name: workflow, graph }) =>
    graph.steps.map((step) => ({ step, at: `step "${step.id}" of workflow "${workflow}"` })),
  );
  for (const { step, at } of steps) {
    if (names.includes(step.taskQueue)) continue;
    faults.push(
      `${at} is on task queue "${step.taskQueue}", which is not configured. Add taskQueues: { "${step.taskQueue}": {} }, or put the step on one of: ${names.join(", ")}.`,
    );
  }
  const plans = names.map((name): [string, TaskQueuePlan] => {
    const own = steps.filter(({ step }) => step.taskQueue === name);
    const longestMs = Math.max(usualAttemptMs, ...own.flatMap(({ step }) => attemptsMs(step)));
    const configuredMs = configured[name]?.timeoutMs;
    const timeoutMs = configuredMs ?? Math.min(longestMs + attemptMarginMs, functionTimeoutMostMs);
    for (const { step, at } of own) faults.push(...misfits(step, at, name, timeoutMs, configuredMs));
    return [name, { timeoutMs, isUnused: own.length === 0 && name !== "default" }];
  });
  if (faults.length > 0) throw new TypeError(`The workflows do not fit their task queues:\n- ${faults.join("\n- ")}`);
  return new Map(plans);
}

/** The limits that users set on the attempts that run for a step: its own, its items', its undoing's. */
function attemptsMs(step: GraphStep): readonly number[] {
  const undo = step.compensate === undefined ? [] : [step.compensate.timeoutMs];
  if (step.kind === "step" || step.kind === "callback") return [step.timeoutMs, ...undo];
  if (step.kind === "map" && step.item.kind === "step") return [step.item.timeoutMs, ...undo];
  return undo;
}

function misfits(
  step: GraphStep,
  at: string,
  taskQueue: string,
  timeoutMs: number,
  configuredMs: number | undefined,
): readonly string[] {
  const attemptMs = Math.max(0, ...attemptsMs(step));
  if (attemptMs + attemptMarginMs <= timeoutMs) return [];
  const room = formatDuration(Math.max(0, timeoutMs - attemptMarginMs));
  const host =
    configuredMs === undefined
      ? `a function may run for ${formatDuration(functionTimeoutMostMs)}`
      : `the function of task queue "${taskQueue}" runs for ${formatDuration(timeoutMs)}`;
  const longer =
    attemptMs + attemptMarginMs <= functionTimeoutMostMs
      ? `or its function a timeout of ${formatDuration(attemptMs + attemptMarginMs)} or more`
      : "or let it wait for what takes so long by a poll or a callback";
  return [
    `${at} may take ${formatDuration(attemptMs)}, and ${host}, ${formatDuration(attemptMarginMs)} of which are for the engine. Give the step a timeout of ${room} or less, ${longer}.`,
  ];
}
