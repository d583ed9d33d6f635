// Hunts: an exploration that leaves out what could happen: states taken for equal that are not, orders of events left out that
// matter, or faults that strike nowhere; and bugs of the engine on the smallest graphs.
import { describe, expect, test } from "vitest";
import { limits } from "../../lib/definition/limits.ts";
import { exploreAll, replayPath } from "../../lib/testing/simulator/explore-all.ts";
import type { ExploredWorld, FaultBudget } from "../../lib/testing/simulator/explored-world.ts";
import { graphs } from "./graphs.ts";
import { explorable, type Graph, Inside } from "./inside.ts";

function graphOf(name: string, inside: Inside): Graph {
  return graphs[name]?.(inside) as Graph;
}

interface Planted {
  readonly plant?: (world: ExploredWorld) => void;
}

/** What can come of it: outcomes and violations, not how often. */
async function all(
  name: string,
  budget: FaultBudget,
  how: Planted & {
    readonly isReduced?: boolean;
    readonly isRepeating?: boolean;
  } = {},
): Promise<{
  readonly ends: string[];
  readonly violations: string[];
  readonly states: number;
  readonly trace: string;
}> {
  const inside = new Inside();
  const { isReduced = true, isRepeating = false, plant } = how;
  const of = explorable(inside, graphOf(name, inside), budget, isReduced);
  const planted = {
    ...of,
    enter: (world: ExploredWorld) => {
      of.enter(world);
      plant?.(world);
    },
  };
  const { ends, violations, states, isComplete } = await exploreAll(planted, { isRepeating, states: 50_000 });
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

  test("two crashes change nothing about a chain", async () => {
    const { ends, violations, states } = await all("chain2", { crashes: 2 });
    expect(violations).toEqual([]);
    expect(ends).toHaveLength(1);
    expect(states).toBeGreaterThan(1_000);
  });
});

describe("what is left out makes no difference", () => {
  // Some schedules then lose the run, and others do not.
  const plant = acknowledgesDuplicates;

  // A cancellation meets the run at any moment, so there are many ways to end.
  const cases: readonly (readonly [graph: string, FaultBudget, Planted])[] = [
    ["one", { crashes: 1 }, {}],
    ["one", { duplicates: 1, crashes: 1 }, { plant }],
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
    const { violations, trace } = await all("one", { crashes: 1, duplicates: 1 }, { plant: acknowledgesDuplicates });
    expect(violations.join("\n")).toContain("R5");
    expect(trace).toContain("VISIBLE AGAIN");
    expect(trace).toContain("CRASHES");
  });

  test("a commit without its fence", async () => {
    const plant = (world: ExploredWorld): void => {
      for (const { ports } of world.world.machinery.processes) {
        const { update } = ports.store;
        const unfenced: typeof update = (runId, { guard, ...transition }) => {
          const isCommit = Object.entries(transition.set).some(
            ([name, value]) => /^s\d/.test(name) && /^s/.test(String(value)),
          );
          return update(runId, {
            ...transition,
            guard: isCommit ? guard.filter(({ field }) => !/^s\d/.test(field)) : guard,
          });
        };
        Object.assign(ports.store, { update: unfenced });
      }
    };
    const { violations } = await all("one", { stalls: 1 }, { plant });
    expect(violations.join("\n")).toMatch(/R4|R6|R2/);
  });

  test("nothing is sent again", async () => {
    const plant = (world: ExploredWorld): void => {
      const { queue } = world.world.machinery;
      // Whoever dies takes its messages along.
      queue.timePasses = (untilMs) => {
        queue.messages = queue.messages.filter(
          ({ heldBy, visibleAtMs }) => heldBy === undefined || visibleAtMs > untilMs,
        );
      };
    };
    const { violations } = await all("one", { crashes: 1 }, { plant });
    expect(violations.join("\n")).toContain("R5");
  });
});

/** Whoever meets the live lease of another acknowledges: if that one dies, nobody comes back for the step. */
function acknowledgesDuplicates(world: ExploredWorld): void {
  const { queue } = world.world.machinery;
  const dispose = queue.dispose.bind(queue);
  queue.dispose = (receipt, disposition, nowMs) => {
    const isLater = disposition.kind === "redeliver" && disposition.delayMs > limits.startRetryMs;
    dispose(receipt, isLater ? { kind: "acknowledge" } : disposition, nowMs);
  };
}
