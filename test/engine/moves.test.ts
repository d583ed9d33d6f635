// Hunts: a status move that the table forbids and some decision or guard lets through (R1, R2, R4), or the reverse.
import { describe, expect, test } from "vitest";
import { mayEndByHand } from "../../lib/engine/by-hand.ts";
import { prolongWait } from "../../lib/engine/callback.ts";
import { claim, reconsiderClaim } from "../../lib/engine/claim.ts";
import { encodeRun, field } from "../../lib/engine/codec.ts";
import { commit, giveUp, type Outcome, renew } from "../../lib/engine/commit.ts";
import { answerInterrupt } from "../../lib/engine/interrupt.ts";
import {
  allowsRunMove,
  allowsStepMove,
  type RunMove,
  runMoves,
  type StepMove,
  stepMoves,
} from "../../lib/engine/moves.ts";
import { cancel, type OperateVerdict, pause, redrive, resume, terminate, timeOut } from "../../lib/engine/operate.ts";
import { endFromOutside } from "../../lib/engine/outside.ts";
import {
  isTerminal,
  type RunState,
  type RunStatus,
  runStatuses,
  type StepState,
  type StepStatus,
  stepStatuses,
  terminalStatuses,
} from "../../lib/engine/run-state.ts";
import { settle } from "../../lib/engine/settle.ts";
import { encodeStep } from "../../lib/engine/step-codec.ts";
import type { Attempt } from "../../lib/engine/track.ts";
import { applyTransition, type Transition } from "../../lib/engine/transition.ts";
import { transitionTo } from "../../lib/engine/transition-to.ts";
import { beginUnclaimed } from "../../lib/engine/unclaimed.ts";
import { deliverSignal, wake } from "../../lib/engine/waiting.ts";
import {
  after,
  backingOff,
  claimant,
  ended,
  graphOf,
  messageFor,
  nowMs,
  running,
  runOf,
  stateOf,
  stored,
} from "./sample-run.ts";

/** A second, open step keeps the run from ending with the one that is looked at. */
const graph = graphOf([{ onFailure: "continue" }, { onFailure: "continue" }]);
const signalGraph = graphOf([
  { kind: "signal", onFailure: "continue", waitMs: 60_000, onTimeout: { then: "fail" } },
  { onFailure: "continue" },
]);
const callbackGraph = graphOf([
  { kind: "callback", onFailure: "continue", heartbeatMs: 60_000 },
  { onFailure: "continue" },
]);
const childGraph = graphOf([
  { kind: "child", onFailure: "continue", whenParentEnds: "cancel" },
  { onFailure: "continue" },
]);
const expired = nowMs - 1;

/** What may happen, written down a second time: the table of the engine is compared with it, pair by pair. */
const expectedStepMoves: Record<StepMove, readonly `${RunStatus}/${StepStatus}`[]> = {
  claim: ["running/pending", "running/backing_off", "running/running"],
  renew: ["running/running", "paused/running", "unwinding/running"],
  succeed: ["running/running", "paused/running", "unwinding/running"],
  fail: ["running/running", "paused/running", "unwinding/running"],
  endUnclaimed: ["running/pending", "running/backing_off", "paused/pending", "paused/backing_off"],
  backOff: ["running/running", "paused/running"],
  defer: ["running/running", "paused/running"],
  skip: ["running/running", "paused/running", "unwinding/running"],
  giveUp: [
    ...(["running/pending", "running/running", "running/backing_off", "running/waiting"] as const),
    ...(["paused/pending", "paused/running", "paused/backing_off", "paused/waiting"] as const),
    ...(["unwinding/pending", "unwinding/running", "unwinding/backing_off", "unwinding/waiting"] as const),
  ],
  wait: ["running/running", "paused/running"],
  signal: [
    ...(["running/pending", "running/running", "running/backing_off", "running/waiting"] as const),
    ...(["paused/pending", "paused/running", "paused/backing_off", "paused/waiting"] as const),
  ],
  waitForChild: ["running/running", "paused/running", "unwinding/running"],
  wake: ["running/waiting"],
  prolong: ["running/waiting", "paused/waiting"],
  answer: ["running/waiting", "paused/waiting"],
  endFromOutside: [
    ...(["running/running", "running/waiting", "paused/running", "paused/waiting"] as const),
    ...(["unwinding/running", "unwinding/waiting"] as const),
  ],
  markUnknown: ["unwinding/running"],
  endByHand: [
    ...(["failed/failed", "failed/unknown", "failed/cancelled"] as const),
    ...(["timed_out/failed", "timed_out/unknown", "timed_out/cancelled"] as const),
    ...(["cancelled/failed", "cancelled/unknown", "cancelled/cancelled"] as const),
  ],
};

const expectedRunMoves: Record<RunMove, readonly RunStatus[]> = {
  pause: ["running"],
  resume: ["paused"],
  cancel: ["running", "paused"],
  timeOut: ["running", "paused"],
  terminate: ["running", "paused", "unwinding"],
  redrive: ["failed", "timed_out", "cancelled"],
};

const stepPairs = (Object.keys(stepMoves) as StepMove[]).flatMap((move) =>
  runStatuses.flatMap((run) => stepStatuses.map((step) => ({ move, run, step }))),
);
const runPairs = (Object.keys(runMoves) as RunMove[]).flatMap((move) => runStatuses.map((run) => ({ move, run })));

function imageOf(run: RunStatus, step: StepState | undefined, change: Partial<RunState> = {}): RunState {
  const image = runOf({
    status: run,
    steps: [step],
    interrupts: [{ answers: [], pending: "q" }],
    deadlineAtMs: nowMs - 1,
    ...(run === "paused" ? { pause: { code: "requested", message: "Paused on request." } } : {}),
    ...(isTerminal(run) ? { endedAtMs: nowMs - 500 } : {}),
    ...change,
  });
  return stored(image);
}

/** What a worker would write to make the move; `undefined` when the decision is against it. */
const decide: Record<StepMove, (run: RunState) => Transition | undefined> = {
  claim: (run) => {
    const step = run.steps[0];
    const message = messageFor(run, 0, {
      attempt: (step?.attempt ?? 0) + 1,
      ...(step?.status === "backing_off" ? { wakeAtMs: step.wakeAtMs } : {}),
    });
    const by = claimant({ owner: "other", nowMs: step?.status === "running" ? step.leaseUntilMs + 1 : nowMs });
    const first = claim(message, by);
    if (applyTransition(first, encodeRun(run)) !== undefined) return first;
    const verdict = reconsiderClaim(graph, run, message, by);
    return verdict.kind === "takeOver" ? verdict.transition : undefined;
  },
  renew: (run) => renew(run, mineIn(run), nowMs),
  succeed: (run) => committed(run, { kind: "succeeded", output: { json: "1" } }),
  fail: (run) => committed(run, failure("fatal")),
  endUnclaimed: (run) => {
    const unclaimed = beginUnclaimed(run, 0, nowMs - 1);
    const mine = { ...mineIn(run), attempt: (run.steps[0]?.attempt ?? 0) + 1, unclaimed };
    const verdict = commit(graph, run, mine, { kind: "succeeded", output: { json: "1" } }, nowMs);
    return verdict.kind === "write" ? verdict.transition : undefined;
  },
  backOff: (run) => committed(run, failure(true)),
  defer: (run) => committed(run, { kind: "deferred", wakeAtMs: nowMs + 10_000 }),
  skip: (run) => committed(run, { kind: "skipped" }),
  giveUp: (run) => giveUp(graph, run, { track: "step", step: 0 }, { name: "EngineFailure", message: "no" }, nowMs),
  wait: (run) => committed(run, { kind: "waits", untilMs: nowMs + 10_000 }),
  waitForChild: (run) => {
    const verdict = commit(childGraph, run, mineIn(run), { kind: "waits" }, nowMs);
    return verdict.kind === "write" ? verdict.transition : undefined;
  },
  signal: (run) => {
    const verdict = deliverSignal(signalGraph, run, 0, { id: "x", payload: { json: "1" } }, nowMs);
    return verdict.kind === "write" ? verdict.transition : undefined;
  },
  wake: (run) => wake(signalGraph, run, 0, nowMs, 0.5),
  answer: (run) => {
    const verdict = answerInterrupt(run, 0, "q", "a", nowMs);
    return verdict.kind === "write" ? verdict.transition : undefined;
  },
  prolong: (run) => {
    const next = prolongWait(callbackGraph, run, 0, nowMs);
    return next === undefined ? undefined : transitionTo(run, next);
  },
  endFromOutside: (run) => {
    const end = { kind: "succeeded", output: { json: "1" } } as const;
    const next = endFromOutside(graph, run, 0, run.steps[0]?.attempt ?? 1, end, nowMs);
    return next === undefined ? undefined : transitionTo(run, next);
  },
  markUnknown: (run) => {
    const step = run.steps[0];
    const lateMs = step?.status === "running" ? step.leaseUntilMs + 1 : nowMs;
    const verdict = reconsiderClaim(graph, run, messageFor(run, 0), claimant({ owner: "other", nowMs: lateMs }));
    return verdict.kind === "giveUp" && verdict.error === undefined ? verdict.transition : undefined;
  },
  endByHand: (run) => {
    if (!mayEndByHand(run, 0)) return undefined;
    const verdict = redrive(graph, run, nowMs, new Map([[0, { id: "h", output: { json: "1" } }]]));
    return verdict.kind === "write" ? verdict.transition : undefined;
  },
};

/** What the step is after each move, so that another move is not taken for it. */
const leadsTo: Record<StepMove, Partial<StepState>> = {
  claim: { status: "running", owner: "other" },
  renew: { status: "running", owner: "me" },
  succeed: { status: "succeeded" },
  fail: { status: "failed" },
  endUnclaimed: { status: "succeeded", startedAtMs: nowMs - 1 },
  backOff: { status: "backing_off", attempt: 1 },
  defer: { status: "backing_off", attempt: 0 },
  skip: { status: "skipped" },
  giveUp: { status: "failed" },
  markUnknown: { status: "unknown" },
  wait: { status: "waiting" },
  waitForChild: { status: "waiting" },
  // Kept until the step waits, it leaves the step as it is.
  signal: {},
  wake: { status: "failed" },
  answer: { status: "backing_off", attempt: 1 },
  // Whole tenths of the timeout, counted from the beginning of the wait.
  prolong: { status: "waiting", wakeAtMs: nowMs + 61_000 },
  endFromOutside: { status: "succeeded" },
  endByHand: { status: "succeeded" },
};

function mineIn(run: RunState): Attempt {
  return { track: "step" as const, step: 0, attempt: run.steps[0]?.attempt ?? 1, owner: "me" };
}

function failure(retryable: true | "fatal"): Outcome {
  return { kind: "failed", error: { name: "E", message: "m" }, failure: { retryable }, fraction: 0.5 };
}

function committed(run: RunState, outcome: Outcome): Transition | undefined {
  const verdict = commit(graph, run, mineIn(run), outcome, nowMs);
  return verdict.kind === "write" ? verdict.transition : undefined;
}

const operate: Record<RunMove, (run: RunState) => OperateVerdict> = {
  pause: (run) => pause(run, { code: "requested", message: "Paused on request." }),
  resume: (run) => resume(graph, run, nowMs),
  cancel: (run) => cancel(graph, run, nowMs),
  timeOut: (run) => timeOut(graph, run, nowMs),
  terminate: (run) => terminate(run, nowMs),
  redrive: (run) => redrive(graph, run, nowMs),
};
const madeBy: Record<RunMove, RunStatus> = {
  pause: "paused",
  resume: "running",
  cancel: "cancelled",
  timeOut: "timed_out",
  terminate: "cancelled",
  redrive: "running",
};

/** The write that makes exactly this move, or `undefined`. */
function writeFor(move: StepMove, run: RunState): Transition | undefined {
  const transition = decide[move](run);
  if (transition === undefined) return undefined;
  const step = after(run, transition).steps[0];
  const isThisMove = Object.entries(leadsTo[move]).every(([key, value]) => step?.[key as keyof StepState] === value);
  return isThisMove ? transition : undefined;
}

/** Every image that a stored run may have: all statuses, and other epochs, attempts, owners and times. */
const otherImages: readonly RunState[] = runStatuses.flatMap((run) =>
  stepStatuses.flatMap((status) => {
    const state = stateOf(status);
    const others: (StepState | undefined)[] = [
      state,
      ...(status === "running"
        ? [running({ owner: "other" }), running({ attempt: 2 }), running({ leaseUntilMs: expired })]
        : status === "backing_off"
          ? [backingOff(2), backingOff(0), backingOff(1, nowMs + 2_000)]
          : state === undefined
            ? []
            : [{ ...state, attempt: 2 }]),
    ];
    return others.flatMap((step) => [
      imageOf(run, step),
      imageOf(run, step, { epoch: 1 }),
      imageOf(run, step, { fingerprint: "fedcba9876543210" }),
    ]);
  }),
);

describe("the table", () => {
  test.each(stepPairs)("$move of a $step step in a $run run", ({ move, run, step }) => {
    expect(allowsStepMove(move, run, step)).toBe(expectedStepMoves[move].includes(`${run}/${step}`));
  });

  test.each(runPairs)("$move of a $run run", ({ move, run }) => {
    expect(allowsRunMove(move, run)).toBe(expectedRunMoves[move].includes(run));
  });
});

describe("decisions write exactly what the table allows (R1)", () => {
  test.each(stepPairs)("$move of a $step step in a $run run", ({ move, run, step }) => {
    const image = imageOf(run, stateOf(step));
    // In a stored terminal run, what had not ended reads as cancelled.
    const seen = image.steps[0]?.status ?? "pending";
    expect(writeFor(move, image) !== undefined).toBe(allowsStepMove(move, run, seen));
  });

  test.each(runPairs)("$move of a $run run", ({ move, run }) => {
    const image = imageOf(run, undefined);
    const verdict = operate[move](image);
    if (allowsRunMove(move, run)) {
      expect(verdict.kind).toBe("write");
      if (verdict.kind === "write") expect(after(image, verdict.transition).status).toBe(madeBy[move]);
    } else {
      // A running run cannot tell a redrive that was repeated from one that makes no sense.
      const isAlready = madeBy[move] === run && move !== "redrive";
      expect(verdict).toEqual(isAlready ? { kind: "already" } : { kind: "refused", status: run });
    }
  });

  test("released is deferred until now", () => {
    for (const run of runStatuses) {
      const image = imageOf(run, running());
      const transition = committed(image, { kind: "released" });
      const isGivenBack = transition !== undefined && after(image, transition).steps[0]?.status === "backing_off";
      expect(isGivenBack).toBe(run === "running" || run === "paused");
    }
  });

  test.each(["running", "paused", "unwinding"] as const)(
    "a live lease is nobody else's to take, in a %s run",
    (run) => {
      const image = imageOf(run, running({ leaseUntilMs: nowMs + 25_000 }));
      const verdict = reconsiderClaim(graph, image, messageFor(image, 0), claimant({ owner: "other" }));
      expect(verdict).toEqual({ kind: "later", delayMs: 25_000 });
    },
  );
});

describe("guards refuse what the decision did not see (R1, R4)", () => {
  const allowedSteps = stepPairs.filter(({ move, run, step }) => allowsStepMove(move, run, step));

  test.each(allowedSteps)("$move of a $step step in a $run run", ({ move, run, step }) => {
    const image = imageOf(run, stateOf(step));
    const transition = writeFor(move, image);
    if (transition === undefined) throw new Error("the table allows it");
    // A redrive relies on status and epoch alone: no step of an ended run changes any more.
    const relied = (other: RunState): unknown => (move === "endByHand" ? undefined : encodeRun(other)[field.step(0)]);
    const seen = (other: RunState): unknown[] => [other.status, other.epoch, relied(other)];
    let applied = 0;
    for (const other of otherImages) {
      const fields = encodeRun(other);
      const isSame =
        JSON.stringify(seen(other)) === JSON.stringify(seen(image)) &&
        // Only a claim is made without having read the run.
        (other.fingerprint === image.fingerprint || !transition.guard.some((one) => one.field === field.fingerprint));
      expect(applyTransition(transition, fields) !== undefined).toBe(isSame);
      if (isSame) applied++;
    }
    expect(applied).toBeGreaterThan(0);
  });

  test.each(runPairs.filter(({ move, run }) => allowsRunMove(move, run)))("$move of a $run run", ({ move, run }) => {
    const verdict = operate[move](imageOf(run, undefined));
    if (verdict.kind !== "write") throw new Error("the table allows it");
    for (const other of otherImages) {
      const isApplied = applyTransition(verdict.transition, encodeRun(other)) !== undefined;
      expect(isApplied).toBe(other.status === run && other.epoch === 0);
    }
  });

  test("a claim is bound to the graph of its message", () => {
    const image = imageOf("running", undefined);
    const transition = claim(messageFor(image, 0), claimant());
    const other = encodeRun(imageOf("running", undefined, { fingerprint: "fedcba9876543210" }));
    expect(applyTransition(transition, other)).toBeUndefined();
  });

  test("a timer claims only the pause that it was set for (R7)", () => {
    const image = imageOf("running", backingOff(1, nowMs + 1_000));
    const timer = claim(messageFor(image, 0, { attempt: 2, wakeAtMs: nowMs + 1_000 }), claimant());
    expect(applyTransition(timer, encodeRun(image))).toBeDefined();
    for (const step of [backingOff(1, nowMs + 1_001), backingOff(2, nowMs + 1_000), undefined, running()]) {
      expect(applyTransition(timer, encodeRun(imageOf("running", step)))).toBeUndefined();
    }
  });
});

describe("terminal is final (R2)", () => {
  test.each(terminalStatuses)("nothing is decided for a %s run", (run) => {
    for (const step of stepStatuses) {
      const image = imageOf(run, stateOf(step));
      // Ending by hand is a part of redrive.
      const moves = (Object.keys(stepMoves) as StepMove[]).filter((move) => move !== "endByHand");
      for (const move of moves) expect(decide[move](image)).toBeUndefined();
      for (const move of Object.keys(runMoves) as RunMove[]) {
        // The one way out, into a new epoch.
        if (move !== "redrive") expect(operate[move](image).kind).not.toBe("write");
      }
      expect(settle(graph, image, nowMs)).toBe(image);
    }
  });

  test("no transition that was built from an open run applies to an ended one", () => {
    const endedImages = otherImages.filter((image) => isTerminal(image.status)).map((image) => encodeRun(image));
    // Also as a writer left them that ended the run while the step was at work.
    const cutOff = terminalStatuses.map((status) => ({ ...encodeRun(imageOf("running", running())), st: status }));
    for (const run of ["running", "paused", "unwinding"] as const) {
      for (const step of stepStatuses) {
        const image = imageOf(run, stateOf(step));
        const settled = settle(graph, image, nowMs);
        const transitions = [
          ...Object.values(decide).map((one) => one(image)),
          ...Object.values(operate).map((one) => {
            const verdict = one(image);
            return verdict.kind === "write" ? verdict.transition : undefined;
          }),
          settled === image ? undefined : transitionTo(image, settled),
        ].filter((one) => one !== undefined);
        expect(transitions.length).toBeGreaterThan(0);
        for (const transition of transitions) {
          for (const fields of [...endedImages, ...cutOff]) {
            expect(applyTransition(transition, fields)).toBeUndefined();
          }
        }
      }
    }
  });

  test("what was at work when a run ended reads as cancelled, and its commit is refused", () => {
    for (const status of terminalStatuses) {
      const image = imageOf(status, running());
      expect(image.steps[0]).toEqual(ended("cancelled", { attempt: 1, endedAtMs: nowMs - 500 }));
      expect(encodeStep(running())).not.toBe(encodeStep(image.steps[0]!));
      const verdict = commit(
        graph,
        image,
        { track: "step" as const, step: 0, attempt: 1, owner: "me" },
        failure(true),
        nowMs,
      );
      expect(verdict).toEqual({ kind: "runEnded" });
    }
  });
});

test("a run's status changes only along these arrows", () => {
  const arrows = new Set<string>();
  const graphs = (["fail", "continue"] as const).flatMap((onFailure) => [
    graphOf([{ onFailure }]),
    graphOf([{ onFailure }, { onFailure }]),
  ]);
  for (const graph of graphs) {
    for (const run of runStatuses) {
      for (const step of stepStatuses) {
        for (const other of stepStatuses) {
          const image = imageOf(run, stateOf(step), {
            steps: [stateOf(step), stateOf(other)].slice(0, graph.steps.length),
          });
          const note = (transition: Transition | undefined): void => {
            if (transition === undefined) return;
            const next = after(image, transition);
            if (next.status !== run) arrows.add(`${run} -> ${next.status}`);
            expect(next.changes).toBe(image.changes + (next.status === run ? 0 : 1));
          };
          note(giveUp(graph, image, { track: "step", step: 0 }, { name: "E", message: "m" }, nowMs));
          for (const outcome of [
            failure("fatal"),
            failure(true),
            { kind: "skipped" } as const,
            { kind: "released" } as const,
          ]) {
            const verdict = commit(graph, image, mineIn(image), outcome, nowMs);
            note(verdict.kind === "write" ? verdict.transition : undefined);
          }
          for (const verdict of [
            pause(image, { code: "requested", message: "" }),
            cancel(graph, image, nowMs),
            timeOut(graph, image, nowMs),
            resume(graph, image, nowMs),
          ]) {
            note(verdict.kind === "write" ? verdict.transition : undefined);
          }
          const settled = settle(graph, image, nowMs);
          if (settled !== image) note(transitionTo(image, settled));
        }
      }
    }
  }
  expect([...arrows].sort()).toEqual([
    "paused -> cancelled",
    "paused -> failed",
    "paused -> running",
    "paused -> succeeded",
    "paused -> timed_out",
    "paused -> unwinding",
    "running -> cancelled",
    "running -> failed",
    "running -> paused",
    "running -> succeeded",
    "running -> timed_out",
    "running -> unwinding",
    "unwinding -> failed",
  ]);
});
