// Hunts what a dying function or a failing SQS loses or doubles: at every call of SQS and of the store, before and after it (R5, R6).
import fc from "fast-check";
import { expect, test } from "vitest";
import { limits } from "../../lib/definition/limits.ts";
import { type Workflow, workflow } from "../../lib/definition/workflow.ts";
import type { RunStore } from "../../lib/runtime/ports.ts";
import { LocalLambda } from "./local-lambda.ts";

const retry = { maxAttempts: 10, backoff: { type: "fixed", base: "2s" } } as const;

/** Fan-out, join, a retry, a wait and background work; each step counts how often it was begun. */
function sample(begun: string[]): Workflow {
  return workflow("sample", {}, (w) => {
    const note = (step: string): string => {
      begun.push(step);
      return step;
    };
    const first = w.step("first", { retry, run: () => note("first") });
    const left = w.step("left", {
      after: [first],
      retry,
      run: ({ background }) => background(Promise.resolve(note("left"))),
    });
    const right = w.step("right", {
      after: [first],
      retry,
      run: ({ attempt }) => {
        note("right");
        if (attempt === 1) throw new Error("the first time");
      },
    });
    const rest = w.sleep("rest", { after: [left, right], duration: "3s" });
    return w.step("last", { after: [rest], retry, run: () => note("last") });
  });
}

/** A quarter of an hour is enough for every lease, visibility and nudge to be over. */
const settleMs = 15 * 60_000;

async function expectDone(lambda: LocalLambda, runId: string): Promise<void> {
  await lambda.pass(settleMs);
  expect(await lambda.show(runId)).toMatchObject({ status: "succeeded", output: "last" });
  expect(lambda.sqs.messages("default")).toEqual([]);
  expect(lambda.sqs.messages("archive")).toEqual([]);
}

test("a process that dies at any call, and another that takes over", async () => {
  let fatal = 1;
  // Each call has two moments, before and after it; the last round is the one that nobody dies in.
  for (; ; fatal++) {
    const begun: string[] = [];
    const steps = sample(begun);
    const lambda = new LocalLambda([steps]);
    let calls = 0;
    const never = new Promise<never>(() => undefined);
    const call = async <T>(perform: () => Promise<T>): Promise<T> => {
      calls++;
      if (2 * calls < fatal) return perform();
      if (2 * calls === fatal) await perform();
      mortal.kill();
      return never;
    };
    const inner = lambda.process().ports.store;
    const store: RunStore = {
      ...inner,
      update: (runId, transition) => call(() => inner.update(runId, transition)),
      get: (runId) => call(() => inner.get(runId)),
      putPayload: (runId, key, json) => call(() => inner.putPayload(runId, key, json)),
    };
    const mortal = lambda.process({ store, wire: (_, perform) => call(perform) });
    lambda.crash(mortal);
    const runId = await lambda.start(steps);
    await lambda.pass(limits.queueVisibilityMs);
    lambda.crash();
    await expectDone(lambda, runId);
    // "right" may fail by itself once more; both steps between may die together, and begin again.
    expect(begun.length, begun.join()).toBeGreaterThanOrEqual(4);
    expect(begun.length, begun.join()).toBeLessThanOrEqual(7);
    if (2 * calls < fatal) break;
  }
  expect(fatal).toBeGreaterThan(40);
});

/** What happens to one call of SQS. */
type Fault = "none" | "refused" | "answerLost";

test("calls of SQS that fail, lose their answers or take only some entries: the run still ends, and nothing is left", async () => {
  const fault = fc.constantFrom<Fault>("none", "none", "none", "refused", "answerLost");
  await fc.assert(
    fc.asyncProperty(fc.infiniteStream(fault), fc.infiniteStream(fc.boolean()), async (faults, entries) => {
      const begun: string[] = [];
      const steps = sample(begun);
      let isFailing = false;
      const lambda = new LocalLambda([steps], {
        batchSize: 3,
        wire: async (_, perform) => {
          const kind = isFailing ? faults.next().value : "none";
          if (kind === "refused") throw new Error("ThrottlingException");
          const answer = await perform();
          if (kind === "answerLost") throw new Error("socket hang up");
          return answer;
        },
      });
      lambda.sqs.takes = () => !isFailing || entries.next().value;
      const runId = await lambda.start(steps);
      isFailing = true;
      await lambda.pass(5 * 60_000);
      isFailing = false;
      await expectDone(lambda, runId);
    }),
    { numRuns: 60 },
  );
});
