// What one seed plays: the graphs, what goes wrong, and what users do. Each seed turns some of it on (swarm testing): a
// fault or an operation that is always there hides what only happens without it.
import { type Faults, faultKinds, noFaults } from "../../lib/testing/simulator/faults.ts";
import {
  type Behaviour,
  behaviours,
  drawSteps,
  fillingSteps,
  idempotentSteps,
  type StepPlan,
} from "./random-workflow.ts";

/**
 * What must be so in the end, beside the invariants.
 * `sameOutcome`: faults change nothing about it. `costless`: nor about the attempts. `operated`: users do whatever they
 * like. `purged`: all of a run is removed or nothing. `turns`: several runs share a concurrency key.
 */
export const kinds = ["sameOutcome", "costless", "operated", "purged", "turns"] as const;
export type Kind = (typeof kinds)[number];

export interface Plan {
  readonly kind: Kind;
  readonly steps: readonly StepPlan[];
  readonly childSteps: readonly StepPlan[];
  readonly faults: Faults;
  readonly faultChance: number;
  readonly processes: number;
  readonly deliveriesAtOnce: number;
  /** How often everything that is in flight is lost. Then only audits go on. */
  readonly losses: number;
  /** Of all steps of the schedule, those at which a user does something. */
  readonly operationChance: number;
  /** How long users take to do what a run waits for. */
  readonly usersTakeMs: number;
  /** The run's record is so large that outputs are moved out of it. */
  readonly padded: boolean;
  readonly turns: { readonly limit: number; readonly runs: number; readonly hasTimeout: boolean };
}

const skewMostMs = 5_000;
const hourMs = 3_600_000;

/** Those that cost no attempt: a message that comes twice or late, and a write that is repeated. */
const costless = new Set(["duplicates", "copies", "drops", "delays", "lostResponses"]);

export function drawPlan(random: () => number): Plan {
  const of = <T>(from: readonly T[]): T => from[Math.floor(random() * from.length)] as T;
  const kind = of(kinds);
  const isOperated = kind === "operated" || (kind === "turns" && random() < 0.5);
  const some: readonly Behaviour[] = random() < 0.5 ? behaviours : [of(behaviours), of(behaviours), of(behaviours)];
  const isLarge = kind !== "turns" && random() < 0.1;
  const mostSteps = kind === "turns" ? 3 : isLarge ? 12 : 7;
  const isLossy = (kind === "sameOutcome" || kind === "operated") && random() < 0.25;
  return {
    kind,
    steps: drawSteps(random, 1 + Math.floor(random() * mostSteps), some),
    childSteps: drawSteps(random, 1 + Math.floor(random() * 3), some).map(withoutChild),
    faults: drawFaults(random, (fault) => kind !== "costless" || costless.has(fault)),
    faultChance: of([0.02, 0.06, 0.06, 0.2]),
    processes: of([1, 2, 3, 3, 4]),
    deliveriesAtOnce: of([1, 2, 2, 3]),
    losses: isLossy ? 1 + Math.floor(random() * 12) : 0,
    operationChance: isOperated ? of([0.01, 0.05, 0.2]) : kind === "purged" ? of([0, 0.05]) : 0,
    usersTakeMs: kind === "operated" && random() < 0.3 ? 3 * hourMs : 0,
    padded: false,
    turns: { limit: of([1, 1, 2]), runs: 2 + Math.floor(random() * 4), hasTimeout: isOperated && random() < 0.5 },
  };
}

/** None of the others has outputs that are moved out of the run's record. */
export function withFullRecord(plan: Plan, random: () => number): Plan {
  return plan.kind === "turns" ? plan : { ...plan, padded: true, steps: fillingSteps(random) };
}

/** Few of the others are like this: they could undo nothing. */
export function withIdempotentSteps(plan: Plan, random: () => number): Plan {
  // An execution that does not count has counted as the step's first all the same.
  const mayRunTwice = plan.kind !== "costless";
  const of = (steps: readonly StepPlan[]): StepPlan[] => idempotentSteps(random, steps, { mayRunTwice });
  return { ...plan, steps: of(plan.steps), childSteps: of(plan.childSteps) };
}

function drawFaults(random: () => number, isAllowed: (fault: string) => boolean): Faults {
  const faults = { ...noFaults, skewMs: random() < 0.3 && isAllowed("skew") ? skewMostMs : 0 };
  for (const kind of faultKinds) {
    if (isAllowed(kind) && random() < 0.5) faults[kind] = 1 + Math.floor(random() * 3);
  }
  return faults;
}

/** Children have none of their own. */
function withoutChild(step: StepPlan): StepPlan {
  return step.behaviour === "child" || step.behaviour === "freeChild" ? { ...step, behaviour: "sleeps" } : step;
}
