// Hunts: a report that is delivered before it is there, asked for twice, or never missed; in virtual time.
import { readFileSync } from "node:fs";
import { afterEach, describe, expect, test } from "vitest";
import { report, warehouse } from "../../examples/report.ts";
import type { InputOf } from "../../lib/index.ts";
import { type Harness, harness, statuses, virtualClock } from "../behaviour/harness.ts";

type Request = InputOf<typeof report>;

const systemNow = warehouse.now;
afterEach(() => {
  warehouse.now = systemNow;
});

function demo(change: Partial<Request> = {}): Request {
  const url = new URL("../../examples/report.json", import.meta.url);
  return { ...(JSON.parse(readFileSync(url, "utf8")) as Request), ...change };
}

async function night(): Promise<Harness> {
  const clock = virtualClock(Date.parse("2026-11-21T02:00:00Z"));
  warehouse.now = () => clock.now();
  return harness([report], { clock });
}

const to = "finance@example.com, board@example.com";

describe("the nightly report", () => {
  test("is looked after until it is there, then delivered with all of its rows", async () => {
    const { run, pass, show } = await night();
    const { runId } = await run(report, demo(), 11_999);
    expect(statuses(await show(runId))).toEqual({
      submit: "succeeded",
      job: "backing_off",
      totals: "pending",
      deliver: "pending",
    });
    await pass(10_000);
    const ended = await show(runId);
    const byRegion = { emea: 1_200, apac: 1_200, latam: 1_200, "north-america": 1_200 };
    expect(ended).toMatchObject({
      status: "succeeded",
      output: { to, subject: "revenue of 2026-11-20", rows: 4_800, byRegion },
    });
    expect(ended.steps.job).toMatchObject({ attempt: 4, output: { state: "done", progress: 1 } });
  });

  test("that takes hours costs few looks, and one that never comes is reported as missing", async () => {
    const { run } = await night();
    const slow = await run(report, demo({ jobSeconds: 5 * 3_600 }), 6 * 3_600_000);
    expect(slow).toMatchObject({ status: "succeeded", output: { rows: 4_800 } });
    expect(slow.steps.job?.attempt).toBeLessThan(75);
    const lost = await run(report, demo({ jobSeconds: 86_400 }), 7 * 3_600_000);
    expect(lost.steps.job).toMatchObject({ status: "failed", error: { name: "PollExhausted" } });
    expect(lost).toMatchObject({ status: "succeeded", output: { to, subject: "revenue of 2026-11-20 is missing" } });
  });

  test("that the warehouse rejects is missing at once, with the reason", async () => {
    const { run } = await night();
    const rejected = await run(report, demo({ day: "2027-01-01" }));
    expect(rejected.steps.job).toMatchObject({ status: "failed", attempt: 1 });
    expect(rejected.output).toMatchObject({
      subject: "revenue of 2027-01-01 is missing",
      why: "The warehouse rejected the job.",
    });
  });

  test("is not asked for with a day that is none, or for nobody", async () => {
    const { engine } = await night();
    for (const wrong of [{ day: "2026-02-30" }, { recipients: [] }, { regions: [] }, { jobSeconds: -1 }]) {
      await expect(engine.start(report, { input: demo(wrong) })).rejects.toMatchObject({ code: "invalid_input" });
    }
  });
});
