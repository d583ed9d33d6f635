// Hunts: an answer that counts for another question, an attempt that a question uses up, a question that holds a run up.
import { describe, expect, test } from "vitest";
import { claim } from "../../lib/engine/claim.ts";
import { encodeRun } from "../../lib/engine/codec.ts";
import { commit } from "../../lib/engine/commit.ts";
import { due } from "../../lib/engine/due.ts";
import { answerInterrupt } from "../../lib/engine/interrupt.ts";
import { redrive } from "../../lib/engine/operate.ts";
import type { Interrupts, RunState, StepState } from "../../lib/engine/run-state.ts";
import { applyTransition } from "../../lib/engine/transition.ts";
import { after, claimant, ended, graphOf, messageFor, nowMs, running, runOf } from "./sample-run.ts";

const graph = graphOf([{ onFailure: "continue" }, {}]);
const parked: StepState = { status: "waiting", attempt: 1, sinceMs: nowMs - 5_000 };
const asked: Interrupts = { answers: ["a1"], pending: "q2" };
const mine = { track: "step" as const, step: 0, attempt: 2, owner: "me" };

function runWith(step: StepState, interrupts: Interrupts = asked, change: Partial<RunState> = {}): RunState {
  return runOf({ steps: [step], interrupts: [interrupts], ...change });
}

function park(run: RunState): ReturnType<typeof commit> {
  return commit(graph, run, mine, { kind: "interrupted", interrupts: asked }, nowMs);
}

describe("a question", () => {
  test("parks its step in one write, gives the attempt back, and leaves nothing in flight for it (R3)", () => {
    const run = runWith(running({ attempt: 2 }), { answers: ["a1"] });
    const verdict = park(run);
    if (verdict.kind !== "write") throw new Error(verdict.kind);
    const next = after(run, verdict.transition);
    expect(next).toMatchObject({ steps: [{ status: "waiting", attempt: 1, sinceMs: nowMs }], interrupts: [asked] });
    expect(next.steps[0]).not.toHaveProperty("wakeAtMs");
    expect(due(graph, next, nowMs).filter(({ message }) => message.kind === "step" && message.step === 0)).toEqual([]);
    expect(park(next)).toEqual({ kind: "committed" });
  });

  test("is not asked in a run that unwinds: its step has ended without effect", () => {
    const run = runOf({ steps: [running({ attempt: 2 })], status: "unwinding" });
    const verdict = park(run);
    expect(verdict).toMatchObject({ kind: "write", ends: "skipped" });
    if (verdict.kind === "write") expect(after(run, verdict.transition).interrupts).toEqual([]);
  });
});

describe("an answer", () => {
  test("lets the attempt that asked begin again, by a message of its own", () => {
    for (const status of ["running", "paused"] as const) {
      const run = runWith(parked, asked, { status });
      const verdict = answerInterrupt(run, 0, "q2", "a2", nowMs);
      if (verdict.kind !== "write") throw new Error(verdict.kind);
      const next = after(run, verdict.transition);
      expect(next.interrupts).toEqual([{ answers: ["a1", "a2"] }]);
      expect(next.steps[0]).toEqual({ status: "backing_off", attempt: 1, wakeAtMs: nowMs });
      expect(answerInterrupt(next, 0, "q2", "a2", nowMs)).toEqual({ kind: "already" });
      if (status === "paused") continue;
      const [{ message } = { message: messageFor(next, 0) }] = due(graph, next, nowMs);
      expect(message).toMatchObject({ kind: "step", attempt: 2, wakeAtMs: nowMs });
      if (message.kind !== "step") throw new Error();
      expect(after(next, claim(message, claimant())).steps[0]).toMatchObject({ status: "running", attempt: 2 });
    }
  });

  test("counts for no other question, even one that was asked in the same millisecond (R7)", () => {
    const run = runWith(parked);
    expect(answerInterrupt(run, 0, "q1", "a2", nowMs)).toEqual({ kind: "refused", because: "not_pending" });
    expect(answerInterrupt(run, 1, "q2", "a2", nowMs)).toEqual({ kind: "refused", because: "not_pending" });
    const verdict = answerInterrupt(run, 0, "q2", "a2", nowMs);
    if (verdict.kind !== "write") throw new Error(verdict.kind);
    const other = runWith(parked, { answers: ["a1", "b2"], pending: "q3" });
    expect(applyTransition(verdict.transition, encodeRun(other))).toBeUndefined();
  });

  test("comes too late for a run that has ended", () => {
    const run = runWith(ended("cancelled"), asked, { status: "cancelled", endedAtMs: nowMs });
    expect(answerInterrupt(run, 0, "q2", "a2", nowMs)).toEqual({ kind: "refused", because: "run_ended" });
  });

  test("is forgotten by a redrive, where its step is repeated", () => {
    const steps = [ended("cancelled"), ended("succeeded")];
    const interrupts = [asked, { answers: ["b1"] }];
    const run = runOf({ steps, interrupts, status: "cancelled", endedAtMs: nowMs });
    const verdict = redrive(graph, run, nowMs);
    if (verdict.kind !== "write") throw new Error(verdict.kind);
    expect(after(run, verdict.transition).interrupts).toEqual([undefined, { answers: ["b1"] }]);
  });
});
