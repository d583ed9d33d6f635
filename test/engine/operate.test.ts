// Hunts: an operation that changes what has ended, is counted twice, or leaves a run that nothing drives (R2, R5, R9).
import { describe, expect, test } from "vitest";
import { encodeRun, field } from "../../lib/engine/codec.ts";
import { due } from "../../lib/engine/due.ts";
import {
  cancel,
  type OperateVerdict,
  onceMarked,
  pause,
  redrive,
  resume,
  terminate,
  timeOut,
} from "../../lib/engine/operate.ts";
import type { PauseReason, RunState } from "../../lib/engine/run-state.ts";
import { applyTransition } from "../../lib/engine/transition.ts";
import { after, backingOff, ended, graphOf, nowMs, running, runOf } from "./sample-run.ts";

const graph = graphOf([{}, {}]);
const reason: PauseReason = { code: "requested", message: "Paused on request." };
const paused = runOf({ status: "paused", changes: 2, pause: reason });

function done(run: RunState, verdict: OperateVerdict | { readonly kind: "changed" }): RunState {
  if (verdict.kind !== "write") throw new Error(verdict.kind);
  return after(run, verdict.transition);
}

describe("pause", () => {
  test("keeps why, and leaves steps as they are", () => {
    const run = runOf({ steps: [running(), backingOff()] });
    expect(done(run, pause(run, reason))).toEqual({ ...run, status: "paused", pause: reason, changes: 2 });
  });

  test("again is already done: the first reason stays", () => {
    expect(pause(paused, { code: "graph_missing", message: "gone" })).toEqual({ kind: "already" });
  });

  test("of an unwinding run is refused: it begins nothing anyway", () => {
    expect(pause(runOf({ status: "unwinding" }), reason)).toEqual({ kind: "refused", status: "unwinding" });
  });
});

describe("resume", () => {
  test("takes the reason away, and brings back all that is due (R5)", () => {
    const run = { ...paused, steps: [backingOff()] };
    expect(due(graph, run, nowMs)).toEqual([]);
    const next = done(run, resume(graph, run, nowMs));
    expect(next).toEqual({ ...runOf({ steps: [backingOff()] }), changes: 3, turnedAtMs: nowMs });
    expect(due(graph, next, nowMs).map(({ message }) => message)).toMatchObject([
      { step: 0, attempt: 2 },
      { step: 1, attempt: 1 },
    ]);
  });

  test("removes the stored reason, and nothing else that is stored", () => {
    const run = { ...paused, tags: { a: "b" }, deadlineAtMs: nowMs + 5 };
    const verdict = resume(graph, run, nowMs);
    if (verdict.kind !== "write") throw new Error(verdict.kind);
    const { [field.pause]: _pause, ...others } = encodeRun(run);
    expect(applyTransition(verdict.transition, encodeRun(run))).toEqual({ ...others, st: "running", n: 3, ta: nowMs });
  });

  test("settles what happened while the run was paused", () => {
    const tolerant = graphOf([{ onFailure: "continue" }, { afterFailed: [0] }]);
    const run = { ...paused, steps: [ended("succeeded")] };
    expect(done(run, resume(tolerant, run, nowMs))).toMatchObject({
      status: "succeeded",
      steps: [{}, { status: "skipped" }],
      changes: 3,
    });
  });

  test("of a running run is already done", () => {
    expect(resume(graph, runOf(), nowMs)).toEqual({ kind: "already" });
  });
});

describe("cancel", () => {
  test("ends the run at once, whatever is in flight (R2)", () => {
    const run = runOf({ steps: [running(), backingOff()] });
    const next = done(run, cancel(graph, run, nowMs));
    expect(next).toMatchObject({ status: "cancelled", endedAtMs: nowMs, changes: 2 });
    expect(next.steps.map((step) => step?.status)).toEqual(["cancelled", "cancelled"]);
    expect(due(graph, next, nowMs)).toEqual([]);
  });

  test("ends a paused run", () => {
    expect(done(paused, cancel(graph, paused, nowMs))).toMatchObject({ status: "cancelled", changes: 3 });
  });

  test("takes the reason of a pause away", () => {
    expect(done(paused, cancel(graph, paused, nowMs)).pause).toBeUndefined();
  });

  test("again is already done, and its first time stays", () => {
    const run = runOf({ status: "cancelled", endedAtMs: nowMs });
    expect(cancel(graph, run, nowMs + 5)).toEqual({ kind: "already" });
  });

  test("never ends a run before it was created", () => {
    const run = runOf({ createdAtMs: nowMs + 9_000 });
    expect(done(run, cancel(graph, run, nowMs))).toMatchObject({ endedAtMs: nowMs + 9_000 });
  });

  test("two operators at once: one write applies, the other is refused and decides again (R9)", () => {
    const run = runOf();
    const [first, second] = [cancel(graph, run, nowMs), pause(run, reason)];
    if (second.kind !== "write") throw new Error(second.kind);
    const next = done(run, first);
    expect(applyTransition(second.transition, encodeRun(next))).toBeUndefined();
    expect(pause(next, reason)).toEqual({ kind: "refused", status: "cancelled" });
  });
});

describe("time out", () => {
  const run = runOf({ createdAtMs: nowMs - 60_000, deadlineAtMs: nowMs });
  const timed = graphOf([{}, {}], { timeoutMs: 60_000 });

  test("ends a run that is late, with its error", () => {
    expect(done(run, timeOut(timed, run, nowMs))).toMatchObject({
      status: "timed_out",
      endedAtMs: nowMs,
      error: { name: "RunTimeout", message: "The run did not end within its timeout of 60 s." },
      changes: 2,
    });
  });

  test("tells the timeout of the definition, also of a run that was redriven", () => {
    const late = { ...run, createdAtMs: nowMs - 9_000_000, epoch: 1 };
    expect(done(late, timeOut(timed, late, nowMs)).error?.message).toContain("timeout of 60 s");
  });

  test("ends a paused run too", () => {
    const late = { ...paused, deadlineAtMs: nowMs };
    expect(done(late, timeOut(graph, late, nowMs))).toMatchObject({ status: "timed_out", changes: 3 });
  });

  test("an early timer, and one of a run without a deadline, change nothing (R7)", () => {
    expect(timeOut(graph, run, nowMs - 1)).toEqual({ kind: "refused", status: "running" });
    expect(timeOut(graph, runOf(), nowMs + 1e12)).toEqual({ kind: "refused", status: "running" });
  });

  test("again is already done", () => {
    expect(timeOut(graph, { ...run, status: "timed_out" }, nowMs + 5)).toEqual({ kind: "already" });
  });
});

test("a transition that was decided in another epoch is refused (R7)", () => {
  const run = runOf({ deadlineAtMs: nowMs });
  for (const verdict of [pause(run, reason), cancel(graph, run, nowMs), timeOut(graph, run, nowMs)]) {
    if (verdict.kind !== "write") throw new Error(verdict.kind);
    expect(applyTransition(verdict.transition, encodeRun({ ...run, epoch: 1 }))).toBeUndefined();
  }
});

describe("a bulk operation", () => {
  const mark = { operation: "op", changes: 3 };
  const failed = runOf({ status: "failed", changes: 3, endedAtMs: nowMs, steps: [ended("failed")] });
  const again = (run: RunState): OperateVerdict => redrive(graph, run, nowMs);

  test("makes the move, and leaves its mark with it", () => {
    const next = done(failed, onceMarked(failed, mark, again));
    expect(next).toMatchObject({ status: "running", epoch: 1, changes: 4, operation: "op" });
    expect({ ...next, operation: undefined }).toEqual({ ...done(failed, again(failed)), operation: undefined });
  });

  test("makes it once, whatever has become of the run since", () => {
    const next = done(failed, onceMarked(failed, mark, again));
    for (const later of [next, { ...next, status: "failed" as const, changes: 5 }]) {
      expect(onceMarked(later, mark, again)).toEqual({ kind: "already" });
    }
  });

  test("leaves a run alone that is not as it was selected; its write is refused there, too", () => {
    const verdict = onceMarked(failed, mark, again);
    if (verdict.kind !== "write") throw new Error(verdict.kind);
    const changed = { ...failed, changes: 5, epoch: 0 };
    expect(applyTransition(verdict.transition, encodeRun(changed))).toBeUndefined();
    expect(onceMarked(changed, mark, again)).toEqual({ kind: "changed" });
  });

  test("acts on what another operation has acted on before, when it was selected after that", () => {
    const run = { ...failed, operation: "before", changes: 3 };
    expect(done(run, onceMarked(run, mark, again)).operation).toBe("op");
  });

  test("does not take credit for what had come about otherwise, and is refused what everybody is", () => {
    const cancelled = runOf({ status: "cancelled", changes: 3, endedAtMs: nowMs });
    expect(onceMarked(cancelled, mark, (run) => terminate(run, nowMs))).toEqual({ kind: "changed" });
    const succeeded = runOf({ status: "succeeded", changes: 3, endedAtMs: nowMs });
    expect(onceMarked(succeeded, mark, again)).toEqual({ kind: "refused", status: "succeeded" });
  });
});
