// Hunts: a status that is overwritten, an event that comes twice, and work that goes on in a run that should stand still.
import { describe, expect, test } from "vitest";
import * as z from "zod";
import { workflow } from "../../lib/index.ts";
import { createCommands } from "../../lib/runtime/commands.ts";
import { answersAreLost, gate, harness, statuses } from "./harness.ts";
import { Rig } from "./rig.ts";

describe("cancel", () => {
  test("during a step: its late result is refused, one cancelled event, never overwritten by success", async () => {
    const release = gate();
    const reasons: unknown[] = [];
    const long = workflow("long", {}, (w) => {
      const step = w.step("step", {
        run: async ({ signal }) => {
          signal.addEventListener("abort", () => reasons.push((signal.reason as { because: string }).because));
          await release.promise;
          return "too late";
        },
      });
      return w.step("next", { after: [step], run: () => 1 });
    });
    const { run, engine, pass, show, events, logs } = await harness([long]);
    const { runId } = await run(long, undefined);
    expect(await engine.commands.cancel(runId)).toMatchObject({
      status: "cancelled",
      steps: { step: { status: "cancelled" } },
    });
    await pass(0);
    expect(reasons).toEqual(["run_ended"]);
    release.open();
    await pass(3_600_000);
    const ended = await show(runId);
    expect(ended.status).toBe("cancelled");
    expect(statuses(ended)).toEqual({ step: "cancelled", next: "pending" });
    expect(ended.steps.step?.output).toBeUndefined();
    expect(events.map((event) => event.status)).toEqual(["running", "cancelled"]);
    expect(logs.some(({ message }) => message.includes("its result is refused"))).toBe(true);
  });

  test("twice is once; after the end it is refused with the status", async () => {
    const quick = workflow("quick", {}, (w) => w.step("only", { run: () => 1 }));
    const waits = workflow("waits", {}, (w) => w.step("only", { delay: "1h", run: () => 1 }));
    const { run, engine, events, pass } = await harness([quick, waits]);
    const done = await run(quick, undefined);
    await expect(engine.commands.cancel(done.runId)).rejects.toMatchObject({
      code: "status_conflict",
      message: `Run ${done.runId} is succeeded; a run in that status cannot be changed by cancel.`,
    });
    const { runId } = await run(waits, undefined);
    await engine.commands.cancel(runId);
    expect((await engine.commands.cancel(runId)).status).toBe("cancelled");
    await pass(2 * 3_600_000);
    expect(events.filter((event) => event.runId === runId).map((event) => event.status)).toEqual([
      "running",
      "cancelled",
    ]);
  });
});

describe("pause and resume", () => {
  test("a paused run begins nothing, keeps what is in flight, and goes on where it was", async () => {
    const release = gate();
    const begun: string[] = [];
    const line = workflow("line", {}, (w) => {
      const a = w.step("a", { run: () => release.promise });
      const b = w.step("b", { after: [a], run: () => begun.push("b") });
      return w.step("c", { after: [b], delay: "1h", run: () => begun.push("c") });
    });
    const { run, engine, pass, show, events } = await harness([line]);
    const { runId } = await run(line, undefined);
    expect(await engine.commands.pause(runId)).toMatchObject({ status: "paused", pause: { code: "requested" } });
    release.open();
    await pass(3_600_000);
    expect(statuses(await show(runId))).toEqual({ a: "succeeded", b: "pending", c: "pending" });
    expect((await engine.commands.resume(runId)).pause).toBeUndefined();
    await pass(3_600_000);
    expect((await show(runId)).status).toBe("succeeded");
    expect(begun).toEqual(["b", "c"]);
    expect(events.map((event) => event.status)).toEqual(["running", "paused", "running", "succeeded"]);
    expect(new Set(events.map((event) => event.id)).size).toBe(4);
  });

  test("a retry that comes due while the run is paused waits for the resume", async () => {
    let calls = 0;
    const flaky = workflow("flaky", {}, (w) =>
      w.step("call", {
        retry: { maxAttempts: 2, backoff: { type: "fixed", base: "10s" } },
        run: () => {
          if (++calls === 1) throw new Error("once");
          return "done";
        },
      }),
    );
    const { run, engine, pass, show } = await harness([flaky]);
    const { runId } = await run(flaky, undefined);
    await engine.commands.pause(runId);
    await pass(60_000);
    expect(calls).toBe(1);
    await engine.commands.resume(runId);
    await pass(0);
    expect(await show(runId)).toMatchObject({ status: "succeeded", steps: { call: { attempt: 2 } } });
  });

  test("a step that fails for good while the run is paused fails it on resume, with its own error", async () => {
    const release = gate();
    const bad = workflow("bad", {}, (w) =>
      w.step("call", {
        retry: { maxAttempts: 1 },
        run: async () => {
          await release.promise;
          throw new RangeError("as planned");
        },
      }),
    );
    const { run, engine, pass, show, events } = await harness([bad]);
    const { runId } = await run(bad, undefined);
    await engine.commands.pause(runId);
    release.open();
    await pass(0);
    expect(await show(runId)).toMatchObject({ status: "paused", steps: { call: { status: "failed" } } });
    const resumed = engine.commands.resume(runId);
    // It ends the run at once: nothing of that tells the one who did it from anybody else.
    if (answersAreLost) await expect(resumed).rejects.toMatchObject({ code: "status_conflict" });
    else await resumed;
    await pass(0);
    expect(await show(runId)).toMatchObject({ status: "failed", error: { name: "RangeError", message: "as planned" } });
    expect(events.map((event) => event.status)).toEqual(["running", "paused", "failed"]);
  });
});

describe("what is refused, with a clear error and nothing stored", () => {
  const sized = workflow("sized", { input: z.object({ count: z.number().int().positive() }) }, (w) =>
    w.step("only", { run: ({ input }) => input.count }),
  );

  test("unknown workflow, invalid input, invalid run id, tags and start time", async () => {
    const { engine } = await harness([sized]);
    const start = engine.commands.start.bind(engine.commands);
    await expect(start("seized", { runId: "r1" })).rejects.toMatchObject({
      code: "workflow_not_found",
      message: 'There is no workflow "seized". Known are: sized.',
    });
    await expect(start("sized", { runId: "r1", input: { count: -1 } })).rejects.toMatchObject({
      code: "invalid_input",
      message: expect.stringContaining("count: Too small") as unknown,
      details: { issues: [expect.objectContaining({ path: ["count"] })] },
    });
    await expect(start("sized", { runId: "r1" })).rejects.toMatchObject({ code: "invalid_input" });
    await expect(start("sized", { runId: "../etc", input: { count: 1 } })).rejects.toMatchObject({
      code: "invalid_request",
    });
    await expect(start("sized", { runId: "r1", input: { count: 1 }, startAt: "soon" })).rejects.toMatchObject({
      code: "invalid_request",
    });
    await expect(start("sized", { runId: "r1", input: { count: 1 }, tags: { a: "" } })).rejects.toMatchObject({
      code: "invalid_request",
    });
    await expect(engine.commands.get("r1")).rejects.toMatchObject({
      code: "run_not_found",
      message: 'There is no run "r1".',
    });
    await expect(engine.commands.cancel("r1")).rejects.toMatchObject({ code: "run_not_found" });
  });

  test("the same run id with the same input is the same run; with another input or workflow a conflict", async () => {
    const other = workflow("other", { input: z.object({ count: z.number() }) }, (w) =>
      w.step("only", { run: () => 0 }),
    );
    const { engine, pass, show, events } = await harness([sized, other]);
    const first = await engine.commands.start("sized", { runId: "order-7", input: { count: 2 } });
    await pass(0);
    const again = await engine.commands.start("sized", { runId: "order-7", input: { count: 2 } });
    expect([first.created, again.created, again.status]).toEqual([!answersAreLost, false, "succeeded"]);
    await expect(engine.commands.start("sized", { runId: "order-7", input: { count: 3 } })).rejects.toMatchObject({
      code: "run_conflict",
      message: "Run order-7 was started with another input. Use another runId, or the same workflow and input.",
    });
    await expect(engine.commands.start("other", { runId: "order-7", input: { count: 2 } })).rejects.toMatchObject({
      code: "run_conflict",
    });
    await pass(60_000);
    expect(await show("order-7")).toMatchObject({ workflow: "sized", input: { count: 2 }, output: 2 });
    expect(events).toHaveLength(2);
  });

  test("a conflicting start disturbs an open run in no way", async () => {
    const open = workflow("open", { input: z.number() }, (w) => {
      const a = w.step("a", { delay: "1m", run: ({ input }) => input });
      return w.step("b", { after: [a], run: ({ outputs }) => outputs.a });
    });
    const intruder = workflow("intruder", { input: z.number() }, (w) => w.step("zero", { run: () => "wrong" }));
    const { engine, pass, show } = await harness([open, intruder]);
    await engine.start(open, { runId: "same", input: 1 });
    await expect(engine.start(intruder, { runId: "same", input: 1 })).rejects.toMatchObject({ code: "run_conflict" });
    await pass(59_000);
    expect(statuses(await show("same"))).toEqual({ a: "pending", b: "pending" });
    await pass(1_000);
    expect(await show("same")).toMatchObject({ status: "succeeded", output: 1, steps: { a: { attempt: 1 } } });
  });
});

describe("subscribers", () => {
  const quick = workflow("quick", {}, (w) => w.step("a", { run: () => 1 }));

  test("one that throws or rejects is logged with its error, and disturbs neither runs nor other subscribers", async () => {
    const at = await harness([quick]);
    const seen: string[] = [];
    at.engine.onEvent(({ status }) => {
      throw new Error(`thrown at ${status}`);
    });
    at.engine.onEvent(async ({ status }) => {
      await Promise.resolve();
      throw new Error(`rejected at ${status}`);
    });
    at.engine.onEvent(({ status }) => seen.push(status));
    const { runId } = await at.run(quick, undefined, 100);
    expect((await at.show(runId)).status).toBe("succeeded");
    expect(seen).toEqual(["running", "succeeded"]);
    const errors = at.logs.filter(({ level }) => level === "error").map(({ fields }) => String(fields.error));
    expect(errors.toSorted()).toEqual([
      "Error: rejected at running",
      "Error: rejected at succeeded",
      "Error: thrown at running",
      "Error: thrown at succeeded",
    ]);
  });

  test("one that has ended its subscription hears nothing more", async () => {
    const at = await harness([quick]);
    const seen: string[] = [];
    const end = at.engine.onEvent(({ status }) => {
      seen.push(status);
      end();
    });
    await at.run(quick, undefined, 100);
    expect(seen).toEqual(["running"]);
  });
});

test("a start that the store refuses and shows nothing for is told as a failure, never as made", async () => {
  const only = workflow("only", {}, (w) => w.step("work", { run: () => 1 }));
  const rig = new Rig([only]);
  const store = { ...rig.ports.store, update: async () => ({ applied: false, fields: undefined }) as const };
  const commands = createCommands({ workflows: [only], ports: { ...rig.ports, store } });
  await expect(commands.start("only", { runId: "mine" })).rejects.toThrow("Run mine was refused by an empty store.");
});
