// What must hold for the records that runs share, and between runs that share one: checked at each applied write.
import { limits } from "../../lib/definition/limits.ts";
import type { Workflow } from "../../lib/definition/workflow.ts";
import { decodeRun } from "../../lib/engine/codec.ts";
import { decodeGate, type Gate } from "../../lib/engine/gate.ts";
import { decodeRate } from "../../lib/engine/rate.ts";
import { isRunId, recordId } from "../../lib/engine/record-id.ts";
import { isBeforeEnd, isTerminal, type RunState } from "../../lib/engine/run-state.ts";
import type { Fields } from "../../lib/engine/transition.ts";
import { apiRate } from "./random-workflow.ts";

export function gateOf(runs: ReadonlyMap<string, Fields>, { name, concurrency }: Workflow, key: string): Gate {
  const id = recordId.gate(name, key);
  return decodeGate(id, concurrency?.limit ?? 1, runs.get(id));
}

/** What is wrong with a gate's write, if anything is. */
export function faultOfGate(id: string, limit: number, before: Fields | undefined, after: Fields): string | undefined {
  const was = decodeGate(id, limit, before);
  const is = decodeGate(id, limit, after);
  if (is.holders.length > limit) return `gate ${id} gave ${is.holders.length} slots of ${limit}`;
  if (is.tickets < was.tickets || is.tickets > was.tickets + 1) return `gate ${id} lost or doubled a ticket`;
  if (is.passed < was.passed || is.passed > was.passed + 1) return `gate ${id} passed over a ticket`;
  const came = is.holders.filter((ticket) => !was.holders.includes(ticket));
  if (came.some((ticket) => ticket !== is.passed || was.passed === is.passed))
    return `gate ${id} gave a slot out of order`;
  if (is.passed !== was.passed && was.telling !== undefined && is.telling !== is.passed)
    return `gate ${id} told nobody`;
  return undefined;
}

/** What is wrong between the run that was just written and those beside it, if anything is. */
export function faultOfTurn(
  runs: ReadonlyMap<string, Fields>,
  { name, concurrency }: Workflow,
  was: RunState | undefined,
  is: RunState,
): string | undefined {
  if (concurrency === undefined) return is.slot === undefined ? undefined : `run ${is.runId} has a slot of nothing`;
  if (is.slot === undefined) return `R5: run ${is.runId} forgot its slot`;
  if (was?.slot?.status === "held" && is.slot.status !== "held" && was.epoch === is.epoch)
    return "a held slot was lost";
  const begins = is.steps.some((step, index) => step?.status === "running" && was?.steps[index]?.status !== "running");
  if (begins && is.slot.status !== "held") return `run ${is.runId} began a step before its turn`;
  const beside = [...runs].filter(([id]) => isRunId(id)).map(([id, fields]) => decodeRun(id, fields));
  const alike = beside.filter(
    (run) => run.workflow === name && run.slot?.key === is.slot?.key && !isTerminal(run.status),
  );
  const held = alike.filter((run) => run.slot?.status === "held");
  if (held.length > concurrency.limit) return `${held.length} runs go on, and ${concurrency.limit} may`;
  if (is.slot.status !== "held" || was?.slot?.status === "held") return undefined;
  const { ticket } = is.slot;
  const earlier = alike.find(
    ({ slot, status }) =>
      isBeforeEnd(status) && slot?.status === "wanted" && slot.ticket !== undefined && slot.ticket < ticket,
  );
  return earlier && `run ${earlier.runId} waits with an earlier ticket than ${ticket} of ${is.runId}`;
}

/** Attempts of rate-limited steps that were allowed to begin, by the clock of their record. */
export class RateLedger {
  readonly #startsMs: number[] = [];
  #codeStarts = 0;

  /** @returns what is wrong, if anything is */
  written(id: string, before: Fields | undefined, after: Fields): string | undefined {
    if (before?.w === after.w) return undefined;
    const { groups } = decodeRate(id, after);
    if (groups.length > limits.rateGroups + 1) return `rate ${id} keeps ${groups.length} groups`;
    const atMs = groups.at(-1)?.lastMs ?? 0;
    this.#startsMs.push(atMs);
    const count = this.#startsMs.filter((one) => one > atMs - apiRate.perMs && one <= atMs).length;
    return count > apiRate.limit ? `${count} attempts began within ${apiRate.perMs} ms` : undefined;
  }

  /** @returns what is wrong, if anything is */
  codeBegan(): string | undefined {
    this.#codeStarts++;
    const allowed = this.#startsMs.length;
    return this.#codeStarts > allowed
      ? `${this.#codeStarts} attempts began, and ${allowed} were allowed to`
      : undefined;
  }
}
