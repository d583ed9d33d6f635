// What `npm run test:exhaustive` was asked to do.
import { availableParallelism } from "node:os";
import { parseArgs } from "node:util";
import type { Path } from "../../lib/testing/simulator/explore-all.ts";
import { graphs } from "./graphs.ts";
import { deepSuite, type Job, jobs, parseBudget, parsePath, suite } from "./jobs.ts";

export interface Options {
  readonly jobs: readonly Job[];
  /** That one job may visit; when there are more, its line says so. */
  readonly states: number;
  readonly workers: number;
  /** To be told in words, of the only job; nothing is explored. */
  readonly path: Path | undefined;
}

const statesMost = 2_000_000;

export const usage = `npm run test:exhaustive -- [--deep] [--graph NAME,NAME] [--faults KIND=N,KIND=N] [--states ${statesMost}] [--workers ${availableParallelism()}]
npm run test:exhaustive -- --graph NAME --faults KIND=N --path 0x12.3    tells one path in words

--deep explores all graphs with more faults, which takes hours. Graphs are ${Object.keys(graphs).join(", ")}.
The result is one line of JSON for each job and one for all on stdout; the exit code is 1 when something was violated, or a
job of the usual suite was not explored to its end.`;

/** @throws {Error} for everything that is not meant to be there: its message says what is allowed */
export function parseOptions(args: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...args],
    options: {
      deep: { type: "boolean" },
      graph: { type: "string" },
      faults: { type: "string" },
      states: { type: "string" },
      workers: { type: "string" },
      path: { type: "string" },
    },
  });
  const number = (name: "states" | "workers", most: number): number | undefined => {
    const text = values[name];
    if (text === undefined) return undefined;
    const value = /^\d{1,10}$/.test(text) ? Number(text) : Number.NaN;
    if (value >= 1 && value <= most) return value;
    throw new Error(`--${name} is "${text}". It is a whole number from 1 to ${most}.`);
  };
  const names = values.graph?.split(",");
  const unknown = names?.find((name) => !(name in graphs));
  if (unknown !== undefined)
    throw new Error(`--graph names "${unknown}". Graphs are ${Object.keys(graphs).join(", ")}.`);
  const budget = values.faults === undefined ? undefined : parseBudget(values.faults);
  const usual = (values.deep === true ? deepSuite : suite).filter(({ graph }) => names?.includes(graph) ?? true);
  const path = values.path === undefined ? undefined : parsePath(values.path);
  if (path !== undefined && (names?.length !== 1 || budget === undefined))
    throw new Error("--path is one path of one job: name it with --graph and --faults.");
  return {
    jobs: budget === undefined ? usual : jobs(names ?? Object.keys(graphs), [budget]),
    states: number("states", 100_000_000) ?? statesMost,
    workers: number("workers", 256) ?? availableParallelism(),
    path,
  };
}
