// Hunts: a second that has more turns than were asked for, and a turn that never comes.
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { createPacer } from "../../lib/system/pacer.ts";
import { VirtualClock } from "../../lib/testing/virtual-clock.ts";

const patient = new AbortController().signal;

test("no second has more turns than the rate, however late they are asked for; nobody waits for longer than he must", async () => {
  const asking = fc.record({
    rate: fc.integer({ min: 1, max: 200 }),
    // What is done between two turns, in each of a few hands.
    workMs: fc.array(fc.array(fc.integer({ min: 0, max: 700 }), { minLength: 1, maxLength: 6 }), {
      minLength: 1,
      maxLength: 5,
    }),
  });
  await fc.assert(
    fc.asyncProperty(asking, async ({ rate, workMs }) => {
      const clock = new VirtualClock(0);
      const pacer = createPacer(clock, rate);
      const turnsAtMs: number[] = [];
      const hands = workMs.map(async (works) => {
        for (const ms of works) {
          await pacer.turn(patient);
          turnsAtMs.push(clock.now());
          await new Promise<void>((resolve) => {
            clock.after(ms, resolve);
          });
        }
      });
      const turns = workMs.flat().length;
      await clock.advance(Math.ceil((turns * 1_001) / rate) + 6 * 700 + turns + 1_000);
      await Promise.all(hands);
      expect(turnsAtMs).toHaveLength(turns);
      turnsAtMs.forEach((fromMs, index) => {
        const within = turnsAtMs.slice(index).filter((ms) => ms < fromMs + 1_000);
        expect(within.length).toBeLessThanOrEqual(rate);
      });
      expect(turnsAtMs[0]).toBe(Math.ceil(1_000 / rate));
    }),
    { numRuns: 50 },
  );
});

test("who waits is told when it is over, and those behind him go on", async () => {
  const clock = new VirtualClock(0);
  const pacer = createPacer(clock, 1);
  const impatient = new AbortController();
  const first = pacer.turn(impatient.signal);
  const second = pacer.turn(patient);
  impatient.abort(new Error("over"));
  await expect(first).rejects.toThrow("over");
  await clock.advance(1_000);
  await second;
});
