// Hunts: a status change without an event, with two, or with the id of another one (R9).
import { describe, expect, test } from "vitest";
import { decodeRun, encodeRun } from "../../lib/engine/codec.ts";
import { commit } from "../../lib/engine/commit.ts";
import { lifecycleEvent } from "../../lib/engine/lifecycle.ts";
import { cancel, type OperateVerdict, pause, resume } from "../../lib/engine/operate.ts";
import type { RunState } from "../../lib/engine/run-state.ts";
import { create } from "../../lib/engine/start.ts";
import { applyTransition, type Fields } from "../../lib/engine/transition.ts";
import { applied, graphOf, nowMs, running, runOf } from "./sample-run.ts";

const graph = graphOf([{}]);
const write = (fields: Fields, verdict: OperateVerdict): Fields => {
  if (verdict.kind !== "write") throw new Error(verdict.kind);
  return applied(fields, verdict.transition);
};
const read = (fields: Fields): RunState => decodeRun("run", fields);

test("each status change of a run has an event with an id of its own, which every look at it gives again", () => {
  const reason = { code: "requested", message: "" } as const;
  const started = applyTransition(create(runOf()), undefined)!;
  const paused = write(started, pause(read(started), reason));
  const resumed = write(paused, resume(graph, read(paused), nowMs));
  const pausedAgain = write(resumed, pause(read(resumed), reason));
  const cancelled = write(pausedAgain, cancel(graph, read(pausedAgain), nowMs));
  const states = [undefined, started, paused, resumed, pausedAgain, cancelled];
  const events = states.slice(1).map((after, index) => lifecycleEvent("run", states[index], after!));
  expect(events).toEqual([
    { id: "run:1", runId: "run", workflow: "sample", status: "running" },
    { id: "run:2", runId: "run", workflow: "sample", status: "paused", previous: "running" },
    { id: "run:3", runId: "run", workflow: "sample", status: "running", previous: "paused" },
    { id: "run:4", runId: "run", workflow: "sample", status: "paused", previous: "running" },
    { id: "run:5", runId: "run", workflow: "sample", status: "cancelled", previous: "paused" },
  ]);
  expect(lifecycleEvent("run", pausedAgain, cancelled)).toEqual(events[4]);
});

describe("changes that are none of the status", () => {
  test("have no event", () => {
    const before = encodeRun(runOf({ steps: [running()] }));
    const verdict = commit(
      graphOf([{}, {}]),
      read(before),
      { track: "step" as const, step: 0, attempt: 1, owner: "me" },
      { kind: "skipped" },
      nowMs,
    );
    if (verdict.kind !== "write") throw new Error(verdict.kind);
    expect(lifecycleEvent("run", before, applied(before, verdict.transition))).toBeUndefined();
    expect(lifecycleEvent("run", before, before)).toBeUndefined();
  });
});
