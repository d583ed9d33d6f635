// Hunts messages that Lambda and SQS lose between them, worker functions that leave something behind, and dead letters that hang a run.
import { describe, expect, test } from "vitest";
import { limits } from "../../lib/definition/limits.ts";
import { workflow } from "../../lib/definition/workflow.ts";
import { LocalLambda } from "./local-lambda.ts";

const retry = { maxAttempts: 5, backoff: { type: "fixed", base: "2s" } } as const;

const chain = workflow("chain", {}, (w) => {
  const one = w.step("one", { run: () => 1 });
  const two = w.step("two", { after: [one], run: ({ outputs }) => outputs.one + 1 });
  return w.step("three", { after: [two], run: ({ outputs }) => outputs.two + 1 });
});

describe("a run", () => {
  test("goes to its end, one message after the other, and leaves none", async () => {
    const lambda = new LocalLambda([chain]);
    const runId = await lambda.start(chain);
    await lambda.pass(0);
    expect(await lambda.show(runId)).toMatchObject({ status: "succeeded", output: 3 });
    expect(lambda.sqs.messages("default")).toEqual([]);
  });

  test("retries after its pause, by a message of its own", async () => {
    const attempts: number[] = [];
    const flaky = workflow("flaky", {}, (w) =>
      w.step("one", {
        retry,
        run: ({ attempt }) => {
          attempts.push(attempt);
          if (attempt < 3) throw new Error("not yet");
          return attempt;
        },
      }),
    );
    const lambda = new LocalLambda([flaky]);
    const runId = await lambda.start(flaky);
    await lambda.pass(3_999);
    expect(attempts).toEqual([1, 2]);
    await lambda.pass(1);
    expect(await lambda.show(runId)).toMatchObject({ status: "succeeded", output: 3 });
  });

  test("waits for longer than SQS can, by a schedule that fires then, and is gone", async () => {
    const nap = workflow("nap", {}, (w) => w.sleep("night", { duration: "8h" }));
    const lambda = new LocalLambda([nap]);
    const runId = await lambda.start(nap);
    await lambda.pass(8 * 3_600_000 - 1);
    expect([...lambda.schedules.values()]).toHaveLength(1);
    expect(await lambda.show(runId)).toMatchObject({ status: "running" });
    await lambda.pass(1);
    expect(await lambda.show(runId)).toMatchObject({ status: "succeeded" });
    expect(lambda.schedules.size).toBe(0);
  });

  test("a bulk operation goes to its end on worker functions, though one of them is lost, and each run is redriven once", async () => {
    let isMended = false;
    const broken = workflow("broken", {}, (w) =>
      w.step("one", {
        retry: { maxAttempts: 3, isRetryable: () => false },
        run: () => {
          if (!isMended) throw new Error("not yet");
        },
      }),
    );
    const lambda = new LocalLambda([broken]);
    const runs = await Promise.all(Array.from({ length: 30 }, () => lambda.start(broken)));
    await lambda.pass(1_000);
    isMended = true;
    const request = {
      action: "redrive",
      filter: { workflow: "broken" },
      ratePerSecond: 5,
      operationId: "mend",
    } as const;
    await lambda.operations.begin(request);
    await lambda.pass(2_500);
    lambda.crash();
    // Its message comes back when Lambda's timeout is over, its lease ends before.
    await lambda.pass(10 * 60_000);
    expect(await lambda.operations.get("mend")).toMatchObject({
      status: "succeeded",
      progress: { selected: 30, done: 30, skipped: 0, failed: 0 },
    });
    for (const runId of runs) expect(await lambda.show(runId)).toMatchObject({ status: "succeeded", redrives: 1 });
    expect(lambda.sqs.messages("default")).toEqual([]);
  });

  test("all records of a batch are worked on at the same time", async () => {
    let atWork = 0;
    let most = 0;
    const wide = workflow("wide", {}, (w) => {
      for (let n = 0; n < 5; n++) {
        w.step(`s${n}`, {
          run: async () => {
            most = Math.max(most, ++atWork);
            await new Promise((resolve) => setImmediate(resolve));
            atWork--;
          },
        });
      }
    });
    const lambda = new LocalLambda([wide], { batchSize: 10 });
    const runId = await lambda.start(wide);
    await lambda.pass(0);
    expect(await lambda.show(runId)).toMatchObject({ status: "succeeded" });
    expect(most).toBe(5);
  });
});

describe("a worker that crashes", () => {
  test("its message is back when its lease is over, however long its function may run", async () => {
    let isHanging = true;
    const crashing = workflow("crashing", {}, (w) =>
      w.step("one", {
        retry,
        timeout: "10m",
        run: ({ attempt }) => (isHanging ? new Promise<number>(() => {}) : attempt),
      }),
    );
    const lambda = new LocalLambda([crashing], { timeoutMs: 15 * 60_000 });
    const runId = await lambda.start(crashing);
    await lambda.pass(1_000);
    isHanging = false;
    lambda.crash();
    await lambda.pass(limits.visibilityMs);
    expect(await lambda.show(runId)).toMatchObject({ status: "succeeded", output: 2 });
  });

  test("a message that meets a live lease comes again by a copy, and its receives start anew", async () => {
    let isHanging = true;
    const slow = workflow("slow", {}, (w) =>
      w.step("one", { retry, run: ({ attempt }) => (isHanging ? new Promise<number>(() => {}) : attempt) }),
    );
    const lambda = new LocalLambda([slow]);
    const runId = await lambda.start(slow);
    await lambda.pass(1_000);
    const [inFlight] = lambda.sqs.messages("default");
    // A duplicate, as SQS may make one.
    lambda.sqs.put(lambda.sqs.arn("default"), inFlight!.body);
    await lambda.pass(1_000);
    const copy = lambda.sqs.messages("default").find((message) => message !== inFlight);
    expect(copy).toMatchObject({
      body: inFlight!.body,
      receives: 0,
      attributes: { redeliveries: { StringValue: "1" } },
    });
    isHanging = false;
    lambda.crash();
    await lambda.pass(limits.visibilityMs + 30_000);
    expect(await lambda.show(runId)).toMatchObject({ status: "succeeded", output: 2 });
    expect(lambda.sqs.messages("default")).toEqual([]);
  });
});

describe("dead letters", () => {
  test("what is no message is kept with the reason, and handled once", async () => {
    const lambda = new LocalLambda([chain]);
    lambda.sqs.put(lambda.sqs.arn("default"), "{ not json");
    await lambda.pass(1_000);
    expect(lambda.sqs.messages("default")).toEqual([]);
    expect(lambda.sqs.messages("archive")).toMatchObject([
      {
        body: "{ not json",
        attributes: {
          reason: { StringValue: expect.stringContaining("Not a Pawl message") },
          taskQueue: { StringValue: "default" },
          receiveCount: { StringValue: "1" },
        },
      },
    ]);
    expect(lambda.counts).toEqual([{ DeadLetters: 1 }]);
  });

  test("a message that fails at every delivery ends its step, within an hour or two, and pauses grow", async () => {
    const failures: number[] = [];
    const lambda: LocalLambda = new LocalLambda([chain], {
      store: (store) => ({
        ...store,
        update: (runId, transition) => {
          // The claims of the first step only.
          if (transition.set.s0 === undefined || !String(transition.set.s0).startsWith("r"))
            return store.update(runId, transition);
          failures.push(lambda.clock.now());
          return Promise.reject(new Error("the table is gone"));
        },
      }),
    });
    const runId = await lambda.start(chain);
    await lambda.pass(30 * 60_000);
    expect(await lambda.show(runId)).toMatchObject({ status: "running" });
    await lambda.pass(90 * 60_000);
    const run = await lambda.show(runId);
    expect(run).toMatchObject({ status: "failed", error: { name: "EngineFailure", step: "one" } });
    expect(failures).toHaveLength(limits.receives);
    const pauses = failures.slice(1).map((atMs, index) => atMs - failures[index]!);
    expect(pauses.slice(0, 4)).toEqual([1_000, 2_000, 4_000, 8_000]);
    expect(Math.max(...pauses)).toBe(limits.redeliveryMs);
    expect(pauses.reduce((sum, pause) => sum + pause)).toBeGreaterThan(3_600_000 * 0.9);
    expect(lambda.sqs.messages("dead")).toEqual([]);
    expect(lambda.sqs.messages("archive")).toMatchObject([
      { attributes: { reason: { StringValue: /each of its deliveries/ } } },
    ]);
  });
});

describe("when the handler returns", () => {
  test("background work has ended", async () => {
    let isDone = false;
    const logging = workflow("logging", {}, (w) =>
      w.step("one", {
        run: ({ background }) => {
          background(
            (async () => {
              await new Promise((resolve) => setImmediate(resolve));
              isDone = true;
            })(),
          );
        },
      }),
    );
    const lambda = new LocalLambda([logging]);
    await lambda.start(logging);
    await lambda.pass(0);
    expect(isDone).toBe(true);
    expect(lambda.sqs.messages("default")).toEqual([]);
  });

  test("background work that takes longer than the function may live is given up in time, and said", async () => {
    const endless = workflow("endless", {}, (w) =>
      w.step("one", { timeout: "30s", run: ({ background }) => background(new Promise(() => {})) }),
    );
    const lambda = new LocalLambda([endless], { timeoutMs: 60_000 });
    const runId = await lambda.start(endless);
    await lambda.pass(60_000 - limits.farewellMs);
    const run = await lambda.show(runId);
    expect(run).toMatchObject({ status: "succeeded" });
    expect(run.steps.one).toMatchObject({ backgroundErrors: [{ message: expect.stringContaining("55000 ms") }] });
    expect(lambda.sqs.messages("default")).toEqual([]);
  });

  test("no timer of it is left", async () => {
    const lambda = new LocalLambda([chain], { timeoutMs: 1_000 });
    await lambda.start(chain);
    await lambda.pass(0);
    // The fake's own look at the message's visibility is all there is.
    await lambda.pass(11_000);
    expect(lambda.clock.nextTimerAtMs()).toBeUndefined();
  });
});
