// Hunts: runs that live for ever, or go too early; open runs that are deleted; parts of a run that outlive it.
import { describe, expect, test } from "vitest";
import * as z from "zod";
import { limits } from "../../lib/definition/limits.ts";
import { FatalError, type Workflow, workflow } from "../../lib/index.ts";
import type { RunView } from "../../lib/runtime/run-view.ts";
import { withSmallShards } from "../engine/small-shards.ts";
import { gate, harness, virtualClock } from "./harness.ts";

const second = 1_000;
const hour = 3_600_000;
const day = 24 * hour;
/** Removals are put together within a pause. */
const soon = limits.expiryPauseMs + second;

const numbered = { input: z.number() };
const notFound = { code: "run_not_found" };

const hello = workflow("hello", {}, (w) => w.step("greet", { run: () => "hello" }));

function failing(retention?: "1h") {
  let isBroken = true;
  const of = workflow("failing", { ...(retention === undefined ? {} : { retention }) }, (w) =>
    w.step("fail", {
      run: () => {
        if (isBroken) throw new FatalError("broken");
        return "mended";
      },
    }),
  );
  return {
    of,
    mend: () => {
      isBroken = false;
    },
  };
}

function expiryOf({ endedAt = "", expiresAt = "" }: RunView): number {
  return Date.parse(expiresAt) - Date.parse(endedAt);
}

describe("a run", () => {
  test("is kept for 90 days after its end, then it is gone", async () => {
    const { run, pass, show, engine } = await harness([hello]);
    const ended = await run(hello, undefined);
    expect(expiryOf(ended)).toBe(90 * day);
    await pass(90 * day - 1);
    expect(await show(ended.runId)).toEqual(ended);
    await pass(1 + soon);
    await expect(show(ended.runId)).rejects.toMatchObject(notFound);
    expect(await engine.queries.list()).toEqual({ runs: [] });
  });

  test("is kept for as long as its workflow says, to the next full second", async () => {
    const { of } = failing("1h");
    const { run, pass, show, clock } = await harness([of], { clock: virtualClock(Date.UTC(2026, 0, 1, 0, 0, 0, 1)) });
    const { runId, endedAt, expiresAt } = await run(of, undefined);
    expect([endedAt, expiresAt]).toEqual(["2026-01-01T00:00:00.001Z", "2026-01-01T01:00:01.000Z"]);
    await pass(Date.UTC(2026, 0, 1, 1, 0, 1) - clock.now() - 1);
    expect((await show(runId)).status).toBe("failed");
    await pass(soon);
    await expect(show(runId)).rejects.toMatchObject(notFound);
  });

  test("that has not ended has no expiry, however old it is", async () => {
    const of = workflow("waiting", { retention: "1h" }, (w) => w.signal("go"));
    const { engine, run, pass, show } = await harness([of]);
    const { runId } = await run(of, undefined);
    const paused = await run(of, undefined);
    await engine.commands.pause(paused.runId);
    await pass(400 * day);
    expect(await show(runId)).toMatchObject({ status: "running" });
    expect(await show(paused.runId)).toMatchObject({ status: "paused" });
    expect((await show(runId)).expiresAt).toBeUndefined();
    const ended = await engine.commands.terminate(runId);
    expect(expiryOf(ended)).toBe(hour);
    await pass(hour + soon);
    await expect(show(runId)).rejects.toMatchObject(notFound);
    expect(await show(paused.runId)).toMatchObject({ status: "paused" });
  });

  test.each(["cancel", "terminate", "timeout", "unwinding"] as const)(
    "expires also after the end by %s",
    async (by) => {
      const of = workflow("ending", { retention: "1h", timeout: "10d" }, (w) => {
        const paid = w.step("pay", { run: () => 1, ...(by === "unwinding" ? { compensate: () => undefined } : {}) });
        return w.signal("go", { after: [paid] });
      });
      const { engine, run, pass, show } = await harness([of]);
      const { runId } = await run(of, undefined);
      if (by === "cancel" || by === "unwinding") await engine.commands.cancel(runId);
      if (by === "terminate") await engine.commands.terminate(runId);
      if (by === "timeout") await pass(10 * day);
      await pass(second);
      const ended = await show(runId);
      expect(ended.status).toBe(by === "timeout" ? "timed_out" : "cancelled");
      expect(expiryOf(ended)).toBe(hour);
      await pass(hour + soon);
      await expect(show(runId)).rejects.toMatchObject(notFound);
    },
  );

  test("that is redriven is open again, and expires after its next end", async () => {
    const { of, mend } = failing("1h");
    const { engine, run, pass, show, clock } = await harness([of]);
    const { runId } = await run(of, undefined);
    await pass(hour - second);
    expect((await engine.commands.redrive(runId)).expiresAt).toBeUndefined();
    await pass(second);
    const again = await show(runId);
    expect(again).toMatchObject({ status: "failed", redrives: 1 });
    expect(Date.parse(again.expiresAt ?? "")).toBeGreaterThan(clock.now() + hour - 2 * second);
    await pass(hour - 2 * second);
    mend();
    await engine.commands.redrive(runId);
    await pass(second);
    expect(await show(runId)).toMatchObject({ status: "succeeded", output: "mended", redrives: 2 });
    await pass(hour + soon);
    await expect(show(runId)).rejects.toMatchObject(notFound);
  });

  test("that is forked has a retention of its own", async () => {
    const { of } = failing("1h");
    const { engine, run, pass, show } = await harness([of]);
    const { runId } = await run(of, undefined);
    await pass(hour - second);
    const fork = await engine.commands.fork(runId, { from: "fail" });
    await pass(second + soon);
    await expect(show(runId)).rejects.toMatchObject(notFound);
    expect(expiryOf(await show(fork.runId))).toBe(hour);
    await pass(hour + soon);
    await expect(show(fork.runId)).rejects.toMatchObject(notFound);
  });
});

describe("runs that a run has started", () => {
  const child = workflow("child", { ...numbered, retention: "2h" }, (w) =>
    w.step("work", { run: ({ input }) => input }),
  );
  const parent = withSmallShards(
    workflow("parent", { ...numbered, retention: "1h" }, (w) => {
      const one = w.child("one", { workflow: child, input: ({ input }) => input });
      const twice = w.map("twice", { after: [one], items: () => [...Array(9).keys()], run: ({ item }) => item * 2 });
      return w.map("each", { after: [twice], items: () => [1, 2, 3], each: child });
    }),
  );

  test("have no expiry of their own, and go with it", async () => {
    const { run, pass, show, engine } = await harness([parent]);
    const { runId, expiresAt } = await run(parent, 1, second);
    expect(expiresAt).toBeDefined();
    const { runs } = await engine.queries.list({ parent: runId });
    const ids = [...runs.map((one) => one.runId), `${runId}~twice`, `${runId}~twice.0`, `${runId}~each`];
    expect(runs).toHaveLength(4);
    for (const id of ids) {
      const one = await show(id);
      expect([id, one.status, one.expiresAt]).toEqual([id, "succeeded", undefined]);
    }
    await pass(hour + soon);
    for (const id of [runId, ...ids]) await expect(show(id)).rejects.toMatchObject(notFound);
    expect(await engine.queries.list()).toEqual({ runs: [] });
  });

  test("stay while they go on, and expire by themselves after their end", async () => {
    const slow = workflow("slow", { retention: "3h" }, (w) => w.signal("go"));
    const leaving = workflow("leaving", { retention: "1h" }, (w) => {
      w.child("left", { workflow: slow, whenParentEnds: "leave" });
      return w.step("fail", {
        run: () => {
          throw new FatalError("broken");
        },
      });
    });
    const { run, pass, show, engine } = await harness([leaving]);
    const { runId, status } = await run(leaving, undefined, second);
    expect(status).toBe("failed");
    const left = `${runId}~left`;
    await pass(hour + soon);
    await expect(show(runId)).rejects.toMatchObject(notFound);
    await pass(400 * day);
    expect(await show(left)).toMatchObject({ status: "running" });
    await engine.commands.signal(left, "go");
    await pass(second);
    expect(await show(left)).toMatchObject({ status: "succeeded" });
    expect(expiryOf(await show(left))).toBe(3 * hour);
    expect(await engine.deadLetters(10)).toEqual([]);
    await pass(3 * hour + soon);
    await expect(show(left)).rejects.toMatchObject(notFound);
  });
});

describe("purge", () => {
  test("removes a run that has ended, at once, with all that it has started", async () => {
    const child = workflow("child", {}, (w) => w.step("work", { run: () => "x".repeat(400_000) }));
    const of = withSmallShards(
      workflow("parent", {}, (w) => {
        const one = w.child("one", { workflow: child });
        return w.map("twice", { after: [one], items: () => [...Array(9).keys()], run: ({ item }) => item * 2 });
      }),
    );
    const { run, show, engine, pass, logs } = await harness([of]);
    const { runId } = await run(of, undefined, second);
    const other = await run(of, undefined, second);
    expect(other.status).toBe("succeeded");
    await engine.commands.purge(runId);
    for (const id of [runId, `${runId}~one`, `${runId}~twice`, `${runId}~twice.0`, `${runId}~twice.1`])
      await expect(show(id)).rejects.toMatchObject(notFound);
    expect(await show(other.runId)).toEqual(other);
    await pass(day);
    expect(logs.filter(({ level }) => level === "error")).toEqual([]);
    await expect(engine.commands.purge(runId)).rejects.toMatchObject(notFound);
    await expect(engine.commands.redrive(runId)).rejects.toMatchObject(notFound);
  });

  test("makes room for another run of that id, which begins with nothing", async () => {
    const inputs: number[] = [];
    const of = workflow("of", numbered, (w) => {
      const one = w.step("one", { run: ({ input }) => ({ input, text: "x".repeat(2_000) }) });
      return w.step("two", { after: [one], run: ({ outputs }) => void inputs.push(outputs.one.input) });
    });
    const { engine, pass, show } = await harness([of]);
    for (const input of [1, 2]) {
      expect(await engine.commands.start("of", { runId: "a", input })).toMatchObject({ created: true });
      await pass(second);
      expect((await show("a")).status).toBe("succeeded");
      await engine.commands.purge("a");
    }
    expect(inputs).toEqual([1, 2]);
  });

  test("refuses a run that has not ended, and says what to do", async () => {
    const of = workflow("waiting", {}, (w) => w.signal("go"));
    const { engine, run, show } = await harness([of]);
    const open = await run(of, undefined);
    await expect(engine.commands.purge(open.runId)).rejects.toMatchObject({
      code: "status_conflict",
      message: expect.stringMatching(/is running.*Cancel or terminate it first/),
    });
    expect(await show(open.runId)).toEqual(open);
    await expect(engine.commands.purge("never-there")).rejects.toMatchObject(notFound);
    await expect(engine.commands.purge("gate#x#")).rejects.toMatchObject(notFound);
  });

  test("refuses a run that belongs to another one, and names that", async () => {
    const child = workflow("child", {}, (w) => w.step("work", { run: () => 1 }));
    const of = workflow("parent", {}, (w) => w.child("one", { workflow: child }));
    const { engine, run, show } = await harness([of]);
    const { runId } = await run(of, undefined, second);
    await expect(engine.commands.purge(`${runId}~one`)).rejects.toMatchObject({
      code: "status_conflict",
      message: expect.stringContaining(`Purge run ${runId}.`),
    });
    expect((await show(`${runId}~one`)).status).toBe("succeeded");
  });

  test("waits for code that is still at work, which would leave something behind", async () => {
    const held = gate();
    const of = workflow("held", {}, (w) => w.step("hold", { run: () => held.promise }));
    const { engine, run, pass } = await harness([of]);
    const { runId } = await run(of, undefined, second);
    await engine.commands.terminate(runId);
    await expect(engine.commands.purge(runId)).rejects.toMatchObject({
      code: "status_conflict",
      message: expect.stringMatching(/may still be at work for up to \d+ s/),
    });
    held.open();
    await pass(limits.leaseMs);
    await engine.commands.purge(runId);
  });

  test("gives the run's turn to the next", async () => {
    const of = workflow("turns", { concurrency: { limit: 1 } }, (w) => w.signal("go"));
    const { engine, pass, show } = await harness([of]);
    for (const runId of ["a", "b"]) await engine.commands.start("turns", { runId });
    await pass(2 * second);
    expect((await show("b")).waitsForTurn).toBeDefined();
    await engine.commands.terminate("a");
    await engine.commands.purge("a");
    await pass(2 * second);
    expect((await show("b")).waitsForTurn).toBeUndefined();
  });
});

describe("the retention of a workflow", () => {
  const define = (retention: string): Workflow =>
    workflow("of", { retention: retention as "1h" }, (w) => w.signal("go"));

  test.each(["1h", "90d", "3660d"])("may be %s", (retention) => {
    expect(define(retention).retentionMs).toBeGreaterThanOrEqual(limits.retentionLeastMs);
  });

  test.each(["59m", "0s", "3661d", "for ever"])("cannot be %s", (retention) => {
    expect(() => define(retention)).toThrow(/retention: is .*allowed is .*from 1h up to 3660d/);
  });

  test("is no part of its graph: runs go on with the graph that they began with", () => {
    expect(define("1h").fingerprint).toBe(define("2h").fingerprint);
  });
});
