// What `npm run test:sim` was asked to do.
import { availableParallelism } from "node:os";
import { parseArgs } from "node:util";

export interface Options {
  readonly from: number;
  readonly seeds: number;
  readonly workers: number;
  /** After which no further seeds are played. */
  readonly seconds: number;
  /** To be replayed, and told in words; nothing else is played. */
  readonly seed: number | undefined;
}

export const usage = `npm run test:sim -- [--seeds 20000] [--from 1] [--workers ${availableParallelism()}] [--seconds N]
npm run test:sim -- --seed S    replays one seed and tells its schedule

Seeds are whole numbers from 0 to ${2 ** 31 - 1}. The result is one line of JSON on stdout; the exit code is 1 when a seed fails.`;

/** @throws {Error} for everything that is not meant to be there: its message says what is allowed */
export function parseOptions(args: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...args],
    options: {
      seeds: { type: "string" },
      from: { type: "string" },
      workers: { type: "string" },
      seconds: { type: "string" },
      seed: { type: "string" },
    },
  });
  const number = (name: keyof typeof values, least: number, most: number): number | undefined => {
    const text = values[name];
    if (text === undefined) return undefined;
    const value = /^\d{1,10}$/.test(text) ? Number(text) : Number.NaN;
    if (value >= least && value <= most) return value;
    throw new Error(`--${name} is "${text}". It is a whole number from ${least} to ${most}.`);
  };
  const most = 2 ** 31 - 1;
  const from = number("from", 0, most) ?? 1;
  const seeds = number("seeds", 1, 100_000_000) ?? 20_000;
  if (from + seeds - 1 > most) throw new Error(`--from ${from} --seeds ${seeds} goes beyond the last seed, ${most}.`);
  const seed = number("seed", 0, most);
  if (seed !== undefined && Object.keys(values).length > 1)
    throw new Error("--seed replays one seed: leave the other options out.");
  return {
    from,
    seeds,
    seed,
    workers: number("workers", 1, 256) ?? availableParallelism(),
    seconds: number("seconds", 1, 86_400) ?? Number.POSITIVE_INFINITY,
  };
}
