// Hunts: something undone too early, in the wrong order, twice, or never.
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { dependencies, type Graph } from "../../lib/definition/graph.ts";
import { defaultRetry } from "../../lib/definition/retry.ts";
import { due, dueBecauseOf } from "../../lib/engine/due.ts";
import type { OutgoingMessage } from "../../lib/engine/message.ts";
import { cancel, redrive, timeOut } from "../../lib/engine/operate.ts";
import type { RunState, StepState } from "../../lib/engine/run-state.ts";
import { settle } from "../../lib/engine/settle.ts";
import { compensationOf, isUndoable, planUndo } from "../../lib/engine/undo.ts";
import { randomGraph } from "./random-run.ts";
import { after, backingOff, ended, graphOf, nowMs, running, runOf, stored } from "./sample-run.ts";

const compensate = { retry: defaultRetry, timeoutMs: 60_000 };
const done = ended("succeeded");
/** 0 before 1 before 2, and 3 on its own. */
const chain = graphOf([{ compensate }, { after: [0] }, { after: [1], compensate }, { compensate }]);

function unwinding(change: Partial<RunState>): RunState {
  return runOf({ status: "unwinding", error: { name: "E", message: "m" }, ...change });
}

function undosOf(messages: readonly OutgoingMessage[]): (string | number)[] {
  return messages.map(({ message }) => (message.kind === "undo" ? message.step : message.kind));
}

describe("what is to be undone", () => {
  test("the last ones first, across steps that have nothing to undo", () => {
    expect(planUndo(chain, unwinding({ steps: [done, done, done, done] }))).toEqual({ ready: [2, 3], isOver: false });
    const oneDone = unwinding({ steps: [done, done, done, done], undos: [undefined, undefined, done] });
    expect(planUndo(chain, oneDone).ready).toEqual([0, 3]);
  });

  test("what succeeded and what may have taken effect, and nothing that plainly failed, was skipped or has not begun", () => {
    const ready = (state: StepState | undefined): boolean =>
      planUndo(graphOf([{ compensate }]), unwinding({ steps: [state] })).ready.length === 1;
    expect([done, ended("unknown")].map(ready)).toEqual([true, true]);
    expect([undefined, ended("failed"), ended("skipped"), ended("cancelled"), backingOff()].map(ready)).toEqual(
      Array<boolean>(5).fill(false),
    );
  });

  test("a compensation that failed for good holds up the ones before it, and only those", () => {
    const stuck = unwinding({ steps: [done, done, done, done], undos: [undefined, undefined, ended("failed")] });
    expect(planUndo(chain, stuck)).toEqual({ ready: [3], isOver: false });
    const rest = unwinding({ ...stuck, undos: [undefined, undefined, ended("failed"), done] });
    expect(planUndo(chain, rest)).toEqual({ ready: [], isOver: true });
    expect(compensationOf(chain, { ...rest, status: "failed" })).toBe("incomplete");
  });

  test.each([running(), backingOff()])("$status: neither begun again nor over", (state) => {
    const run = unwinding({ steps: [done], undos: [state] });
    expect(planUndo(chain, run)).toEqual({ ready: [], isOver: false });
    expect(settle(chain, run, nowMs)).toBe(run);
  });

  test("of random graphs: following the plan undoes everything, each step after all that came after it", () => {
    fc.assert(
      fc.property(
        randomGraph(),
        fc.infiniteStream(fc.nat(9)),
        fc.infiniteStream(fc.boolean()),
        (plain, picks, mayUndo) => {
          const steps = plain.steps.map((step) => (mayUndo.next().value ? { ...step, compensate } : step));
          const graph: Graph = { ...plain, steps };
          let run = unwinding({ steps: steps.map(() => done) });
          for (let plan = planUndo(graph, run); !plan.isOver; plan = planUndo(graph, run)) {
            const next = plan.ready[picks.next().value % plan.ready.length];
            if (next === undefined) throw new Error("neither over nor anything to undo");
            expect(run.undos[next]).toBeUndefined();
            graph.steps.forEach((step, at) => {
              if (dependencies(step).includes(next) && isUndoable(graph, run, at)) expect(run.undos[at]).toBe(done);
            });
            const undos = [...run.undos];
            undos[next] = done;
            run = { ...run, undos };
          }
          const left = steps.findIndex((_step, at) => isUndoable(graph, run, at) && run.undos[at] === undefined);
          expect(left).toBe(-1);
          expect(settle(graph, run, nowMs).status).toBe("failed");
        },
      ),
      { numRuns: 300 },
    );
  });
});

describe("when", () => {
  test("not before everything in flight has ended", () => {
    const run = unwinding({ steps: [done, done, done, running()] });
    expect(undosOf(due(chain, run, nowMs))).toEqual(["step"]);
    const drained = unwinding({ steps: [done, done, done, done] });
    expect(undosOf(dueBecauseOf(chain, drained, 3, nowMs))).toEqual([2, 3]);
  });

  test("an undone step makes way for those before it, however far", () => {
    const run = unwinding({ steps: [done, done, done, done], undos: [undefined, undefined, done] });
    expect(undosOf(dueBecauseOf(chain, run, 2, nowMs, "undo"))).toEqual([0]);
  });

  test("a failed attempt is followed by the next one at its time", () => {
    const run = unwinding({ steps: [done], undos: [backingOff(2, nowMs + 4_000)] });
    expect(dueBecauseOf(chain, run, 0, nowMs, "undo")).toMatchObject([
      { message: { kind: "undo", step: 0, attempt: 3, wakeAtMs: nowMs + 4_000 }, delayMs: 4_000 },
    ]);
  });
});

describe("cancel and time-out of a run that can undo something", () => {
  const open = runOf({ steps: [done, running()], deadlineAtMs: nowMs });

  test.each([
    ["cancelled", cancel],
    ["timed_out", timeOut],
  ] as const)("unwind to %s, and end so when nothing is left", (status, stop) => {
    const verdict = stop(chain, open, nowMs);
    if (verdict.kind !== "write") throw new Error(verdict.kind);
    const run = after(open, verdict.transition);
    expect(run).toMatchObject({ status: "unwinding", unwindTo: status });
    expect(run.endedAtMs).toBeUndefined();
    expect(stop(chain, run, nowMs)).toEqual({ kind: "already" });
    const over = { ...run, steps: [done, ended("failed")], undos: [done] };
    expect(settle(chain, over, nowMs)).toMatchObject({ status, endedAtMs: nowMs });
  });

  test("a run that unwinds because it failed is not cancelled", () => {
    expect(cancel(chain, unwinding({}), nowMs)).toEqual({ kind: "refused", status: "unwinding" });
  });
});

describe("redrive", () => {
  const failed = runOf({
    status: "failed",
    endedAtMs: nowMs,
    error: { name: "E", message: "m" },
    steps: [done, ended("succeeded", { attempt: 2 }), ended("failed"), done],
    outputs: [{ json: "0" }, { json: "1" }, undefined, { json: "3" }],
    signals: [undefined, { id: "a" }],
  });
  const redriven = (run: RunState, graph = chain): RunState => {
    const verdict = redrive(graph, stored(run), nowMs);
    if (verdict.kind !== "write") throw new Error(verdict.kind);
    return after(run, verdict.transition);
  };

  test("does again what was undone and everything that was built on it, under a new key, and keeps the rest", () => {
    const withoutLast = graphOf([{ compensate }, { after: [0] }, { after: [1], compensate }, {}]);
    const run = redriven({ ...failed, undos: [done] }, withoutLast);
    expect(run).toMatchObject({ status: "running", epoch: 1 });
    expect(run.steps.map((step) => step?.status)).toEqual([undefined, undefined, undefined, "succeeded"]);
    expect(run.outputs).toEqual([undefined, undefined, undefined, { json: "3" }]);
    expect(run.signals).toEqual([]);
    expect(run.undos).toEqual([]);
    expect(run.generations).toEqual([1, 1, 1]);
  });

  test("while something could not be undone, tries that again and ends as the run had", () => {
    const stuck = redriven({ ...failed, status: "timed_out", undos: [ended("failed"), undefined, undefined, done] });
    expect(stuck).toMatchObject({ status: "unwinding", unwindTo: "timed_out", epoch: 1, error: failed.error });
    expect(stuck.endedAtMs).toBeUndefined();
    expect(planUndo(chain, stuck)).toEqual({ ready: [0], isOver: false });
    expect(stuck.undos[3]).toEqual(done);
  });

  test("what the end had closed stays closed while the rest is undone", () => {
    const cut = { ...failed, steps: [done, running()], undos: [ended("failed")] };
    expect(redriven(cut).steps[1]?.status).toBe("cancelled");
  });

  test("of a terminated run that had undone nothing goes forward", () => {
    expect(redriven({ ...failed, status: "cancelled" })).toMatchObject({ status: "running", epoch: 1 });
  });
});

describe("how far the undoing is", () => {
  const steps = [done];

  test.each([
    [runOf({ steps }), undefined],
    [runOf({ steps, status: "succeeded" }), undefined],
    [unwinding({ steps }), "running"],
    [unwinding({ steps: [ended("failed")] }), undefined],
    [runOf({ steps, status: "cancelled", undos: [done] }), "complete"],
    [runOf({ steps, status: "failed", undos: [ended("failed")] }), "incomplete"],
    [runOf({ steps, status: "cancelled" }), "incomplete"],
  ] as const)("%#", (run, expected) => {
    expect(compensationOf(chain, run)).toBe(expected);
  });
});
