// Hunts: a poll that stops too early, never stops, or runs while it should pause.
import { expect, test } from "vitest";
import * as z from "zod";
import { DefinitionError, FatalError, workflow } from "../../lib/index.ts";
import { harness } from "./harness.ts";

const every = { type: "fixed", base: "10s" } as const;

test("repeats its look until the output is what was waited for, which is then the step's output", async () => {
  const looks: number[] = [];
  const report = workflow("report", {}, (w) => {
    const begin = w.step("begin", { run: () => "job-7" });
    const job = w.poll("job", {
      after: [begin],
      run: ({ outputs, attempt }) => {
        looks.push(clock.now());
        return { id: outputs.begin, rows: attempt * 10, done: attempt === 4 };
      },
      until: ({ done }) => done,
      interval: { type: "exponential", base: "10s", max: "1m" },
      timeout: "1h",
    });
    return w.step("read", { after: [job], run: ({ outputs }) => outputs.job.rows });
  });
  const { run, clock, pass, show } = await harness([report]);
  const early = await run(report, undefined, 10_000);
  expect(early.steps.job).toMatchObject({ status: "backing_off", attempt: 2 });
  expect(early.steps.job?.error).toBeUndefined();
  await pass(600_000);
  const ended = await show(early.runId);
  expect(ended).toMatchObject({
    status: "succeeded",
    output: 40,
    steps: { job: { attempt: 4, output: { done: true } } },
  });
  expect(looks.map((ms) => ms - (looks[0] ?? 0))).toEqual([0, 10_000, 30_000, 70_000]);
});

test("gives up at its timeout, counted from when it was ready, and makes no look beyond it", async () => {
  const looks: number[] = [];
  const never = workflow("never", {}, (w) => {
    const before = w.step("before", { delay: "5m", run: () => 1 });
    return w.poll("job", {
      after: [before],
      run: () => looks.push(clock.now()),
      until: () => false,
      interval: every,
      timeout: "35s",
    });
  });
  const { run, clock } = await harness([never]);
  const begun = clock.now();
  const ended = await run(never, undefined, 3_600_000);
  expect(ended).toMatchObject({ status: "failed", error: { name: "PollExhausted", step: "job" } });
  expect(ended.steps.job).toMatchObject({ status: "failed", attempt: 4, error: { name: "PollExhausted" } });
  expect(looks.map((ms) => ms - begun - 300_000)).toEqual([0, 10_000, 20_000, 30_000]);
});

test("gives up after its number of looks; looks that throw count", async () => {
  const flaky = workflow("flaky", {}, (w) => {
    w.poll("looks", { onFailure: "continue", run: () => 1, until: () => false, interval: every, maxAttempts: 3 });
    w.poll("throws", {
      onFailure: "continue",
      run: ({ attempt }) => {
        if (attempt !== 2) throw new Error(`look ${attempt} failed`);
        return 1;
      },
      until: () => false,
      interval: every,
      maxAttempts: 3,
    });
    return w.poll("mended", {
      run: ({ attempt }) => {
        if (attempt === 1) throw new Error("once");
        return attempt;
      },
      until: (attempt) => attempt === 3,
      interval: every,
      maxAttempts: 5,
    });
  });
  const ended = await (await harness([flaky])).run(flaky, undefined, 3_600_000);
  expect(ended).toMatchObject({ status: "succeeded", output: 3 });
  expect(ended.steps.looks).toMatchObject({ status: "failed", attempt: 3, error: { name: "PollExhausted" } });
  expect(ended.steps.throws).toMatchObject({ status: "failed", attempt: 3, error: { message: "look 3 failed" } });
});

test("FatalError, a refused output and a broken predicate end it as they end a step", async () => {
  const broken = workflow("broken", {}, (w) => {
    const options = { onFailure: "continue", interval: every, maxAttempts: 2 } as const;
    w.poll("fatal", { ...options, run: () => Promise.reject(new FatalError("gone")), until: () => true });
    w.poll("shape", {
      ...options,
      output: z.object({ done: z.boolean() }),
      run: () => ({ done: 1 }) as never,
      until: () => true,
    });
    w.poll("predicate", {
      ...options,
      run: () => 1,
      until: () => {
        throw new Error("predicate is broken");
      },
    });
    w.poll("promise", { ...options, run: () => 1, until: (() => Promise.resolve(true)) as never });
  });
  const ended = await (await harness([broken])).run(broken, undefined, 60_000);
  expect(ended.steps).toMatchObject({
    fatal: { status: "failed", attempt: 1, error: { message: "gone" } },
    shape: { status: "failed", attempt: 1, error: { name: "InvalidOutput" } },
    predicate: { status: "failed", attempt: 2, error: { message: "predicate is broken" } },
    promise: { status: "failed", attempt: 1, error: { message: "until decides with true or false, at once." } },
  });
});

test("pauses with its run, and goes on with the next look when it is resumed", async () => {
  const job = workflow("job", {}, (w) =>
    w.poll("look", {
      run: ({ attempt }) => attempt,
      until: (attempt) => attempt === 2,
      interval: every,
      timeout: "1d",
    }),
  );
  const { run, engine, pass, show } = await harness([job]);
  const { runId } = await run(job, undefined);
  await engine.commands.pause(runId);
  await pass(3_600_000);
  expect((await show(runId)).steps.look?.attempt).toBe(1);
  await engine.commands.resume(runId);
  await pass(0);
  expect(await show(runId)).toMatchObject({ status: "succeeded", output: 2 });
});

test("a redriven poll has its whole time again", async () => {
  let isReady = false;
  const job = workflow("job", {}, (w) =>
    w.poll("look", { run: () => isReady, until: (ready) => ready, interval: every, timeout: "1m" }),
  );
  const { run, engine, pass, show } = await harness([job]);
  const { runId, status } = await run(job, undefined, 86_400_000);
  expect(status).toBe("failed");
  await engine.commands.redrive(runId);
  await pass(30_000);
  expect(await show(runId)).toMatchObject({ status: "running", steps: { look: { status: "backing_off" } } });
  isReady = true;
  await pass(10_000);
  expect((await show(runId)).status).toBe("succeeded");
});

test("a poll without an end, or without what it needs, is a faulty definition", () => {
  const define = () =>
    workflow("faulty", {}, (w) => {
      w.poll("endless", { run: () => 1, until: () => true, interval: every });
      w.poll("empty", { interval: { type: "fixed", base: "soon" }, timeout: "never" } as never);
    });
  expect(define).toThrow(DefinitionError);
  expect(define).toThrow(
    [
      'Workflow "faulty" has 5 faults:',
      '  - poll "endless": says neither timeout nor maxAttempts; give it one of them (Infinity polls for ever).',
      '  - poll "empty": has no run function; give it one.',
      '  - poll "empty": has no until function; give it one.',
    ].join("\n"),
  );
});
