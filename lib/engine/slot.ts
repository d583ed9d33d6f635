/** What a run does with its place in the queue of a gate. None of it changes the run's status. */
import { encodeSlot, field } from "./codec.ts";
import type { Entry } from "./gate.ts";
import { isBeforeEnd, type RunState, type Slot } from "./run-state.ts";
import type { Condition, Transition } from "./transition.ts";
import { transitionTo } from "./transition-to.ts";

/** The run has its ticket and need not ask again. `undefined` when it does not wait for one. */
export function takeTicket(run: RunState, epoch: number, ticket: number): Transition | undefined {
  const { slot } = run;
  if (run.epoch !== epoch || !isBeforeEnd(run.status) || slot?.status !== "wanted" || slot.ticket !== undefined) {
    return undefined;
  }
  return transitionTo(run, { ...run, slot: { ...slot, ticket } }, [slotIs(slot)]);
}

/** It is the run's turn. `undefined` when it does not wait for one any more. A paused run takes it, too, and keeps it. */
export function takeSlot(run: RunState, epoch: number, ticket: number, nowMs: number): Transition | undefined {
  const { slot } = run;
  if (run.epoch !== epoch || !isBeforeEnd(run.status) || slot?.status !== "wanted") return undefined;
  const held: Slot = { status: "held", key: slot.key, ticket, sinceMs: nowMs };
  return transitionTo(run, { ...run, slot: held }, [slotIs(slot)]);
}

/** Whether the run of this entry has had its turn by this ticket. */
export function holdsSlot(run: RunState, { epoch }: Entry, ticket: number): boolean {
  return run.epoch === epoch && run.slot?.status === "held" && run.slot.ticket === ticket;
}

function slotIs(slot: Slot & { readonly status: "wanted" }): Condition {
  return { field: field.slotWanted, is: "equal", value: encodeSlot(slot) };
}
