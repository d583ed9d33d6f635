// What is explored: each graph with some numbers of faults, which strike wherever they can.

import type { Path } from "../../lib/testing/simulator/explore-all.ts";
import { exploredFaults, type FaultBudget } from "../../lib/testing/simulator/explored-world.ts";
import { graphs } from "./graphs.ts";

export interface Job {
  readonly graph: string;
  readonly budget: FaultBudget;
}

/** One fault, or two that belong together, in any order and at every point. */
const single: readonly FaultBudget[] = [{ crashes: 1 }, { duplicates: 1 }, { copies: 1 }, { lostResponses: 1 }];
const pairs: readonly FaultBudget[] = [
  { crashes: 2 },
  { crashes: 1, duplicates: 1 },
  { crashes: 1, copies: 1 },
  { crashes: 1, lostResponses: 1 },
];
const ports: readonly FaultBudget[] = [{ falseFailures: 1 }, { failures: 1 }];
const slow: FaultBudget = { stalls: 1 };
const slowAndCrash: FaultBudget = { crashes: 1, stalls: 1 };

const straight = ["chain3", "retry", "when", "undo", "sleep", "redrive", "redrive-lost", "idempotent-retry"];
/** What runs in parallel, or meets its user, has far more states than what goes straight on. */
const crossing = ["join", "diamond", "signal", "callback", "starts", "cancel", "idempotent-cancel"];
const wide = ["child", "map", "pause", "cancel-join", "cancel-undo"];

/** Some minutes on two cores; the longest come first. */
export const suite: readonly Job[] = [
  ...jobs(wide, [{ crashes: 1 }]),
  ...jobs(["one", "chain2"], [slowAndCrash]),
  ...jobs(crossing, single),
  ...jobs(["one", "chain2", "idempotent", ...straight], [...pairs, slow]),
  ...jobs(["one", "chain2", "undo"], ports),
];

/** For hand use: these take hours, and are bounded by a number of states. */
export const deepSuite: readonly Job[] = jobs(Object.keys(graphs), [
  ...single,
  ...pairs,
  ...ports,
  slow,
  slowAndCrash,
  { falseFailures: 1, failures: 1 },
  { crashes: 3 },
  { crashes: 2, duplicates: 1, lostResponses: 1 },
  { crashes: 2, stalls: 1 },
]);

export function jobs(graphs: readonly string[], budgets: readonly FaultBudget[]): Job[] {
  return graphs.flatMap((graph) => budgets.map((budget) => ({ graph, budget })));
}

/** Such as `crashes=1,stalls=1`. */
export function budgetText(budget: FaultBudget): string {
  const parts = exploredFaults.flatMap((kind) => (budget[kind] === undefined ? [] : [`${kind}=${budget[kind]}`]));
  return parts.length === 0 ? "none" : parts.join();
}

/** @throws {Error} when it is none; its message says what is */
export function parseBudget(text: string): FaultBudget {
  if (text === "none") return {};
  return Object.fromEntries(
    text.split(",").map((part) => {
      const [, kind = "", count] = /^([a-zA-Z]+)=([0-9])$/.exec(part) ?? [];
      if ((exploredFaults as readonly string[]).includes(kind)) return [kind, Number(count)];
      throw new Error(
        `"${part}" is no number of faults. Write kind=number with a number up to 9, or none; kinds are ${exploredFaults.join(", ")}.`,
      );
    }),
  );
}

/** `0x12.3` is twelve times the first event, then the fourth. */
export function pathText(path: Path): string {
  const parts: string[] = [];
  for (let at = 0; at < path.length; ) {
    let end = at;
    while (path[end] === path[at]) end++;
    parts.push(end - at > 1 ? `${path[at]}x${end - at}` : `${path[at]}`);
    at = end;
  }
  return parts.join(".");
}

/** @throws {Error} when it is none */
export function parsePath(text: string): Path {
  return text.split(".").flatMap((part) => {
    const [, choice, times = "1"] = /^(\d{1,6})(?:x(\d{1,6}))?$/.exec(part) ?? [];
    if (choice === undefined) throw new Error(`"${part}" is no part of a path. A path looks like 0x12.3.0x4.`);
    return Array.from({ length: Number(times) }, () => Number(choice));
  });
}
