// Hunts: a test engine that lets time pass by itself, plays another workflow than the real one, or says no clear word of
// what a test has to do.
import { expect, onTestFinished, test } from "vitest";
import * as z from "zod";
import type { Workflow } from "../../lib/index.ts";
import { FatalError, workflow } from "../../lib/index.ts";
import {
  createTestEngine,
  formatHistory,
  type TestEngine,
  type TestEngineOptions,
  TestError,
} from "../../lib/testing/index.ts";

async function engineOf<const Workflows extends readonly Workflow[]>(
  options: TestEngineOptions<Workflows>,
): Promise<TestEngine> {
  const engine = await createTestEngine(options);
  onTestFinished(() => engine.stop());
  return engine;
}

const Input = z.object({ id: z.string(), cents: z.number() });

const order = workflow("order", { input: Input }, (w) => {
  const check = w.step("check", { run: ({ input }) => ({ total: input.cents }) });
  const charge = w.step("charge", {
    after: [check],
    timeout: "30s",
    retry: { maxAttempts: 3, backoff: { type: "fixed", base: "10s" } },
    run: ({ outputs, idempotencyKey }) => ({ paymentId: `P-${idempotencyKey}`, cents: outputs.check.total }),
    compensate: ({ output }) => output?.paymentId,
  });
  const approval = w.signal("approval", { after: [charge], payload: z.object({ ok: z.boolean() }) });
  const cool = w.sleep("cool", { after: [approval], duration: "30d" });
  const ship = w.step("ship", {
    after: [charge, approval, cool],
    run: ({ outputs }) => {
      if (!outputs.approval.ok) throw new FatalError("not approved");
      return `shipped ${outputs.charge.paymentId}`;
    },
  });
  return ship;
});

const input = { id: "o", cents: 100 };

test("thirty days pass in milliseconds", async () => {
  const startedMs = performance.now();
  const engine = await engineOf({ workflows: [order] });
  const run = await engine.start(order, { input });
  await run.signal("approval", { ok: true });
  expect(await run.output()).toBe("shipped P-order-1/charge");
  expect(engine.now()).toEqual(new Date("2026-01-31T00:00:00Z"));
  expect(performance.now() - startedMs).toBeLessThan(1_000);
  console.log(performance.now() - startedMs);
});

test("what happened is told with virtual times, and the same each time", async () => {
  const tell = async (): Promise<string> => {
    await using engine = await createTestEngine({
      workflows: [order],
      mock: { order: { charge: { fails: new Error("busy"), times: 1, takes: "2s" } } },
    });
    const run = await engine.start(order, { input });
    await engine.advance("1h");
    await run.signal("approval", { ok: false });
    await run.toEnd();
    return formatHistory(await run.history());
  };
  const told = await tell();
  expect(told).toMatchInlineSnapshot(`
    " +0ms  run running
     +0ms  check running (attempt 1)
     +0ms  check succeeded (attempt 1)
     +0ms  charge running (attempt 1)
      +2s  charge backing_off (attempt 1) until +12s: Error: busy
     +12s  charge running (attempt 2)
     +12s  charge succeeded (attempt 2)
     +12s  approval running (attempt 1)
     +12s  approval waiting (attempt 1) for a signal
      +1h  approval succeeded (attempt 1)
      +1h  cool running (attempt 1)
      +1h  cool waiting (attempt 1) for a time until +721h
    +721h  cool succeeded (attempt 1)
    +721h  ship running (attempt 1)
    +721h  ship failed (attempt 1): FatalError: not approved
    +721h  run unwinding: FatalError: not approved (step ship)
    +721h  undo of charge running (attempt 1)
    +721h  undo of charge succeeded (attempt 1)
    +721h  run failed: FatalError: not approved (step ship)"
  `);
  expect(await tell()).toBe(told);
});
