/**
 * A bulk operation as a workflow: it selects runs, then acts on each of them, part by part.
 *
 * Invariants:
 * 1. Each run is acted on at most once: only while it is as it was selected, and the same write says which operation it
 *    was. So a part that comes again, after a crash, knows what it has done.
 * 2. No second has more acts than were asked for: parts follow one another, and each act has its turn.
 * 3. What is wrong with one run is that run's failure, never the operation's; what is wrong with the storage makes the
 *    part come again.
 */
import * as z from "zod";
import { utf8Bytes } from "../definition/json.ts";
import { limits } from "../definition/limits.ts";
import type { ItemContext } from "../definition/map.ts";
import type { StepContext } from "../definition/step.ts";
import { systemWorkflow, type Workflow } from "../definition/workflow.ts";
import { field } from "../engine/codec.ts";
import { StoredRunError } from "../engine/field-reader.ts";
import { isTerminal, type RunStatus } from "../engine/run-state.ts";
import type { Action } from "../runtime/acting.ts";
import type { ActingCommands } from "../runtime/commands.ts";
import { PawlError } from "../runtime/errors.ts";
import type { OperationFailure } from "../runtime/operations.ts";
import type { Clock, RunStore } from "../runtime/ports.ts";
import type { RunIndex } from "../runtime/run-index.ts";
import { settleAll } from "../runtime/settle-all.ts";
import { bulkName } from "./names.ts";
import { type BulkInput, runsPerPart } from "./operation-request.ts";
import { createPacer } from "./pacer.ts";
import { matchingRuns } from "./selection.ts";

export interface BulkParts {
  /** Of the user's workflows: they check the payloads of signals. */
  readonly commands: ActingCommands;
  readonly index: RunIndex;
  readonly store: Pick<RunStore, "get">;
  readonly clock: Clock;
}

/** A run, and the number of its status changes when it was selected. */
export type SelectedRun = readonly [runId: string, changes: number];

/** What came of some runs. */
export interface Tally {
  readonly done: number;
  readonly skipped: number;
  readonly failed: number;
  readonly failures: readonly OperationFailure[];
}

export interface Report extends Tally {
  readonly selected: number;
}

/** Its output is the number of runs that were selected: whoever asks for it need not read all of them. */
export const countStep = "count";
export const actStep = "act";

/** An outage of half an hour is waited for; then what still fails is told as the run's failure. */
const partAttempts = 30;

export function bulkWorkflow(parts: BulkParts): Workflow {
  const retry = {
    maxAttempts: partAttempts,
    backoff: { type: "exponential", base: "1s", max: "1m", jitter: "full" },
  } as const;
  return systemWorkflow(bulkName, { input: z.custom<BulkInput>(), defaults: { retry, timeout: "1m" } }, (w) => {
    const select = w.step("select", { run: (context) => selectRuns(parts, context) });
    const count = w.step(countStep, { after: [select], run: ({ outputs }) => outputs.select.flat().length });
    const act = w.map(actStep, {
      after: [select],
      items: ({ outputs }) => outputs.select,
      concurrency: 1,
      run: (context) => actOnPart(parts, context),
    });
    return w.step("report", {
      after: [count, act],
      run: async ({ outputs }): Promise<Report> => ({
        selected: outputs.count,
        ...addUp(await outputs.act.toArray()),
      }),
    });
  });
}

async function selectRuns(
  { commands, index, clock }: BulkParts,
  { input, runId, signal }: Pick<StepContext<BulkInput, object, never>, "input" | "runId" | "signal">,
): Promise<readonly (readonly SelectedRun[])[]> {
  const untilMs = clock.now() + limits.operationSelectMs;
  const { createdAt } = await commands.get(runId);
  const runs: SelectedRun[] = [];
  let bytes = 0;
  for await (const found of matchingRuns(index, input, Date.parse(createdAt) + 1)) {
    signal.throwIfAborted();
    bytes += utf8Bytes(found.runId) + bytesPerRun;
    if (bytes > limits.operationBytes) break;
    runs.push([found.runId, Number(found.fields[field.changes])]);
    if (runs.length === input.limit || clock.now() > untilMs) break;
  }
  const size = runsPerPart(input.ratePerSecond);
  const parts = Array.from({ length: Math.ceil(runs.length / size) }, (_, at) =>
    runs.slice(at * size, (at + 1) * size),
  );
  return parts;
}

/** Beside its id, as JSON. */
const bytesPerRun = 16;

async function actOnPart(
  { commands, store, clock }: BulkParts,
  {
    item: runs,
    runId: operation,
    attempt,
    signal,
  }: Pick<ItemContext<readonly SelectedRun[]>, "item" | "runId" | "attempt" | "signal">,
): Promise<Tally> {
  const input = (await commands.input(operation)) as BulkInput;
  const action = actionOf(input);
  const pacer = createPacer(clock, input.ratePerSecond);
  const isOver = createOutlook(store, clock, operation);
  const ends: End[] = [];
  const actOn = async ([runId, changes]: SelectedRun): Promise<End> => {
    // A former attempt may have done it; looking takes no turn.
    if (attempt > 1 && (await hasActedOn(store, operation, action, runId))) return { kind: "done" };
    await pacer.turn(signal);
    if (await isOver()) throw new OperationEnded(operation);
    return endOf(runId, commands.act(runId, action, { operation, changes }), attempt < partAttempts);
  };
  await forEach(runs, limits.operationParallel, signal, async (run, at) => {
    ends[at] = await actOn(run);
  });
  const count = (kind: End["kind"]): number => ends.filter((end) => end.kind === kind).length;
  const failures = ends.flatMap((end) => (end.kind === "failed" ? [end.failure] : []));
  return {
    done: count("done"),
    skipped: count("skipped"),
    failed: failures.length,
    failures: failures.slice(0, limits.operationFailures),
  };
}

type End =
  | { readonly kind: "done" }
  | { readonly kind: "skipped" }
  | { readonly kind: "failed"; readonly failure: OperationFailure };

function actionOf({ action, signal }: BulkInput): Action {
  if (action !== "signal") return { kind: action };
  if (signal === undefined) throw new Error("The operation has lost the name of its signal.");
  return { kind: "signal", ...signal };
}

/** Whether the operation has left its mark there; a run that it was to purge is gone. */
export async function hasActedOn(
  store: Pick<RunStore, "get">,
  operation: string,
  { kind }: Pick<Action, "kind">,
  runId: string,
): Promise<boolean> {
  const fields = await store.get(runId);
  return fields === undefined ? kind === "purge" : fields[field.operation] === operation;
}

/** @throws whatever makes the part come again */
async function endOf(runId: string, acting: ReturnType<ActingCommands["act"]>, mayComeAgain: boolean): Promise<End> {
  try {
    return { kind: (await acting) === "done" ? "done" : "skipped" };
  } catch (error) {
    if (error instanceof PawlError && error.code !== "unavailable") {
      // It has gone, or got the signal from somebody else: like every other change since it was selected.
      if (["run_not_found", "signal_conflict"].includes(error.code)) return { kind: "skipped" };
      return failed(runId, error.code, error.message);
    }
    if (mayComeAgain && !(error instanceof StoredRunError)) throw error;
    return failed(runId, "internal_error", error instanceof Error ? `${error.name}: ${error.message}` : String(error));
  }
}

function failed(runId: string, code: string, message: string): End {
  return { kind: "failed", failure: { runId, code, message: message.slice(0, limits.errorSummaryLength) } };
}

/** Whether the operation has ended, as by an abort: its worker would only hear of it when it renews its lease. */
function createOutlook(store: Pick<RunStore, "get">, clock: Clock, operation: string): () => Promise<boolean> {
  let lookedAtMs = clock.now();
  return async () => {
    if (clock.now() - lookedAtMs < outlookMs) return false;
    lookedAtMs = clock.now();
    const status = (await store.get(operation))?.[field.status];
    return isTerminal(status as RunStatus);
  };
}

const outlookMs = 1_000;

class OperationEnded extends Error {
  override readonly name = "OperationEnded";

  constructor(operation: string) {
    super(`Operation ${operation} has ended; no further run is acted on.`);
  }
}

/** A few at a time. When one throws, no other begins, and those under way are waited for. */
async function forEach<T>(
  list: readonly T[],
  parallel: number,
  signal: AbortSignal,
  work: (item: T, at: number) => Promise<void>,
): Promise<void> {
  let next = 0;
  let failure: { readonly error: unknown } | undefined;
  const hand = async (): Promise<void> => {
    while (failure === undefined && next < list.length) {
      const at = next++;
      try {
        signal.throwIfAborted();
        await work(list[at] as T, at);
      } catch (error) {
        failure ??= { error };
      }
    }
  };
  await settleAll(Array.from({ length: Math.min(parallel, list.length) }, hand));
  if (failure !== undefined) throw failure.error;
}

export function addUp(tallies: readonly (Tally | undefined)[]): Tally {
  const known = tallies.filter((tally) => tally !== undefined);
  const sum = (name: "done" | "skipped" | "failed"): number => known.reduce((total, tally) => total + tally[name], 0);
  return {
    done: sum("done"),
    skipped: sum("skipped"),
    failed: sum("failed"),
    failures: known.flatMap(({ failures }) => failures).slice(0, limits.operationFailures),
  };
}
