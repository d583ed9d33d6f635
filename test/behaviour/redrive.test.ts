// Hunts: a redrive that repeats what succeeded, forgets what failed, or lets work of the former epoch in.
import { describe, expect, test } from "vitest";
import { limits } from "../../lib/definition/limits.ts";
import { FatalError, workflow } from "../../lib/index.ts";
import { gate, harness, statuses } from "./harness.ts";

describe("redrive", () => {
  test("goes on from the failed step: outputs are reused, attempts begin again, the error is gone", async () => {
    const calls: string[] = [];
    let isMended = false;
    const work = workflow("work", {}, (w) => {
      const a = w.step("a", { run: () => calls.push("a") });
      const b = w.step("b", {
        after: [a],
        retry: { maxAttempts: 2, backoff: { type: "fixed", base: "1s" } },
        run: ({ outputs, attempt }) => {
          calls.push(`b${attempt}`);
          if (!isMended) throw new Error("broken");
          return outputs.a;
        },
      });
      return w.step("c", { after: [b], run: ({ outputs }) => outputs.b });
    });
    const { run, engine, pass, show, events } = await harness([work]);
    const failed = await run(work, undefined, 5_000);
    expect(failed).toMatchObject({ status: "failed", error: { message: "broken" } });
    isMended = true;
    const redriven = await engine.commands.redrive(failed.runId);
    expect(redriven.error).toBeUndefined();
    expect(redriven.endedAt).toBeUndefined();
    await pass(0);
    expect(await show(failed.runId)).toMatchObject({ status: "succeeded", output: 1, steps: { b: { attempt: 1 } } });
    expect(calls).toEqual(["a", "b1", "b2", "b1"]);
    expect(events.map((event) => event.status)).toEqual(["running", "unwinding", "failed", "running", "succeeded"]);
    expect(new Set(events.map((event) => event.id)).size).toBe(5);
  });

  test("repeats a tolerated failure only when a step that missed it failed the run", async () => {
    let isMended = false;
    const risky = (): string => {
      if (!isMended) throw new FatalError("down");
      return "up";
    };
    const work = workflow("work", {}, (w) => {
      const handled = w.step("handled", { onFailure: "continue", run: risky });
      const rescue = w.step("rescue", { afterFailed: [handled], run: () => "rescued" });
      const missed = w.step("missed", { onFailure: "continue", run: risky });
      return w.step("needs", {
        after: [missed, rescue],
        run: ({ outputs }) => [outputs.missed, outputs.rescue ?? "none"],
      });
    });
    const { run, engine, pass, show } = await harness([work]);
    const failed = await run(work, undefined);
    expect(failed).toMatchObject({ status: "failed", error: { name: "DependencyFailed" } });
    isMended = true;
    await engine.commands.redrive(failed.runId);
    await pass(0);
    const ended = await show(failed.runId);
    expect(ended).toMatchObject({ status: "succeeded", output: ["up", "rescued"] });
    expect(statuses(ended)).toEqual({
      handled: "failed",
      rescue: "succeeded",
      missed: "succeeded",
      needs: "succeeded",
    });
  });

  test("repeats nothing for a step whose own failure was tolerated", async () => {
    const calls: string[] = [];
    const work = workflow("work", {}, (w) => {
      const extra = w.step("extra", {
        onFailure: "continue",
        run: () => {
          calls.push("extra");
          throw new FatalError("down");
        },
      });
      const more = w.step("more", { after: [extra], onFailure: "continue", run: () => calls.push("more") });
      w.step("main", {
        afterSettled: [more],
        run: () => {
          calls.push("main");
          throw new FatalError("broken");
        },
      });
    });
    const { run, engine, pass, show } = await harness([work]);
    const { runId } = await run(work, undefined);
    await engine.commands.redrive(runId);
    await pass(0);
    expect(statuses(await show(runId))).toEqual({ extra: "failed", more: "failed", main: "failed" });
    expect(calls).toEqual(["extra", "main", "main"]);
  });

  test("a worker of the former epoch that comes back late commits nothing", async () => {
    const late = gate<string>();
    let calls = 0;
    const work = workflow("work", {}, (w) =>
      w.step("a", { timeout: "1h", run: () => (++calls === 1 ? late.promise : "new") }),
    );
    const { run, engine, pass, show } = await harness([work]);
    const { runId } = await run(work, undefined);
    await engine.commands.cancel(runId);
    await engine.commands.redrive(runId);
    await pass(0);
    expect(await show(runId)).toMatchObject({ status: "succeeded", output: "new", steps: { a: { attempt: 1 } } });
    late.open("old");
    await pass(3_600_000);
    expect((await show(runId)).output).toBe("new");
    expect(calls).toBe(2);
  });

  test("a run that timed out gets its whole timeout again; a wait begins anew", async () => {
    const asks = workflow("asks", { timeout: "1h" }, (w) => w.signal("answer"));
    const { run, engine, pass, show } = await harness([asks]);
    const { runId } = await run(asks, undefined, 3_600_000);
    expect((await show(runId)).status).toBe("timed_out");
    await engine.commands.redrive(runId);
    await pass(3_599_999);
    expect(statuses(await show(runId))).toEqual({ answer: "waiting" });
    await engine.commands.signal(runId, "answer");
    await pass(0);
    expect((await show(runId)).status).toBe("succeeded");
  });

  test("what a tolerated failure left is read over all epochs, by its handlers and by its viewers", async () => {
    let isMended = false;
    const work = workflow("work", {}, (w) => {
      const risky = w.step("risky", {
        onFailure: "continue",
        run: ({ background }) => {
          background(Promise.reject(new Error("metrics are down")));
          throw new FatalError("no stock");
        },
      });
      const report = w.step("report", {
        afterSettled: [risky],
        retry: { maxAttempts: 1 },
        run: ({ errors }) => {
          if (!isMended) throw new Error("report is broken");
          return errors.risky?.message;
        },
      });
      return report;
    });
    const { run, engine, pass, show } = await harness([work]);
    const { runId } = await run(work, undefined);
    await engine.commands.redrive(runId);
    await pass(0);
    isMended = true;
    await engine.commands.redrive(runId);
    await pass(0);
    const ended = await show(runId);
    expect(ended).toMatchObject({ status: "succeeded", output: "no stock" });
    expect(ended.steps.risky?.error).toEqual({ name: "FatalError", message: "no stock" });
    expect(ended.steps.risky?.backgroundErrors).toHaveLength(1);
    expect(ended.error).toBeUndefined();
  });

  test("is refused after as many times as are allowed", async () => {
    const work = workflow("work", {}, (w) => w.step("a", { run: () => Promise.reject(new FatalError("never")) }));
    const { run, engine, pass } = await harness([work]);
    const { runId } = await run(work, undefined);
    for (let times = 0; times < limits.redrives; times++) {
      await engine.commands.redrive(runId);
      await pass(0);
    }
    await expect(engine.commands.redrive(runId)).rejects.toMatchObject({
      code: "status_conflict",
      message: `Run ${runId} has been redriven 100 times, and 100 are allowed. Start a new run.`,
    });
  });

  test("is refused for a run that is open or has succeeded", async () => {
    const asks = workflow("asks", {}, (w) => w.signal("answer"));
    const { run, engine, pass } = await harness([asks]);
    const { runId } = await run(asks, undefined);
    await expect(engine.commands.redrive(runId)).rejects.toMatchObject({ code: "status_conflict" });
    await engine.commands.signal(runId, "answer");
    await pass(0);
    await expect(engine.commands.redrive(runId)).rejects.toMatchObject({ code: "status_conflict" });
  });
});

test("terminate ends a run at once that drains for ever", async () => {
  const doomed = workflow("doomed", {}, (w) => {
    w.step("deaf", { timeout: "1d", run: () => new Promise(() => undefined) });
    w.step("fails", {
      run: () => {
        throw new FatalError("as planned");
      },
    });
  });
  const { run, engine, events } = await harness([doomed]);
  const { runId, status } = await run(doomed, undefined);
  expect(status).toBe("unwinding");
  await expect(engine.commands.cancel(runId)).rejects.toMatchObject({ code: "status_conflict" });
  const ended = await engine.commands.terminate(runId);
  expect(ended.status).toBe("cancelled");
  expect(statuses(ended)).toEqual({ deaf: "cancelled", fails: "failed" });
  expect(events.at(-1)?.status).toBe("cancelled");
});
