/**
 * Removes runs that have ended, with all that is theirs: what is stored beside them, and the runs that their steps have
 * started.
 *
 * Invariants:
 * 1. The run itself goes first, by one conditional write: of a removal and a redrive, one happens.
 * 2. What is left to do follows from the run as it was, so whoever knows that finishes what another began: the embedded
 *    engine keeps it until the removal has come to its end, the table's stream brings it with the deletion.
 * 3. The runs that it has started go before what is beside it, and each leaves its own removal to be finished. One that has
 *    not ended is left alone, and expires by itself after its end.
 */
import { limits } from "../definition/limits.ts";
import type { Workflow } from "../definition/workflow.ts";
import { noRun } from "../engine/barred.ts";
import { startedRuns } from "../engine/child.ts";
import { decodeRun } from "../engine/codec.ts";
import { asItIs, retain } from "../engine/end.ts";
import { StoredShapeError } from "../engine/field-reader.ts";
import { isTerminal, type RunState } from "../engine/run-state.ts";
import type { Fields } from "../engine/transition.ts";
import { Definitions } from "./definitions.ts";
import { ContendedRunError, type Image, imageOf } from "./image.ts";
import type { Logger, Ports } from "./ports.ts";
import { settleAll } from "./settle-all.ts";

/** A run that is gone, as it was. */
export interface RemovedRun {
  readonly runId: string;
  readonly fields: Fields;
}

export interface Removal {
  /**
   * Removes the run and whatever goes with it, when it still is as it was read, or is gone already. `false`: it is another
   * by now. Of very many runs, the last ones are left to whoever finishes removals.
   */
  remove(image: Image): Promise<boolean>;
  /**
   * Finishes the removal of a run that is gone. A repeat changes nothing.
   *
   * @param last the run as it was
   * @returns the runs that went with it, whose own removals are to be finished in the same way
   */
  afterRemove(runId: string, last: Fields): Promise<readonly RemovedRun[]>;
}

/** @param workflows may be none: graphs are then read from the store */
export function createRemoval({
  workflows,
  ports,
}: {
  readonly workflows: readonly Workflow[];
  readonly ports: Pick<Ports, "store" | "logger">;
}): Removal {
  return new RunRemoval(new Definitions(workflows, ports.store), ports);
}

class RunRemoval implements Removal {
  readonly #definitions: Definitions;
  readonly #store: Ports["store"];
  readonly #logger: Logger;

  constructor(definitions: Definitions, { store, logger }: Pick<Ports, "store" | "logger">) {
    this.#definitions = definitions;
    this.#store = store;
    this.#logger = logger;
  }

  async remove({ run, fields }: Image): Promise<boolean> {
    const isRemoved = await this.#store.remove(run.runId, asItIs(run));
    // A removal whose answer was lost is refused when it is repeated.
    if (!isRemoved && (await this.#store.get(run.runId)) !== undefined) return false;
    const open: RemovedRun[] = [{ runId: run.runId, fields }];
    for (let count = 0; count < limits.removedRuns; count++) {
      const next = open.pop();
      if (next === undefined) break;
      open.push(...(await this.afterRemove(next.runId, next.fields)));
    }
    return true;
  }

  async afterRemove(runId: string, last: Fields): Promise<readonly RemovedRun[]> {
    const removed: RemovedRun[] = [];
    const started = await this.#toRelease(runId, last);
    for (let at = 0; at < started.length; at += limits.shardReads) {
      const some = started.slice(at, at + limits.shardReads);
      const released = await settleAll(some.map((id) => this.#readable(runId, () => this.#release(id))));
      removed.push(...released.flatMap((one) => one ?? []));
    }
    await this.#store.removeRest(runId);
    return removed;
  }

  async #toRelease(runId: string, last: Fields): Promise<readonly string[]> {
    // What has the same ids now is that of a new run.
    if ((await this.#store.get(runId)) !== undefined) return [];
    const found = await this.#readable(runId, () => this.#startedBy(decodeRun(runId, last)));
    return found ?? [];
  }

  /** What cannot be read is left as it is, and must not hold up the removals of others. */
  async #readable<T>(runId: string, read: () => Promise<T>): Promise<T | undefined> {
    try {
      return await read();
    } catch (error) {
      if (!(error instanceof StoredShapeError)) throw error;
      this.#logger.error("a removed run cannot be read; runs that it has started are left", { error, runId });
      return undefined;
    }
  }

  async #startedBy(run: RunState): Promise<readonly string[]> {
    const { runId, workflow, fingerprint } = run;
    const graph = await this.#definitions.graph(workflow, fingerprint);
    if (graph === undefined) throw new StoredShapeError(`Graph ${fingerprint} of run ${runId}`, "it is missing");
    return startedRuns(graph, run);
  }

  /** The run has lost the one that has started it. */
  async #release(runId: string): Promise<RemovedRun | undefined> {
    for (let tries = 0; tries < limits.decisionTries; tries++) {
      const fields = await this.#store.get(runId);
      if (fields === undefined) {
        await this.#store.remove(runId, [noRun]);
        return undefined;
      }
      const { run } = imageOf(runId, fields);
      if (isTerminal(run.status)) {
        if (await this.#store.remove(runId, asItIs(run))) return { runId, fields };
        continue;
      }
      const retentionMs = this.#definitions.find(run.workflow)?.retentionMs ?? limits.retentionMs;
      const kept = retain(run, retentionMs);
      if (kept === undefined || (await this.#store.update(runId, kept)).applied) return undefined;
    }
    throw new ContendedRunError(runId);
  }
}
