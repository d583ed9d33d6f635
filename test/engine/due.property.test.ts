// Hunts: a step that becomes ready and is sent by nobody (R5), whatever the graph, the outcomes and the order of commits.
import * as fc from "fast-check";
import { expect, test } from "vitest";
import type { Graph } from "../../lib/definition/graph.ts";
import { limits } from "../../lib/definition/limits.ts";
import { claim, reconsiderClaim } from "../../lib/engine/claim.ts";
import { decodeRun, encodeRun } from "../../lib/engine/codec.ts";
import { commit, type Outcome } from "../../lib/engine/commit.ts";
import { due, dueBecauseOf } from "../../lib/engine/due.ts";
import type { OutgoingMessage, StepMessage } from "../../lib/engine/message.ts";
import { readiness } from "../../lib/engine/readiness.ts";
import { hasEnded, isTerminal, type RunState } from "../../lib/engine/run-state.ts";
import { settle } from "../../lib/engine/settle.ts";
import { newRun } from "../../lib/engine/start.ts";
import { applyTransition, type Fields, type Transition } from "../../lib/engine/transition.ts";
import { transitionTo } from "../../lib/engine/transition-to.ts";
import { randomGraph, runState } from "./random-run.ts";
import { applied, claimant, nowMs } from "./sample-run.ts";

type Behaviour = "succeeds" | "fails" | "skips" | "failsFirst" | "defers" | "isReleased";
const behaviour = fc.constantFrom<Behaviour>(
  "succeeds",
  "succeeds",
  "fails",
  "skips",
  "failsFirst",
  "defers",
  "isReleased",
);

function outcomeOf(behaviour: Behaviour, tries: number, atMs: number): Outcome {
  const error = { name: "E", message: "as planned" };
  if (behaviour === "skips") return { kind: "skipped" };
  if (behaviour === "fails") return { kind: "failed", error, failure: { retryable: "fatal" }, fraction: 0 };
  if (tries === 0) {
    if (behaviour === "failsFirst") return { kind: "failed", error, failure: { retryable: true }, fraction: 0.5 };
    if (behaviour === "defers") return { kind: "deferred", wakeAtMs: atMs + 60_000 };
    if (behaviour === "isReleased") return { kind: "released" };
  }
  return { kind: "succeeded", output: { json: "1" } };
}

/** Steps that are in flight: a message for each, or a claim whose message is held. */
const keyOf = ({ message }: OutgoingMessage): string => (message.kind === "step" ? `${message.step}` : message.kind);

/** Plays a run in some order of deliveries and commits, without faults, and looks at every state on the way. */
function play(
  graph: Graph,
  behaviours: readonly Behaviour[],
  pick: () => number,
  look: (run: RunState) => void,
): RunState {
  let fields: Fields = encodeRun(
    newRun(graph, { runId: "run", fingerprint: "f", input: { json: "" }, inputHash: "h" }, nowMs),
  );
  let atMs = nowMs;
  const queue = due(graph, decodeRun("run", fields), atMs);
  const atWork: { message: StepMessage; owner: string }[] = [];
  const tries = new Map<number, number>();
  const now = (): RunState => decodeRun("run", fields);
  const write = (transition: Transition): void => {
    fields = applied(fields, transition);
    look(now());
  };
  const advance = (cause: number): void => {
    for (;;) {
      const run = now();
      const settled = settle(graph, run, atMs);
      if (settled === run) break;
      write(transitionTo(run, settled));
    }
    const caused = dueBecauseOf(graph, now(), cause, atMs);
    const all = due(graph, now(), atMs);
    for (const message of caused) expect(all).toContainEqual(message);
    queue.push(...caused);
  };
  const checkNothingOrphaned = (): void => {
    const inFlight = new Set([...queue.map(keyOf), ...atWork.map(({ message }) => `${message.step}`)]);
    for (const message of due(graph, now(), atMs)) expect(inFlight).toContain(keyOf(message));
  };

  for (let events = 0; ; events++) {
    expect(events).toBeLessThan(500);
    checkNothingOrphaned();
    const choices = queue.length + atWork.length;
    if (choices === 0) return now();
    const choice = pick() % choices;
    atMs += 1 + (pick() % 1_000);
    const [work] = choice >= queue.length ? atWork.splice(choice - queue.length, 1) : [];
    if (work !== undefined) {
      const { message, owner } = work;
      const count = tries.get(message.step) ?? 0;
      tries.set(message.step, count + 1);
      const run = now();
      const attempt = run.steps[message.step]?.attempt ?? 0;
      const outcome = outcomeOf(behaviours[message.step] ?? "succeeds", count, atMs);
      const verdict = commit(graph, run, { track: "step", step: message.step, attempt, owner }, outcome, atMs);
      if (verdict.kind !== "write") throw new Error(`commit: ${verdict.kind}`);
      write(verdict.transition);
      advance(message.step);
      continue;
    }
    const [{ message }] = queue.splice(choice, 1) as [OutgoingMessage];
    if (message.kind !== "step") continue;
    const by = claimant({ owner: `o${events}`, nowMs: atMs });
    const claimed = applyTransition(claim(message, by), fields);
    if (claimed !== undefined) {
      // Never before its dependencies allow it, and never twice.
      const before = now().steps[message.step];
      if (before === undefined) expect(readiness(graph.steps[message.step]!, now().steps)).toBe("ready");
      expect(message.attempt).toBe((before?.attempt ?? 0) + 1);
      fields = claimed;
      look(now());
      atWork.push({ message, owner: by.owner });
      continue;
    }
    const verdict = reconsiderClaim(graph, now(), message, by);
    expect(["over", "drop", "later"]).toContain(verdict.kind);
    if (verdict.kind === "over") advance(message.step);
    // The holder of the lease has a message of its own in this play.
  }
}

const scenario = (onFailure: readonly ("fail" | "continue")[]) =>
  randomGraph({ maxSteps: 6, onFailure }).chain((graph) =>
    fc.record({
      graph: fc.constant(graph),
      behaviours: fc.array(behaviour, { minLength: graph.steps.length, maxLength: graph.steps.length }),
      picks: fc.infiniteStream(fc.nat()),
      otherPicks: fc.infiniteStream(fc.nat()),
    }),
  );

const taking = (stream: fc.Stream<number>) => (): number => Number(stream.next().value);

test("nothing is orphaned: after every commit, all that is due is in flight, and the run ends (R5)", () => {
  fc.assert(
    fc.property(scenario(["fail", "continue"]), ({ graph, behaviours, picks }) => {
      const run = play(graph, behaviours, taking(picks), () => undefined);
      expect(isTerminal(run.status)).toBe(true);
    }),
    { numRuns: 400 },
  );
});

test("whatever the order, every step and the run end in the same way when failures are tolerated", () => {
  fc.assert(
    fc.property(scenario(["continue"]), ({ graph, behaviours, picks, otherPicks }) => {
      const [one, other] = [picks, otherPicks].map((stream) =>
        play(graph, behaviours, taking(stream), () => undefined),
      );
      const outcome = (run: RunState | undefined): unknown[] => [
        run?.status,
        run?.steps.map((step) => [step?.status, step?.attempt]),
      ];
      expect(outcome(one)).toEqual(outcome(other));
      expect(one?.status).toBe("succeeded");
    }),
    { numRuns: 300 },
  );
});

test("whatever the order, the run comes to the same end", () => {
  fc.assert(
    fc.property(scenario(["fail", "continue"]), ({ graph, behaviours, picks, otherPicks }) => {
      const [one, other] = [picks, otherPicks].map((stream) =>
        play(graph, behaviours, taking(stream), () => undefined),
      );
      expect(one?.status).toBe(other?.status);
      expect(one?.error === undefined).toBe(one?.status === "succeeded");
    }),
    { numRuns: 300 },
  );
});

test("on the way, ended steps never change, attempts have no gaps, and statuses only move forward (R2, R3)", () => {
  fc.assert(
    fc.property(scenario(["fail", "continue"]), ({ graph, behaviours, picks }) => {
      let before: RunState | undefined;
      play(graph, behaviours, taking(picks), (run) => {
        const former = before;
        before = run;
        if (former === undefined) return;
        const order = ["running", "unwinding", "succeeded", "failed"];
        expect(order.indexOf(run.status)).toBeGreaterThanOrEqual(order.indexOf(former.status));
        expect(run.changes - former.changes).toBe(run.status === former.status ? 0 : 1);
        graph.steps.forEach((_step, index) => {
          const [was, is] = [former.steps[index], run.steps[index]];
          if (hasEnded(was)) expect(is).toEqual(was);
          expect(Math.abs((is?.attempt ?? 0) - (was?.attempt ?? 0))).toBeLessThanOrEqual(1);
          expect(is?.attempt ?? 0).toBeLessThanOrEqual(3);
        });
      });
    }),
    { numRuns: 200 },
  );
});

test("of any stored run, delays are whole, never negative and bounded, and what one step caused is part of all (R8)", () => {
  fc.assert(
    fc.property(randomGraph(), runState, fc.integer({ min: 0, max: 8_000_000_000_000 }), (graph, run, atMs) => {
      const all = due(graph, run, atMs);
      for (const { delayMs, message } of all) {
        expect(Number.isSafeInteger(delayMs)).toBe(true);
        expect(delayMs).toBeGreaterThanOrEqual(0);
        expect(delayMs).toBeLessThanOrEqual(limits.delayMs);
        if (message.kind === "step") expect(message.attempt).toBeGreaterThanOrEqual(1);
      }
      // All that an ended run still asks for is to give its slot back, and that whoever waits for its end is told of it.
      const left = [
        ...(run.slot?.status === "held" ? ["slot"] : []),
        ...(run.parent === undefined ? [] : ["childEnded"]),
      ];
      if (isTerminal(run.status)) expect(all.map(({ message }) => message.kind)).toEqual(left);
      if (run.slot?.status === "wanted") expect(all.filter(({ message }) => message.kind === "step")).toEqual([]);
      graph.steps.forEach((_step, index) => {
        const caused = dueBecauseOf(graph, run, index, atMs);
        for (const message of caused) expect(all).toContainEqual(message);
        const steps = caused.filter(({ message }) => message.kind === "step").map(keyOf);
        expect(new Set(steps).size).toBe(steps.length);
      });
    }),
    { numRuns: 500 },
  );
});
