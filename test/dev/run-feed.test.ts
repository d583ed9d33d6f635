// Hunts: updates that are lost, swapped or nameless because their run began with a definition that is gone.
import { expect, test } from "vitest";
import { createRunFeed, type NamedUpdate } from "../../lib/dev/run-feed.ts";
import type { RunState } from "../../lib/engine/run-state.ts";
import { type RunUpdate, workflow } from "../../lib/index.ts";
import { UnderWay } from "../../lib/runtime/under-way.ts";

const known = workflow("known", {}, (w) => void w.step("now", { run: () => 1 }));

function update(runId: string, fingerprint: string, change: Partial<RunState> = {}, isNew = false): RunUpdate {
  const after: RunState = {
    runId,
    workflow: "known",
    fingerprint,
    status: "running",
    epoch: 0,
    changes: 1,
    input: { json: "" },
    inputHash: "h",
    steps: [],
    outputs: [],
    signals: [],
    undos: [],
    generations: [],
    tokens: [],
    interrupts: [],
    heartbeats: [],
    createdAtMs: 500,
    ...change,
  };
  return { before: isNew ? undefined : after, after };
}

function feed(loadStepIds: (runId: string) => Promise<readonly string[]>) {
  const delivered: NamedUpdate[] = [];
  const take = createRunFeed({
    workflows: [known],
    loadStepIds,
    startedAtMs: 1_000,
    underWay: new UnderWay(),
    deliver: (named) => void delivered.push(named),
  });
  return { take, delivered };
}

test("updates of known definitions are delivered at once; of others when their names are loaded, in order", async () => {
  const loading = Promise.withResolvers<readonly string[]>();
  const asked: string[] = [];
  const { take, delivered } = feed((runId) => {
    asked.push(runId);
    return loading.promise;
  });
  take(update("old-1", "gone", { changes: 1 }));
  take(update("old-2", "gone", { changes: 2 }));
  take(update("new", known.fingerprint, { changes: 3 }));
  take(update("old-1", "gone", { changes: 4 }));
  expect(delivered.map(({ after }) => after.changes)).toEqual([3]);
  loading.resolve(["then"]);
  await expect.poll(() => delivered.length).toBe(4);
  expect(delivered.map(({ after, stepIds }) => [after.changes, stepIds[0]])).toEqual([
    [3, "now"],
    [1, "then"],
    [2, "then"],
    [4, "then"],
  ]);
  take(update("old-3", "gone", { changes: 5 }));
  expect(delivered.at(-1)?.stepIds).toEqual(["then"]);
  expect(asked).toEqual(["old-1"]);
});

test("names that cannot be loaded hold nothing up", async () => {
  const { take, delivered } = feed(() => Promise.reject(new Error("closed")));
  take(update("old", "gone"));
  await expect.poll(() => delivered.length).toBe(1);
  expect(delivered[0]?.stepIds).toEqual([]);
});

test("that a run goes on is told once, and not of runs that began here", () => {
  const { take, delivered } = feed(async () => []);
  const { fingerprint } = known;
  take(update("earlier", fingerprint));
  take(update("earlier", fingerprint));
  take(update("earlier", fingerprint, { status: "succeeded" }));
  take(update("here", fingerprint, { createdAtMs: 2_000 }, true));
  take(update("here", fingerprint, { createdAtMs: 2_000 }));
  take(update("ends", fingerprint, { status: "cancelled" }));
  expect(delivered.map(({ goesOn }) => goesOn)).toEqual([true, false, false, false, false, true]);
});

test("a run that had ended and is redriven does not go on by itself", () => {
  const { take, delivered } = feed(async () => []);
  const { after: failed } = update("earlier", known.fingerprint, { status: "failed" });
  const redriven: RunState = { ...failed, status: "running", epoch: 1 };
  take({ before: failed, after: redriven });
  take({ before: redriven, after: { ...redriven, steps: [] } });
  expect(delivered.map(({ goesOn }) => goesOn)).toEqual([false, false]);
});

test("how far the undoing is, is told of runs whose definition is known", async () => {
  const undoable = workflow("undoable", {}, (w) => {
    const one = w.step("one", { run: () => 1, compensate: () => 1 });
    w.step("two", { after: [one], run: () => 1 });
  });
  const delivered: NamedUpdate[] = [];
  const take = createRunFeed({
    workflows: [undoable],
    loadStepIds: async () => ["one", "two"],
    startedAtMs: 0,
    underWay: new UnderWay(),
    deliver: (named) => void delivered.push(named),
  });
  const ended = { attempt: 1, startedAtMs: 0, endedAtMs: 1 };
  const steps = [{ ...ended, status: "succeeded" }] as const;
  const failed = { status: "failed", steps, undos: [{ ...ended, status: "failed" }] } as const;
  take(update("runs", undoable.fingerprint, { steps }));
  take(update("unwinds", undoable.fingerprint, { status: "unwinding", steps }));
  take(update("undone", undoable.fingerprint, { status: "failed", steps, undos: steps }));
  take(update("stuck", undoable.fingerprint, failed));
  take(update("old", "gone", failed));
  await expect.poll(() => delivered.length).toBe(5);
  expect(delivered.map(({ compensation }) => compensation)).toEqual([
    undefined,
    "running",
    "complete",
    "incomplete",
    undefined,
  ]);
});

test("steps are delivered with their kinds, where the definition is known", async () => {
  const naps = workflow("naps", {}, (w) => {
    w.sleep("nap", { duration: "1s" });
    w.signal("answer");
  });
  const delivered: NamedUpdate[] = [];
  const take = createRunFeed({
    workflows: [naps],
    loadStepIds: async () => ["then"],
    startedAtMs: 0,
    underWay: new UnderWay(),
    deliver: (named) => void delivered.push(named),
  });
  take(update("r", naps.fingerprint));
  take(update("old", "gone"));
  await expect.poll(() => delivered.length).toBe(2);
  expect(delivered.map(({ stepKinds }) => stepKinds)).toEqual([["sleep", "signal"], []]);
});
