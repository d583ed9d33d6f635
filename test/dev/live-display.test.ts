// Hunts: colours where none are wanted, a torn terminal, a display that keeps drawing, or lines that it swallows.
import { Writable } from "node:stream";
import { stripVTControlCharacters } from "node:util";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { createDisplay } from "../../lib/dev/display.ts";
import type { NamedUpdate } from "../../lib/dev/run-feed.ts";
import type { RunState, StepState } from "../../lib/engine/run-state.ts";

beforeEach(() => void vi.useFakeTimers({ now: Date.parse("2026-11-21T12:00:00Z") }));
afterEach(() => void vi.useRealTimers());

class Terminal extends Writable {
  readonly isTTY = true;
  readonly columns = 100;
  readonly rows = 24;
  written = "";

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.written += chunk.toString();
    done();
  }

  get text(): string {
    return stripVTControlCharacters(this.written);
  }
}

const asStream = (terminal: Terminal): NodeJS.WriteStream => terminal as unknown as NodeJS.WriteStream;

function update(
  status: RunState["status"],
  step: StepState | undefined,
  change: Partial<NamedUpdate> = {},
): NamedUpdate {
  const nowMs = Date.now();
  const after: RunState = {
    runId: "r-1",
    workflow: "order",
    fingerprint: "f",
    status,
    epoch: 0,
    changes: 1,
    input: { json: "" },
    inputHash: "h",
    steps: [step],
    outputs: [],
    signals: [],
    undos: [],
    generations: [],
    createdAtMs: nowMs,
    ...(status === "succeeded" ? { endedAtMs: nowMs } : {}),
  };
  return { before: after, after, stepIds: ["charge"], stepKinds: ["step"], goesOn: false, ...change };
}

const running = (): StepState => {
  const nowMs = Date.now();
  return { status: "running", attempt: 1, owner: "o", leaseUntilMs: nowMs, startedAtMs: nowMs };
};
const succeeded: StepState = { status: "succeeded", attempt: 1, startedAtMs: 0, endedAtMs: 400 };

test.each([{ NO_COLOR: "1" }, { CI: "true" }, { TERM: "dumb" }])("%o: plain lines, also on a terminal", (env) => {
  const terminal = new Terminal();
  const display = createDisplay(asStream(terminal), env);
  display.update(update("running", running(), { before: undefined }));
  display.log({ level: "warn", message: "careful", fields: { runId: "r-1", workflow: "order", step: "charge" } });
  display.close();
  expect(terminal.written).toBe(terminal.text);
  expect(terminal.written).toMatch(/order r-1 charge: running, attempt 1\n.* order r-1 charge: warn: careful\n/);
});

test("runs are drawn in place, log lines and ended runs scroll by above, and then nothing is drawn", () => {
  const terminal = new Terminal();
  const display = createDisplay(asStream(terminal), {});
  display.print("Pawl serves");
  display.update(update("running", running(), { goesOn: true }));
  vi.advanceTimersByTime(1_000);
  expect(terminal.text).toMatch(/Pawl serves\n[^]*order r-1 goes on from an earlier start[^]*● charge {2}running/);
  const error = { name: "Error", message: "busy" };
  display.log({ level: "info", message: "attempt failed", fields: { runId: "r-1", step: "charge", error } });
  display.update(update("running", { status: "backing_off", attempt: 1, wakeAtMs: Date.now() + 2_000 }));
  vi.advanceTimersByTime(1_000);
  expect(terminal.text).toMatch(/charge attempt failed {2}Error: busy[^]*next in 1\.\ds {2}Error: busy/);
  console.log("from a step: %d", 42);
  display.update(update("succeeded", succeeded));
  vi.advanceTimersByTime(100);
  expect(terminal.text).toMatch(/from a step: 42\n✓ order r-1 succeeded after 0\.0s\n {2}✓ charge {2}succeeded/);
  const length = terminal.written.length;
  vi.advanceTimersByTime(3_600_000);
  expect(terminal.written.length).toBe(length);
  expect(vi.getTimerCount()).toBe(0);
  display.close();
});

test("undoing is drawn as it goes on, with its own errors and none of the step's", () => {
  const terminal = new Terminal();
  const display = createDisplay(asStream(terminal), {});
  const ids = { stepIds: ["ship", "charge"], stepKinds: ["step", "step"] } as const;
  const failed: StepState = { ...succeeded, status: "failed" };
  const unwinding = (undo: StepState | undefined): NamedUpdate => {
    const { after } = update("unwinding", undefined);
    const run: RunState = { ...after, steps: [failed, succeeded], undos: undo === undefined ? [] : [undefined, undo] };
    return update("unwinding", undefined, { ...ids, after: run, compensation: "running" });
  };
  const log = (step: string, message: string): void => {
    const error = { name: "Error", message };
    display.log({ level: "info", message: "attempt failed", fields: { runId: "r-1", step, error } });
  };
  const drawn = (id: string): string | undefined =>
    terminal.text.split("\n").findLast((line) => line.includes(` ${id}  `));
  display.update(update("running", failed, ids));
  log("ship", "no such address");
  log("charge", "charging fails");
  display.update({ ...unwinding(running()), before: unwinding(undefined).after });
  vi.advanceTimersByTime(200);
  expect(drawn("ship")).toMatch(/✗ ship {4}failed {6}attempt 1 {2}0\.4s {2}Error: no such address$/);
  expect(drawn("charge")).toMatch(/↶ charge {2}undoing {5}attempt 1 {2}0\.\ds$/);
  log("charge", "refund fails");
  display.update({
    ...unwinding({ status: "backing_off", attempt: 1, wakeAtMs: Date.now() + 9_000 }),
    before: unwinding(running()).after,
  });
  vi.advanceTimersByTime(1_000);
  expect(drawn("charge")).toMatch(/↻ charge {2}undoing {5}attempt 1 {2}next in 8\.[12]s {2}Error: refund fails$/);
  display.close();
});

test("a run that only waits is not drawn again, and says since when and until when", () => {
  const terminal = new Terminal();
  const display = createDisplay(asStream(terminal), {});
  const nowMs = Date.now();
  const waiting: StepState = { status: "waiting", attempt: 1, sinceMs: nowMs, wakeAtMs: nowMs + 3_600_000 };
  display.update(update("running", waiting, { stepIds: ["approval"], stepKinds: ["signal"] }));
  vi.advanceTimersByTime(100);
  expect(terminal.text).toMatch(
    /● order r-1 running since \d\d:00:00\n {2}◷ approval {2}waiting {5}since \d\d:00:00 for signal approval, until \d\d:00:00\n/,
  );
  const length = terminal.written.length;
  vi.advanceTimersByTime(3_600_000);
  expect(terminal.written.length).toBe(length);
  expect(vi.getTimerCount()).toBe(0);
  display.close();
});

test("closing shows what is still to be shown, and gives the console back", () => {
  const terminal = new Terminal();
  const { log } = console;
  const display = createDisplay(asStream(terminal), {});
  expect(console.log).not.toBe(log);
  display.print("last words");
  display.close();
  expect(terminal.text).toContain("last words\n");
  expect(console.log).toBe(log);
  expect(vi.getTimerCount()).toBe(0);
});

test("a flood of lines and of ended runs is bounded, and what is left out is counted", () => {
  const terminal = new Terminal();
  const display = createDisplay(asStream(terminal), {});
  for (let at = 0; at < 5_000; at++) {
    display.print(`line ${at}`);
    display.update(update("succeeded", succeeded));
  }
  vi.advanceTimersByTime(200);
  display.close();
  expect(terminal.text.split("\n").length).toBeLessThan(120);
  expect(terminal.text).toContain("… and 9900 more lines and ended runs");
});
