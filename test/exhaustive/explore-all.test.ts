// Hunts: an exploration that leaves out what could happen: states taken for equal that are not, orders of events left out that
// matter, or faults that strike nowhere; and bugs of the engine on the smallest graphs.
import { describe, expect, test } from "vitest";
import { limits } from "../../lib/definition/limits.ts";
import type { Ports } from "../../lib/runtime/ports.ts";
import { exploreAll, replayPath } from "../../lib/testing/simulator/explore-all.ts";
import type { ExploredWorld, FaultBudget } from "../../lib/testing/simulator/explored-world.ts";
import { graphs } from "./graphs.ts";
import { explorable, type Graph, Inside } from "./inside.ts";

function graphOf(name: string, inside: Inside): Graph {
  return graphs[name]?.(inside) as Graph;
}

interface Planted {
  readonly tamper?: (ports: Ports) => Ports;
  readonly plant?: (world: ExploredWorld) => void;
}

/** What can come of it: outcomes and violations, not how often. */
async function all(
  name: string,
  budget: FaultBudget,
  how: Planted & {
    readonly isReduced?: boolean;
    readonly isRepeating?: boolean;
    /** Enough are as many. */
    readonly violations?: number;
  } = {},
): Promise<{
  readonly ends: string[];
  readonly violations: string[];
  readonly states: number;
  readonly trace: string;
}> {
  const inside = new Inside();
  const { isReduced = true, isRepeating = false, violations: enough = 10, plant, ...tampered } = how;
  const of = explorable(inside, graphOf(name, inside), budget, isReduced);
  const planted = {
    ...of,
    ...tampered,
    enter: (world: ExploredWorld) => {
      of.enter(world);
      plant?.(world);
    },
  };
  const { ends, violations, states, isComplete } = await exploreAll(planted, {
    isRepeating,
    violations: enough,
    states: 50_000,
  });
  if (violations.size === 0) expect(isComplete).toBe(true);
  const [first] = violations.values();
  const trace = first === undefined ? "" : (await replayPath(planted, first)).trace.join("\n");
  return { ends: [...ends.keys()].sort(), violations: [...violations.keys()].sort(), states, trace };
}

describe("everything that can happen to the smallest graphs", () => {
  const budgets: readonly FaultBudget[] = [
    { crashes: 1 },
    { duplicates: 1 },
    { copies: 1 },
    { lostResponses: 1 },
    { stalls: 1 },
  ];
  test.each(budgets)("changes nothing about the outcome of one step, with %o", async (budget) => {
    const { ends, violations } = await all("one", budget);
    expect(violations).toEqual([]);
    expect(ends).toEqual(["run succeeded: succeeded 1"]);
  });

  test("nor do two crashes, or one in a chain", async () => {
    for (const [name, budget] of [
      ["one", { crashes: 2 }],
      ["chain2", { crashes: 1 }],
    ] as const) {
      const { ends, violations, states } = await all(name, budget);
      expect(violations).toEqual([]);
      expect(ends).toHaveLength(1);
      expect(states).toBeGreaterThan(200);
    }
  });
});

describe("what is left out makes no difference", () => {
  // A cancellation meets the run at any moment, so there are many ways to end.
  const cases: readonly (readonly [graph: string, FaultBudget, Planted])[] = [
    ["one", { crashes: 1 }, {}],
    ["one", { crashes: 1 }, { plant: takesMessagesAlong }],
    ["cancel", {}, {}],
  ];

  test.each(cases)("states that were seen before need not be gone on with: %s, %o", async (name, budget, planted) => {
    const once = await all(name, budget, planted);
    const again = await all(name, budget, { ...planted, isRepeating: true });
    expect(once.ends).toEqual(again.ends);
    expect(once.violations).toEqual(again.violations);
    expect(once.states).toBe(again.states);
  });

  test.each(cases)(
    "calls that touch no run need not be tried in every order: %s, %o",
    async (name, budget, planted) => {
      const reduced = await all(name, budget, planted);
      const full = await all(name, budget, { ...planted, isReduced: false });
      expect(reduced.ends).toEqual(full.ends);
      expect(reduced.violations).toEqual(full.violations);
      expect(reduced.states).toBeLessThan(full.states);
    },
  );
});

describe("planted bugs are found, with a schedule that shows them", () => {
  test("a message of a live lease that is acknowledged", async () => {
    const { violations, trace } = await all(
      "one",
      { crashes: 1, duplicates: 1 },
      { plant: acknowledgesDuplicates, violations: 1 },
    );
    expect(violations.join("\n")).toContain("R5");
    expect(trace).toContain("VISIBLE AGAIN");
    expect(trace).toContain("CRASHES");
  });

  test("a commit without its fence", async () => {
    const tamper = ({ store, ...ports }: Ports): Ports => {
      const update: typeof store.update = (runId, { guard, ...transition }) => {
        const steps = Object.entries(transition.set).filter(([name]) => isStep(name));
        const isCommit = steps.some(([, value]) => String(value).startsWith("s"));
        return store.update(runId, { ...transition, guard: guard.filter(({ field }) => !isCommit || !isStep(field)) });
      };
      return { ...ports, store: { ...store, update } };
    };
    const { violations } = await all("one", { stalls: 1 }, { tamper, violations: 1 });
    expect(violations.join("\n")).toMatch(/R4|R6|R2/);
  });

  test("nothing is sent again", async () => {
    const { violations } = await all("one", { crashes: 1 }, { plant: takesMessagesAlong, violations: 1 });
    expect(violations.join("\n")).toContain("R5");
  });
});

/** Whoever dies takes the message along that it was handling. */
function takesMessagesAlong(world: ExploredWorld): void {
  const { queue } = world.world.machinery;
  queue.timePasses = (untilMs) => {
    queue.messages = queue.messages.filter(({ heldBy, visibleAtMs }) => heldBy === undefined || visibleAtMs > untilMs);
  };
}

function isStep(field: string): boolean {
  return /^s\d/.test(field);
}

/** Whoever meets the live lease of another acknowledges: if that one dies, nobody comes back for the step. */
function acknowledgesDuplicates(world: ExploredWorld): void {
  const { queue } = world.world.machinery;
  const dispose = queue.dispose.bind(queue);
  queue.dispose = (receipt, disposition, nowMs) => {
    const isLater = disposition.kind === "redeliver" && disposition.delayMs > limits.startRetryMs;
    dispose(receipt, isLater ? { kind: "acknowledge" } : disposition, nowMs);
  };
}
