// Hunts: an observer of the stream that sees nothing: a change that is left out, or counted twice, must be noticed.
import { expect, test } from "vitest";
import { lifecycleEvent } from "../../lib/engine/lifecycle.ts";
import { isRunId } from "../../lib/engine/record-id.ts";
import type { RecordChange } from "../../lib/testing/simulator/world.ts";
import { seedOf } from "./check-seed.ts";
import { play } from "./playing.ts";
import { seeded } from "./random-workflow.ts";
import { StreamObserver } from "./stream-observer.ts";

async function played(number: number) {
  const { plan, chooser } = seedOf(number);
  const changes: RecordChange[] = [];
  const { seen } = await play(plan, chooser(), { onChange: (change) => void changes.push(change) });
  const isStatusChange = ({ runId, before, after }: RecordChange): boolean =>
    isRunId(runId) && after !== undefined && lifecycleEvent(runId, before, after) !== undefined;
  const watched = (some: readonly RecordChange[]) => (): void => {
    const observer = new StreamObserver(seeded(1));
    for (const change of some) observer.changed(change, seen);
    observer.finish(seen);
  };
  return { changes, watched, isStatusChange };
}

test("the stream as it is agrees with the runs, however it comes", async () => {
  const { changes, watched } = await played(3);
  expect(watched(changes)).not.toThrow();
});

test("a change of a status that is left out is missing in the counts", async () => {
  const { changes, watched, isStatusChange } = await played(3);
  const last = changes.findLastIndex(isStatusChange);
  expect(watched(changes.toSpliced(last, 1))).toThrow(/^R9: the count/);
});

test("a change that the stream tells at two different times is counted twice", async () => {
  const { changes, watched, isStatusChange } = await played(3);
  const last = changes.findLastIndex(isStatusChange);
  const change = changes[last];
  if (change === undefined) throw new Error("nothing has changed");
  const again = { ...change, atMs: change.atMs + 5_000 };
  expect(watched(changes.toSpliced(last + 1, 0, again))).toThrow(/^R9: /);
});
