/** Bulk operations as a person reads them. */
import { formatCount, formatElapsed, oneLine } from "../dev/text.ts";
import { isTerminal } from "../engine/run-state.ts";
import type { OperationEstimate, OperationView } from "../runtime/operations.ts";
import type { RunQuery } from "../runtime/queries.ts";

export function estimateText({ action, runs, isLimited, examples, seconds, estimate }: OperationEstimate): string {
  if (runs === 0) return `No run matches: nothing to ${action}.`;
  const more = isLimited ? ", and leaves alone the others that match" : "";
  const dollars = estimate.dollars < 0.01 ? "less than $0.01" : `about $${estimate.dollars.toFixed(2)}`;
  return [
    `${action} acts on ${formatCount(runs)} ${runs === 1 ? "run" : "runs"}${more}: takes about ${formatElapsed(seconds * 1_000)}, and costs ${dollars} on AWS.`,
    ...(examples.length === 0 ? [] : [oneLine(`Such as ${examples.slice(0, 3).join(", ")}.`)]),
  ].join("\n");
}

export function operationText(operation: OperationView): string {
  const { operationId, action, filter, status, createdAt, endedAt, progress, failures } = operation;
  const took = endedAt === undefined ? "" : ` after ${formatElapsed(Date.parse(endedAt) - Date.parse(createdAt))}`;
  const more = progress.failed - failures.length;
  return [
    `operation  ${operationId}`,
    `action     ${action}`,
    `runs       ${oneLine(filterText(filter))}`,
    `status     ${status.replace("_", " ")}${took}`,
    `progress   ${countsText(operation)}`,
    ...(failures.length === 0 ? [] : ["", "failed"]),
    ...failures.map(({ runId, code, message }) => `  ${oneLine(`${runId}  ${code}: ${message}`)}`),
    ...(failures.length > 0 && more > 0 ? [`  … and ${formatCount(more)} more`] : []),
    ...(isTerminal(status) ? [] : ["", `see it with  pawl bulk show ${operationId} --wait`]),
  ]
    .map((line) => line.trimEnd())
    .join("\n");
}

/** Characters of the bar. */
const barLength = 30;

/** One line, while it goes on. */
export function progressText(operation: OperationView): string {
  const { selected, done, skipped, failed } = operation.progress;
  if (selected === undefined) return `${operation.action}: selecting runs …`;
  const part = selected === 0 ? 1 : Math.min(1, (done + skipped + failed) / selected);
  const full = Math.floor(part * barLength);
  return `${operation.action} ${"━".repeat(full)}${"┈".repeat(barLength - full)} ${countsText(operation)}`;
}

function countsText({ progress: { selected, done, skipped, failed } }: OperationView): string {
  return [
    selected === undefined ? `${formatCount(done)} done` : `${formatCount(done)} of ${formatCount(selected)} done`,
    ...(skipped === 0 ? [] : [`${formatCount(skipped)} left alone: they had changed`]),
    ...(failed === 0 ? [] : [`${formatCount(failed)} failed`]),
  ].join(", ");
}

function filterText(filter: RunQuery): string {
  return Object.entries(filter)
    .map(([name, value]) => `${name} ${valueText(value)}`)
    .join(", ");
}

function valueText(value: unknown): string {
  if (Array.isArray(value)) return value.join(" or ");
  if (typeof value !== "object" || value === null) return String(value);
  return Object.values(value).join("=");
}
