// Plays seeds one after the other until one fails, and tells that in one line of JSON: `node until-failure.ts FROM COUNT`.
import { Violation } from "../../lib/testing/simulator/evidence.ts";
import { check, seedOf } from "../simulation/check-seed.ts";

export interface UntilFailure {
  /** How many were played, the one that failed included. */
  readonly seeds: number;
  /** Absent when all went well. */
  readonly failure?: {
    readonly seed: number;
    readonly message: string;
    /** The simulator says so; otherwise it is the simulator that broke. */
    readonly isViolation: boolean;
  };
}

async function untilFailure(from: number, count: number): Promise<UntilFailure> {
  for (let seed = from; seed < from + count; seed++) {
    const { plan, chooser } = seedOf(seed);
    try {
      await check(plan, chooser());
    } catch (error) {
      const { message } = error as Error;
      return { seeds: seed - from + 1, failure: { seed, message, isViolation: isViolation(error) } };
    }
  }
  return { seeds: count };
}

/** By itself, or in the end: what was played is told with it. */
function isViolation(error: unknown): boolean {
  return error instanceof Violation || (error instanceof Error && isViolation(error.cause));
}

const [from, count] = process.argv.slice(2).map(Number);
if (from === undefined || count === undefined) throw new Error("usage: node until-failure.ts FROM COUNT");
process.stdout.write(`${JSON.stringify(await untilFailure(from, count))}\n`);
