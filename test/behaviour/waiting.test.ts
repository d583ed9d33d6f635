// Hunts: signals that are lost, taken twice or after their time, and sleeps that end at another time than asked.
import { describe, expect, test } from "vitest";
import * as z from "zod";
import { limits } from "../../lib/definition/limits.ts";
import { workflow } from "../../lib/index.ts";
import { gate, harness, statuses } from "./harness.ts";

const day = 86_400_000;
const Approval = z.object({ ok: z.boolean(), by: z.string().default("nobody") });

const order = workflow("order", {}, (w) => {
  const prepare = w.step("prepare", { delay: "10s", run: () => "prepared" });
  const approval = w.signal("approval", { after: [prepare], payload: Approval, timeout: "24h", onTimeout: "skip" });
  return w.step("ship", { after: [approval], run: ({ outputs }) => outputs.approval ?? "not asked" });
});

describe("a signal", () => {
  test("ends the wait, and its payload is the step's output", async () => {
    const { run, engine, pass, show } = await harness([order]);
    const waiting = await run(order, undefined, 10_000);
    expect(waiting.steps.approval).toMatchObject({ status: "waiting", attempt: 1 });
    expect(Date.parse(waiting.steps.approval?.waitsUntil ?? "")).toBe(
      Date.parse(waiting.steps.approval?.startedAt ?? "") + day,
    );
    await engine.commands.signal(waiting.runId, "approval", { ok: true, by: "Ada" });
    await pass(0);
    expect(await show(waiting.runId)).toMatchObject({ status: "succeeded", output: { ok: true, by: "Ada" } });
    // The timer that still comes changes nothing.
    await pass(2 * day);
    expect((await show(waiting.runId)).steps.approval?.status).toBe("succeeded");
  });

  test("that comes early is kept until its step begins", async () => {
    const { run, engine, pass, show } = await harness([order]);
    const early = await run(order, undefined, 1_000);
    await engine.commands.signal(early.runId, "approval", { ok: false });
    const before = await show(early.runId);
    expect(statuses(before)).toEqual({ prepare: "pending", approval: "pending", ship: "pending" });
    expect(before.steps.approval?.signalKept).toBe(true);
    await pass(9_000);
    expect((await show(early.runId)).steps.approval).not.toHaveProperty("signalKept");
    expect(await show(early.runId)).toMatchObject({ status: "succeeded", output: { ok: false, by: "nobody" } });
  });

  test("counts once: a second one is refused, whether the first was taken or is still kept", async () => {
    const { run, engine, pass, show } = await harness([order]);
    const { runId } = await run(order, undefined, 1_000);
    await engine.commands.signal(runId, "approval", { ok: true });
    const message = `Signal "approval" of run ${runId} has been sent before. A signal counts once.`;
    await expect(engine.commands.signal(runId, "approval", { ok: false })).rejects.toMatchObject({
      code: "signal_conflict",
      message,
    });
    await pass(9_000);
    expect((await show(runId)).output).toMatchObject({ ok: true });
    await expect(engine.commands.signal(runId, "approval", { ok: false })).rejects.toMatchObject({
      code: "signal_conflict",
    });
  });

  test("is refused with a clear error when it is none, its payload is wrong or too large, or the run has ended", async () => {
    const { run, engine, pass } = await harness([order]);
    const { runId } = await run(order, undefined, 1_000);
    const signal = (name: string, payload: unknown) => engine.commands.signal(runId, name, payload);
    await expect(signal("aproval", { ok: true })).rejects.toMatchObject({
      code: "signal_not_found",
      message: `Run ${runId} of workflow "order" takes no signal "aproval". It takes: approval.`,
    });
    await expect(signal("prepare", { ok: true })).rejects.toMatchObject({ code: "signal_not_found" });
    await expect(signal("approval", { ok: "yes" })).rejects.toMatchObject({
      code: "invalid_payload",
      message: 'The payload of signal "approval" is not valid. ok: Invalid input: expected boolean, received string',
    });
    await expect(signal("approval", { ok: true, by: "x".repeat(limits.payloadBytes) })).rejects.toMatchObject({
      code: "payload_too_large",
    });
    await expect(engine.commands.signal("none", "approval", { ok: true })).rejects.toMatchObject({
      code: "run_not_found",
    });
    await engine.commands.cancel(runId);
    await pass(0);
    await expect(signal("approval", { ok: true })).rejects.toMatchObject({ code: "status_conflict" });
  });

  test("carries a payload of 300 KB, and one of nothing", async () => {
    const bare = workflow("bare", {}, (w) => {
      const go = w.signal("go");
      const text = w.signal("text", { payload: z.string() });
      return w.step("end", { after: [go, text], run: ({ outputs }) => [typeof outputs.go, outputs.text.length] });
    });
    const { run, engine, pass, show } = await harness([bare]);
    const { runId } = await run(bare, undefined);
    await engine.commands.signal(runId, "text", "x".repeat(300 * 1024));
    await engine.commands.signal(runId, "go");
    await pass(0);
    expect(await show(runId)).toMatchObject({ status: "succeeded", output: ["undefined", 300 * 1024] });
    await expect(engine.commands.signal(runId, "go", 1)).rejects.toMatchObject({ code: "invalid_payload" });
  });

  test("reaches a paused run, which goes on with it when it is resumed", async () => {
    const { run, engine, pass, show } = await harness([order]);
    const { runId } = await run(order, undefined, 10_000);
    await engine.commands.pause(runId);
    await engine.commands.signal(runId, "approval", { ok: true });
    await pass(day);
    expect(statuses(await show(runId))).toEqual({ prepare: "succeeded", approval: "succeeded", ship: "pending" });
    await engine.commands.resume(runId);
    await pass(0);
    expect((await show(runId)).status).toBe("succeeded");
  });
});

describe("a signal that does not come in time", () => {
  const timesOut = (onTimeout: "fail" | "skip" | { value: string } | undefined) =>
    workflow("asks", {}, (w) => {
      const answer = w.signal("answer", {
        payload: z.string(),
        timeout: "1h",
        ...(onTimeout === undefined ? {} : { onTimeout }),
      });
      return w.step("end", { after: [answer], run: ({ outputs }) => outputs.answer ?? "none" });
    });

  test.each([
    [
      undefined,
      {
        status: "failed",
        error: { name: "SignalTimeout", message: 'No signal "answer" came within 3600 s.', step: "answer" },
      },
    ],
    ["fail" as const, { status: "failed", steps: { answer: { status: "failed", error: { name: "SignalTimeout" } } } }],
    ["skip" as const, { status: "succeeded", output: "none", steps: { answer: { status: "skipped" } } }],
    [
      { value: "default" },
      { status: "succeeded", output: "default", steps: { answer: { status: "succeeded", output: "default" } } },
    ],
  ])("onTimeout %j", async (onTimeout, expected) => {
    const asks = timesOut(onTimeout);
    const { run, pass, show, engine } = await harness([asks]);
    const { runId } = await run(asks, undefined, 3_599_999);
    expect((await show(runId)).steps.answer?.status).toBe("waiting");
    await pass(1);
    expect(await show(runId)).toMatchObject(expected);
    await expect(engine.commands.signal(runId, "answer", "late")).rejects.toMatchObject({ code: /_conflict$/ });
  });

  test("its timeout holds while the run is paused, and takes effect on resume", async () => {
    const asks = timesOut("skip");
    const { run, engine, pass, show } = await harness([asks]);
    const { runId } = await run(asks, undefined, 1_000);
    await engine.commands.pause(runId);
    await pass(2 * 3_600_000);
    expect((await show(runId)).steps.answer?.status).toBe("waiting");
    await engine.commands.resume(runId);
    await pass(0);
    expect(await show(runId)).toMatchObject({ status: "succeeded", output: "none" });
  });
});

test("a run that fails elsewhere does not wait for its signals", async () => {
  const release = gate();
  const mixed = workflow("mixed", {}, (w) => {
    w.signal("never");
    w.step("fails", {
      retry: { maxAttempts: 1 },
      run: () => release.promise.then(() => Promise.reject(new Error("as planned"))),
    });
  });
  const { run, pass, show } = await harness([mixed]);
  const { runId } = await run(mixed, undefined);
  release.open();
  await pass(0);
  const ended = await show(runId);
  expect(ended.status).toBe("failed");
  expect(statuses(ended)).toEqual({ never: "cancelled", fails: "failed" });
});

describe("sleep", () => {
  test("for a year, and nothing runs meanwhile", async () => {
    const yearly = workflow("yearly", { retention: "366d" }, (w) => {
      const before = w.step("before", { run: () => 1 });
      const nap = w.sleep("nap", { after: [before], duration: "365d" });
      return w.step("after", { after: [nap], run: () => "awake" });
    });
    const { run, pass, show, clock } = await harness([yearly]);
    const { runId } = await run(yearly, undefined);
    let wakeUps = 0;
    for (let at = clock.nextTimerAtMs(); at !== undefined && at < clock.now() + 365 * day; at = clock.nextTimerAtMs()) {
      await pass(at - clock.now() + 1);
      if (++wakeUps > 50) break;
    }
    // Timers beyond what Node's own can hold are set again; nothing else happens.
    expect(wakeUps).toBeLessThan(30);
    await pass(365 * day);
    expect(await show(runId)).toMatchObject({
      status: "succeeded",
      output: "awake",
      steps: { nap: { status: "succeeded" } },
    });
  });

  test("until a time that is computed from outputs; one in the past is no sleep", async () => {
    const until = workflow("until", { input: z.number() }, (w) => {
      const plan = w.step("plan", { run: ({ input }) => new Date(clock.now() + input).toISOString() });
      const nap = w.sleep("nap", { after: [plan], until: ({ outputs }) => outputs.plan });
      return w.step("end", { after: [nap], run: () => clock.now() });
    });
    const { run, pass, show, clock } = await harness([until]);
    const begun = clock.now();
    const later = await run(until, 3 * day, 3 * day - 1);
    expect(later.steps.nap).toMatchObject({ status: "waiting", waitsUntil: new Date(begun + 3 * day).toISOString() });
    await pass(1);
    expect((await show(later.runId)).output).toBe(begun + 3 * day);
    expect((await run(until, -day)).status).toBe("succeeded");
  });

  test("that cannot be computed fails with what is allowed, at once", async () => {
    const broken = workflow("broken", {}, (w) => {
      w.sleep("text", { until: () => "2027-01-31T08:00:00", onFailure: "continue" });
      w.sleep("throws", {
        onFailure: "continue",
        until: () => {
          throw new Error("no idea");
        },
      });
    });
    const ended = await (await harness([broken])).run(broken, undefined);
    expect(ended.steps.text?.error?.message).toBe(
      'until returned "2027-01-31T08:00:00"; allowed is a Date, or ISO 8601 text with its offset, such as "2027-01-31T08:00:00Z" or "2027-01-31".',
    );
    expect(ended.steps.throws).toMatchObject({ status: "failed", error: { message: "no idea" } });
  });
});
