// Hunts: a newcomer who is nagged, forgotten, or let in without an identity check; in virtual time.
import { readFileSync } from "node:fs";
import { beforeEach, describe, expect, test } from "vitest";
import { onboarding, world } from "../../examples/onboarding.ts";
import type { InputOf } from "../../lib/index.ts";
import { type Harness, harness, statuses, virtualClock } from "../behaviour/harness.ts";

type Newcomer = InputOf<typeof onboarding>;

const day = 86_400_000;
const checks: string[] = [];
const reminder = "ines.albrecht@company.example: We still miss your documents";
const matching = { reference: "ID-77", matches: true };

beforeEach(() => {
  world.sent.length = 0;
  checks.length = 0;
  world.receive = async ({ token }) => void checks.push(token);
});

function demo(change: Partial<Newcomer> = {}): Newcomer {
  const url = new URL("../../examples/onboarding.json", import.meta.url);
  return { ...(JSON.parse(readFileSync(url, "utf8")) as Newcomer), ...change };
}

async function november(): Promise<Harness> {
  const clock = virtualClock(Date.parse("2026-11-02T09:00:00Z"));
  world.now = () => clock.now();
  return harness([onboarding], { clock });
}

describe("a newcomer", () => {
  test("who uploads at once is checked, let in, and welcomed on the first day", async () => {
    const { run, engine, pass, show } = await november();
    const { runId, steps } = await run(onboarding, demo());
    expect(steps.identity).toMatchObject({ status: "waiting", waitsFor: "callback" });
    await engine.commands.callbacks.succeed(checks[0] ?? "", matching);
    await pass(0);
    expect((await show(runId)).steps["first-day"]).toMatchObject({ waitsUntil: "2027-01-04T07:00:00.000Z" });
    await pass(64 * day);
    expect(await show(runId)).toMatchObject({
      status: "succeeded",
      output: { employeeId: "E-2041", hired: true, login: "ines.albrecht", reminders: 0 },
    });
    expect(world.sent).toEqual([
      "ines.albrecht@company.example: Welcome! Please upload your documents",
      "ines.albrecht@company.example: Your team Payments awaits you at nine",
    ]);
  });

  test("is reminded every three days, until the documents are there", async () => {
    const { run, pass, show } = await november();
    const { runId } = await run(onboarding, demo({ uploadsAfterHours: 24 * 7 }), 2.9 * day);
    const reminders = (): number => world.sent.filter((text) => text === reminder).length;
    expect(reminders()).toBe(0);
    await pass(0.2 * day);
    expect(reminders()).toBe(1);
    await pass(3 * day);
    expect(reminders()).toBe(2);
    await pass(3 * day);
    expect(reminders()).toBe(2);
    const { steps } = await show(runId);
    expect(steps.documents).toMatchObject({ status: "succeeded", attempt: 8, output: { reminders: 2 } });
    expect(checks).not.toEqual([]);
  });

  test("who never uploads is given up after three weeks, and somebody is told", async () => {
    const { uploadsAfterHours: _never, ...silent } = demo();
    const { run } = await november();
    const ended = await run(onboarding, silent, 22 * day);
    expect(ended).toMatchObject({
      status: "succeeded",
      output: { employeeId: "E-2041", hired: false, why: "PollExhausted", subject: "E-2041 is stuck" },
    });
    expect(statuses(ended)).toMatchObject({ documents: "failed", identity: "failed", welcome: "failed" });
    expect(checks).toEqual([]);
  });

  test("whose identity does not match gets no account", async () => {
    const { run, engine, pass, show } = await november();
    const { runId } = await run(onboarding, demo());
    await engine.commands.callbacks.succeed(checks[0] ?? "", { ...matching, matches: false });
    await pass(0);
    expect(await show(runId)).toMatchObject({
      status: "succeeded",
      output: { hired: false, why: "FatalError" },
      steps: { identity: { status: "succeeded" }, account: { status: "failed" }, "first-day": { status: "failed" } },
    });
  });
});

describe("an identity service", () => {
  test("that falls silent is asked once more, and its late answer to the first request counts no more", async () => {
    const { run, engine, pass, show } = await november();
    const { runId } = await run(onboarding, demo());
    const { heartbeat, succeed } = engine.commands.callbacks;
    for (let beats = 0; beats < 4; beats++) {
      await pass(20 * 3_600_000);
      await heartbeat(checks[0] ?? "");
    }
    await pass(2 * day);
    expect(checks).toHaveLength(2);
    await expect(succeed(checks[0] ?? "", matching)).rejects.toMatchObject({ code: "callback_not_found" });
    await succeed(checks[1] ?? "", matching);
    await pass(0);
    expect((await show(runId)).steps.identity).toMatchObject({ status: "succeeded", attempt: 2 });
  });

  test("that never answers leaves the newcomer outside", async () => {
    const { run } = await november();
    const ended = await run(onboarding, demo(), 4 * day);
    expect(ended).toMatchObject({ status: "succeeded", output: { hired: false, why: "HeartbeatTimeout" } });
    expect(checks).toHaveLength(2);
  });
});
