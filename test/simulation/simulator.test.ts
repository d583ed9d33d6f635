// Hunts: a simulator that finds nothing: bugs that are planted in the ports must be seen, in each in its own way, and made small.
import { describe, expect, test } from "vitest";
import type { Ports } from "../../lib/runtime/ports.ts";
import { check, type Seed, seedOf } from "./check-seed.ts";
import { PlayError } from "./playing.ts";
import { describePlan } from "./report.ts";
import { kindOf, shrink, smallerPlans } from "./shrink.ts";

type Tamper = (ports: Ports) => Ports;

const withoutGuards: Tamper = (ports) => ({
  ...ports,
  store: {
    ...ports.store,
    update: (runId, { guard: _, ...rest }) => ports.store.update(runId, { ...rest, guard: [] }),
  },
});

const losesTimers: Tamper = (ports) => ({
  ...ports,
  queue: { send: (messages) => ports.queue.send(messages.filter(({ message }) => !("wakeAtMs" in message))) },
});

const forgetsPayloads: Tamper = (ports) => ({
  ...ports,
  store: { ...ports.store, putPayload: async () => undefined },
});

const tellsNobody: Tamper = (ports) => ({ ...ports, replies: { send: async () => undefined } });

async function firstFailure(tamper: Tamper, seedsMost = 100): Promise<{ seed: Seed; error: PlayError }> {
  for (let number = 1; number <= seedsMost; number++) {
    const seed = seedOf(number);
    try {
      await check(seed.plan, seed.chooser(), { tamper });
    } catch (error) {
      if (error instanceof PlayError) return { seed, error };
      throw error;
    }
  }
  throw new Error(`none of ${seedsMost} seeds has found it`);
}

describe("what is planted in a port is seen within a hundred seeds", () => {
  test.each([
    ["writes that ask for nothing", withoutGuards, /^R\d: |slot|ticket|map/],
    ["timers that never come", losesTimers, /nothing is in flight|waits|R5/],
    ["payloads that are not stored", forgetsPayloads, /^R6: |did not end/],
    ["waiters that hear nothing", tellsNobody, /^nobody told/],
  ] as const)(
    "%s",
    async (_name, tamper, message) => {
      const { error } = await firstFailure(tamper);
      expect(error.message).toMatch(message);
    },
    60_000,
  );
});

describe("what fails is made smaller", () => {
  test("and fails in the same way, with less in it", async () => {
    const { seed, error } = await firstFailure(losesTimers);
    const recorded = await shrink(seed, { atMostMs: 8_000, play: { tamper: losesTimers } });
    if (recorded === undefined) throw new Error("it does not fail again");
    expect(kindOf(recorded.message)).toBe(kindOf(error.message));
    expect(recorded.plan.steps.length).toBeLessThanOrEqual(2);
    expect(recorded.strikes).toBeLessThanOrEqual(1);
    expect(recorded.world.trace.length).toBeLessThan(60);
    expect(describePlan(recorded.plan)).toContain("s0");
  }, 60_000);

  test("what is right has nothing to be made smaller of", async () => {
    expect(await shrink(seedOf(1), { atMostMs: 5_000 })).toBeUndefined();
  });

  test("plans get smaller only", () => {
    for (let number = 1; number <= 50; number++) {
      const { plan } = seedOf(number);
      for (const smaller of smallerPlans(plan)) {
        expect(JSON.stringify(smaller)).not.toBe(JSON.stringify(plan));
        for (const [at, { after }] of smaller.steps.entries()) {
          expect(after.every((one) => one < at)).toBe(true);
        }
      }
    }
  });
});
