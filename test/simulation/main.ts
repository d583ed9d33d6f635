// Plays seeds of the simulation on all cores, and tells what came of them in one line of JSON on stdout; everything else
// goes to stderr. Each seed that fails is made smaller, and told in words.
import { seedOf } from "./check-seed.ts";
import { type Options, parseOptions, usage } from "./options.ts";
import { playSeeds, type Tally } from "./play-seeds.ts";
import { describeFailure, describeReplay } from "./report.ts";

/** Of the seeds that fail, so many are made smaller, and so many named. */
const toldMost = 3;
const listedMost = 100;

async function main(args: readonly string[]): Promise<number> {
  const options = optionsOf(args);
  if (options === undefined) return 2;
  if (options.seed !== undefined) return replay(options.seed);
  const startedMs = performance.now();
  const tally = await playSeeds(options, (line) => void process.stderr.write(`${line}\n`));
  const { failures } = tally;
  for (const failure of failures.slice(0, toldMost)) {
    process.stderr.write(`\n${await describeFailure(failure.seed, seedOf(failure.seed))}\n`);
  }
  if (failures.length > toldMost) {
    const others = failures.slice(toldMost, listedMost).map(({ seed, message }) => `${seed}: ${message}`);
    process.stderr.write(`\n${failures.length - toldMost} further seeds fail, such as\n${others.join("\n")}\n`);
  }
  process.stdout.write(`${JSON.stringify(summary(tally, (performance.now() - startedMs) / 1_000))}\n`);
  return failures.length > 0 ? 1 : 0;
}

function optionsOf(args: readonly string[]): Options | undefined {
  try {
    return parseOptions(args);
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n\n${usage}\n`);
    return undefined;
  }
}

async function replay(seed: number): Promise<number> {
  const { text, failure } = await describeReplay(seed, seedOf(seed));
  process.stderr.write(`${text}\n`);
  const result = {
    seeds: 1,
    violations: failure === undefined || failure.isStuck ? 0 : 1,
    stuck: failure?.isStuck ? 1 : 0,
  };
  process.stdout.write(`${JSON.stringify(result)}\n`);
  return failure === undefined ? 0 : 1;
}

/** Violations and stuck runs are counted by seeds: a seed ends with the first. */
function summary({ seeds, failures, faults, states, writes, kinds }: Tally, seconds: number): object {
  const stuck = failures.filter(({ isStuck }) => isStuck).length;
  const { skewMs: _, ...byKind } = faults;
  return {
    seeds,
    violations: failures.length - stuck,
    stuck,
    faults: Object.values(byKind).reduce((sum, count) => sum + count, 0),
    states,
    writes,
    seconds: Math.round(seconds * 10) / 10,
    faultsByKind: byKind,
    seedsByKind: kinds,
    ...(failures.length === 0 ? {} : { failed: failures.slice(0, listedMost).map(({ seed }) => seed) }),
  };
}

process.exitCode = await main(process.argv.slice(2));
