/** Begins bulk operations, tells how far they are, and ends them. What they do is in `bulk.ts`. */
import { limits } from "../definition/limits.ts";
import { isTerminal } from "../engine/run-state.ts";
import type { Commands } from "../runtime/commands.ts";
import { PawlError } from "../runtime/errors.ts";
import type { OperationEstimate, OperationRequest, Operations, OperationView } from "../runtime/operations.ts";
import type { Clock, Randomness, RunStore } from "../runtime/ports.ts";
import { parseRunId } from "../runtime/request.ts";
import type { RunIndex } from "../runtime/run-index.ts";
import type { RunView, StepRunView } from "../runtime/run-view.ts";
import { settleAll } from "../runtime/settle-all.ts";
import { actStep, addUp, countStep, hasActedOn, type Report, type SelectedRun, type Tally } from "./bulk.ts";
import { estimateOperation } from "./estimate.ts";
import { bulkName } from "./names.ts";
import { type BulkInput, parseOperation } from "./operation-request.ts";

export interface OperationsParts {
  /** Of Pawl's own workflows. */
  readonly commands: Commands;
  readonly index: RunIndex;
  readonly store: Pick<RunStore, "get">;
  readonly clock: Pick<Clock, "now">;
  readonly random: Pick<Randomness, "id">;
}

export function createOperations(parts: OperationsParts): Operations {
  return new BulkOperations(parts);
}

class BulkOperations implements Operations {
  readonly #parts: OperationsParts;

  constructor(parts: OperationsParts) {
    this.#parts = parts;
  }

  async begin(request: OperationRequest): Promise<OperationView | OperationEstimate> {
    const { commands, index, clock, random } = this.#parts;
    const input = parseOperation(request);
    if (request.dryRun === true) return estimateOperation(index, input, clock.now());
    const operationId = parseRunId(request.operationId, "operationId") ?? `bulk-${random.id()}`;
    try {
      await commands.start(bulkName, { runId: operationId, input });
    } catch (error) {
      if (!(error instanceof PawlError) || error.code !== "run_conflict") throw error;
      const message = `There is another operation or run ${operationId}. Use another operationId, or the same request as before.`;
      throw new PawlError("run_conflict", message, error.details);
    }
    return this.get(operationId);
  }

  async get(operationId: string): Promise<OperationView> {
    const run = await this.#find(operationId);
    const input = (run.input ?? (await this.#parts.commands.input(operationId))) as BulkInput;
    const { failures, ...progress } = await this.#progress(run, input);
    return {
      operationId,
      action: input.action,
      filter: input.filter,
      status: run.status,
      createdAt: run.createdAt,
      ...(run.endedAt === undefined ? {} : { endedAt: run.endedAt }),
      progress,
      failures,
    };
  }

  async abort(operationId: string): Promise<OperationView> {
    await this.#find(operationId);
    await this.#parts.commands.cancel(operationId);
    return this.get(operationId);
  }

  async #find(operationId: string): Promise<RunView> {
    const run = await this.#show(operationId);
    if (run?.workflow === bulkName) return run;
    throw new PawlError("operation_not_found", `There is no bulk operation ${JSON.stringify(operationId)}.`);
  }

  async #show(runId: string): Promise<RunView | undefined> {
    try {
      return await this.#parts.commands.get(runId);
    } catch (error) {
      if (error instanceof PawlError && error.code === "run_not_found") return undefined;
      throw error;
    }
  }

  async #progress(run: RunView, input: BulkInput): Promise<Tally & Partial<Report>> {
    if (run.status === "succeeded") {
      return (run.output ?? (await this.#parts.commands.output(run.runId))) as Report;
    }
    const { child } = run.steps[actStep] ?? {};
    const tallies = child === undefined ? [] : await this.#tallies(child, run, input);
    const selected = run.steps[countStep]?.output as number | undefined;
    return { ...(selected === undefined ? {} : { selected }), ...addUp(tallies) };
  }

  /** Of the parts below a shard of the map, in their order: of 256 parts, from 17 runs. */
  async #tallies(shardId: string, run: RunView, input: BulkInput): Promise<Tally[]> {
    const shard = await this.#show(shardId);
    // A step names the run that it is about to start: it is there a moment later, or never, when the operation was ended.
    if (shard === undefined) return [];
    const tallies = await settleAll(
      Object.entries(shard.steps).map(async ([id, step], at): Promise<readonly Tally[]> => {
        if (step.child !== undefined) return this.#tallies(step.child, run, input);
        if (step.status === "succeeded") return [await this.#tallyOf(shardId, id, step)];
        return step.attempt > 0 && isTerminal(run.status) ? [await this.#lookAtPart(shardId, at, run, input)] : [];
      }),
    );
    return tallies.flat();
  }

  async #tallyOf(shardId: string, id: string, { output }: StepRunView): Promise<Tally> {
    return (output ?? (await this.#parts.commands.output(shardId, id))) as Tally;
  }

  /** Of the one part that was cut off when the operation ended: nobody has counted, but each run tells. */
  async #lookAtPart(shardId: string, at: number, { runId }: RunView, { action }: BulkInput): Promise<Tally> {
    const { commands, store } = this.#parts;
    const parts = (await commands.input(shardId)) as readonly (readonly SelectedRun[])[];
    const runs = parts[at] ?? [];
    let done = 0;
    for (let from = 0; from < runs.length; from += limits.operationParallel) {
      const some = runs.slice(from, from + limits.operationParallel);
      const acted = await settleAll(some.map(([id]) => hasActedOn(store, runId, { kind: action }, id)));
      done += acted.filter(Boolean).length;
    }
    return { done, skipped: 0, failed: 0, failures: [] };
  }
}
