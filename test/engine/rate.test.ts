// Hunts: more attempts in some stretch of time than allowed, a flow that stops, and a record that grows.
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Rate } from "../../lib/definition/flow.ts";
import { limits } from "../../lib/definition/limits.ts";
import { recordBytes } from "../../lib/engine/codec.ts";
import { decodeRate, mayBegin, type RateRecord, rateTransition } from "../../lib/engine/rate.ts";
import { applyTransition } from "../../lib/engine/transition.ts";
import { nowMs } from "./sample-run.ts";

const nothing: RateRecord = { groups: [], promisedMs: 0 };
const tenPerSecond: Rate = { limit: 10, perMs: 1_000 };
const ask = (record: RateRecord, rate: Rate, atMs: number, isFirstTime = true) =>
  mayBegin(record, rate, { nowMs: atMs, isFirstTime, fraction: 0.5 });

/** As many as may begin at these times, one after the other. */
function begun(
  rate: Rate,
  timesMs: readonly number[],
  isFirstTime = false,
): { startsMs: number[]; record: RateRecord } {
  let record = nothing;
  const startsMs: number[] = [];
  for (const atMs of timesMs) {
    const verdict = ask(record, rate, atMs, isFirstTime);
    record = verdict.next ?? record;
    if (verdict.kind === "begin") startsMs.push(atMs);
  }
  return { startsMs, record };
}

const timesFrom = (fromMs: number, everyMs: number, count: number): number[] =>
  Array.from({ length: count }, (_, index) => fromMs + index * everyMs);

describe("a rate", () => {
  test("lets as many begin at once as the limit says, and the next when the first leaves the time", () => {
    const { startsMs, record } = begun(
      tenPerSecond,
      Array.from({ length: 12 }, () => nowMs),
    );
    expect(startsMs).toHaveLength(10);
    expect(ask(record, tenPerSecond, nowMs + 999, false).kind).toBe("wait");
    expect(ask(record, tenPerSecond, nowMs + 1_000, false).kind).toBe("begin");
  });

  test("tells each that must wait another time", () => {
    const { record } = begun(
      tenPerSecond,
      Array.from({ length: 10 }, () => nowMs),
    );
    const delays: number[] = [];
    let current = record;
    for (let count = 0; count < 4; count++) {
      const verdict = ask(current, tenPerSecond, nowMs);
      if (verdict.kind === "begin") throw new Error("there is no room");
      delays.push(verdict.delayMs);
      current = verdict.next ?? current;
    }
    expect(delays).toEqual([1_000, 1_105, 1_210, 1_315]);
  });

  test("keeps those that come for the first time behind those that wait, not those that come again", () => {
    const waiting: RateRecord = { groups: [], promisedMs: nowMs + 500 };
    expect(ask(waiting, tenPerSecond, nowMs)).toMatchObject({ kind: "wait", delayMs: 605 });
    expect(ask(waiting, tenPerSecond, nowMs, false).kind).toBe("begin");
    expect(ask(waiting, tenPerSecond, nowMs + 500).kind).toBe("begin");
  });

  test("lets nobody wait for longer than a bound before the next look, and writes nothing for those", () => {
    const daily: Rate = { limit: 1, perMs: 86_400_000 };
    const { record } = begun(daily, [nowMs]);
    expect(ask(record, daily, nowMs)).toEqual({ kind: "wait", delayMs: limits.rateWaitMs * 0.75 });
  });

  test("goes by a lowered limit at once", () => {
    const { record } = begun(tenPerSecond, timesFrom(nowMs, 60, 10));
    const one: Rate = { limit: 1, perMs: 1_000 };
    const verdict = ask(record, one, nowMs + 600, false);
    expect(verdict).toMatchObject({ kind: "wait", delayMs: 940 });
    expect(ask(record, one, nowMs + 1_540, false).kind).toBe("begin");
  });

  test("does not believe a clock that is further ahead than clocks may differ", () => {
    const { record } = begun({ limit: 1, perMs: 1_000 }, [nowMs + limits.clockSkewMs + 1]);
    expect(ask(record, { limit: 1, perMs: 1_000 }, nowMs).kind).toBe("begin");
    const promised: RateRecord = { groups: [], promisedMs: nowMs + limits.rateWaitMs + limits.clockSkewMs + 1 };
    expect(ask(promised, tenPerSecond, nowMs).kind).toBe("begin");
  });

  test("counts by the fastest clock: one that is behind waits, within bounds", () => {
    const rate: Rate = { limit: 1, perMs: 1_000 };
    const { record } = begun(rate, [nowMs + 5_000]);
    expect(ask(record, rate, nowMs)).toMatchObject({ kind: "wait", delayMs: 6_000 });
    expect(ask(record, rate, nowMs + 6_000, false).kind).toBe("begin");
  });

  test("is refused in a shape that this version does not know", () => {
    for (const fields of [
      { v: 2, w: "", p: 0 },
      { v: 1, w: "x", p: 0 },
      { v: 1, w: "", p: "0" },
      { v: 1, p: 0 },
    ]) {
      expect(() => decodeRate("rate#key#api", fields)).toThrow("Rate rate#key#api cannot be read");
    }
  });
});

const anyRate: fc.Arbitrary<Rate> = fc.record({
  limit: fc.oneof(fc.integer({ min: 1, max: 12 }), fc.integer({ min: 1, max: limits.flowLimit })),
  perMs: fc.constantFrom(1_000, 7_777, 60_000, 86_400_000),
});

describe("at any rate and whatever comes when", () => {
  const arrivals = fc.array(fc.record({ gap: fc.double({ min: 0, max: 1, noNaN: true }), first: fc.boolean() }), {
    // Few arrivals would never fill a time.
    minLength: 50,
    maxLength: 200,
    size: "max",
  });

  test("at most the limit begins within any stretch of that length", () => {
    fc.assert(
      fc.property(anyRate, arrivals, fc.boolean(), ({ limit, perMs }, list, isDense) => {
        let record = nothing;
        let atMs = nowMs;
        const startsMs: number[] = [];
        for (const { gap, first } of list) {
          atMs += Math.floor((gap * perMs) / (isDense ? limit * 2 : 3));
          const verdict = ask(record, { limit, perMs }, atMs, first);
          record = verdict.next ?? record;
          if (verdict.kind === "begin") startsMs.push(atMs);
        }
        for (const endMs of startsMs) {
          const within = startsMs.filter((startMs) => startMs > endMs - perMs && startMs <= endMs);
          expect(within.length).toBeLessThanOrEqual(limit);
        }
      }),
    );
  });

  test("clocks that differ let at most as many again begin, when a faster one takes part for the first time", () => {
    fc.assert(
      fc.property(anyRate, arrivals, fc.array(fc.nat(5_000), { minLength: 2, maxLength: 3 }), (rate, list, skews) => {
        let record = nothing;
        let atMs = nowMs;
        const startsMs: number[] = [];
        list.forEach(({ gap }, index) => {
          atMs += Math.floor((gap * rate.perMs) / (rate.limit * 2));
          const verdict = ask(record, rate, atMs + (skews[index % skews.length] ?? 0), false);
          record = verdict.next ?? record;
          if (verdict.kind === "begin") startsMs.push(atMs);
        });
        for (const endMs of startsMs) {
          const within = startsMs.filter((startMs) => startMs > endMs - rate.perMs && startMs <= endMs);
          expect(within.length).toBeLessThanOrEqual(skews.length * rate.limit);
        }
      }),
    );
  });

  test("all that wait begin, each when it was told to come, and at nearly the rate", () => {
    fc.assert(
      fc.property(
        fc.record({ limit: fc.integer({ min: 1, max: 50 }), perMs: fc.constantFrom(1_000, 60_000) }),
        fc.integer({ min: 1, max: 120 }),
        (rate, count) => {
          let record = nothing;
          let looks = 0;
          // Those for whom there is no room for long look again from time to time.
          const backlogMs = (count / rate.limit) * rate.perMs;
          const looksAtMost = count * (4 + (2 * backlogMs) / limits.rateWaitMs);
          const begunMs: number[] = [];
          let waiting = Array.from({ length: count }, () => ({ atMs: nowMs, isFirstTime: true }));
          while (waiting.length > 0) {
            waiting.sort((one, other) => one.atMs - other.atMs);
            const [one] = waiting;
            if (one === undefined || looks++ > looksAtMost) throw new Error("somebody waits for ever");
            const verdict = ask(record, rate, one.atMs, one.isFirstTime);
            record = verdict.next ?? record;
            if (verdict.kind === "begin") begunMs.push(one.atMs);
            waiting = waiting.slice(1);
            if (verdict.kind === "wait") waiting.push({ atMs: one.atMs + verdict.delayMs, isFirstTime: false });
          }
          const tookMs = (begunMs.at(-1) ?? nowMs) - nowMs;
          if (tookMs < limits.rateWaitMs / 2) {
            expect(tookMs).toBeLessThanOrEqual((Math.ceil(count / rate.limit) + 1) * rate.perMs * 1.2);
          }
        },
      ),
    );
  });

  test("the record stays small, and is read as it was written", () => {
    fc.assert(
      fc.property(anyRate, fc.array(fc.nat(100), { maxLength: 300, size: "max" }), (rate, gaps) => {
        let atMs = nowMs;
        const { record } = begun(
          rate,
          gaps.map((gap) => (atMs += gap)),
        );
        expect(record.groups.length).toBeLessThanOrEqual(limits.rateGroups + 1);
        const fields = applyTransition(rateTransition(undefined, record), undefined) ?? {};
        expect(recordBytes(fields)).toBeLessThan(600);
        expect(decodeRate("rate#key#api", fields)).toEqual(record);
        expect(
          applyTransition(rateTransition(fields, record), { ...fields, p: record.promisedMs + 1 }),
        ).toBeUndefined();
        expect(applyTransition(rateTransition(fields, record), { ...fields, w: "1.1.1" })).toBeUndefined();
        expect(applyTransition(rateTransition(undefined, record), fields)).toBeUndefined();
      }),
    );
  });
});
