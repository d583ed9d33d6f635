// Hunts: attempts that are lost, repeated without need, never end, or end without their error.
import { describe, expect, test, vi } from "vitest";
import * as z from "zod";
import { FatalError, RetryableError, workflow } from "../../lib/index.ts";
import { harness, statuses } from "./harness.ts";

const fixed = { type: "fixed", base: "1s" } as const;

test("a simple run succeeds, with the output of the returned step", async () => {
  const greet = workflow("greet", { input: z.object({ name: z.string() }) }, (w) =>
    w.step("hello", { run: ({ input }) => `Hello, ${input.name}` }),
  );
  const { run, events } = await harness([greet]);
  const ended = await run(greet, { name: "Ada" });
  expect(ended).toMatchObject({ status: "succeeded", output: "Hello, Ada", input: { name: "Ada" } });
  expect(ended.steps.hello).toMatchObject({ status: "succeeded", attempt: 1, output: "Hello, Ada" });
  expect(events.map((event) => event.status)).toEqual(["running", "succeeded"]);
  expect(new Set(events.map((event) => event.id)).size).toBe(2);
});

test("a failed attempt is retried until one succeeds, with one idempotency key", async () => {
  const keys: string[] = [];
  const flaky = workflow("flaky", {}, (w) =>
    w.step("call", {
      retry: { maxAttempts: 5, backoff: fixed },
      run: ({ attempt, idempotencyKey }) => {
        keys.push(idempotencyKey);
        if (attempt < 3) throw new Error(`attempt ${attempt} failed`);
        return attempt;
      },
    }),
  );
  const { run, pass, show } = await harness([flaky]);
  const waiting = await run(flaky, undefined);
  expect(waiting.steps.call).toMatchObject({
    status: "backing_off",
    attempt: 1,
    error: { message: "attempt 1 failed" },
  });
  expect(waiting.steps.call?.nextAttemptAt).toBeDefined();
  await pass(2_000);
  expect(await show(waiting.runId)).toMatchObject({ status: "succeeded", output: 3, steps: { call: { attempt: 3 } } });
  expect(new Set(keys).size).toBe(1);
});

test("a failure after the last attempt fails the run and keeps the error", async () => {
  let calls = 0;
  const broken = workflow("broken", {}, (w) =>
    w.step("call", {
      retry: { maxAttempts: 3, backoff: fixed },
      run: () => {
        calls++;
        throw new TypeError(`no luck (${calls})`, { cause: new Error("socket closed") });
      },
    }),
  );
  const { run, pass, show } = await harness([broken]);
  const ended = await run(broken, undefined, 10_000);
  expect(ended.status).toBe("failed");
  expect(ended.error).toEqual({
    name: "TypeError",
    message: "no luck (3) (cause: Error: socket closed)",
    step: "call",
    fingerprint: expect.stringMatching(/^[0-9a-v]{12}$/),
  });
  expect(ended.steps.call).toMatchObject({ status: "failed", attempt: 3, error: { name: "TypeError" } });
  await pass(30 * 86_400_000);
  expect(calls).toBe(3);
  expect(await show(ended.runId)).toEqual(ended);
});

test("an exhausted exponential backoff ends in failure, never in endless retries", async () => {
  const at: number[] = [];
  const broken = workflow("broken", {}, (w) =>
    w.step("call", {
      retry: { maxAttempts: 4, backoff: { type: "exponential", base: "1s", factor: 10, max: "20s" } },
      run: () => {
        at.push(clock.now());
        throw new Error("no");
      },
    }),
  );
  const { run, clock, pass } = await harness([broken]);
  const ended = await run(broken, undefined, 60_000);
  expect(ended.status).toBe("failed");
  await pass(365 * 86_400_000);
  expect(at.map((ms) => ms - (at[0] ?? 0))).toEqual([0, 1_000, 11_000, 31_000]);
});

describe("errors that are not retried", () => {
  test("FatalError", async () => {
    const fatal = workflow("fatal", {}, (w) =>
      w.step("call", {
        retry: { maxAttempts: Infinity },
        run: () => {
          throw new FatalError("card declined");
        },
      }),
    );
    const ended = await (await harness([fatal])).run(fatal, undefined, 60_000);
    expect(ended).toMatchObject({ status: "failed", error: { name: "FatalError", message: "card declined" } });
    expect(ended.steps.call?.attempt).toBe(1);
  });

  test("FatalError and RetryableError of another copy of Pawl", async () => {
    vi.resetModules();
    const copy = await import("../../lib/definition/errors.ts");
    expect(copy.FatalError).not.toBe(FatalError);
    const foreign = workflow("foreign", {}, (w) => {
      w.step("fatal", { onFailure: "continue", run: () => Promise.reject(new copy.FatalError("card declined")) });
      return w.step("later", {
        retry: { maxAttempts: 2, backoff: fixed },
        run: ({ attempt }) => {
          if (attempt === 1) throw new copy.RetryableError("busy", { after: "1h" });
          return attempt;
        },
      });
    });
    const { run, pass, show } = await harness([foreign]);
    const { runId, steps } = await run(foreign, undefined, 3_599_999);
    expect(steps).toMatchObject({ fatal: { status: "failed", attempt: 1 }, later: { status: "backing_off" } });
    await pass(1);
    expect((await show(runId)).output).toBe(2);
  });

  test("what isRetryable refuses, by the step or by the workflow's default", async () => {
    const seen: unknown[] = [];
    const picky = workflow(
      "picky",
      { defaults: { retry: { isRetryable: (error) => !(error instanceof RangeError) } } },
      (w) => {
        w.step("inherits", {
          onFailure: "continue",
          run: () => {
            throw new RangeError("never again");
          },
        });
        return w.step("own", {
          retry: { backoff: fixed, isRetryable: (error) => seen.push(error) < 2 },
          run: () => {
            throw new Error("twice");
          },
        });
      },
    );
    const ended = await (await harness([picky])).run(picky, undefined, 60_000);
    expect(ended.steps).toMatchObject({
      inherits: { status: "failed", attempt: 1 },
      own: { status: "failed", attempt: 2 },
    });
  });

  test("an output that its schema refuses, or that JSON cannot carry", async () => {
    const wrong = workflow("wrong", {}, (w) => {
      w.step("schema", {
        onFailure: "continue",
        output: z.object({ total: z.number().min(1) }),
        run: () => ({ total: 0 }),
      });
      w.step("date", { onFailure: "continue", run: () => ({ at: [new Date(0)] }) });
      w.step("nan", { onFailure: "continue", run: () => Number.NaN });
    });
    const ended = await (await harness([wrong])).run(wrong, undefined, 60_000);
    expect(ended.steps.schema).toMatchObject({ status: "failed", attempt: 1, error: { name: "InvalidOutput" } });
    expect(ended.steps.date?.error?.message).toBe(
      "The step's output.at[0] is a Date; only JSON values can be stored. Use toISOString().",
    );
    expect(ended.steps.nan?.error?.message).toContain("JSON has only finite numbers");
  });
});

test("RetryableError says when, instead of the backoff, within the number of attempts", async () => {
  const at: number[] = [];
  const limited = workflow("limited", {}, (w) =>
    w.step("call", {
      retry: { maxAttempts: 2, backoff: fixed },
      run: () => {
        at.push(clock.now());
        throw new RetryableError("too many requests", { after: "90s" });
      },
    }),
  );
  const { run, clock } = await harness([limited]);
  const ended = await run(limited, undefined, 600_000);
  expect(at.map((ms) => ms - (at[0] ?? 0))).toEqual([0, 90_000]);
  expect(ended.status).toBe("failed");
});

test("maxAttempts: Infinity retries until success", async () => {
  const stubborn = workflow("stubborn", {}, (w) =>
    w.step("call", {
      retry: { maxAttempts: Infinity, backoff: { type: "linear", base: "1s", max: "5s" } },
      run: ({ attempt }) => {
        if (attempt < 200) throw new Error("not yet");
        return attempt;
      },
    }),
  );
  const ended = await (await harness([stubborn])).run(stubborn, undefined, 3_600_000);
  expect(ended).toMatchObject({ status: "succeeded", output: 200 });
});

test("an attempt that takes too long is aborted and retried; one that ignores its signal cannot hold the run up", async () => {
  const reasons: unknown[] = [];
  const slow = workflow("slow", {}, (w) => {
    const listens = w.step("listens", {
      timeout: "5s",
      retry: { backoff: fixed },
      run: async ({ attempt, signal }) => {
        if (attempt > 1) return "in time";
        return new Promise<never>((_resolve, reject) => {
          signal.addEventListener("abort", () => {
            reasons.push((signal.reason as { because: string }).because);
            reject(new Error("stopped"));
          });
        });
      },
    });
    const deaf = w.step("deaf", {
      timeout: "5s",
      retry: { maxAttempts: 1 },
      onFailure: "continue",
      run: () => new Promise<string>(() => undefined),
    });
    return w.step("end", { after: [listens], afterSettled: [deaf], run: ({ outputs }) => outputs.listens });
  });
  const { run, logs } = await harness([slow]);
  const ended = await run(slow, undefined, 60_000);
  expect(ended).toMatchObject({ status: "succeeded", output: "in time", steps: { listens: { attempt: 2 } } });
  expect(ended.steps.deaf).toMatchObject({ status: "failed", error: { name: "StepTimeout" } });
  expect(reasons).toEqual(["timeout"]);
  expect(logs.some(({ message }) => message.includes("goes on after it was aborted"))).toBe(true);
});

test("background work is drained before the message is acknowledged, and its failures are surfaced", async () => {
  const done: string[] = [];
  const busy = workflow("busy", {}, (w) => {
    const first = w.step("first", {
      run: ({ background }) => {
        background(
          new Promise((resolve) => {
            clock.after(5_000, () => {
              done.push("slow");
              resolve(undefined);
            });
          }),
        );
        background(Promise.reject(new Error("metrics are down")));
        return 1;
      },
    });
    return w.step("second", { after: [first], run: () => 2 });
  });
  const h = await harness([busy]);
  const { clock } = h;
  const early = await h.run(busy, undefined);
  // It holds up neither the step's commit nor the successors, only the acknowledgement.
  expect(statuses(early)).toEqual({ first: "succeeded", second: "succeeded" });
  expect(done).toEqual([]);
  await h.pass(5_000);
  expect(done).toEqual(["slow"]);
  const after = await h.show(early.runId);
  expect(after.steps.first?.backgroundErrors).toEqual([{ name: "Error", message: "metrics are down" }]);
  expect(h.logs).toContainEqual(
    expect.objectContaining({
      level: "error",
      message: "background work failed",
      fields: expect.objectContaining({ step: "first", attempt: 1 }) as unknown,
    }),
  );
});

test("every line that a step logs carries run, workflow, step and attempt", async () => {
  const talks = workflow("talks", {}, (w) =>
    w.step("say", {
      run: ({ log }) => {
        log.info("charged", { cents: 1250 });
      },
    }),
  );
  const { run, logs } = await harness([talks]);
  const { runId } = await run(talks, undefined);
  expect(logs.find(({ message }) => message === "charged")?.fields).toEqual({
    runId,
    workflow: "talks",
    step: "say",
    attempt: 1,
    cents: 1250,
  });
});

describe("whatever user code throws", () => {
  const odd = Object.assign(new Error("text"), { message: { not: "text" }, name: 7, stack: null });
  const circular: Record<string, unknown> = {};
  circular.self = circular;

  test.each([
    ["undefined", undefined, "Thrown: undefined"],
    ["null", null, "Thrown: null"],
    ["a string", "plain", "Thrown: plain"],
    ["an object", { code: 5 }, 'Thrown: {"code":5}'],
    ["a circular object", circular, "Thrown: [object Object]"],
    ["a bigint", 5n, "Thrown: [object BigInt]"],
    ["an error with odd fields", odd, "[object Object]"],
    ["a very long message", new Error("x".repeat(100_000)), `${"x".repeat(1_999)}…`],
  ])("is kept as an error and fails the attempt: %s", async (_what, thrown, message) => {
    const throwing = workflow("throwing", {}, (w) =>
      w.step("call", {
        retry: { maxAttempts: 1 },
        run: () => {
          // eslint-disable-next-line @typescript-eslint/only-throw-error -- JavaScript lets anything be thrown
          throw thrown;
        },
      }),
    );
    const ended = await (await harness([throwing])).run(throwing, undefined);
    expect(ended).toMatchObject({ status: "failed", steps: { call: { status: "failed", attempt: 1 } } });
    expect(ended.steps.call?.error?.message).toBe(message);
    expect(ended.error?.message.length).toBeLessThanOrEqual(200);
  });

  test("a predicate or schema of the user's that throws does not break the engine", async () => {
    const fragile = workflow("fragile", {}, (w) => {
      w.step("predicate", {
        onFailure: "continue",
        retry: {
          maxAttempts: 2,
          backoff: fixed,
          isRetryable: () => {
            throw new Error("predicate is broken");
          },
        },
        run: () => {
          throw new Error("first");
        },
      });
      w.step("schema", {
        onFailure: "continue",
        output: z.number().refine(() => {
          throw new Error("schema is broken");
        }),
        run: () => 1,
      });
    });
    const { run, logs, engine } = await harness([fragile]);
    const ended = await run(fragile, undefined, 10_000);
    expect(ended.status).toBe("succeeded");
    expect(ended.steps.predicate).toMatchObject({ status: "failed", attempt: 2, error: { message: "first" } });
    expect(ended.steps.schema).toMatchObject({ status: "failed", attempt: 1, error: { name: "InvalidOutput" } });
    expect(logs.filter(({ message }) => message.startsWith("isRetryable threw"))).toHaveLength(2);
    expect(await engine.deadLetters(1)).toEqual([]);
  });

  test("RetryableError refuses a pause that is none", () => {
    expect(() => new RetryableError("later", { after: "soon" as "1s" })).toThrow(
      'RetryableError: after is "soon"; allowed is a number and a unit (ms, s, m, h, d), such as "30s", "1.5h" or "3d".',
    );
  });
});

test("background work of a run's last step goes on when its own success ends the run", async () => {
  const done: string[] = [];
  const last = workflow("last", {}, (w) =>
    w.step("step", {
      run: ({ background, signal }) => {
        background(
          new Promise((resolve) => {
            clock.after(5_000, () => {
              done.push(signal.aborted ? "aborted" : "sent");
              resolve(undefined);
            });
          }),
        );
      },
    }),
  );
  const { run, clock, pass } = await harness([last]);
  expect((await run(last, undefined)).status).toBe("succeeded");
  await pass(5_000);
  expect(done).toEqual(["sent"]);
});

test("background work that is handed over after the step ended is reported, not lost silently", async () => {
  const late = workflow("late", {}, (w) =>
    w.step("step", {
      run: ({ background }) => {
        clock.after(1_000, () => {
          background(Promise.reject(new Error("nobody waits for me")));
        });
      },
    }),
  );
  const { run, clock, logs } = await harness([late]);
  await run(late, undefined, 2_000);
  expect(logs.map(({ message }) => message)).toContain(
    "background() was called after the step had ended; its work is not waited for",
  );
  expect(logs.map(({ message }) => message)).toContain("background work failed after its step had been given up");
});
