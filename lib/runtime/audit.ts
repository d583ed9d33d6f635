/**
 * Looks for open runs that should have moved long ago, and sends everything that should be in flight for them: the last
 * resort when messages are lost for good (R5). It reads the runs as they are, decides by `engine/overdue.ts`, and what it
 * sends is harmless for a run that moves after all (R7).
 *
 * Invariants:
 * 1. A run that moves, or waits for somebody outside, is never counted.
 * 2. Messages of a run that is stuck are repeated ever more rarely: a queue that is merely slow is not buried in copies.
 */
import { limits } from "../definition/limits.ts";
import type { Workflow } from "../definition/workflow.ts";
import { childRunId, parentRunId } from "../engine/child.ts";
import { StoredShapeError } from "../engine/field-reader.ts";
import {
  type Driven,
  type Expected,
  earliest,
  expectedOfChild,
  expectedOfOrphan,
  firstExpected,
  stepsWithChild,
} from "../engine/overdue.ts";
import { recordId } from "../engine/record-id.ts";
import { isBeforeEnd, isTerminal } from "../engine/run-state.ts";
import { codeOf } from "./code-of.ts";
import { Definitions } from "./definitions.ts";
import { advanceAll } from "./effects.ts";
import { ContendedRunError, type Image, imageOf } from "./image.ts";
import type { OpenRuns, Ports } from "./ports.ts";
import { RateGate } from "./rate-gate.ts";
import { settleAll } from "./settle-all.ts";
import { Slots } from "./slots.ts";
import { compileTaskQueues, type TaskQueueOptions } from "./task-queues.ts";

export interface AuditOptions {
  /** What the workers run. Runs of other graphs are known by their fingerprints. */
  readonly workflows: readonly Workflow[];
  readonly ports: Ports;
  readonly openRuns: OpenRuns;
  /** As the workers have them: attempts that wait for a rate limit are not stuck. */
  readonly taskQueues?: Readonly<Record<string, TaskQueueOptions>>;
}

export interface AuditRequest {
  /** Where the call before ended. @default from the beginning */
  readonly cursor?: string | undefined;
  /** Nothing could move before this time, as nothing was running: it does not count as overdue. @default 0 */
  readonly upSinceMs?: number;
}

export interface Audited {
  /** Open runs that were looked at. */
  readonly seen: number;
  /** Those among them that should have moved long ago. */
  readonly stuck: number;
  /** For the next call; `undefined` when all were seen. */
  readonly cursor: string | undefined;
}

/** One call looks at about `limits.auditRuns` runs. Throws only when a port does; the next audit makes up for it. */
export type Audit = (request?: AuditRequest) => Promise<Audited>;

/** @throws {TypeError} when two workflows share a name, or a task queue's options are wrong */
export function createAudit(options: AuditOptions): Audit {
  const auditor = new Auditor(options);
  return (request = {}) => auditor.audit(request);
}

/** A run that should have moved. */
interface Stuck extends Expected {
  /** Everything that is due for this run is sent: for itself or, when it should have ended with its parent, for that. */
  readonly by: Driven & { readonly image: Image };
}

type Found = Driven & { readonly image: Image };

class Auditor {
  readonly #ports: Ports;
  readonly #openRuns: OpenRuns;
  readonly #definitions: Definitions;
  readonly #slots: Slots;
  readonly #rates: RateGate;

  constructor({ workflows, ports, openRuns, taskQueues = {} }: AuditOptions) {
    this.#ports = ports;
    this.#openRuns = openRuns;
    this.#definitions = new Definitions(workflows, ports.store);
    this.#slots = new Slots(ports, this.#definitions);
    this.#rates = new RateGate(ports, compileTaskQueues(taskQueues));
  }

  async audit({ cursor: start, upSinceMs = 0 }: AuditRequest): Promise<Audited> {
    let [seen, stuck] = [0, 0];
    let cursor = start;
    do {
      const page = await this.#openRuns.page(cursor);
      const look = new Look();
      await inLanes(page.runIds, limits.auditReads, async (runId) => {
        const verdict = await this.#auditRun(runId, look, upSinceMs);
        if (verdict !== "ended") seen++;
        if (verdict === "stuck") stuck++;
      });
      cursor = page.cursor;
    } while (cursor !== undefined && seen < limits.auditRuns);
    return { seen, stuck, cursor };
  }

  async #auditRun(runId: string, look: Look, upSinceMs: number): Promise<"ended" | "fine" | "stuck"> {
    const { logger } = this.#ports;
    try {
      const found = await this.#find(runId);
      if (found === undefined) return "ended";
      if (!("graph" in found)) {
        const { run } = found.image;
        if (isTerminal(run.status)) return "ended";
        // Its worker would have parked it, had its message not been lost.
        if (run.status === "paused") return "fine";
        logger.error("the graph of an open run is neither in the code nor in the store", {
          runId,
          workflow: run.workflow,
          fingerprint: run.fingerprint,
        });
        return "fine";
      }
      if (isTerminal(found.run.status)) return "ended";
      await this.#lookAtTurn(found, look, upSinceMs);
      const stuck = await this.#whatIsStuck(found, look);
      if (stuck === undefined) return "fine";
      const overdueMs = this.#sinceMs(stuck, upSinceMs);
      if (overdueMs <= limits.auditAfterMs) return "fine";
      await this.#repair(found, stuck, overdueMs);
      return "stuck";
    } catch (error) {
      if (error instanceof StoredShapeError) logger.error("an open run cannot be read", { error, runId });
      // Others change it all the time, so it is not stuck.
      else if (!(error instanceof ContendedRunError)) throw error;
      return "fine";
    }
  }

  #sinceMs({ atMs }: Expected, upSinceMs: number): number {
    return this.#ports.clock.now() - Math.max(atMs, upSinceMs);
  }

  async #repair({ run: { runId, workflow, status } }: Found, { what, by }: Stuck, overdueMs: number): Promise<void> {
    // At first each audit repeats the messages; later on, the longer the run has been stuck, the fewer do.
    const isRepeated = this.#ports.random.fraction() * overdueMs < 2 * limits.auditAfterMs;
    this.#ports.logger.warn("an open run should have moved long ago", {
      runId,
      workflow,
      status,
      expected: what,
      overdueMs,
      repaired: isRepeated,
    });
    if (isRepeated) await advanceAll(this.#ports, by.graph, by.image);
  }

  /** By itself, by a run that it has started, or with its parent. Only the first of these is told. */
  async #whatIsStuck(found: Found, look: Look): Promise<Stuck | undefined> {
    const nowMs = this.#ports.clock.now();
    const own = firstExpected(found, nowMs, (index) => this.#mayWaitMs(found, index));
    const ofChildren = await settleAll(
      stepsWithChild(found).map(async (index) => {
        const child = await this.#findDriven(childRunId(found.graph, found.run, index));
        return child === "unknown" ? undefined : expectedOfChild(found, index, child, nowMs);
      }),
    );
    const first = earliest([own, ...ofChildren].filter((one) => one !== undefined));
    const parent = found.run.parent && (await look.once(parentRunId(found.run.runId), (id) => this.#findDriven(id)));
    const orphaned = parent === undefined || parent === "unknown" ? undefined : expectedOfOrphan(parent, found, nowMs);
    if (orphaned !== undefined && parent !== undefined && parent !== "unknown") {
      if (first === undefined || orphaned.atMs < first.atMs) return { ...orphaned, by: parent };
    }
    return first && { ...first, by: found };
  }

  /** An attempt of a limited step waits for as long as there are others before it. */
  #mayWaitMs({ graph, run }: Driven, index: number): number {
    const step = graph.steps[index];
    const workflow = this.#definitions.find(run.workflow);
    const code = step && workflow && codeOf(workflow, graph, step);
    return step && code && this.#rates.isLimited(step.taskQueue, code) ? limits.rateMostMs : 0;
  }

  /**
   * A run that waits for its turn cannot tell whether somebody holds up the queue, or holds a slot although its run has
   * ended: the gate tells. One look serves all who wait there.
   */
  async #lookAtTurn({ run, image }: Found, look: Look, upSinceMs: number): Promise<void> {
    const { slot, workflow, createdAtMs, redrivenAtMs = 0 } = run;
    if (slot?.status !== "wanted" || slot.ticket === undefined || !isBeforeEnd(run.status)) return;
    const asked = { what: "the run's turn", atMs: Math.max(createdAtMs, redrivenAtMs) };
    if (this.#sinceMs(asked, upSinceMs) <= limits.auditAfterMs) return;
    await look.once(recordId.gate(workflow, slot.key), () => this.#slots.recover(image));
  }

  /** `undefined` when there is no such run, "unknown" when it cannot be understood here. */
  async #findDriven(runId: string): Promise<Found | "unknown" | undefined> {
    const found = await this.#find(runId);
    return found === undefined || "graph" in found ? found : "unknown";
  }

  async #find(runId: string): Promise<Found | { readonly image: Image } | undefined> {
    const fields = await this.#ports.store.get(runId);
    if (fields === undefined) return undefined;
    const image = imageOf(runId, fields);
    const { run } = image;
    const graph = await this.#definitions.graph(run.workflow, run.fingerprint);
    return graph === undefined ? { image } : { graph, run, image };
  }
}

/** What one page of runs has looked at already, as they have parents and turns in common. */
class Look {
  readonly #answers = new Map<string, Promise<unknown>>();

  once<T>(id: string, ask: (id: string) => Promise<T>): Promise<T> {
    const asked = this.#answers.get(id) ?? ask(id);
    this.#answers.set(id, asked);
    return asked as Promise<T>;
  }
}

/** Works on all of them, on so many at the same time. After a failure nothing goes on behind the caller's back. */
async function inLanes<T>(items: readonly T[], lanes: number, work: (item: T) => Promise<void>): Promise<void> {
  const left = items.values();
  const ends = await Promise.allSettled(
    Array.from({ length: Math.min(lanes, items.length) }, async () => {
      for (const item of left) await work(item);
    }),
  );
  for (const end of ends) if (end.status === "rejected") throw end.reason;
}
