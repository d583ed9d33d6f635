/**
 * Asks whether an attempt may begin now, before it is claimed: whoever must wait holds no lease and uses no attempt up.
 * A worker that dies after it was allowed to begin, and an answer that is lost, only leave that start unused.
 */
import { FatalError } from "../definition/errors.ts";
import { flowKeyOf, type Rate } from "../definition/flow.ts";
import type { Graph } from "../definition/graph.ts";
import { limits } from "../definition/limits.ts";
import type { StepCode } from "../definition/step.ts";
import { decodeRate, mayBegin, type RateVerdict, rateTransition } from "../engine/rate.ts";
import { recordId } from "../engine/record-id.ts";
import type { RunState } from "../engine/run-state.ts";
import type { Fields } from "../engine/transition.ts";
import type { Ports } from "./ports.ts";
import { settleAll } from "./settle-all.ts";
import { loadStepView } from "./step-data.ts";
import type { TaskQueueRates } from "./task-queues.ts";

export type RateAnswer =
  | { readonly kind: "begin" }
  | { readonly kind: "wait"; readonly delayMs: number }
  /** The step's key cannot be had: the attempt begins, and fails with this. */
  | { readonly kind: "fault"; readonly error: FatalError };

interface Limit {
  readonly id: string;
  readonly rate: Rate;
}

export class RateGate {
  readonly #ports: Ports;
  readonly #taskQueues: TaskQueueRates;

  constructor(ports: Ports, taskQueues: TaskQueueRates) {
    this.#ports = ports;
    this.#taskQueues = taskQueues;
  }

  /** Steps that only wait begin whenever they want. */
  isLimited(taskQueue: string, code: StepCode): boolean {
    return code.kind === "step" && (code.rateLimit !== undefined || this.#taskQueues.has(taskQueue));
  }

  /** @param isFirstTime the message has not been told yet to come again */
  async ask(graph: Graph, run: RunState, index: number, code: StepCode, isFirstTime: boolean): Promise<RateAnswer> {
    const { store } = this.#ports;
    const found = await this.#limitsOf(graph, run, index, code);
    if (found instanceof FatalError) return { kind: "fault", error: found };
    const looks = await settleAll(found.map(async (limit) => ({ limit, fields: await store.get(limit.id) })));
    const isOpen = looks.map(({ limit, fields }) => this.#decide(limit, fields, isFirstTime).kind === "begin");
    // First those that say no: what another limit allows is then not used up in vain.
    const closedFirst = [
      ...looks.filter((_, at) => isOpen[at] !== true),
      ...looks.filter((_, at) => isOpen[at] === true),
    ];
    for (const { limit, fields } of closedFirst) {
      const delayMs = await this.#pass(limit, fields, isFirstTime);
      if (delayMs !== undefined) return { kind: "wait", delayMs };
    }
    return { kind: "begin" };
  }

  async #limitsOf(graph: Graph, run: RunState, index: number, code: StepCode): Promise<readonly Limit[] | FatalError> {
    const step = graph.steps[index];
    if (step === undefined || code.kind !== "step") return [];
    const ofQueue = this.#taskQueues.get(step.taskQueue);
    const found: Limit[] =
      ofQueue === undefined ? [] : [{ id: recordId.rateOfTaskQueue(step.taskQueue), rate: ofQueue }];
    const { rateLimit } = code;
    if (rateLimit === undefined) return found;
    const isComputed = typeof rateLimit.key === "function";
    const view = isComputed ? await loadStepView(this.#ports.store, graph, run, step) : undefined;
    const computed = flowKeyOf(rateLimit.key, view);
    if (!computed.ok) return new FatalError(`rateLimit: ${computed.message}`, { cause: computed.cause });
    const id = computed.key === "" ? recordId.rateOfStep(run.workflow, step.id) : recordId.rateOfKey(computed.key);
    return [...found, { id, rate: rateLimit }];
  }

  /** `undefined`: go on. Otherwise, when to ask again. */
  async #pass(limit: Limit, seen: Fields | undefined, isFirstTime: boolean): Promise<number | undefined> {
    let fields = seen;
    for (let tries = 0; tries < limits.decisionTries; tries++) {
      const verdict = this.#decide(limit, fields, isFirstTime);
      const delayMs = verdict.kind === "wait" ? verdict.delayMs : undefined;
      if (verdict.next === undefined) return delayMs;
      const result = await this.#ports.store.update(limit.id, rateTransition(fields, verdict.next));
      if (result.applied) return delayMs;
      fields = result.fields;
    }
    // Others were faster each time: it comes again soon, like one that was told to.
    return Math.ceil(limits.startRetryMs * (1 + this.#ports.random.fraction()));
  }

  #decide({ id, rate }: Limit, fields: Fields | undefined, isFirstTime: boolean): RateVerdict {
    const { clock, random } = this.#ports;
    return mayBegin(decodeRate(id, fields), rate, { nowMs: clock.now(), isFirstTime, fraction: random.fraction() });
  }
}
