// Hunts: a stop that loses or doubles work, waits for ever, or uses attempts up.
import { expect, test } from "vitest";
import { workflow } from "../../lib/index.ts";
import { VirtualClock } from "../../lib/testing/virtual-clock.ts";
import { harness, temporaryFolder } from "./harness.ts";

// A restart needs a store that outlives its process.
const restTurns = 120;
const clockOnDisk = (): VirtualClock => new VirtualClock(undefined, restTurns);

test("running steps get the abort signal; one that listens gives its attempt back and runs again after the restart", async () => {
  const folder = await temporaryFolder();
  const clock = clockOnDisk();
  const attempts: number[] = [];
  const reasons: string[] = [];
  const work = workflow("work", {}, (w) => {
    const a = w.step("a", {
      retry: { maxAttempts: 1 },
      run: ({ attempt, signal }) => {
        attempts.push(attempt);
        if (attempts.length > 1) return "second process";
        return new Promise<string>((_resolve, reject) => {
          signal.addEventListener("abort", () => {
            reasons.push((signal.reason as { because: string }).because);
            reject(signal.reason as Error);
          });
        });
      },
    });
    return w.step("b", { after: [a], run: ({ outputs }) => outputs.a });
  });
  const first = await harness([work], { dataDir: folder, clock });
  const { runId } = await first.run(work, undefined);
  await first.pass(1);
  expect(attempts).toEqual([1]);
  await first.engine.stop({ graceMs: 10_000 });
  expect(reasons).toEqual(["shutdown"]);

  const second = await harness([work], { dataDir: folder, clock });
  await second.pass(1);
  expect(await second.show(runId)).toMatchObject({ status: "succeeded", output: "second process" });
  expect(attempts).toEqual([1, 1]);
});

test("a step that finishes within the grace time is committed", async () => {
  const folder = await temporaryFolder();
  const clock = clockOnDisk();
  let calls = 0;
  const work = workflow("work", {}, (w) =>
    w.step("a", {
      run: () => {
        calls++;
        return new Promise((resolve) =>
          clock.after(5_000, () => {
            resolve("just in time");
          }),
        );
      },
    }),
  );
  const first = await harness([work], { dataDir: folder, clock });
  const { runId } = await first.run(work, undefined);
  await first.pass(1);
  const stopped = first.engine.stop({ graceMs: 10_000 });
  await clock.advance(5_000);
  await stopped;
  const second = await harness([work], { dataDir: folder, clock });
  await second.pass(1);
  expect(await second.show(runId)).toMatchObject({
    status: "succeeded",
    output: "just in time",
    steps: { a: { attempt: 1 } },
  });
  expect(calls).toBe(1);
});

test("a step that ignores its signal does not hold up the stop, and is taken over at once after the restart", async () => {
  const folder = await temporaryFolder();
  const clock = clockOnDisk();
  let calls = 0;
  const work = workflow("work", {}, (w) =>
    w.step("a", { run: () => (++calls === 1 ? new Promise<string>(() => undefined) : "taken over") }),
  );
  const first = await harness([work], { dataDir: folder, clock });
  const { runId } = await first.run(work, undefined);
  await first.pass(1);
  const stopped = first.engine.stop({ graceMs: 3_000 });
  await clock.advance(3_000);
  await stopped;
  const second = await harness([work], { dataDir: folder, clock });
  await second.pass(1);
  expect(await second.show(runId)).toMatchObject({
    status: "succeeded",
    output: "taken over",
    steps: { a: { attempt: 2 } },
  });
});

test("a waiting caller is answered when the engine stops, and a stopped engine refuses work with a clear error", async () => {
  const work = workflow("work", {}, (w) => w.step("a", { delay: "1h", run: () => 1 }));
  const { engine, clock } = await harness([work]);
  const { runId } = await engine.start(work);
  const waiting = engine.waitForEnd(runId);
  const settled = Promise.allSettled([waiting]);
  await engine.stop({ graceMs: 0 });
  await clock.advance(1);
  const [answer] = await settled;
  expect(answer).toMatchObject({ status: "rejected", reason: { code: "unavailable" } });
  await expect(engine.start(work)).rejects.toMatchObject({ code: "unavailable" });
  // A timer left behind would keep the process alive.
  expect(clock.nextTimerAtMs()).toBeUndefined();
});
