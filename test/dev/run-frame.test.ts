// Hunts: a live display that overflows the terminal, hides what fails, or shows another state than the run has.
import { stripVTControlCharacters } from "node:util";
import { expect, test } from "vitest";
import { blockOf, frameOf, type Line, renderLine, type ShownRun } from "../../lib/dev/run-frame.ts";
import type { RunState, StepState } from "../../lib/engine/run-state.ts";

const nowMs = Date.parse("2026-11-21T12:00:10Z");

function shownRun(steps: (StepState | undefined)[], change: Partial<RunState> = {}, stepIds?: string[]): ShownRun {
  const run: RunState = {
    runId: "r-1",
    workflow: "order",
    fingerprint: "f",
    status: "running",
    epoch: 0,
    changes: 1,
    input: { json: "" },
    inputHash: "h",
    steps,
    outputs: [],
    signals: [],
    undos: [],
    generations: [],
    createdAtMs: nowMs - 10_000,
    ...change,
  };
  const ids = stepIds ?? steps.map((_step, index) => `step-${index}`);
  return { run, stepIds: ids, stepKinds: ids.map(() => "step"), notes: new Map() };
}

const running: StepState = {
  status: "running",
  attempt: 2,
  owner: "o",
  leaseUntilMs: nowMs,
  startedAtMs: nowMs - 1_500,
};
const succeeded: StepState = { status: "succeeded", attempt: 1, startedAtMs: nowMs - 900, endedAtMs: nowMs - 500 };
const failed: StepState = { ...succeeded, status: "failed", attempt: 3 };
const backingOff: StepState = { status: "backing_off", attempt: 1, wakeAtMs: nowMs + 2_300 };

const text = (lines: readonly Line[], columns = 120): string[] =>
  lines.map((line) => stripVTControlCharacters(renderLine(line, columns)).trimEnd());

test("a run is shown with symbol, id, status, attempt and time of each step, and why one waits", () => {
  const shown = shownRun([succeeded, running, backingOff, { ...succeeded, status: "skipped" }, failed, undefined]);
  const notes = new Map([[2, "Error: busy"]]);
  expect(text(frameOf([{ ...shown, notes }], nowMs, 20))).toEqual([
    "● order r-1 running 10.0s",
    "  ✓ step-0  succeeded   attempt 1  0.4s",
    "  ● step-1  running     attempt 2  1.5s",
    "  ↻ step-2  backing off attempt 1  next in 2.3s  Error: busy",
    "  – step-3  skipped",
    "  ✗ step-4  failed      attempt 3  0.4s",
    "  · step-5  pending",
  ]);
});

test("a step that waits tells since when, for which signal, and until when; of a definition that is gone, what is known", () => {
  const waiting: StepState = { status: "waiting", attempt: 1, sinceMs: nowMs - 5_000 };
  const until: StepState = { ...waiting, wakeAtMs: nowMs + 60_000 };
  const ids = ["approval", "answer", "nap"];
  const shown = shownRun([waiting, until, until], {}, ids);
  const stepKinds = ["signal", "signal", "sleep"] as const;
  const time = /\b\d\d:(\d\d:\d\d)\b/g;
  const lines = (one: ShownRun): string[] => text(frameOf([one], nowMs, 20)).map((line) => line.replaceAll(time, "$1"));
  expect(lines({ ...shown, stepKinds })).toEqual([
    "● order r-1 running since 00:00",
    "  ◷ approval  waiting     since 00:05 for signal approval",
    "  ◷ answer    waiting     since 00:05 for signal answer, until 01:10",
    "  ◷ nap       waiting     since 00:05 until 01:10",
  ]);
  expect(lines({ ...shown, stepKinds: [] }).slice(1)).toEqual([
    "  ◷ approval  waiting     since 00:05 for signal approval",
    "  ◷ answer    waiting     since 00:05 until 01:10",
    "  ◷ nap       waiting     since 00:05 until 01:10",
  ]);
});

test("a step that is undone shows that in place of what it did, and what cannot be undone why", () => {
  const undos = [succeeded, running, backingOff, failed, { ...succeeded, status: "cancelled" } as const];
  const steps = [succeeded, succeeded, succeeded, succeeded, succeeded, succeeded, failed];
  const shown = shownRun(steps, { status: "unwinding", unwindTo: "timed_out", undos });
  const notes = new Map([
    [2, "Error: busy"],
    [3, "Error: closed"],
  ]);
  expect(text(frameOf([{ ...shown, notes }], nowMs, 20))).toEqual([
    "↶ order r-1 unwinding to timed out",
    "  ↶ step-0  undone      attempt 1  0.4s",
    "  ↶ step-1  undoing     attempt 2  1.5s",
    "  ↻ step-2  undoing     attempt 1  next in 2.3s  Error: busy",
    "  ✗ step-3  not undone  attempt 3  0.4s  Error: closed",
    "  ⊘ step-4  not undone  attempt 1  0.4s",
    "  ✓ step-5  succeeded   attempt 1  0.4s",
    "  ✗ step-6  failed      attempt 3  0.4s",
  ]);
  expect(text(frameOf([shown], nowMs, 6)).slice(1)).toEqual([
    expect.stringContaining("step-1  undoing"),
    expect.stringContaining("step-2  undoing"),
    expect.stringContaining("step-3  not undone"),
    expect.stringContaining("step-6  failed"),
    "  … 3 more: 1 undone, 1 not undone, 1 succeeded",
  ]);
});

test("an ended run tells whether everything was undone", () => {
  const error = { name: "FatalError", message: "no luck" };
  const shown = shownRun([failed], { status: "failed", endedAtMs: nowMs, error });
  const first = (one: ShownRun): string | undefined => text(blockOf(one, nowMs, 10))[0];
  expect(first({ ...shown, compensation: "complete" })).toBe(
    "✗ order r-1 failed after 10.0s, everything undone: FatalError: no luck",
  );
  expect(first({ ...shown, compensation: "incomplete" })).toBe(
    "✗ order r-1 failed after 10.0s, not everything undone: FatalError: no luck",
  );
});

test("an ended run tells how and why", () => {
  const error = { name: "FatalError", message: "no\n\u001b[31mluck", step: "step-0" };
  const shown = shownRun([failed], { status: "failed", endedAtMs: nowMs, error });
  expect(text(blockOf(shown, nowMs, 10))[0]).toBe("✗ order r-1 failed after 10.0s: FatalError: no luck (step step-0)");
});

test("a run that begins later, and one that is paused, say so", () => {
  expect(text(frameOf([shownRun([], { startAtMs: nowMs + 60_000 })], nowMs, 5))[0]).toMatch(/begins at \d\d:\d\d:\d\d/);
  const pause = { code: "requested", message: "Paused on request." } as const;
  expect(text(frameOf([shownRun([], { status: "paused", pause })], nowMs, 5))[0]).toBe(
    "‖ order r-1 paused: Paused on request.",
  );
});

test("no frame is higher than the terminal, whatever runs, and what runs or fails is shown first", () => {
  for (const [runs, steps] of [
    [1, 200],
    [3, 15],
    [40, 3],
    [500, 1],
  ] as const) {
    for (const maxLines of [5, 10, 24, 60]) {
      const all = Array.from({ length: runs }, (_, at) =>
        shownRun(
          Array.from({ length: steps }, (_step, index) => (index === steps - 1 ? running : succeeded)),
          { runId: `r-${at}` },
        ),
      );
      const lines = text(frameOf(all, nowMs, maxLines));
      expect(lines.length).toBeLessThanOrEqual(maxLines);
      if (runs === 1) expect(lines.join("\n")).toContain(`step-${steps - 1}`);
      if (runs > maxLines) expect(lines.at(-1)).toMatch(/^… and \d+ more runs$/);
    }
  }
});

test("what is left out of a large run is counted", () => {
  const steps = [...Array.from({ length: 30 }, () => succeeded), running, failed, ...Array.from({ length: 20 })];
  const lines = text(blockOf(shownRun(steps as StepState[]), nowMs, 8));
  expect(lines).toHaveLength(8);
  expect(lines.at(-1)).toBe("  … 46 more: 26 succeeded, 20 pending");
});

test("what waits is shown before what has ended, and after what runs", () => {
  const waiting: StepState = { status: "waiting", attempt: 1, sinceMs: nowMs };
  const steps = [...Array.from({ length: 30 }, () => succeeded), waiting, running];
  const lines = text(blockOf(shownRun(steps), nowMs, 4));
  expect(lines.slice(1)).toEqual([
    expect.stringContaining("step-30"),
    expect.stringContaining("step-31"),
    "  … 30 more: 30 succeeded",
  ]);
});

test("no line is wider than the terminal", () => {
  const shown = shownRun([backingOff], {}, ["a".repeat(64)]);
  const notes = new Map([[0, "Error: ".padEnd(500, "x")]]);
  for (const columns of [20, 40, 80, 200]) {
    for (const line of text(frameOf([{ ...shown, notes }], nowMs, 20), columns)) {
      expect(line.length).toBeLessThanOrEqual(columns);
    }
  }
});

test("a run that waits for its turn says since when", () => {
  const shown = shownRun([undefined], { slot: { status: "wanted", key: "acme", ticket: 3 } });
  const [line] = text(frameOf([shown], nowMs, 20));
  expect(line).toMatch(/^● order r-1 waiting for its turn since \d\d:00:00$/);
});
