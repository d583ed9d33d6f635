// Hunts: an attempt to undo that is made, or committed, in a run that does not unwind; the table and every decision agree.
import { describe, expect, test } from "vitest";
import { defaultRetry } from "../../lib/definition/retry.ts";
import { claim, reconsiderClaim } from "../../lib/engine/claim.ts";
import { encodeRun } from "../../lib/engine/codec.ts";
import { commit, giveUp, type Outcome, renew } from "../../lib/engine/commit.ts";
import { allowsStepMove, type StepMove, stepMoves, undoMoves } from "../../lib/engine/moves.ts";
import { isTerminal, type RunState, runStatuses, type StepState, stepStatuses } from "../../lib/engine/run-state.ts";
import { applyTransition, type Transition } from "../../lib/engine/transition.ts";
import { after, claimant, ended, graphOf, messageFor, nowMs, runOf, stateOf, stored } from "./sample-run.ts";

type UndoMove = keyof typeof undoMoves;

const graph = graphOf([{ compensate: { retry: defaultRetry, timeoutMs: 60_000 } }]);
const mine = (run: RunState) => ({ track: "undo", step: 0, attempt: run.undos[0]?.attempt ?? 1, owner: "me" }) as const;

const expected: Record<UndoMove, readonly string[]> = {
  claim: ["unwinding/pending", "unwinding/backing_off", "unwinding/running"],
  renew: ["unwinding/running"],
  succeed: ["unwinding/running"],
  fail: ["unwinding/running"],
  backOff: ["unwinding/running"],
  defer: ["unwinding/running"],
  giveUp: ["unwinding/pending", "unwinding/running", "unwinding/backing_off"],
};

const leadsTo: Record<UndoMove, StepState["status"]> = {
  claim: "running",
  renew: "running",
  succeed: "succeeded",
  fail: "failed",
  backOff: "backing_off",
  defer: "backing_off",
  giveUp: "failed",
};

const decide: Record<UndoMove, (run: RunState) => Transition | undefined> = {
  claim: (run) => {
    const undo = run.undos[0];
    const message = messageFor(run, 0, {
      kind: "undo",
      attempt: (undo?.attempt ?? 0) + 1,
      ...(undo?.status === "backing_off" ? { wakeAtMs: undo.wakeAtMs } : {}),
    });
    const by = claimant({ owner: "other", nowMs: undo?.status === "running" ? undo.leaseUntilMs + 1 : nowMs });
    const first = claim(message, by);
    if (applyTransition(first, encodeRun(run)) !== undefined) return first;
    const verdict = reconsiderClaim(graph, run, message, by);
    return verdict.kind === "takeOver" ? verdict.transition : undefined;
  },
  renew: (run) => renew(run, mine(run), nowMs + 1),
  succeed: (run) => committed(run, { kind: "succeeded", output: { json: "" } }),
  fail: (run) => committed(run, failure("fatal")),
  backOff: (run) => committed(run, failure(true)),
  defer: (run) => committed(run, { kind: "released" }),
  giveUp: (run) => giveUp(graph, run, { track: "undo", step: 0 }, { name: "E", message: "m" }, nowMs),
};

function failure(retryable: true | "fatal"): Outcome {
  return { kind: "failed", error: { name: "E", message: "m" }, failure: { retryable }, fraction: 0.5 };
}

function committed(run: RunState, outcome: Outcome): Transition | undefined {
  const verdict = commit(graph, run, mine(run), outcome, nowMs);
  return verdict.kind === "write" ? verdict.transition : undefined;
}

/** The step itself has succeeded, so that its undoing is the only thing that can happen. */
function imageOf(status: RunState["status"], undo: StepState | undefined): RunState {
  const end = isTerminal(status) ? { endedAtMs: nowMs } : {};
  return stored(runOf({ status, steps: [ended("succeeded")], undos: [undo], ...end }));
}

const moves = Object.keys(undoMoves) as UndoMove[];
const pairs = moves.flatMap((move) => runStatuses.flatMap((run) => stepStatuses.map((undo) => ({ move, run, undo }))));

test.each(pairs)("$move of a $undo undoing in a $run run", ({ move, run, undo }) => {
  const isAllowed = expected[move].includes(`${run}/${undo}`);
  expect(allowsStepMove(move, run, undo, "undo")).toBe(isAllowed);
  // No undoing waits for the outside.
  if (undo === "waiting") return;
  const image = imageOf(run, stateOf(undo));
  const transition = decide[move](image);
  if (!isAllowed) {
    expect(transition).toBeUndefined();
    return;
  }
  if (transition === undefined) throw new Error("the table allows it");
  const next = after(image, transition);
  expect(next.undos[0]?.status).toBe(leadsTo[move]);
  // What becomes of the undoing says nothing about the step, nor about why the run failed.
  expect(next.steps).toEqual(image.steps);
  expect(next.error).toEqual(image.error);
});

test("an undoing does nothing that is not in its table", () => {
  const others = (Object.keys(stepMoves) as StepMove[]).filter((move) => !(move in undoMoves));
  const all = others.flatMap((move) =>
    runStatuses.flatMap((run) => stepStatuses.map((undo) => allowsStepMove(move, run, undo, "undo"))),
  );
  expect(all).not.toContain(true);
});

describe("guards", () => {
  test.each(moves)(
    "%s is refused when the undoing has changed, or the run is of another status or epoch (R1, R4)",
    (move) => {
      const seen = expected[move][0]?.split("/")[1] as StepState["status"] | "pending";
      const image = imageOf("unwinding", stateOf(seen));
      const transition = decide[move](image);
      if (transition === undefined) throw new Error("the table allows it");
      const others = [
        imageOf("unwinding", seen === "pending" ? stateOf("running") : undefined),
        { ...image, epoch: 1 },
        imageOf("failed", stateOf(seen)),
      ];
      expect(others.map((other) => applyTransition(transition, encodeRun(other)))).toEqual([
        undefined,
        undefined,
        undefined,
      ]);
    },
  );

  test("an attempt that was taken over commits nothing", () => {
    const image = imageOf("unwinding", stateOf("running"));
    const verdict = commit(
      graph,
      image,
      { ...mine(image), owner: "lost" },
      { kind: "succeeded", output: { json: "" } },
      nowMs,
    );
    expect(verdict.kind).toBe("lost");
  });
});
