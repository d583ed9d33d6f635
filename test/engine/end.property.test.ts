// Hunts: runs that are open and expire, that have ended and never do, or that go before their time, whoever's clock is wrong.
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { limits } from "../../lib/definition/limits.ts";
import { encodeRun, field } from "../../lib/engine/codec.ts";
import { asItIs, correctExpiry, endOf, retain } from "../../lib/engine/end.ts";
import { cancel, redrive, resume, terminate, timeOut } from "../../lib/engine/operate.ts";
import { isTerminal, type RunState, runStatuses, terminalStatuses } from "../../lib/engine/run-state.ts";
import { settle } from "../../lib/engine/settle.ts";
import { newRun } from "../../lib/engine/start.ts";
import { applyTransition } from "../../lib/engine/transition.ts";
import { transitionTo } from "../../lib/engine/transition-to.ts";
import { randomGraph } from "./random-run.ts";
import { after, graphOf, runOf, stateOf, stored } from "./sample-run.ts";

const nowMs = Date.UTC(2026, 10, 21);
const year = 365 * 24 * 3_600_000;
const retentionMs = fc.integer({ min: limits.retentionLeastMs, max: limits.retentionMostMs });
/** Clocks that are right, ahead, and behind. */
const skewMs = fc.oneof(fc.constant(0), fc.integer({ min: -10 * year, max: 10 * year }));
const terminal = fc.constantFrom(...terminalStatuses);

describe("the end of a run", () => {
  test("keeps it for its retention, from the last time that it tells of, to the next full second", () => {
    fc.assert(
      fc.property(
        terminal,
        retentionMs,
        skewMs,
        skewMs,
        skewMs,
        (status, retentionMs, createdMs, redrivenMs, endMs) => {
          const run = runOf({ createdAtMs: nowMs + createdMs, redrivenAtMs: nowMs + redrivenMs, retentionMs });
          const { endedAtMs = 0, expiresAtMs = 0 } = endOf(run, status, nowMs + endMs);
          expect(endedAtMs).toBe(nowMs + Math.max(createdMs, endMs));
          const sinceMs = nowMs + Math.max(createdMs, endMs, redrivenMs);
          expect(expiresAtMs - sinceMs).toBeGreaterThanOrEqual(retentionMs);
          expect(expiresAtMs - sinceMs).toBeLessThan(retentionMs + 1000);
          expect(expiresAtMs % 1000).toBe(0);
        },
      ),
    );
  });

  test("gives none to a run that belongs to another one", () => {
    expect(endOf(runOf(), "failed", nowMs)).toEqual({
      status: "failed",
      endedAtMs: Math.max(nowMs, runOf().createdAtMs),
    });
  });

  test("whatever happens to a run, it expires exactly when it has ended, and each end sets it once", () => {
    const move = fc.constantFrom("settle", "cancel", "terminate", "timeOut", "redrive", "resume", "step" as const);
    fc.assert(
      fc.property(
        randomGraph({ maxSteps: 6 }),
        fc.option(retentionMs, { nil: undefined }),
        fc.array(fc.tuple(move, skewMs, fc.nat(5), fc.constantFrom("succeeded", "failed", "running" as const)), {
          maxLength: 20,
        }),
        (plain, retentionMs, moves) => {
          const graph = { ...plain, timeoutMs: 60_000 };
          const start = { runId: "r", fingerprint: "f", input: { json: "1" }, inputHash: "h" };
          let run = stored(newRun(graph, { ...start, ...(retentionMs === undefined ? {} : { retentionMs }) }, nowMs));
          for (const [name, skewMs, index, status] of moves) {
            const before: RunState = run;
            const atMs = nowMs + skewMs;
            if (name === "settle" || name === "step") {
              const steps = [...run.steps];
              if (name === "step" && index < graph.steps.length && !isTerminal(run.status))
                steps[index] = stateOf(status);
              const next = settle(graph, { ...run, steps }, atMs);
              if (next !== run && !isTerminal(run.status)) run = after(run, transitionTo(run, next));
            } else {
              const verdict =
                name === "terminate"
                  ? terminate(run, atMs)
                  : { cancel, timeOut, redrive, resume }[name](graph, run, atMs);
              if (verdict.kind === "write") run = after(run, verdict.transition);
            }
            const expires = run.expiresAtMs !== undefined;
            expect([name, expires]).toEqual([name, isTerminal(run.status) && retentionMs !== undefined]);
            if (isTerminal(before.status) && run.epoch === before.epoch)
              expect(run.expiresAtMs).toBe(before.expiresAtMs);
            if (retentionMs !== undefined && expires)
              expect(run.expiresAtMs).toBeGreaterThanOrEqual(run.createdAtMs + retentionMs);
          }
        },
      ),
      { numRuns: 2_000 },
    );
  });
});

describe("the correction of an expiry", () => {
  const endedBy = (skewMs: number, retentionMs: number): RunState => {
    const run = runOf({ createdAtMs: nowMs - 1_000, retentionMs });
    return stored({ ...run, ...endOf(run, "failed", nowMs + skewMs) });
  };

  test("makes no run live for longer than its retention from when somebody looks", () => {
    fc.assert(
      fc.property(retentionMs, skewMs, fc.nat(year), (retentionMs, skewMs, laterMs) => {
        const run = endedBy(skewMs, retentionMs);
        const correction = correctExpiry(run, nowMs + laterMs);
        const corrected = correction === undefined ? run : after(run, correction);
        expect(corrected.expiresAtMs).toBeLessThanOrEqual(nowMs + laterMs + retentionMs + limits.clockSkewMs + 1000);
        expect(corrected.expiresAtMs).toBeGreaterThanOrEqual(
          Math.min(run.expiresAtMs ?? 0, nowMs + laterMs + retentionMs),
        );
        expect(correctExpiry(corrected, nowMs + laterMs)).toBeUndefined();
      }),
    );
  });

  test("leaves alone what an honest clock has set", () => {
    expect(correctExpiry(endedBy(limits.clockSkewMs, limits.retentionMs), nowMs)).toBeUndefined();
    expect(correctExpiry(endedBy(limits.clockSkewMs + 2_000, limits.retentionMs), nowMs)).toBeDefined();
    expect(correctExpiry(runOf(), nowMs)).toBeUndefined();
  });

  test("gives way to a redrive, and to whoever corrected it before", () => {
    const run = endedBy(year, limits.retentionMs);
    const correction = correctExpiry(run, nowMs);
    const again = redrive(graphOf([{}]), run, nowMs);
    if (correction === undefined || again.kind !== "write") throw new Error("both are possible");
    expect(() => after(after(run, again.transition), correction)).toThrow();
    expect(() => after(after(run, correction), correction)).toThrow();
  });
});

describe("a run that has lost its parent", () => {
  test("does not end as it was decided before: without an expiry it would never go", () => {
    const run = runOf({ status: "running" });
    const kept = retain(run, limits.retentionMs);
    if (kept === undefined) throw new Error("it has none");
    const alone = after(run, kept);
    for (const end of [terminate(run, nowMs), cancel(graphOf([{}]), run, nowMs)]) {
      if (end.kind !== "write") throw new Error("it may end");
      expect(applyTransition(end.transition, encodeRun(alone))).toBeUndefined();
    }
    const again = terminate(alone, nowMs);
    if (again.kind !== "write") throw new Error("it may end");
    expect(after(alone, again.transition).expiresAtMs).toBeGreaterThanOrEqual(nowMs + limits.retentionMs);
  });

  test("is kept for so long after its end, once", () => {
    for (const status of runStatuses) {
      const run = runOf({ status });
      const kept = retain(run, limits.retentionMs);
      expect([status, kept === undefined]).toEqual([status, isTerminal(status)]);
      if (kept === undefined) continue;
      const next = after(run, kept);
      expect(next.retentionMs).toBe(limits.retentionMs);
      expect(retain(next, 1)).toBeUndefined();
      expect(() => after({ ...run, status: "failed" }, kept)).toThrow();
    }
  });
});

test("a removal relies on status and epoch: nothing else of a run that has ended can change", () => {
  expect(asItIs(runOf({ status: "failed", epoch: 3 }))).toEqual([
    { field: field.status, is: "equal", value: "failed" },
    { field: field.epoch, is: "equal", value: 3 },
  ]);
});
