/**
 * Holds what the server says in the end against ledger and journal. The words of the soak:
 *
 * - **lost**: something that was acknowledged, or seen, is not there. A run whose start was answered is gone or has another
 *   input; a signal, an answer or a callback that was accepted is not its step's output; a cancel or redrive that was
 *   accepted has not happened; a result that somebody has seen is gone; an output names an execution that nobody made; what
 *   succeeded before the run ended badly is not undone.
 * - **doubled**: a step has two results, or was done again after its result could be seen; one attempt was executed twice;
 *   attempts of one step had two idempotency keys; a redrive counted twice.
 * - **stuck**: a run that has not come to its end although the server was left alone for long enough.
 * - **wrong**: everything else that must not be: another outcome, a 500, a dead letter, a count that is not the number of
 *   runs, damage to the file.
 */
import type { RunView, StepRunView } from "../../lib/runtime/run-view.ts";
import type { Deed } from "./journal.ts";
import type { Acknowledged, Entry, Ledger, Seen } from "./ledger.ts";

export interface Verdict {
  readonly lost: string[];
  readonly doubled: string[];
  readonly stuck: string[];
  readonly wrong: string[];
}

/** @param ends each run as it is in the end, by id; a run that does not exist is missing */
export function judge(
  ledger: Pick<Ledger, "entries" | "seen" | "surprises">,
  journal: readonly Deed[],
  ends: ReadonlyMap<string, RunView>,
): Verdict {
  const verdict = judgeSteps(ledger.seen, journal, ends);
  verdict.wrong.push(...ledger.surprises);
  const done = Map.groupBy(journal, ({ runId }) => runId);
  for (const entry of ledger.entries) judgeRun(entry, ends.get(entry.runId), done.get(entry.runId) ?? [], verdict);
  return verdict;
}

/** The part that is true of steps of any workflow, as long as they write the journal and name themselves in their outputs. */
export function judgeSteps(
  seenByClient: readonly Seen[],
  journal: readonly Deed[],
  ends: ReadonlyMap<string, RunView>,
): Verdict {
  const verdict: Verdict = { lost: [], doubled: [], stuck: [], wrong: [] };
  judgeResults(seenByClient, journal, ends, verdict);
  judgeExecutions(journal, ends, verdict);
  return verdict;
}

function judgeRun(entry: Entry, end: RunView | undefined, deeds: readonly Deed[], verdict: Verdict): void {
  const { runId, input, acknowledged } = entry;
  const has = (what: Acknowledged["what"]): boolean => acknowledged.some((one) => one.what === what);
  if (end === undefined) {
    if (has("start")) verdict.lost.push(`${runId}: its start was acknowledged, and there is no such run`);
    return;
  }
  if (end.input !== input) verdict.lost.push(`${runId}: its input is ${JSON.stringify(end.input)}, not ${input}`);
  if (!entry.isOver) {
    verdict.stuck.push(`${runId}: ${end.status}, ${JSON.stringify(statusesOf(end))}`);
    return;
  }
  for (const one of acknowledged) {
    if (one.what !== "gave") continue;
    const given = (end.steps[one.stepId]?.output as { readonly value?: unknown } | undefined)?.value;
    if (given !== one.value)
      verdict.lost.push(`${runId}: ${one.stepId} was given ${one.value} and has ${String(given)}`);
  }
  if (has("cancel") && end.status !== "cancelled") verdict.lost.push(`${runId}: its cancel, it is ${end.status}`);
  const redrives = has("redrive") || entry.unknown.includes("redrive") ? 1 : 0;
  if (end.redrives < Number(has("redrive"))) verdict.lost.push(`${runId}: its redrive`);
  if (end.redrives > redrives) verdict.doubled.push(`${runId}: its redrive counts ${end.redrives} times`);
  judgeOutcome(entry, end, deeds, verdict);
}

function judgeOutcome(entry: Entry, end: RunView, deeds: readonly Deed[], verdict: Verdict): void {
  const { runId, workflow, input, acknowledged, unknown } = entry;
  const mayBeCancelled = acknowledged.some(({ what }) => what === "cancel") || unknown.includes("cancel");
  const isExpected =
    end.status === (workflow === "saga" && input % 2 === 0 ? "failed" : "succeeded") ||
    (end.status === "cancelled" && mayBeCancelled);
  if (!isExpected) verdict.wrong.push(`${runId}: ended as ${end.status}: ${JSON.stringify(end.error)}`);
  const value = (end.output as { readonly value?: unknown } | undefined)?.value;
  if (end.status === "succeeded" && value !== expectedValue(workflow, input)) {
    verdict.lost.push(`${runId}: its output is ${String(value)}, not ${expectedValue(workflow, input)}`);
  }
  if (workflow === "saga" && end.status !== "succeeded") judgeUndoing(end, deeds, verdict);
}

const compensated: readonly string[] = ["book", "pay", "send"];

function judgeUndoing(end: RunView, deeds: readonly Deed[], verdict: Verdict): void {
  for (const [stepId, step] of Object.entries(end.steps)) {
    if (!compensated.includes(stepId) || !["succeeded", "unknown"].includes(step.status)) continue;
    const wasUndone = deeds.some((deed) => deed.what === "undo" && deed.stepId === stepId);
    if (!wasUndone || step.compensation?.status !== "succeeded") {
      verdict.lost.push(`${end.runId}: ${stepId} is not undone (${JSON.stringify(step.compensation)})`);
    }
  }
}

/** What a run with this input must come to. */
function expectedValue(workflow: string, input: number): number {
  const items = 5 + (input % 30);
  const values: Readonly<Record<string, number>> = {
    chain: input + 5,
    fan: 4 * input + 10,
    map: items * (items - 1),
    parent: input + 6,
  };
  return values[workflow] ?? input;
}

/** Whoever sees a step's result, a dependant or the client, must see the same one, and nobody does it again after that. */
function judgeResults(
  seenByClient: readonly Seen[],
  journal: readonly Deed[],
  ends: ReadonlyMap<string, RunView>,
  verdict: Verdict,
): void {
  const seenBySteps = journal.flatMap(({ runId, saw, atMs }) =>
    Object.entries(saw).map(([stepId, token]) => ({ runId, stepId, token, atMs })),
  );
  const executions = Map.groupBy(journal, placeOf);
  for (const [place, seen] of Map.groupBy([...seenByClient, ...seenBySteps], placeOf)) {
    const tokens = new Set(seen.map(({ token }) => token));
    if (tokens.size > 1) verdict.doubled.push(`${place}: ${tokens.size} results were seen`);
    const { runId, stepId } = seen[0]!;
    const { step, isShown } = shownStep(ends.get(runId), stepId);
    const kept = (step?.output as { readonly token?: string } | undefined)?.token;
    if (isShown && !tokens.has(kept ?? ""))
      verdict.lost.push(`${place}: a result that was seen; it has ${String(kept)}`);
    const firstSeenAtMs = Math.min(...seen.map(({ atMs }) => atMs));
    const again = executions.get(place)?.find(({ what, atMs }) => what === "do" && atMs > firstSeenAtMs);
    if (again !== undefined) verdict.doubled.push(`${place}: attempt ${again.attempt} began after its result was seen`);
  }
}

/** Results of items and of large steps are not shown with their run. */
function shownStep(
  end: RunView | undefined,
  stepId: string,
): { readonly step: StepRunView | undefined; readonly isShown: boolean } {
  const step = end?.steps[stepId];
  return { step, isShown: step !== undefined && step.outputRef === undefined };
}

function judgeExecutions(journal: readonly Deed[], ends: ReadonlyMap<string, RunView>, verdict: Verdict): void {
  const executed = new Set(journal.map(({ token }) => token));
  for (const { runId, steps } of ends.values()) {
    for (const [stepId, { output }] of Object.entries(steps)) {
      const token = (output as { readonly token?: string } | undefined)?.token;
      // What the client has given names itself.
      if (token === undefined || token === "client" || executed.has(token)) continue;
      verdict.lost.push(`${runId} ${stepId}: its result names an execution that the journal does not have`);
    }
  }
  for (const [place, deeds] of Map.groupBy(journal, (deed) => `${placeOf(deed)} ${deed.what}`)) {
    const redrives = ends.get(deeds[0]!.runId)?.redrives ?? 0;
    for (const [attempt, same] of Map.groupBy(deeds, (deed) => deed.attempt)) {
      if (same.length > 1 + redrives)
        verdict.doubled.push(`${place}: attempt ${attempt} was executed ${same.length} times`);
    }
    const keys = new Set(deeds.map(({ key }) => key));
    if (keys.size > 1) verdict.doubled.push(`${place}: ${keys.size} idempotency keys`);
  }
}

function placeOf({ runId, stepId }: { readonly runId: string; readonly stepId: string }): string {
  return `${runId} ${stepId}`;
}

function statusesOf({ steps }: RunView): Record<string, string> {
  return Object.fromEntries(
    Object.entries(steps).map(([stepId, { status, attempt }]) => [stepId, `${status} ${attempt}`]),
  );
}
