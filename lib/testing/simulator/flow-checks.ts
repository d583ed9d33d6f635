// What must hold for the records that runs share, and between runs that share one: checked at each applied write.

import type { Rate } from "../../definition/flow.ts";
import { limits } from "../../definition/limits.ts";
import type { Workflow } from "../../definition/workflow.ts";
import { decodeGate, type Gate } from "../../engine/gate.ts";
import { decodeRate } from "../../engine/rate.ts";
import { recordId } from "../../engine/record-id.ts";
import { isBeforeEnd, isTerminal, type RunState } from "../../engine/run-state.ts";
import type { Fields } from "../../engine/transition.ts";
import type { Evidence } from "./evidence.ts";

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
  seen: Evidence,
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
  const alike = [...seen.allRuns()].filter(
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
  readonly #rate: Rate;
  readonly #startsMs: number[] = [];
  #codeStarts = 0;

  /** @param rate the one that all rate-limited steps share */
  constructor(rate: Rate) {
    this.#rate = rate;
  }

  /** @returns what is wrong, if anything is */
  written(id: string, before: Fields | undefined, after: Fields): string | undefined {
    if (before?.w === after.w) return undefined;
    const { groups } = decodeRate(id, after);
    if (groups.length > limits.rateGroups + 1) return `rate ${id} keeps ${groups.length} groups`;
    const atMs = groups.at(-1)?.lastMs ?? 0;
    this.#startsMs.push(atMs);
    const { limit, perMs } = this.#rate;
    const count = this.#startsMs.filter((one) => one > atMs - perMs && one <= atMs).length;
    return count > limit ? `${count} attempts began within ${perMs} ms` : undefined;
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
