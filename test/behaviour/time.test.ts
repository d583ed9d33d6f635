// Hunts: steps that begin at the wrong time, hold others up, or hang on a clock that was wrong.
import { describe, expect, test } from "vitest";
import * as z from "zod";
import { workflow } from "../../lib/index.ts";
import { VirtualClock } from "../../lib/testing/virtual-clock.ts";
import { harness, statuses, temporaryFolder } from "./harness.ts";

const day = 86_400_000;

test("delay counts from the moment at which the step is ready", async () => {
  const at: Record<string, number> = {};
  const later = workflow("later", {}, (w) => {
    const first = w.step("first", { delay: "10s", run: () => void (at.first = clock.now()) });
    return w.step("second", { after: [first], delay: "3d", run: () => void (at.second = clock.now()) });
  });
  const h = await harness([later]);
  const { clock } = h;
  const begun = clock.now();
  const { runId } = await h.run(later, undefined, 9_999);
  expect(at).toEqual({});
  await h.pass(3 * day + 1);
  expect(at).toEqual({ first: begun + 10_000, second: begun + 10_000 + 3 * day });
  expect((await h.show(runId)).status).toBe("succeeded");
});

describe("startAt", () => {
  const input = z.object({ at: z.string() });
  const scheduled = workflow("scheduled", { input }, (w) =>
    w.step("go", { startAt: ({ input }) => input.at, run: () => "went" }),
  );

  test("computed from the input, days ahead; the step waits without using an attempt", async () => {
    const { run, pass, show, clock } = await harness([scheduled]);
    const at = new Date(clock.now() + 30 * day).toISOString();
    const waiting = await run(scheduled, { at }, 30 * day - 1);
    expect(waiting.steps.go).toMatchObject({ status: "backing_off", attempt: 0, nextAttemptAt: at });
    await pass(1);
    expect(await show(waiting.runId)).toMatchObject({
      status: "succeeded",
      steps: { go: { attempt: 1, startedAt: at } },
    });
  });

  test("in the past is now", async () => {
    const fixed = workflow("fixed", {}, (w) => w.step("go", { startAt: "2001-01-01T00:00:00Z", run: () => 1 }));
    const { run } = await harness([scheduled, fixed]);
    expect((await run(scheduled, { at: "1999-12-31" })).status).toBe("succeeded");
    expect((await run(fixed, undefined)).status).toBe("succeeded");
  });

  test("that is no time, or too far ahead, fails the step with what is allowed", async () => {
    const { run } = await harness([scheduled]);
    const odd = await run(scheduled, { at: "tomorrow" });
    expect(odd.error?.message).toContain('startAt returned "tomorrow"; allowed is a Date, or ISO 8601 text');
    const far = await run(scheduled, { at: "2090-01-01T00:00:00Z" });
    expect(far.error?.message).toContain("at most 366 days ahead are allowed");
  });

  test("of a run delays its first steps", async () => {
    const { engine, clock, pass, show } = await harness([scheduled]);
    const startAt = new Date(clock.now() + day);
    const { runId } = await engine.start(scheduled, { input: { at: "2001-01-01" }, startAt });
    await pass(day - 1);
    expect(statuses(await show(runId))).toEqual({ go: "pending" });
    await pass(1);
    expect((await show(runId)).status).toBe("succeeded");
  });
});

test("a due step starts although another step is still running", async () => {
  const mixed = workflow("mixed", {}, (w) => {
    const long = w.step("long", {
      timeout: "1h",
      run: () =>
        new Promise((resolve) =>
          clock.after(600_000, () => {
            resolve(1);
          }),
        ),
    });
    const due = w.step("due", { delay: "5s", run: () => 2 });
    return w.step("end", { after: [long, due], run: () => 3 });
  });
  const h = await harness([mixed]);
  const { clock } = h;
  const early = await h.run(mixed, undefined, 5_000);
  expect(statuses(early)).toEqual({ long: "running", due: "succeeded", end: "pending" });
  await h.pass(600_000);
  const ended = await h.show(early.runId);
  // Ten minutes are many leases: the attempt stayed its own.
  expect(ended).toMatchObject({ status: "succeeded", steps: { long: { attempt: 1 } } });
});

test("a run that exceeds its timeout ends as timed_out, once, and its late result is refused", async () => {
  const endless = workflow("endless", { timeout: "1m" }, (w) => {
    const slow = w.step("slow", {
      timeout: "1h",
      run: () =>
        new Promise((resolve) =>
          clock.after(61_000, () => {
            resolve("late");
          }),
        ),
    });
    w.step("next", { after: [slow], run: () => 1 });
  });
  const h = await harness([endless]);
  const { clock } = h;
  const { runId } = await h.run(endless, undefined, 10 * 60_000);
  const ended = await h.show(runId);
  expect(ended).toMatchObject({ status: "timed_out", error: { name: "RunTimeout" } });
  expect(statuses(ended)).toEqual({ slow: "cancelled", next: "pending" });
  expect(h.events.map((event) => event.status)).toEqual(["running", "timed_out"]);
});

test("a run timeout counts from startAt and holds while the run is paused", async () => {
  const short = workflow("short", { timeout: "1m" }, (w) => w.step("wait", { delay: "1h", run: () => 1 }));
  const { engine, clock, pass, show } = await harness([short]);
  const { runId } = await engine.start(short, { startAt: new Date(clock.now() + 10_000) });
  await engine.commands.pause(runId);
  await pass(69_999);
  expect((await show(runId)).status).toBe("paused");
  await pass(1);
  expect((await show(runId)).status).toBe("timed_out");
});

test("times from a clock that was years ahead neither hang a run nor make anything immortal", async () => {
  const dataDir = await temporaryFolder();
  let calls = 0;
  const work = workflow("work", { timeout: "1d" }, (w) => {
    const first = w.step("first", {
      retry: { maxAttempts: 2, backoff: { type: "fixed", base: "10s" } },
      run: () => {
        if (++calls === 1) throw new Error("once");
        return 1;
      },
    });
    return w.step("second", { after: [first], delay: "20s", run: () => 2 });
  });
  const ahead = new VirtualClock(Date.UTC(2030, 0, 1), 120);
  const before = await harness([work], { dataDir, clock: ahead });
  const { runId } = await before.run(work, undefined, 0);
  expect(statuses(await before.show(runId)).first).toBe("backing_off");
  const stopped = before.engine.stop({ graceMs: 0 });
  await ahead.advance(1);
  await stopped;

  const after = await harness([work], { dataDir, clock: new VirtualClock(Date.UTC(2026, 0, 1), 120) });
  await after.pass(40_000);
  expect(await after.show(runId)).toMatchObject({ status: "succeeded", steps: { first: { attempt: 2 } } });
});
