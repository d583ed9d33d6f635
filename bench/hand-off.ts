/**
 * How long a step takes to hand over to the next on a deployed stack, against the least that any durable step needs: from the
 * end of one step's code to the begin of the next one's. Functions, queues and tables of both are in one stack on the
 * emulator, and chains of both run in turn, one at a time. And what happens in the stack while nothing runs.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { codeMs } from "./hand-off/code.ts";
import { HandOffStack } from "./hand-off/stack.ts";
import type { Measured } from "./report.ts";
import { median, percentile, rounded } from "./statistics.ts";

const rounds = 20;
const warmUps = 2;
const idleSeconds = 20;

/** @param tell is called with what is about to be measured */
export async function measureHandOff(tell: (what: string) => void): Promise<Measured> {
  tell("hand-off: deploying a stack on the emulator");
  await using stack = await HandOffStack.deploy();
  tell("hand-off: chains in turn");
  const handOffsMs: { readonly pawl: number[]; readonly floor: number[] } = { pawl: [], floor: [] };
  for (let round = 0; round < warmUps + rounds; round++) {
    const [pawl, floor] = [await stack.runPawl(), await stack.runFloor()];
    if (round < warmUps) continue;
    handOffsMs.pawl.push(...pawl);
    handOffsMs.floor.push(...floor);
  }
  tell("hand-off: idle");
  const before = await stack.whatHappened();
  await sleep(idleSeconds * 1_000);
  const after = await stack.whatHappened();
  const [pawl, floor] = [median(handOffsMs.pawl), median(handOffsMs.floor)];
  return {
    title: "Hand-off from step to step on the emulator, against a bare Lambda",
    notes: [
      `Chains of ten steps, each of ${codeMs} ms; medians of ${handOffsMs.pawl.length} hand-offs of each, in ${rounds} rounds of both in turn.`,
      "The bare Lambda makes the same two conditional writes, on an item like the run's, and one send, and nothing else.",
      "Idle: the audit, every quarter of an hour, did not fall into the time. Lambda's own polling of queues is the emulator's.",
    ],
    figures: [
      { name: "hand-off against the floor", value: rounded(pawl / floor, 3), target: { atMost: 1.15 } },
      { name: "hand-off, p50", value: rounded(pawl), unit: "ms" },
      { name: "hand-off, p90", value: rounded(percentile(handOffsMs.pawl, 0.9)), unit: "ms" },
      { name: "floor, p50", value: rounded(floor), unit: "ms" },
      { name: "floor, p90", value: rounded(percentile(handOffsMs.floor, 0.9)), unit: "ms" },
      {
        name: `idle for ${idleSeconds} s: invocations of the stack's functions`,
        value: after.invocations - before.invocations,
        target: { atMost: 0 },
      },
      {
        name: `idle for ${idleSeconds} s: items of the table that were written`,
        value: differences(before.items, after.items),
        target: { atMost: 0 },
      },
    ],
    details: { handOffsMs },
  };
}

/** Items that are there only before or after, or are not the same. */
function differences(before: ReadonlyMap<string, string>, after: ReadonlyMap<string, string>): number {
  const keys = new Set([...before.keys(), ...after.keys()]);
  return [...keys].filter((key) => before.get(key) !== after.get(key)).length;
}
