// Hunts: bills of others that are not what their published examples say.
import { expect, test } from "vitest";
import { peerBills } from "../../lib/cost/peers.ts";
import { prices } from "../../lib/cost/prices.ts";

/** A million steps: a hundred thousand chains of ten, outputs of 1 KB, functions of 128 MB that take 50 ms. */
test("a million steps in chains of ten cost elsewhere what their price lists say", () => {
  const work = { attempts: 10, maps: 0, children: 0, payloadBytes: 10 * 1024 };
  const [standard, durable] = peerBills(work, 0.05 * 0.125, prices["us-east-1"]!);
  // $25.00 for transitions, $0.28 for functions.
  expect(standard!.dollars * 100_000).toBeCloseTo(25.28, 2);
  // 1.1 million operations, 0.95 GB written and kept, and one invocation for each chain.
  expect(durable!.dollars * 100_000).toBeCloseTo(8.8 + 0.238 + 0.067 + 0.02 + 0.083, 2);
  expect([standard!.how, durable!.how]).toEqual([
    "10 state transitions",
    "11 operations, 10240 bytes kept for 14 days",
  ]);
});

test("children are executions of their own, and maps have an operation beside their items", () => {
  const [, durable] = peerBills({ attempts: 5, maps: 1, children: 2, payloadBytes: 0 }, 0, prices["us-east-1"]!);
  expect(durable!.how).toBe("9 operations, 0 bytes kept for 14 days");
});
