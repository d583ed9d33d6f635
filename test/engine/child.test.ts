// Hunts: a child that the wrong attempt adopts or redrives, an end that reaches the wrong epoch, and one that is not ended.
import { describe, expect, test } from "vitest";
import type { Graph } from "../../lib/definition/graph.ts";
import { limits } from "../../lib/definition/limits.ts";
import {
  adopt,
  childRunId,
  endWithParent,
  isAwaited,
  mapRunId,
  nestingOf,
  parentRunId,
  parentStepId,
  shardRunId,
} from "../../lib/engine/child.ts";
import { encodeLink, encodeRun } from "../../lib/engine/codec.ts";
import { due, dueAtEnd, dueBecauseOf } from "../../lib/engine/due.ts";
import { endFromOutside } from "../../lib/engine/outside.ts";
import type { ParentLink, RunState } from "../../lib/engine/run-state.ts";
import { settle } from "../../lib/engine/settle.ts";
import { applyTransition } from "../../lib/engine/transition.ts";
import { after, ended, graphOf, nowMs, running, runOf, stored } from "./sample-run.ts";

const graph = graphOf([{ kind: "child", whenParentEnds: "cancel", taskQueue: "heavy" }, {}]);
const leaving = graphOf([{ kind: "child", whenParentEnds: "leave" }, {}]);
const childGraph = graphOf([{}, {}]);
const link: ParentLink = {
  workflow: "sample",
  fingerprint: "0123456789abcdef",
  step: 0,
  taskQueue: "heavy",
  epoch: 1,
  attempt: 2,
};
const waiting = { status: "waiting", attempt: 2, sinceMs: nowMs } as const;

function child(change: Partial<RunState> = {}): RunState {
  return stored(runOf({ runId: "run~s0", workflow: "other", parent: link, ...change }));
}

test("ids lead from parent to child and back, and tell how deep it is", () => {
  const id = childRunId(graph, runOf({ runId: "a.b:c~d" }), 0);
  expect(id).toBe("a.b:c~d~s0");
  expect(parentRunId(id)).toBe("a.b:c~d");
  expect([nestingOf("a.b:c"), nestingOf(id)]).toEqual([0, 2]);
});

test("a step that began anew after it was undone has another child, which leads back all the same", () => {
  const id = childRunId(graph, runOf({ runId: "a.r1", generations: [2] }), 0);
  expect(id).toBe("a.r1~s0.r2");
  expect([parentRunId(id), parentStepId(id), nestingOf(id)]).toEqual(["a.r1", "s0", 1]);
  const shard = shardRunId(id, 2);
  expect([shard, parentRunId(shard), parentStepId(shard), mapRunId(shard)]).toEqual([`${id}.2`, id, "2", "a.r1"]);
});

test("the deepest id of the longest names is within its bound", () => {
  expect(
    limits.runIdLength + limits.nesting * (1 + limits.nameLength + `.r${limits.redrives}`.length),
  ).toBeLessThanOrEqual(limits.derivedRunIdLength);
});

test("a link is stored in one short field, and read as it was", () => {
  expect(encodeLink(link)).toBe("1.2.0.heavy.sample.0123456789abcdef");
  const odd = { ...link, fingerprint: "0123456789abcdef.3.0.500.10.2" };
  expect(child({ parent: odd }).parent).toEqual(odd);
});

describe("an attempt that finds its child there already", () => {
  const wanted = { workflow: "other", inputHash: "hash", parent: link };
  const failed = { status: "failed", endedAtMs: nowMs, steps: [ended("failed"), ended("succeeded")] } as const;
  const before = (change: Partial<ParentLink>): ParentLink => ({ ...link, ...change });

  test("waits when the child names it, or a later one", () => {
    expect(adopt(childGraph, child(), wanted, nowMs)).toEqual({ kind: "waits" });
    expect(adopt(childGraph, child({ parent: { ...link, attempt: 3 } }), wanted, nowMs)).toEqual({ kind: "waits" });
    expect(adopt(childGraph, child({ parent: { ...link, epoch: 2, attempt: 1 } }), wanted, nowMs).kind).toBe("waits");
  });

  test.each([{ attempt: 1 }, { epoch: 0 }, { epoch: 0, attempt: 9 }])("takes it over from %o", (former) => {
    const open = child({ parent: { ...link, ...former } });
    const verdict = adopt(childGraph, open, wanted, nowMs);
    if (verdict.kind !== "write") throw new Error(verdict.kind);
    expect(after(open, verdict.transition).parent).toEqual(link);
    // Another attempt was faster.
    const taken = encodeRun({ ...open, parent: { ...link, attempt: 7 } });
    expect(applyTransition(verdict.transition, taken)).toBeUndefined();
  });

  test("takes the end of one that succeeded, and of one that ended badly in this epoch", () => {
    const parent = before({ epoch: 0 });
    expect(adopt(childGraph, child({ ...failed, status: "succeeded", parent }), wanted, nowMs).kind).toBe("ended");
    expect(adopt(childGraph, child({ ...failed, parent: before({ attempt: 1 }) }), wanted, nowMs).kind).toBe("ended");
  });

  test.each(["failed", "cancelled", "timed_out"] as const)("redrives one that is %s since a former epoch", (status) => {
    const bad = child({ ...failed, status, parent: before({ epoch: 0, attempt: 5 }) });
    const verdict = adopt(childGraph, bad, wanted, nowMs);
    if (verdict.kind !== "write") throw new Error(verdict.kind);
    const again = after(bad, verdict.transition);
    expect(again).toMatchObject({ status: "running", epoch: 1, parent: link });
    expect(again.steps).toEqual([undefined, failed.steps[1]]);
  });

  test("does so a bounded number of times", () => {
    const bad = child({ ...failed, epoch: limits.redrives, parent: { ...link, epoch: 0 } });
    expect(adopt(childGraph, bad, wanted, nowMs).kind).toBe("exhausted");
  });

  test("refuses one of another workflow or input, and one that no step has started", () => {
    expect(adopt(childGraph, child({ workflow: "third" }), wanted, nowMs).kind).toBe("conflict");
    expect(adopt(childGraph, child({ inputHash: "else" }), wanted, nowMs).kind).toBe("conflict");
    const { parent: _parent, ...orphan } = child();
    expect(adopt(childGraph, orphan, wanted, nowMs).kind).toBe("conflict");
  });
});

describe("the end of a child", () => {
  const over = child({ status: "cancelled", endedAtMs: nowMs });

  test("is told to the step's task queue, and counts in the epoch that it was started in", () => {
    const [notice, ...others] = dueAtEnd(childGraph, over, nowMs);
    expect(others).toEqual([]);
    expect(notice).toMatchObject({
      taskQueue: "heavy",
      delayMs: 0,
      message: { kind: "childEnded", runId: "run", workflow: "sample", step: 0, epoch: 1 },
    });
    const steps = [waiting];
    expect(isAwaited(graph, runOf({ epoch: 1, steps }), 0, over)).toBe(true);
    expect(isAwaited(graph, runOf({ epoch: 1, steps: [{ ...waiting, attempt: 3 }] }), 0, over)).toBe(false);
    expect(isAwaited(graph, runOf({ epoch: 0, steps }), 0, over)).toBe(false);
    expect(isAwaited(graph, runOf({ epoch: 2, steps }), 0, over)).toBe(false);
    expect(isAwaited(graph, runOf({ epoch: 1, steps }), 0, child())).toBe(false);
    expect(isAwaited(graph, runOf({ epoch: 1 }), 0, over)).toBe(false);
  });

  test("is that of whatever attempt waits, in a run that unwinds: no other one will link itself to it", () => {
    const unwinding = runOf({ epoch: 2, status: "unwinding", steps: [{ ...waiting, attempt: 7 }] });
    expect(isAwaited(graph, unwinding, 0, over)).toBe(true);
    expect(isAwaited(graph, unwinding, 0, child())).toBe(false);
    expect(isAwaited(leaving, unwinding, 0, over)).toBe(false);
    expect(isAwaited(graph, { ...unwinding, steps: [running()] }, 0, over)).toBe(false);
  });

  test("is told by nobody while it is open, and by no run without a parent", () => {
    expect(dueAtEnd(childGraph, child(), nowMs)).toEqual([]);
    expect(dueAtEnd(childGraph, runOf({ status: "failed", endedAtMs: nowMs }), nowMs)).toEqual([]);
  });

  test("is looked for by nudges, not by the commit that begins the wait", () => {
    const run = runOf({ steps: [waiting, running()] });
    const kinds = due(graph, run, nowMs).map(({ message }) => message.kind);
    expect(kinds).toEqual(["childEnded", "step"]);
    expect(dueBecauseOf(graph, run, 0, nowMs)).toEqual([]);
  });
});

describe("the end of a parent", () => {
  const ends = (run: RunState, of = graph): string[] => dueAtEnd(of, run, nowMs).map(({ message }) => message.kind);

  test("ends the child when it is unwinding or ended without success", () => {
    const steps = [waiting, running()];
    expect(ends(runOf({ status: "unwinding", steps }))).toEqual(["endChild"]);
    for (const status of ["failed", "cancelled", "timed_out"] as const) {
      expect(ends(stored(runOf({ status, endedAtMs: nowMs, steps })))).toEqual(["endChild"]);
      expect(ends(stored(runOf({ status, endedAtMs: nowMs, steps })), leaving)).toEqual([]);
    }
    expect(ends(runOf({ steps }))).toEqual([]);
    expect(
      ends(runOf({ status: "succeeded", endedAtMs: nowMs, steps: [ended("failed"), ended("succeeded")] })),
    ).toEqual([]);
  });

  test("ends children of former epochs, too, but not those whose success it has", () => {
    const over = { status: "cancelled", endedAtMs: nowMs } as const;
    expect(ends(runOf({ ...over, steps: [] }))).toEqual([]);
    expect(ends(runOf({ ...over, epoch: 1, steps: [] }))).toEqual(["endChild"]);
    expect(ends(runOf({ ...over, steps: [ended("succeeded")] }))).toEqual([]);
    expect(ends(runOf({ ...over, steps: [ended("failed")] }))).toEqual(["endChild"]);
    // Ended by hand, perhaps before its child was.
    expect(ends(runOf({ ...over, steps: [ended("skipped")], byHand: ["h"] }))).toEqual(["endChild"]);
    expect(ends(runOf({ ...over, steps: [ended("skipped")] }))).toEqual([]);
  });

  test("cancels the child, unless a newer epoch has taken it over, also in between", () => {
    const [step] = graph.steps;
    const [left] = leaving.steps;
    const over = runOf({ status: "cancelled", endedAtMs: nowMs, epoch: 1 });
    const open = child();
    const ofOther = (run: RunState): { graph: Graph; run: RunState } => ({ graph: childGraph, run });
    const transition = endWithParent(step, over, ofOther(open), nowMs);
    if (transition === undefined) throw new Error("not ended");
    expect(after(open, transition).status).toBe("cancelled");
    expect(applyTransition(transition, encodeRun({ ...open, parent: { ...link, epoch: 2 } }))).toBeUndefined();
    expect(endWithParent(step, over, ofOther(child({ parent: { ...link, epoch: 2 } })), nowMs)).toBeUndefined();
    expect(endWithParent(left, over, ofOther(open), nowMs)).toBeUndefined();
    expect(endWithParent(step, { ...over, status: "running" }, ofOther(open), nowMs)).toBeUndefined();
    expect(endWithParent(step, { ...over, status: "succeeded" }, ofOther(open), nowMs)).toBeUndefined();
    expect(endWithParent(step, over, ofOther(child({ status: "failed", endedAtMs: nowMs })), nowMs)).toBeUndefined();
  });

  test("does not take the end of one that is left alone any more when it unwinds", () => {
    const end = { kind: "succeeded", output: { json: "1" } } as const;
    const unwinding = runOf({ status: "unwinding", steps: [waiting, running()] });
    expect(endFromOutside(graph, unwinding, 0, 2, end, nowMs)?.steps[0]?.status).toBe("succeeded");
    expect(endFromOutside(leaving, unwinding, 0, 2, end, nowMs)).toBeUndefined();
    expect(endFromOutside(leaving, { ...unwinding, status: "running" }, 0, 2, end, nowMs)).toBeDefined();
  });

  test("waits for it while it unwinds", () => {
    const unwinding = runOf({ status: "unwinding", steps: [waiting, ended("failed")] });
    expect(settle(graph, unwinding, nowMs)).toBe(unwinding);
    expect(settle(leaving, unwinding, nowMs).status).toBe("failed");
  });
});
