// Hunts: a waiter that is registered on a run which has ended, counted twice, replaced while it waits, or never told.
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { limits } from "../../lib/definition/limits.ts";
import { decodeRun, encodeRun, field } from "../../lib/engine/codec.ts";
import { due } from "../../lib/engine/due.ts";
import { redrive } from "../../lib/engine/operate.ts";
import { isTerminal, type RunState, runStatuses } from "../../lib/engine/run-state.ts";
import { settle } from "../../lib/engine/settle.ts";
import { applyTransition, type Fields } from "../../lib/engine/transition.ts";
import { reconsiderWaiter, registerWaiter, repliesDue } from "../../lib/engine/waiter.ts";
import { randomGraph, runState } from "./random-run.ts";
import { ended, graphOf, nowMs, runOf } from "./sample-run.ts";

const me = "t1a2b3-abcdefghjkmn";
const untilMs = nowMs + 60_000;
const skewMs = limits.clockSkewMs;

const registered = (run: RunState, replyTo = me, until = untilMs): Fields | undefined =>
  applyTransition(registerWaiter(replyTo, until), encodeRun(run));
const asRun = (fields: Fields | undefined): RunState => decodeRun("run", fields ?? {});
const crowd = (count: number, until: number): Record<string, number> =>
  Object.fromEntries(Array.from({ length: count }, (_, at) => [`t-${at}`, until]));

describe("registering", () => {
  test.each(runStatuses)("on a %s run needs no read, and is refused exactly when it has ended", (status) => {
    const run = runOf({ status });
    expect(registered(run) !== undefined).toBe(!isTerminal(status));
    expect(reconsiderWaiter(run, me, untilMs, nowMs).kind).toBe(isTerminal(status) ? "ended" : "write");
  });

  test("changes nothing but the waiters of the run", () => {
    fc.assert(
      fc.property(
        runState.filter(({ status, waiters = {} }) => !isTerminal(status) && Object.keys(waiters).length < 20),
        (run) => {
          const fields = registered(run);
          expect(decodeRun("run", fields ?? {})).toEqual({ ...run, waiters: { ...run.waiters, [me]: untilMs } });
        },
      ),
    );
  });

  test("twice, as when an answer was lost, is once", () => {
    const fields = registered(runOf());
    expect(applyTransition(registerWaiter(me, untilMs), fields)).toBeUndefined();
    expect(reconsiderWaiter(asRun(fields), me, untilMs, nowMs)).toEqual({ kind: "registered" });
    expect(reconsiderWaiter(asRun(fields), me, untilMs - 1, nowMs)).toEqual({ kind: "registered" });
  });

  test("for longer prolongs, and never past an end that came first", () => {
    const fields = registered(runOf());
    const verdict = reconsiderWaiter(asRun(fields), me, untilMs + 1, nowMs);
    if (verdict.kind !== "write") throw new Error(verdict.kind);
    const after = applyTransition(verdict.transition, fields);
    expect(asRun(after).waiters).toEqual({ [me]: untilMs + 1 });
    expect(after?.[field.waiters]).toBe(1);
    expect(applyTransition(verdict.transition, { ...fields, st: "failed" })).toBeUndefined();
  });

  test(`stops at ${limits.waiters}, and those whose time is over make room in the same write`, () => {
    const full = runOf({ waiters: crowd(limits.waiters, untilMs) });
    expect(registered(full)).toBeUndefined();
    expect(registered(runOf({ waiters: crowd(limits.waiters - 1, untilMs) }))).toBeDefined();
    expect(reconsiderWaiter(full, me, untilMs, nowMs)).toEqual({ kind: "full" });
    // By a clock that may be another than theirs.
    expect(reconsiderWaiter(full, me, untilMs, untilMs + skewMs)).toEqual({ kind: "full" });

    const some = { ...crowd(limits.waiters, untilMs), "t-0": nowMs - skewMs - 1, "t-1": nowMs - skewMs - 2 };
    const stale = encodeRun(runOf({ waiters: some }));
    const verdict = reconsiderWaiter(asRun(stale), me, untilMs, nowMs);
    if (verdict.kind !== "write") throw new Error(verdict.kind);
    const after = applyTransition(verdict.transition, stale);
    expect(asRun(after).waiters).toEqual({
      ...crowd(limits.waiters, untilMs),
      [me]: untilMs,
      "t-0": undefined,
      "t-1": undefined,
    });
    expect(after?.[field.waiters]).toBe(limits.waiters - 1);
    // One of them waits for longer since: it is not thrown out.
    expect(applyTransition(verdict.transition, { ...stale, [field.waiter("t-1")]: "zzzzzzzz" })).toBeUndefined();
    expect(applyTransition(verdict.transition, { ...stale, st: "succeeded" })).toBeUndefined();
  });

  test("the number that is kept is that of the waiters, whatever comes after what", () => {
    const act = fc.record({ id: fc.nat(30).map((at) => `t-${at}`), forMs: fc.nat(500_000), laterMs: fc.nat(200_000) });
    fc.assert(
      fc.property(fc.array(act, { maxLength: 60 }), (acts) => {
        let fields: Fields = encodeRun(runOf());
        let now = nowMs;
        for (const { id, forMs, laterMs } of acts) {
          now += laterMs;
          let next = applyTransition(registerWaiter(id, now + forMs), fields);
          if (next === undefined) {
            const verdict = reconsiderWaiter(asRun(fields), id, now + forMs, now);
            if (verdict.kind === "write") next = applyTransition(verdict.transition, fields);
            expect(next !== undefined).toBe(verdict.kind === "write");
          }
          fields = next ?? fields;
          const { waiters = {} } = asRun(fields);
          expect(fields[field.waiters]).toBe(Object.keys(waiters).length);
          expect(Object.keys(waiters).length).toBeLessThanOrEqual(limits.waiters);
        }
      }),
    );
  });
});

describe("what waiters are told", () => {
  const parked = { code: "step_missing", message: "The code is gone." } as const;

  test.each(runStatuses)("of a %s run", (status) => {
    const run = runOf({ status, epoch: 3, waiters: { [me]: untilMs } });
    const notice = { v: 1, runId: "run", status, epoch: 3 };
    expect(repliesDue(run, nowMs)).toEqual(isTerminal(status) ? [{ replyTo: me, notice }] : []);
  });

  test("that the run is parked, not that it is paused on request", () => {
    const waits = { status: "paused", waiters: { [me]: untilMs } } as const;
    const notice = { v: 1, runId: "run", status: "paused", epoch: 0, parked: true };
    expect(repliesDue(runOf({ ...waits, pause: parked }), nowMs)).toEqual([{ replyTo: me, notice }]);
    expect(repliesDue(runOf({ ...waits, pause: { ...parked, code: "requested" } }), nowMs)).toEqual([]);
  });

  test("only while they wait, clocks that differ included", () => {
    const run = runOf({ status: "failed", waiters: { [me]: untilMs } });
    expect(repliesDue(run, untilMs + skewMs)).toHaveLength(1);
    expect(repliesDue(run, untilMs + skewMs + 1)).toEqual([]);
  });

  test("a redrive forgets them all", () => {
    const graph = graphOf([{}]);
    const run = runOf({ status: "failed", steps: [ended("failed")], waiters: crowd(limits.waiters, untilMs) });
    const verdict = redrive(graph, run, nowMs);
    if (verdict.kind !== "write") throw new Error(verdict.kind);
    const after = applyTransition(verdict.transition, encodeRun(run)) ?? {};
    expect(asRun(after).waiters).toBeUndefined();
    expect(Object.keys(after).filter((name) => name.startsWith(field.waiters))).toEqual([]);
  });
});

test("no decision looks at waiters: a run with them does what it does without", () => {
  fc.assert(
    fc.property(randomGraph(), runState, (graph, run) => {
      const { waiters: _waiters, ...without } = run;
      expect(due(graph, run, nowMs)).toEqual(due(graph, without, nowMs));
      const { waiters: _kept, ...settled } = settle(graph, run, nowMs);
      expect(settled).toEqual(settle(graph, without, nowMs));
    }),
  );
});
