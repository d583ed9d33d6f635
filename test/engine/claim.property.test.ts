// Hunts: a first try and a second look that disagree, and a message that is kept for ever (R7, R8).
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { limits } from "../../lib/definition/limits.ts";
import { claim, reconsiderClaim } from "../../lib/engine/claim.ts";
import { encodeRun, field } from "../../lib/engine/codec.ts";
import { hasEnded, isTerminal } from "../../lib/engine/run-state.ts";
import { applyTransition } from "../../lib/engine/transition.ts";
import { randomGraph, runState } from "./random-run.ts";
import { after, claimant, messageFor } from "./sample-run.ts";

/** A run, and a message that is likely to be about it as it is, or as it was a little before. */
const scenario = fc.record({ graph: randomGraph(), run: runState }).chain(({ graph, run }) =>
  fc
    .record({
      step: fc.nat(graph.steps.length - 1),
      epoch: fc.constantFrom(run.epoch, run.epoch, run.epoch, run.epoch + 1),
      fingerprint: fc.constantFrom(run.fingerprint, run.fingerprint, run.fingerprint, "other"),
      isTimer: fc.boolean(),
      isExact: fc.boolean(),
      attempt: fc.integer({ min: 1, max: 3 }),
      nowMs: fc.integer({ min: 0, max: 8_000_000_000_000 }),
      owner: fc.constantFrom("me", ""),
    })
    .map(({ step, isTimer, isExact, attempt, nowMs, owner, ...rest }) => {
      const state = run.steps[step];
      const timer = state?.status === "backing_off" ? state : { attempt: attempt - 1, wakeAtMs: nowMs };
      const exact = { attempt: timer.attempt + 1, wakeAtMs: timer.wakeAtMs };
      const message = messageFor(run, step, { ...rest, ...(isTimer ? exact : { attempt }) });
      return {
        graph,
        run,
        message: isTimer && !isExact ? { ...message, attempt: message.attempt + 1 } : message,
        by: claimant({ nowMs, owner }),
      };
    }),
);

test("a run is claimable exactly when the first try would have won", () => {
  fc.assert(
    fc.property(scenario, ({ graph, run, message, by }) => {
      const isApplied = applyTransition(claim(message, by), encodeRun(run)) !== undefined;
      expect(reconsiderClaim(graph, run, message, by).kind === "claimable").toBe(isApplied);
    }),
    { numRuns: 2_000 },
  );
});

test("every verdict is a write that applies now, a bounded wait, or an end of the message", () => {
  fc.assert(
    fc.property(scenario, ({ graph, run, message, by }) => {
      const verdict = reconsiderClaim(graph, run, message, by);
      const state = run.steps[message.step];
      switch (verdict.kind) {
        case "later":
          expect(verdict.delayMs).toBeGreaterThan(0);
          expect(verdict.delayMs).toBeLessThanOrEqual(limits.leaseMs + limits.clockSkewMs);
          expect(state?.status).toBe("running");
          break;
        case "takeOver":
        case "giveUp": {
          const next = after(run, verdict.transition);
          expect(state?.status).toBe("running");
          expect(verdict.transition.guard).toContainEqual({
            field: field.step(message.step),
            is: "equal",
            value: encodeRun(run)[field.step(message.step)],
          });
          if (verdict.kind === "takeOver") {
            expect(next.steps[message.step]).toMatchObject({ status: "running", owner: by.owner });
            expect(next.steps[message.step]?.attempt).toBe((state?.attempt ?? 0) + 1);
          } else expect(hasEnded(next.steps[message.step])).toBe(true);
          break;
        }
        case "wake":
          expect(state).toMatchObject({ status: "waiting", wakeAtMs: message.wakeAtMs });
          expect(hasEnded(after(run, verdict.transition).steps[message.step])).toBe(true);
          break;
        case "won":
          expect(state).toMatchObject({ status: "running", owner: by.owner });
          break;
        case "claimable":
          expect(run.status).toBe("running");
          break;
        // Nothing that could still run is let go: it has ended, its run has, or another message stands for it.
        case "over":
        case "drop":
          if (state?.status === "running" && !isTerminal(run.status)) expect(verdict.kind).toBe("drop");
          break;
      }
    }),
    { numRuns: 2_000 },
  );
});
