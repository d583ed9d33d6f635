/** What a person may do about a run, as a command to copy: answer a signal, undo what could not be undone. */
import type * as z from "zod";
import type { Workflow } from "../definition/workflow.ts";
import { isTerminal } from "../engine/run-state.ts";
import type { NamedUpdate } from "./run-feed.ts";
import { sampleOf } from "./sample-input.ts";

/** Where the command line asks when it is told nothing else. */
const defaultUrl = "http://127.0.0.1:7070";

/** One line for each wait that begins with this update. */
export function answerHints(
  { before, after, stepIds, stepKinds }: NamedUpdate,
  workflows: readonly Workflow[],
  url: string,
): string[] {
  const code = workflows.find(({ name }) => name === after.workflow)?.code;
  return after.steps.flatMap((state, index) => {
    const begins = state?.status === "waiting" && before?.steps[index]?.status !== "waiting";
    const id = stepIds[index];
    if (!begins || stepKinds[index] !== "signal" || id === undefined) return [];
    const signal = code?.get(id);
    const data = signal?.kind === "signal" && signal.payload !== undefined ? ` --data ${dataOf(signal.payload)}` : "";
    return [`  answer with: pawl signal ${after.runId} ${id}${data}${serverFlag(url)}`];
  });
}

/** One line when the run ends with this update and something could not be undone. */
export function redriveHints({ before, after, compensation }: NamedUpdate, url: string): string[] {
  const hasTried = after.undos.some((undo) => undo !== undefined);
  const ends = isTerminal(after.status) && before !== undefined && !isTerminal(before.status);
  if (!ends || compensation !== "incomplete" || !hasTried) return [];
  const { runId } = after;
  return [`  undo the rest with: pawl redrive ${runId}${serverFlag(url)}`];
}

function serverFlag(url: string): string {
  return url === defaultUrl ? "" : ` --url ${url}`;
}

function dataOf(payload: z.ZodType): string {
  const sample = sampleOf(payload);
  return sample === undefined ? "'…'" : `'${JSON.stringify(sample).replaceAll("'", "'\\''")}'`;
}
