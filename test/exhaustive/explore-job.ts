// One job, explored; and one path of it, told in words.
import { type Explored, exploreAll, type Path, replayPath } from "../../lib/testing/simulator/explore-all.ts";
import { graphs } from "./graphs.ts";
import { explorable, Inside } from "./inside.ts";
import type { Job } from "./jobs.ts";

export interface JobExplored {
  readonly job: Job;
  readonly states: number;
  readonly transitions: number;
  /** Different outcomes. */
  readonly outcomes: number;
  readonly ends: number;
  readonly longestPath: number;
  readonly violations: readonly { readonly message: string; readonly path: Path }[];
  /** `false`: the number of states was used up. */
  readonly isComplete: boolean;
  readonly seconds: number;
}

export async function exploreJob(job: Job, states: number): Promise<JobExplored> {
  const startedMs = performance.now();
  const explored = await exploreAll(explorableOf(job), { states });
  return { job, ...countsOf(explored), seconds: (performance.now() - startedMs) / 1_000 };
}

export async function replayJob(
  job: Job,
  path: Path,
): Promise<{ readonly text: string; readonly isViolation: boolean }> {
  const of = explorableOf(job);
  // The first end is the calm one, which all others are compared with.
  await replayPath(of, []);
  const { trace, end, isViolation } = await replayPath(of, path);
  return { text: [...trace, end].join("\n"), isViolation };
}

function explorableOf({ graph, budget }: Job): ReturnType<typeof explorable> {
  const inside = new Inside();
  const build = graphs[graph];
  if (build === undefined)
    throw new Error(`There is no graph "${graph}". There are: ${Object.keys(graphs).join(", ")}.`);
  return explorable(inside, build(inside), budget);
}

function countsOf(explored: Explored): Omit<JobExplored, "job" | "seconds"> {
  const { states, transitions, ends, longestPath, violations, isComplete } = explored;
  return {
    states,
    transitions,
    outcomes: ends.size,
    ends: [...ends.values()].reduce((sum, count) => sum + count, 0),
    longestPath,
    violations: [...violations].map(([message, path]) => ({ message, path })),
    isComplete,
  };
}
