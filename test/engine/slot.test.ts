// Hunts: a run that begins before its turn, that never asks for it, or that keeps its slot when it has ended (R5, R7).
import { describe, expect, test } from "vitest";
import { limits } from "../../lib/definition/limits.ts";
import { claim, reconsiderClaim } from "../../lib/engine/claim.ts";
import { decodeRun, encodeRun, field } from "../../lib/engine/codec.ts";
import { due, dueBecauseOf } from "../../lib/engine/due.ts";
import { StoredRunError } from "../../lib/engine/field-reader.ts";
import { redrive } from "../../lib/engine/operate.ts";
import { isTerminal, type RunState, runStatuses, type Slot } from "../../lib/engine/run-state.ts";
import { holdsSlot, takeSlot, takeTicket } from "../../lib/engine/slot.ts";
import { newRun } from "../../lib/engine/start.ts";
import { applyTransition } from "../../lib/engine/transition.ts";
import { after, claimant, ended, graphOf, messageFor, nowMs, runOf } from "./sample-run.ts";

const graph = graphOf([{}, { after: [0] }]);
const asks: Slot = { status: "wanted", key: "acme" };
const waits: Slot = { status: "wanted", key: "acme", ticket: 7 };
const held: Slot = { status: "held", key: "acme", ticket: 7, sinceMs: nowMs - 1_000 };

const slotsDue = (run: RunState): number[] =>
  due(graph, run, nowMs).flatMap(({ message, delayMs }) => (message.kind === "slot" ? [delayMs] : []));
const stepsDue = (run: RunState): number =>
  due(graph, run, nowMs).filter(({ message }) => message.kind === "step").length;

describe("a run that waits for its turn", () => {
  test.each([asks, waits])("begins nothing, whatever message comes: %j", (slot) => {
    const run = runOf({ slot });
    expect(stepsDue(run)).toBe(0);
    const message = messageFor(run, 0);
    expect(applyTransition(claim(message, claimant()), encodeRun(run))).toBeUndefined();
    expect(reconsiderClaim(graph, run, message, claimant())).toEqual({
      kind: "drop",
      because: "the run waits for its turn",
    });
  });

  test("asks by message until it has a ticket: later than its start may live, or when it is to begin", () => {
    const draft = { runId: "run", fingerprint: "f", input: { json: "" }, inputHash: "h", slotKey: "acme" };
    const run = newRun(graph, draft, nowMs);
    expect(run.slot).toEqual(asks);
    expect(slotsDue(run)).toEqual([limits.nudgeDelayMs]);
    expect(slotsDue({ ...run, createdAtMs: nowMs - limits.nudgeDelayMs })).toEqual([0]);
    expect(slotsDue({ ...run, status: "paused" })).toEqual([limits.nudgeDelayMs]);
    expect(slotsDue({ ...run, slot: waits })).toEqual([]);
    const later = newRun(graph, { ...draft, startAtMs: nowMs + 3_600_000 }, nowMs);
    expect(slotsDue(later)).toEqual([3_600_000]);
    const late = newRun(graph, { ...draft, startAtMs: nowMs - 1 }, nowMs);
    expect(slotsDue(late)).toEqual([limits.nudgeDelayMs]);
    expect(slotsDue({ ...run, epoch: 1 })).toEqual([0]);
    expect(slotsDue({ ...later, epoch: 1 })).toEqual([3_600_000]);
  });

  test("has its turn once, in its own epoch, and while it is open", () => {
    for (const status of runStatuses) {
      const run = runOf({ status, slot: waits, epoch: 2 });
      const transition = takeSlot(run, 2, 7, nowMs);
      expect(transition === undefined).toBe(status !== "running" && status !== "paused");
      if (transition === undefined) continue;
      const next = after(run, transition);
      expect(next.slot).toEqual({ status: "held", key: "acme", ticket: 7, sinceMs: nowMs });
      expect(encodeRun(next)).not.toHaveProperty(field.slotWanted);
      expect(holdsSlot(next, { runId: "run", epoch: 2 }, 7)).toBe(true);
      expect(holdsSlot(next, { runId: "run", epoch: 2 }, 8)).toBe(false);
      expect(holdsSlot(next, { runId: "run", epoch: 1 }, 7)).toBe(false);
      expect(takeSlot(next, 2, 9, nowMs)).toBeUndefined();
      // A repeated write is refused by its own guard.
      expect(applyTransition(transition, encodeRun(next))).toBeUndefined();
    }
    expect(takeSlot(runOf({ slot: waits, epoch: 2 }), 1, 7, nowMs)).toBeUndefined();
    expect(takeSlot(runOf(), 0, 7, nowMs)).toBeUndefined();
  });

  test("keeps its first ticket", () => {
    const transition = takeTicket(runOf({ slot: asks }), 0, 7);
    expect(transition && after(runOf({ slot: asks }), transition).slot).toEqual(waits);
    expect(takeTicket(runOf({ slot: waits }), 0, 8)).toBeUndefined();
    expect(takeTicket(runOf({ slot: held }), 0, 8)).toBeUndefined();
    expect(takeTicket(runOf({ slot: asks }), 1, 7)).toBeUndefined();
    expect(takeTicket(runOf({ slot: asks, status: "cancelled" }), 0, 7)).toBeUndefined();
    // It relies on the slot as it was read: its turn may have come meanwhile.
    expect(transition && applyTransition(transition, encodeRun(runOf({ slot: held })))).toBeUndefined();
  });
});

describe("a run that has its turn", () => {
  test("begins its steps, and their delays count from there", () => {
    const delayed = graphOf([{ delayMs: 10_000 }]);
    const [first] = due(delayed, runOf({ slot: held }), nowMs);
    expect(first).toMatchObject({ delayMs: 9_000, message: { kind: "step" } });
  });

  test.each(runStatuses)("gives it back when it is %s, by whatever path that is seen", (status) => {
    const run = runOf({ status, slot: held, steps: [ended("succeeded"), ended("succeeded")] });
    const expected = isTerminal(status) ? [0] : [];
    expect(slotsDue(run)).toEqual(expected);
    const caused = dueBecauseOf(graph, run, 1, nowMs).filter(({ message }) => message.kind === "slot");
    expect(caused).toHaveLength(expected.length);
  });

  test("asks again when it is redriven", () => {
    for (const slot of [waits, held]) {
      const run = runOf({ status: "cancelled", slot, endedAtMs: nowMs });
      const verdict = redrive(graph, run, nowMs);
      if (verdict.kind !== "write") throw new Error("it is allowed");
      expect(after(run, verdict.transition)).toMatchObject({ status: "running", epoch: 1, slot: asks });
      expect(after(run, verdict.transition).slot).not.toHaveProperty("ticket");
    }
  });

  test("is not read from a damaged record", () => {
    for (const damage of [{ [field.slotWanted]: "acme" }, { [field.slotHeld]: "7.acme" }, { [field.slotHeld]: 7 }]) {
      expect(() => decodeRun("run", { ...encodeRun(runOf()), ...damage })).toThrow(StoredRunError);
    }
  });
});
