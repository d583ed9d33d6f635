// Hunts: an attempt without a claim that counts twice, that nobody takes up again, or whose result comes where it has no place.
import { describe, expect, test } from "vitest";
import * as z from "zod";
import { limits } from "../../lib/definition/limits.ts";
import { FatalError, workflow } from "../../lib/index.ts";
import { atRest } from "../../lib/testing/virtual-clock.ts";
import { gate, harness, statuses } from "./harness.ts";
import { Rig } from "./rig.ts";

const never = (): Promise<never> => new Promise(() => undefined);

/** Each execution waits for its own gate, and returns what that is opened with. */
function gated(options: { readonly retry?: { readonly maxAttempts: number } } = {}) {
  const executions: { readonly attempt: number; readonly signal: AbortSignal; open(value: string): void }[] = [];
  const work = workflow("work", {}, (w) => {
    const a = w.step("a", {
      ...options,
      idempotent: true,
      timeout: "10m",
      run: ({ attempt, signal }) => {
        const { promise, open } = gate<string>();
        executions.push({ attempt, signal, open });
        return promise;
      },
    });
    return w.step("b", { after: [a], idempotent: true, run: ({ outputs }) => outputs.a });
  });
  return { work, executions, rig: new Rig([work]) };
}

describe("an idempotent step", () => {
  test("is written once: by its commit", async () => {
    const { rig, executions } = gated();
    const { runId } = await rig.commands.start("work");
    const message = await rig.receive();
    const before = await rig.ports.store.get(runId);
    const handled = rig.handle(rig.worker(), message);
    await atRest();
    expect(executions).toHaveLength(1);
    expect(await rig.ports.store.get(runId)).toEqual(before);
    expect(statuses(await rig.show(runId))).toEqual({ a: "pending", b: "pending" });
    executions[0]?.open("done");
    await rig.apply(message, await handled);
    await rig.deliverAll(rig.worker());
    expect(await rig.show(runId)).toMatchObject({ status: "succeeded", output: "done", steps: { a: { attempt: 1 } } });
  });

  test.each([
    ["first", 0, 1],
    ["second", 1, 0],
  ])("of two executions at the same time the one that ends first counts: the %s", async (_, winner, loser) => {
    const { rig, executions } = gated();
    const { runId } = await rig.commands.start("work");
    const message = await rig.receive();
    const [one, two] = [rig.handle(rig.worker(), message), rig.handle(rig.worker(), message)];
    await atRest();
    expect(executions.map(({ attempt }) => attempt)).toEqual([1, 1]);
    // So large that it lies beside the run.
    executions[winner]?.open(`winner ${"x".repeat(5_000)}`);
    await (winner === 0 ? one : two);
    executions[loser]?.open(`loser ${"x".repeat(5_000)}`);
    expect(await (winner === 0 ? two : one)).toEqual({ kind: "acknowledge" });
    await rig.deliverAll(rig.worker());
    const ended = await rig.show(runId);
    expect(ended).toMatchObject({ status: "succeeded", steps: { a: { attempt: 1 }, b: { attempt: 1 } } });
    expect(ended.output).toMatch(/^winner/);
  });

  test("whose worker dies is claimed by the next delivery, and its attempts are counted from then on", async () => {
    let calls = 0;
    const lethal = workflow("lethal", {}, (w) =>
      w.step("boom", { idempotent: true, retry: { maxAttempts: 2 }, run: () => (calls++, never()) }),
    );
    const rig = new Rig([lethal]);
    const { runId } = await rig.commands.start("lethal");
    for (let delivery = 1; delivery <= 3; delivery++) {
      await rig.crash();
      expect((await rig.show(runId)).steps.boom?.attempt ?? 0).toBe(delivery - 1);
      await rig.clock.advance(limits.visibilityMs);
    }
    await rig.deliverAll(rig.worker());
    expect(await rig.show(runId)).toMatchObject({ status: "failed", error: { name: "WorkerCrashed" } });
    expect(calls).toBe(3);
  });

  test("that takes long is claimed meanwhile: it is seen to run, renewed, and nobody takes it over", async () => {
    const { rig, executions } = gated();
    const { runId } = await rig.commands.start("work");
    const message = await rig.receive();
    const handled = rig.handle(rig.worker(), message);
    await rig.clock.advance(limits.leaseRenewalMs);
    const shown = await rig.show(runId);
    expect(shown.steps.a).toMatchObject({ status: "running", attempt: 1, startedAt: shown.createdAt });
    await rig.clock.advance(5 * limits.leaseMs);
    expect(await rig.handle(rig.worker(), message)).toMatchObject({ kind: "redeliver" });
    executions[0]?.open("done");
    await rig.apply(message, await handled);
    await rig.deliverAll(rig.worker());
    expect(await rig.show(runId)).toMatchObject({ status: "succeeded", steps: { a: { attempt: 1 } } });
    expect(executions).toHaveLength(1);
  });

  test("that takes long is told when another execution was first to be claimed", async () => {
    const { rig, executions } = gated();
    await rig.commands.start("work");
    const message = await rig.receive();
    const late = rig.handle(rig.worker(), message);
    await rig.clock.advance(limits.leaseRenewalMs / 2);
    const [other] = [rig.handle(rig.worker(), { ...message, receiveCount: 2 })];
    await rig.clock.advance(limits.leaseRenewalMs / 2);
    expect(executions[0]?.signal.reason).toMatchObject({ because: "lease_lost" });
    expect(executions[1]?.signal.aborted).toBe(false);
    executions[0]?.open("late");
    expect(await late).toMatchObject({ kind: "redeliver" });
    executions[1]?.open("done");
    await rig.apply(message, await other);
  });

  test("fails and is tried again as its policy says, without a claim each time", async () => {
    const attempts: number[] = [];
    const work = workflow("work", {}, (w) =>
      w.step("a", {
        idempotent: true,
        retry: { maxAttempts: 3, backoff: { type: "fixed", base: "1s" } },
        run: ({ attempt }) => {
          attempts.push(attempt);
          if (attempt < 3) throw new Error("not yet");
          return attempt;
        },
      }),
    );
    const { run } = await harness([work]);
    expect(await run(work, undefined, 60_000)).toMatchObject({ status: "succeeded", output: 3 });
    expect(attempts).toEqual([1, 2, 3]);
  });

  test("may ask a person, and of two executions only one question is open", async () => {
    const work = workflow("work", {}, (w) =>
      w.step("a", { idempotent: true, run: async ({ interrupt }) => interrupt("who?", z.string()) }),
    );
    const rig = new Rig([work]);
    const { runId } = await rig.commands.start("work");
    const message = await rig.receive();
    await Promise.all([rig.handle(rig.worker(), message), rig.handle(rig.worker(), message)]);
    const { interrupt } = (await rig.show(runId)).steps.a ?? {};
    await rig.commands.answer(runId, interrupt?.id ?? "", "Ada");
    await rig.deliverAll(rig.worker());
    await rig.clock.advance(limits.visibilityMs);
    await rig.deliverAll(rig.worker());
    expect(await rig.show(runId)).toMatchObject({ status: "succeeded", output: "Ada" });
  });
});

describe("the result of an idempotent step", () => {
  test("counts in a run that was paused meanwhile; what follows waits for the resume", async () => {
    const { rig, executions } = gated();
    const { runId } = await rig.commands.start("work");
    const message = await rig.receive();
    const handled = rig.handle(rig.worker(), message);
    await atRest();
    await rig.commands.pause(runId);
    executions[0]?.open("done");
    await rig.apply(message, await handled);
    await rig.deliverAll(rig.worker());
    expect(statuses(await rig.show(runId))).toEqual({ a: "succeeded", b: "pending" });
    await rig.commands.resume(runId);
    await rig.deliverAll(rig.worker());
    expect(await rig.show(runId)).toMatchObject({ status: "succeeded", output: "done" });
  });

  test("is refused by a run that was cancelled meanwhile", async () => {
    const { rig, executions } = gated();
    const { runId } = await rig.commands.start("work");
    const handled = rig.handle(rig.worker(), await rig.receive());
    await atRest();
    expect(await rig.commands.cancel(runId)).toMatchObject({ status: "cancelled" });
    executions[0]?.open("too late");
    expect(await handled).toEqual({ kind: "acknowledge" });
    expect(await rig.show(runId)).toMatchObject({ status: "cancelled", steps: { a: { status: "pending" } } });
  });

  test("is refused by a run that is failing: it does not wait for what it does not know of", async () => {
    const { promise, open } = gate<string>();
    const work = workflow("work", {}, (w) => {
      w.step("slow", { idempotent: true, run: () => promise });
      w.step("stays", { run: never });
      w.step("fails", {
        retry: { maxAttempts: 1 },
        run: () => {
          throw new FatalError("as planned");
        },
      });
    });
    const rig = new Rig([work]);
    const { runId } = await rig.commands.start("work");
    const message = await rig.receive();
    const slow = rig.handle(rig.worker(), message);
    await atRest();
    await rig.crash();
    await rig.deliver(rig.worker());
    expect((await rig.show(runId)).status).toBe("unwinding");
    open("too late");
    expect(await slow).toEqual({ kind: "acknowledge" });
    expect(statuses(await rig.show(runId)).slow).toBe("pending");
  });

  test("does not come into a later epoch of its run, nor into another run of the same id", async () => {
    const { rig, executions } = gated();
    const { runId } = await rig.commands.start("work", { runId: "again" });
    const message = await rig.receive();
    const [first, second] = [rig.handle(rig.worker(), message), rig.handle(rig.worker(), message)];
    await atRest();
    await rig.commands.cancel(runId);
    await rig.commands.redrive(runId);
    executions[0]?.open("of the first epoch");
    await first;
    expect(statuses(await rig.show(runId)).a).toBe("pending");
    await rig.commands.terminate(runId);
    await rig.commands.purge(runId);
    await rig.clock.advance(1_000);
    await rig.commands.start("work", { runId: "again" });
    executions[1]?.open("of the run before");
    await second;
    expect(statuses(await rig.show(runId)).a).toBe("pending");
  });
});

test("items of a map may be idempotent", async () => {
  const work = workflow("work", {}, (w) =>
    w.map("all", { items: () => [1, 2, 3], idempotent: true, run: ({ item }) => item * 2 }),
  );
  const { run } = await harness([work]);
  expect(await run(work, undefined, 1_000)).toMatchObject({ status: "succeeded", output: { items: 3, failures: 0 } });
});

test("a run whose code is gone is parked before an attempt begins", async () => {
  const { work } = gated();
  const other = workflow("other", {}, (w) => w.step("x", { run: () => 1 }));
  const rig = new Rig([work, other]);
  const { runId } = await rig.commands.start("work");
  await rig.deliver(rig.worker([other]));
  expect(await rig.show(runId)).toMatchObject({ status: "paused", pause: { code: "workflow_missing" } });
});
