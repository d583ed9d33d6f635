// Hunts: a silent attempt that goes on, a lively one that is cut off, details that are lost or cost a write.
import { expect, test } from "vitest";
import { limits } from "../../lib/definition/limits.ts";
import { workflow } from "../../lib/index.ts";
import { atRest } from "../../lib/testing/virtual-clock.ts";
import { harness } from "./harness.ts";
import { Rig } from "./rig.ts";

const backoff = { type: "fixed", base: "10s" } as const;
const untilAborted = (signal: AbortSignal): Promise<void> =>
  new Promise((_resolve, reject) => {
    signal.addEventListener("abort", () => {
      reject(signal.reason as Error);
    });
  });

test("an attempt without a heartbeat for so long is aborted, and another follows as the policy says", async () => {
  const beats: (() => void)[] = [];
  const reasons: unknown[] = [];
  const work = workflow("work", {}, (w) =>
    w.step("copy", {
      timeout: "1h",
      heartbeatTimeout: "1m",
      retry: { maxAttempts: 2, backoff },
      run: async ({ heartbeat, signal }) => {
        beats.push(heartbeat);
        signal.addEventListener("abort", () => reasons.push(signal.reason));
        await untilAborted(signal);
      },
    }),
  );
  const { run, pass, show } = await harness([work]);
  const { runId } = await run(work, undefined, 59_999);
  for (let minutes = 0; minutes < 20; minutes++) {
    beats[0]?.();
    await pass(59_999);
    expect((await show(runId)).steps.copy?.status).toBe("running");
  }
  await pass(1);
  const silent = { name: "HeartbeatTimeout", message: "The attempt gave no heartbeat for 60000 ms." };
  expect((await show(runId)).steps.copy).toMatchObject({ status: "backing_off", attempt: 1, error: silent });
  expect(reasons).toMatchObject([{ name: "AttemptAborted", because: "heartbeat_timeout" }]);
  // What a late beat of the first attempt tells does not keep the second one alive.
  await pass(10_000);
  beats[0]?.();
  await pass(60_000);
  expect(await show(runId)).toMatchObject({ status: "failed", error: { ...silent, step: "copy" } });
});

test("the next attempt finds the details, whether the one before failed or its worker was lost", async () => {
  const found: unknown[] = [];
  const work = workflow("work", {}, (w) =>
    w.step("copy", {
      retry: { maxAttempts: 3, backoff },
      timeout: "5m",
      run: async ({ heartbeat, lastHeartbeat, attempt, signal }) => {
        found.push(lastHeartbeat);
        heartbeat({ row: attempt * 100 });
        heartbeat();
        if (attempt === 1) throw new Error("once");
        if (attempt === 2) await untilAborted(signal);
      },
    }),
  );
  const rig = new Rig([work]);
  const { runId } = await rig.commands.start("work");
  await rig.deliverAll(rig.worker());
  expect((await rig.show(runId)).steps.copy).toMatchObject({ status: "backing_off", heartbeat: { row: 100 } });
  await rig.clock.advance(10_000);
  const process = rig.process();
  let writes = 0;
  const { store } = rig.ports;
  const update = store.update.bind(store);
  store.update = (...given) => {
    writes++;
    return update(...given);
  };
  void rig.handle(process.worker, await rig.receive());
  await atRest();
  await rig.clock.advance(limits.leaseRenewalMs);
  // The claim, and the renewal that there would be anyway.
  expect(writes).toBe(2);
  expect((await rig.show(runId)).steps.copy).toMatchObject({ status: "running", heartbeat: { row: 200 } });
  process.kill();
  await rig.clock.advance(limits.visibilityMs);
  await rig.deliverAll(rig.worker());
  expect(await rig.show(runId)).toMatchObject({ status: "succeeded", steps: { copy: { attempt: 3 } } });
  expect(found).toEqual([undefined, { row: 100 }, { row: 200 }]);
});

test("details that cannot be kept fail the step, and a redrive begins without those of the epoch before", async () => {
  const found: unknown[] = [];
  let details: unknown = { text: "é".repeat(600) };
  const work = workflow("work", {}, (w) =>
    w.step("copy", {
      run: ({ heartbeat, lastHeartbeat }) => {
        found.push(lastHeartbeat);
        heartbeat({ row: 1 });
        heartbeat(details);
      },
    }),
  );
  const { run, engine, pass, show } = await harness([work]);
  const { runId, steps } = await run(work, undefined);
  expect(steps.copy).toMatchObject({
    status: "failed",
    attempt: 1,
    error: { message: "The details of heartbeat() are 1211 bytes as JSON; at most 1024 are allowed." },
  });
  details = new Date();
  await engine.commands.redrive(runId);
  await pass(0);
  expect((await show(runId)).steps.copy?.error?.message).toContain("The details of heartbeat() is a Date");
  expect(found).toEqual([undefined, undefined]);
});
