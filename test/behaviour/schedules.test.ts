// Hunts: a schedule that starts a run twice, at the wrong time, with another input, or not at all.
import { describe, expect, test } from "vitest";
import * as z from "zod";
import { startSchedules } from "../../lib/embedded/schedules.ts";
import { type Workflow, workflow } from "../../lib/index.ts";
import { PawlError } from "../../lib/runtime/errors.ts";
import { VirtualClock } from "../../lib/testing/virtual-clock.ts";
import { harness, type LogLine, recordingLogger, temporaryFolder, virtualClock } from "./harness.ts";

const minute = 60_000;
const hour = 60 * minute;
const start = Date.UTC(2026, 10, 20, 22, 0);

/** Every day at 6 in Berlin, which is 5 in UTC in November. */
function report(seen: unknown[] = []): Workflow {
  const options = {
    input: z.object({ days: z.number().default(7) }),
    schedule: { cron: "0 6 * * *", timezone: "Europe/Berlin", input: {} },
  } as const;
  return workflow("report", options, (w) => w.step("count", { run: ({ input }) => void seen.push(input.days) }));
}

const dayOf = (events: readonly { readonly runId: string; readonly previous?: string }[]): string[] =>
  events.filter(({ previous }) => previous === undefined).map(({ runId }) => runId);

describe("a scheduled workflow", () => {
  test("starts a run at each of its times, named after it, with the schedule's input as its schema makes it", async () => {
    const seen: unknown[] = [];
    const { pass, events, show } = await harness([report(seen)], { clock: virtualClock(start) });
    await pass(7 * hour - 1);
    expect(events).toEqual([]);
    await pass(1);
    expect(dayOf(events)).toEqual(["report-2026-11-21T05:00:00Z"]);
    await pass(48 * hour);
    expect(dayOf(events)).toEqual(["21", "22", "23"].map((day) => `report-2026-11-${day}T05:00:00Z`));
    expect(seen).toEqual([7, 7, 7]);
    expect(await show("report-2026-11-21T05:00:00Z")).toMatchObject({
      status: "succeeded",
      input: { days: 7 },
      createdAt: "2026-11-21T05:00:00.000Z",
    });
  });

  test("starts none for times at which no engine was up, and none twice after a restart", async () => {
    const dataDir = await temporaryFolder();
    const clock = virtualClock(start);
    const first = await harness([report()], { dataDir, clock });
    await first.pass(8 * hour);
    await first.engine.stop();
    expect(dayOf(first.events)).toHaveLength(1);
    await clock.advance(48 * hour);
    const second = await harness([report()], { dataDir, clock });
    await second.pass(23 * hour);
    expect(dayOf(second.events)).toEqual(["report-2026-11-24T05:00:00Z"]);
  });

  test("starts one run although several fire at the same time, or its caller did", async () => {
    const clock = virtualClock(start);
    const { pass, engine, events } = await harness([report()], { clock });
    await engine.commands.start("report", { runId: "report-2026-11-21T05:00:00Z", input: {} });
    await pass(8 * hour);
    expect(dayOf(events)).toEqual(["report-2026-11-21T05:00:00Z"]);
  });

  test("starts nothing after the engine was stopped", async () => {
    const { engine, clock, events } = await harness([report()], { clock: virtualClock(start) });
    await engine.stop();
    expect(clock.nextTimerAtMs()).toBeUndefined();
    await clock.advance(24 * hour);
    expect(events).toEqual([]);
  });

  test("that only comes along as a child is started by its parent alone", async () => {
    const parent = workflow("parent", {}, (w) => void w.child("sub", { workflow: report(), input: () => ({}) }));
    const { clock, events } = await harness([parent], { clock: virtualClock(start) });
    await clock.advance(24 * hour);
    expect(events).toEqual([]);
  });

  test("by interval comes at whole multiples of it", async () => {
    const often = workflow("often", { schedule: { every: "15m" } }, (w) => void w.step("a", { run: () => undefined }));
    const { pass, events } = await harness([often], { clock: virtualClock(start + 7 * minute) });
    await pass(30 * minute);
    expect(dayOf(events)).toEqual(["often-2026-11-20T22:15:00Z", "often-2026-11-20T22:30:00Z"]);
  });

  test("tells when a run cannot be started: its time was given to another start", async () => {
    const { pass, engine, logs } = await harness([report()], { clock: virtualClock(start) });
    await engine.commands.start("report", { runId: "report-2026-11-21T05:00:00Z", input: { days: 1 } });
    await pass(8 * hour);
    expect(logs.filter(({ level }) => level === "error")).toMatchObject([
      { message: "A scheduled run could not be started", fields: { runId: "report-2026-11-21T05:00:00Z" } },
    ]);
  });
});

describe("a schedule whose start fails", () => {
  async function fired(failures: number, error: Error) {
    const clock = new VirtualClock(start);
    const logs: LogLine[] = [];
    const asked: (string | undefined)[] = [];
    let left = failures;
    const stop = startSchedules({
      workflows: [report()],
      commands: {
        start: async (_workflow, request) => {
          asked.push(request?.runId);
          if (left-- > 0) throw error;
          return { runId: "", status: "running", created: true };
        },
      },
      clock,
      logger: recordingLogger(logs),
    });
    await clock.advance(7 * hour);
    return { clock, logs, asked, stop };
  }

  test("is tried again until the storage answers, with the same id", async () => {
    const { clock, asked, logs } = await fired(3, new Error("disk full"));
    await clock.advance(minute);
    expect(asked).toEqual(Array.from({ length: 4 }, () => "report-2026-11-21T05:00:00Z"));
    expect(logs).toHaveLength(3);
    await clock.advance(24 * hour);
    expect(asked.slice(4)).toEqual(["report-2026-11-22T05:00:00Z"]);
  });

  test("gives way to the next time", async () => {
    const { clock, asked, stop } = await fired(Infinity, new PawlError("unavailable", "busy"));
    await clock.advance(24 * hour);
    await clock.advance(minute);
    expect(asked.slice(-6)).toEqual(Array.from({ length: 6 }, () => "report-2026-11-22T05:00:00Z"));
    await stop();
    expect(clock.nextTimerAtMs()).toBeUndefined();
  });

  test("is not tried again when that would change nothing", async () => {
    const { clock, asked } = await fired(1, new PawlError("invalid_input", "no"));
    await clock.advance(hour);
    expect(asked).toHaveLength(1);
  });
});
