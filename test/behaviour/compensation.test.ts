// Hunts: a payment that is not refunded, refunded twice, refunded before the goods are back, or refunded while it is made.
import { describe, expect, test } from "vitest";
import { limits } from "../../lib/definition/limits.ts";
import { FatalError, type Workflow, workflow } from "../../lib/index.ts";
import { gate, harness, statuses } from "./harness.ts";
import { Rig } from "./rig.ts";

const once = { maxAttempts: 1 } as const;

/** charge -> pack -> ship, where shipping fails for good until it is mended. */
function shop(): {
  readonly order: Workflow<string, undefined, string>;
  readonly calls: string[];
  mended: boolean;
  refund: () => unknown;
} {
  const calls: string[] = [];
  const state = { calls, mended: false, refund: (): unknown => undefined };
  const order = workflow("order", {}, (w) => {
    const charge = w.step("charge", {
      run: ({ idempotencyKey }) => {
        calls.push(`charge ${idempotencyKey}`);
        return { payment: `p${calls.length}` };
      },
      compensate: ({ output, outcome, idempotencyKey }) => {
        calls.push(`refund ${output?.payment ?? "?"} ${outcome} ${idempotencyKey}`);
        return state.refund();
      },
    });
    const label = w.step("label", { after: [charge], run: ({ outputs }) => `for ${outputs.charge.payment}` });
    const pack = w.step("pack", {
      after: [label],
      run: () => calls.push("pack"),
      compensate: () => calls.push("unpack"),
    });
    return w.step("ship", {
      after: [pack, label],
      retry: once,
      run: ({ outputs }) => {
        if (!state.mended) throw new Error("no address");
        return outputs.label;
      },
    });
  });
  return Object.assign(state, { order });
}

describe("a failed run", () => {
  test("undoes what succeeded, last first, and keeps the error that it failed with", async () => {
    const { order, calls } = shop();
    const { run, events } = await harness([order]);
    const ended = await run(order, undefined);
    const { runId } = ended;
    expect(calls).toEqual([`charge ${runId}/charge`, "pack", "unpack", `refund p1 succeeded ${runId}/charge/undo`]);
    expect(ended).toMatchObject({ status: "failed", error: { message: "no address" }, compensation: "complete" });
    expect(ended.steps.charge).toMatchObject({
      status: "succeeded",
      compensation: { status: "succeeded", attempt: 1 },
    });
    expect(ended.steps.label?.compensation).toBeUndefined();
    expect(events.map((event) => event.status)).toEqual(["running", "unwinding", "failed"]);
  });

  test("waits for what is in flight, whose result is undone too", async () => {
    const held = gate();
    const calls: string[] = [];
    const work = workflow("work", {}, (w) => {
      w.step("slow", {
        run: async () => {
          await held.promise;
          return calls.push("slow");
        },
        compensate: ({ output }) => calls.push(`undo slow ${output}`),
      });
      w.step("quick", { run: () => calls.push("quick"), compensate: () => calls.push("undo quick") });
      w.step("fails", {
        retry: once,
        run: () => {
          throw new Error("down");
        },
      });
    });
    const { run, pass, show } = await harness([work]);
    const open = await run(work, undefined, 5_000);
    expect(open).toMatchObject({ status: "unwinding", unwindsTo: "failed", compensation: "running" });
    expect(calls).toEqual(["quick"]);
    held.open();
    await pass(0);
    expect(await show(open.runId)).toMatchObject({ status: "failed", compensation: "complete" });
    expect([...calls].sort()).toEqual(["quick", "slow", "undo quick", "undo slow 2"]);
    expect(calls.slice(0, 2)).toEqual(["quick", "slow"]);
  });

  test("undoes nothing of a step that plainly failed, was skipped or never began", async () => {
    const undone: string[] = [];
    const work = workflow("work", {}, (w) => {
      const compensate = ({ stepId }: { readonly stepId: string }): number => undone.push(stepId);
      const skipped = w.step("skipped", { when: () => false, run: () => 1, compensate });
      const fails = w.step("fails", {
        after: [skipped],
        retry: once,
        run: () => {
          throw new FatalError("declined");
        },
        compensate,
      });
      w.step("never", { after: [fails], run: () => 1, compensate });
    });
    const { run } = await harness([work]);
    const ended = await run(work, undefined);
    expect(ended.status).toBe("failed");
    expect(ended.compensation).toBeUndefined();
    expect(undone).toEqual([]);
  });

  test("a large output is there for its compensation, and so are the outputs that the step had", async () => {
    let seen: unknown;
    const work = workflow("work", {}, (w) => {
      const first = w.step("first", { run: () => "a".repeat(5_000) });
      const second = w.step("second", {
        after: [first],
        run: () => "b".repeat(5_000),
        compensate: ({ output, outputs }) => {
          seen = [outputs.first.length, output?.length];
        },
      });
      w.step("fails", {
        after: [second],
        retry: once,
        run: () => {
          throw new Error("down");
        },
      });
    });
    const { run } = await harness([work]);
    await run(work, undefined);
    expect(seen).toEqual([5_000, 5_000]);
  });
});

describe("a compensation", () => {
  test("is tried again by its own policy", async () => {
    const state = shop();
    let failures = 0;
    state.refund = () => {
      if (failures++ < 3) throw new Error("bank is closed");
    };
    const { run, pass, show } = await harness([state.order]);
    const open = await run(state.order, undefined, 0);
    expect(open).toMatchObject({ status: "unwinding", compensation: "running" });
    expect(open.steps.charge?.compensation).toMatchObject({
      status: "backing_off",
      attempt: 1,
      error: { message: "bank is closed" },
    });
    await pass(600_000);
    const ended = await show(open.runId);
    expect(ended).toMatchObject({ status: "failed", compensation: "complete" });
    expect(ended.steps.charge?.compensation).toMatchObject({ status: "succeeded", attempt: 4 });
    expect(ended.steps.charge?.compensation?.error).toBeUndefined();
  });

  test("that exhausts its attempts leaves the run incomplete: the steps before wait for a redrive, others are undone", async () => {
    const undone: string[] = [];
    let isMended = false;
    const work = workflow("work", {}, (w) => {
      const compensate = ({ stepId }: { readonly stepId: string }): number => undone.push(stepId);
      const first = w.step("first", { run: () => 1, compensate });
      const second = w.step("second", {
        after: [first],
        run: () => 2,
        compensate: {
          retry: { maxAttempts: 2, backoff: { type: "fixed", base: "1s" } },
          run: ({ stepId }) => {
            if (!isMended) throw new Error("still closed");
            undone.push(stepId);
          },
        },
      });
      const other = w.step("other", { run: () => 3, compensate });
      w.step("fails", {
        after: [second, other],
        retry: once,
        run: () => {
          throw new Error("down");
        },
      });
    });
    const { run, engine, pass, show, events } = await harness([work]);
    const failed = await run(work, undefined, 60_000);
    expect(failed).toMatchObject({ status: "failed", error: { message: "down" }, compensation: "incomplete" });
    expect(failed.steps.second?.compensation).toMatchObject({
      status: "failed",
      attempt: 2,
      error: { message: "still closed" },
    });
    expect(failed.steps.first?.compensation).toBeUndefined();
    expect(undone).toEqual(["other"]);

    isMended = true;
    expect(await engine.commands.redrive(failed.runId)).toMatchObject({ status: "unwinding", unwindsTo: "failed" });
    await pass(0);
    expect(await show(failed.runId)).toMatchObject({
      status: "failed",
      error: { message: "down" },
      compensation: "complete",
    });
    expect(undone).toEqual(["other", "second", "first"]);
    expect(events.map((event) => event.status)).toEqual(["running", "unwinding", "failed", "unwinding", "failed"]);
  });

  test("that takes longer than its timeout is aborted and tried again", async () => {
    let aborted = 0;
    const work = workflow("work", {}, (w) => {
      const first = w.step("first", {
        run: () => 1,
        compensate: {
          timeout: "2s",
          run: ({ signal, attempt }) =>
            attempt > 1
              ? undefined
              : new Promise((_resolve, reject) => {
                  signal.addEventListener("abort", () => {
                    aborted++;
                    reject(signal.reason as Error);
                  });
                }),
        },
      });
      w.step("fails", {
        after: [first],
        retry: once,
        run: () => {
          throw new Error("down");
        },
      });
    });
    const { run } = await harness([work]);
    const ended = await run(work, undefined, 60_000);
    expect(ended).toMatchObject({ status: "failed", compensation: "complete" });
    expect(ended.steps.first?.compensation?.attempt).toBe(2);
    expect(aborted).toBe(1);
  });
});

describe("a step whose outcome is unknown", () => {
  test("its last worker was lost: it counts as failed, and is undone without output", async () => {
    const undone: unknown[] = [];
    const work = workflow("work", {}, (w) =>
      w.step("charge", {
        retry: once,
        run: () => new Promise<string>(() => undefined),
        compensate: ({ outcome, output }) => undone.push([outcome, output]),
      }),
    );
    const rig = new Rig([work]);
    const { runId } = await rig.commands.start("work");
    await rig.crash();
    await rig.clock.advance(limits.visibilityMs);
    await rig.deliverAll(rig.worker());
    const ended = await rig.show(runId);
    expect(ended).toMatchObject({ status: "failed", error: { name: "WorkerCrashed" }, compensation: "complete" });
    expect(ended.steps.charge).toMatchObject({ status: "unknown", error: { name: "WorkerCrashed" } });
    expect(undone).toEqual([["unknown", undefined]]);
  });

  test("it timed out for good", async () => {
    const undone: string[] = [];
    const work = workflow("work", {}, (w) =>
      w.step("charge", {
        retry: once,
        timeout: "1s",
        run: () => new Promise<string>(() => undefined),
        compensate: ({ outcome }) => undone.push(outcome),
      }),
    );
    const { run } = await harness([work]);
    const ended = await run(work, undefined, 10_000);
    expect(ended).toMatchObject({ status: "failed", error: { name: "StepTimeout" }, compensation: "complete" });
    expect(statuses(ended)).toEqual({ charge: "unknown" });
    expect(undone).toEqual(["unknown"]);
  });
});

describe("an attempt that was cut off is not forgotten", () => {
  /** The first attempt takes too long; what the others do is the test's. */
  function slowFirst(later: () => unknown): { work: Workflow<string, undefined>; undone: string[] } {
    const undone: string[] = [];
    const work = workflow("work", {}, (w) =>
      w.step("charge", {
        timeout: "1s",
        retry: { maxAttempts: 3, backoff: { type: "fixed", base: "1m" } },
        run: ({ attempt }) => (attempt === 1 ? new Promise(() => undefined) : later()),
        compensate: ({ outcome }) => undone.push(outcome),
      }),
    );
    return { work, undone };
  }

  test("when the run is cancelled in the pause that follows it", async () => {
    const { work, undone } = slowFirst(() => 1);
    const { run, engine, pass, show } = await harness([work]);
    const { runId } = await run(work, undefined, 10_000);
    await engine.commands.cancel(runId);
    await pass(0);
    const ended = await show(runId);
    expect(ended).toMatchObject({ status: "cancelled", compensation: "complete" });
    expect(ended.steps.charge).toMatchObject({ status: "unknown", attempt: 1, error: { name: "StepTimeout" } });
    expect(undone).toEqual(["unknown"]);
  });

  test("when the attempts after it plainly fail", async () => {
    const { work, undone } = slowFirst(() => {
      throw new Error("no line to the bank");
    });
    const { run } = await harness([work]);
    const ended = await run(work, undefined, 300_000);
    expect(ended).toMatchObject({ status: "failed", error: { message: "no line to the bank" } });
    expect(ended.steps.charge).toMatchObject({ status: "unknown", attempt: 3 });
    expect(undone).toEqual(["unknown"]);
  });

  test("and counts no more when a later attempt succeeds", async () => {
    const { work, undone } = slowFirst(() => 1);
    const { run } = await harness([work]);
    const ended = await run(work, undefined, 300_000);
    expect(ended).toMatchObject({ status: "succeeded", steps: { charge: { status: "succeeded", attempt: 2 } } });
    expect(undone).toEqual([]);
  });

  test("when its worker was lost, and another one's attempt plainly fails", async () => {
    const undone: string[] = [];
    let calls = 0;
    const work = workflow("work", {}, (w) =>
      w.step("charge", {
        run: () => {
          if (++calls === 1) return new Promise(() => undefined);
          throw new FatalError("declined");
        },
        compensate: ({ outcome }) => undone.push(outcome),
      }),
    );
    const rig = new Rig([work]);
    const { runId } = await rig.commands.start("work");
    await rig.crash();
    await rig.clock.advance(limits.visibilityMs);
    await rig.deliverAll(rig.worker());
    expect(await rig.show(runId)).toMatchObject({ status: "failed", steps: { charge: { status: "unknown" } } });
    expect(undone).toEqual(["unknown"]);
  });
});

describe("cancel", () => {
  /** charge, then a long step that reacts to its signal as it is told. */
  function long(onAbort: "throws" | "returns" | "ignores"): { work: Workflow<string, undefined>; calls: unknown[] } {
    const calls: unknown[] = [];
    const work = workflow("work", {}, (w) => {
      const charge = w.step("charge", { run: () => "p1", compensate: ({ output }) => calls.push(`refund ${output}`) });
      w.step("build", {
        after: [charge],
        timeout: "1m",
        run: ({ signal }) =>
          new Promise<string>((resolve, reject) => {
            signal.addEventListener("abort", () => {
              calls.push("abort");
              if (onAbort === "throws") reject(signal.reason as Error);
              if (onAbort === "returns") resolve("half");
            });
          }),
        compensate: ({ outcome, output }) => calls.push(`demolish ${outcome} ${output}`),
      });
    });
    return { work, calls };
  }

  test.each([
    ["throws", "unknown", "demolish unknown undefined", 0],
    ["returns", "succeeded", "demolish succeeded half", 0],
    ["ignores", "unknown", "demolish unknown undefined", 60_000],
  ] as const)(
    "asks a step in flight to end; one that %s is %s, and undone first",
    async (onAbort, status, undo, waitMs) => {
      const { work, calls } = long(onAbort);
      const { run, engine, pass, show, events } = await harness([work]);
      const { runId } = await run(work, undefined, 1_000);
      expect(await engine.commands.cancel(runId)).toMatchObject({ status: "unwinding", unwindsTo: "cancelled" });
      expect(await engine.commands.cancel(runId)).toMatchObject({ unwindsTo: "cancelled" });
      await pass(waitMs);
      const ended = await show(runId);
      expect(ended).toMatchObject({ status: "cancelled", compensation: "complete" });
      expect(ended.error).toBeUndefined();
      expect(statuses(ended)).toEqual({ charge: "succeeded", build: status });
      expect(calls).toEqual(["abort", undo, "refund p1"]);
      expect(events.map((event) => event.status)).toEqual(["running", "unwinding", "cancelled"]);
    },
  );

  test("of a run that waits undoes at once", async () => {
    const undone: string[] = [];
    const work = workflow("work", {}, (w) => {
      const charge = w.step("charge", { run: () => "p1", compensate: () => undone.push("refund") });
      return w.signal("approval", { after: [charge] });
    });
    const { run, engine, pass, show } = await harness([work]);
    const { runId } = await run(work, undefined);
    await engine.commands.cancel(runId);
    await pass(0);
    const ended = await show(runId);
    expect(ended).toMatchObject({ status: "cancelled", steps: { approval: { status: "cancelled" } } });
    expect(undone).toEqual(["refund"]);
    await expect(engine.commands.signal(runId, "approval")).rejects.toMatchObject({ code: "status_conflict" });
  });

  test("of a run with nothing to undo yet ends it in a moment", async () => {
    const work = workflow("work", {}, (w) => {
      const wait = w.sleep("wait", { duration: "1h" });
      return w.step("charge", { after: [wait], run: () => 1, compensate: () => undefined });
    });
    const { run, engine, pass, show } = await harness([work]);
    const { runId } = await run(work, undefined);
    await engine.commands.cancel(runId);
    await pass(0);
    const ended = await show(runId);
    expect(ended.status).toBe("cancelled");
    expect(ended.compensation).toBeUndefined();
  });

  test("of a paused run undoes, too", async () => {
    const { work, calls } = long("throws");
    const { run, engine, pass, show } = await harness([work]);
    const { runId } = await run(work, undefined, 1_000);
    await engine.commands.pause(runId);
    await engine.commands.cancel(runId);
    await pass(0);
    expect(await show(runId)).toMatchObject({ status: "cancelled", compensation: "complete" });
    expect(calls.at(-1)).toBe("refund p1");
  });

  test("terminate undoes nothing, and ends an undoing that is under way", async () => {
    const { work, calls } = long("ignores");
    const { run, engine, pass, show } = await harness([work]);
    const { runId } = await run(work, undefined, 1_000);
    await engine.commands.cancel(runId);
    expect(await engine.commands.terminate(runId)).toMatchObject({ status: "cancelled", compensation: "incomplete" });
    await pass(600_000);
    expect(await show(runId)).toMatchObject({ status: "cancelled", compensation: "incomplete" });
    expect(calls).toEqual(["abort"]);
  });
});

test("a run that times out undoes what it did, and says that it timed out", async () => {
  const undone: string[] = [];
  const work = workflow("work", { timeout: "10s" }, (w) => {
    const charge = w.step("charge", { run: () => "p1", compensate: () => undone.push("refund") });
    return w.signal("approval", { after: [charge] });
  });
  const { run } = await harness([work]);
  const ended = await run(work, undefined, 11_000);
  expect(ended).toMatchObject({ status: "timed_out", error: { name: "RunTimeout" }, compensation: "complete" });
  expect(undone).toEqual(["refund"]);
});

describe("redrive of a run that was undone", () => {
  test("does again what was undone and what was built on it, under new idempotency keys", async () => {
    const state = shop();
    const { order, calls } = state;
    const { run, engine, pass, show } = await harness([order]);
    const { runId } = await run(order, undefined);
    calls.length = 0;
    state.mended = true;
    await engine.commands.redrive(runId);
    await pass(0);
    const ended = await show(runId);
    expect(calls).toEqual([`charge ${runId}/charge#1`, "pack"]);
    // The label was made for the payment that had been refunded.
    expect(ended).toMatchObject({ status: "succeeded", output: "for p1" });
    expect(ended.compensation).toBeUndefined();
    expect(ended.steps.charge?.compensation).toBeUndefined();
  });

  test("that fails again is undone again, once for each time", async () => {
    const { order, calls } = shop();
    const { run, engine, pass, show } = await harness([order]);
    const { runId } = await run(order, undefined);
    await engine.commands.redrive(runId);
    await pass(0);
    expect(await show(runId)).toMatchObject({ status: "failed", compensation: "complete" });
    expect(calls.filter((call) => call.startsWith("refund"))).toEqual([
      `refund p1 succeeded ${runId}/charge/undo`,
      `refund p5 succeeded ${runId}/charge#1/undo`,
    ]);
  });
});

describe("crashes", () => {
  test("the worker dies while it undoes: another one takes over, and the run ends", async () => {
    let calls = 0;
    const state = shop();
    state.refund = () => (++calls === 1 ? new Promise(() => undefined) : undefined);
    const rig = new Rig([state.order]);
    const { runId } = await rig.commands.start("order");
    const worker = rig.worker();
    // charge, label, pack, ship, unpack
    for (let step = 0; step < 5; step++) await rig.deliver(worker);
    await rig.crash();
    expect(await rig.show(runId)).toMatchObject({ status: "unwinding" });
    await rig.clock.advance(limits.visibilityMs);
    await rig.deliverAll(worker);
    const ended = await rig.show(runId);
    expect(ended).toMatchObject({ status: "failed", compensation: "complete" });
    expect(ended.steps.charge?.compensation?.attempt).toBe(2);
  });

  test("a crash loop of a compensation ends as incomplete, with the reason", async () => {
    const state = shop();
    state.refund = () => new Promise(() => undefined);
    const rig = new Rig([state.order]);
    const { runId } = await rig.commands.start("order");
    const worker = rig.worker();
    for (let step = 0; step < 5; step++) await rig.deliver(worker);
    for (let attempt = 0; attempt < 10; attempt++) {
      await rig.crash();
      await rig.clock.advance(limits.visibilityMs);
    }
    await rig.deliverAll(worker);
    const ended = await rig.show(runId);
    expect(ended).toMatchObject({ status: "failed", error: { message: "no address" }, compensation: "incomplete" });
    expect(ended.steps.charge?.compensation).toMatchObject({
      status: "failed",
      attempt: 10,
      error: { name: "WorkerCrashed" },
    });
    await rig.clock.advance(3_600_000);
    expect(rig.isIdle()).toBe(true);
  });

  test("code without the compensation leaves it for a redrive with code that has it", async () => {
    const { order, calls } = shop();
    const without = workflow("order", {}, (w) => w.step("charge", { run: () => "p" }));
    const rig = new Rig([order]);
    const { runId } = await rig.commands.start("order");
    const worker = rig.worker();
    for (let step = 0; step < 4; step++) await rig.deliver(worker);
    await rig.deliverAll(rig.worker([without]));
    const failed = await rig.show(runId);
    expect(failed).toMatchObject({ status: "failed", compensation: "incomplete" });
    expect(failed.steps.pack?.compensation).toMatchObject({ status: "failed", error: { name: "CompensationMissing" } });
    await rig.commands.redrive(runId);
    await rig.deliverAll(worker);
    expect(await rig.show(runId)).toMatchObject({ status: "failed", compensation: "complete" });
    expect(calls.slice(-2)).toEqual(["unpack", `refund p1 succeeded ${runId}/charge/undo`]);
  });
});
