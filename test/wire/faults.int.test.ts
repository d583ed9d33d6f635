// Hunts a fault of DynamoDB, at any request and whether it was carried out or not, that loses or doubles work (R5, R6, R9).
import { afterAll, beforeAll, expect, test } from "vitest";
import { workflow } from "../../lib/definition/workflow.ts";
import { type Engine, startEngine } from "../../lib/embedded/engine.ts";
import { createMemoryBlobs } from "../../lib/embedded/memory-blobs.ts";
import { PawlError } from "../../lib/runtime/errors.ts";
import { VirtualClock } from "../../lib/testing/virtual-clock.ts";
import { recordingLogger } from "../behaviour/harness.ts";
import { type Aws, openAws } from "./aws.ts";
import { atRestOnTheWire, type Disturbance, openDynamoBackend } from "./dynamo-backend.ts";

let aws: Aws;
beforeAll(async () => {
  aws = await openAws();
});
afterAll(() => aws.stop());

/** Code that ran, by idempotency key. */
const executions = new Map<string, number>();
const ran = <T>(key: string, value: T): T => {
  executions.set(key, (executions.get(key) ?? 0) + 1);
  return value;
};
const retry = { maxAttempts: 20, backoff: { type: "fixed", base: "1s" } } as const;
const child = workflow("child", {}, (w) =>
  w.step("half", { retry, run: ({ idempotencyKey }) => ran(idempotencyKey, 21) }),
);
const parent = workflow("parent", {}, (w) => {
  const first = w.step("first", { retry, run: ({ idempotencyKey }) => ran(idempotencyKey, "x".repeat(2_000)) });
  const left = w.step("left", { after: [first], retry, run: ({ idempotencyKey }) => ran(idempotencyKey, 1) });
  const approval = w.signal("approval", { after: [first] });
  const called = w.child("called", { after: [left, approval], workflow: child });
  const items = w.map("items", {
    after: [left],
    items: () => [1, 2, 3],
    retry,
    run: ({ item, idempotencyKey }) => ran(idempotencyKey, item * 2),
  });
  return w.step("sum", {
    after: [called, items],
    retry,
    run: async ({ outputs, idempotencyKey }) => {
      const values = (await outputs.items.toArray()) as number[];
      return ran(
        idempotencyKey,
        values.reduce((sum, value) => sum + value, outputs.called),
      );
    },
  });
});

/** Fails one request in 25, until it is healed: half of them are carried out all the same. */
function unreliable(seed: number): { readonly disturbance: Disturbance; heal(): number } {
  let state = seed;
  const random = (): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
  let failed = 0;
  let isHealed = false;
  return {
    heal: () => {
      isHealed = true;
      return failed;
    },
    disturbance: async (send) => {
      if (isHealed || random() > 0.04) return send();
      failed++;
      if (random() < 0.5) await send().catch(() => undefined);
      throw new Error("failed on purpose");
    },
  };
}

/** As a caller does who hears of a failure: until it is done, or was done before. */
async function insist(act: () => Promise<unknown>): Promise<void> {
  for (;;) {
    try {
      await act();
      return;
    } catch (error) {
      if (error instanceof PawlError && error.code !== "unavailable") return;
      if (!(error instanceof Error) || !error.message.includes("on purpose")) throw error;
    }
  }
}

async function startAll(engine: Engine, clock: VirtualClock): Promise<string[]> {
  const runIds = Array.from({ length: 12 }, (_, n) => `run-${n}`);
  for (const runId of runIds) {
    await insist(() => engine.start(parent, { runId }));
    await clock.advance(100);
    await insist(() => engine.commands.signal(runId, "approval"));
  }
  return runIds;
}

test.each([1, 2, 3, 4])(
  "requests that fail (schedule %i) leave every run with its output, each step done once per attempt",
  async (seed) => {
    executions.clear();
    const clock = new VirtualClock(undefined, atRestOnTheWire);
    const logger = recordingLogger([]);
    const { disturbance, heal } = unreliable(seed);
    const backend = await openDynamoBackend({ clock, logger }, disturbance);
    const engine = await startEngine({ workflows: [parent, child], clock, logger }, backend, createMemoryBlobs);
    const ids: string[] = [];
    engine.onEvent(({ id }) => ids.push(id));
    try {
      const runIds = await startAll(engine, clock);
      await clock.advance(600_000);
      expect(heal()).toBeGreaterThan(10);
      await clock.advance(3_600_000);
      for (const runId of runIds) {
        const run = await engine.commands.get(runId);
        expect(run).toMatchObject({ status: "succeeded", output: 33 });
        for (const [stepId, { attempt }] of Object.entries(run.steps)) {
          const done = executions.get(`${runId}/${stepId}`) ?? 0;
          expect([stepId, done <= attempt]).toEqual([stepId, true]);
        }
      }
      expect(new Set(ids).size).toBe(ids.length);
    } finally {
      const stopped = engine.stop({ graceMs: 0 });
      await clock.advance(1);
      await stopped;
    }
  },
);
