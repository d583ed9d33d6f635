// Explores all that can happen in small graphs on all cores, and tells what came of it: a line of JSON for each job and
// one for all on stdout, a table and what went wrong on stderr.
import { Worker } from "node:worker_threads";
import { type JobExplored, replayJob } from "./explore-job.ts";
import { budgetText, pathText } from "./jobs.ts";
import { type Options, parseOptions, usage } from "./options.ts";

async function main(args: readonly string[]): Promise<number> {
  const options = optionsOf(args);
  if (options === undefined) return 2;
  const { path } = options;
  const [first] = options.jobs;
  if (path !== undefined && first !== undefined) {
    const { text, isViolation } = await replayJob(first, path);
    process.stderr.write(`${text}\n`);
    return isViolation ? 1 : 0;
  }
  const startedMs = performance.now();
  process.stderr.write(`${row("graph", "faults", "states", "transitions", "ends", "longest", "violations", "s")}\n`);
  const all = await exploreJobs(options);
  for (const explored of all) await tellViolation(explored);
  const sum = (count: (one: JobExplored) => number): number => all.reduce((sum, one) => sum + count(one), 0);
  const total = {
    jobs: all.length,
    states: sum(({ states }) => states),
    transitions: sum(({ transitions }) => transitions),
    ends: sum(({ ends }) => ends),
    longestPath: Math.max(0, ...all.map(({ longestPath }) => longestPath)),
    violations: sum(({ violations }) => violations.length),
    incomplete: all.filter(({ isComplete }) => !isComplete).length,
    seconds: seconds((performance.now() - startedMs) / 1_000),
  };
  process.stdout.write(`${JSON.stringify(total)}\n`);
  return total.violations > 0 || total.incomplete > 0 ? 1 : 0;
}

function optionsOf(args: readonly string[]): Options | undefined {
  try {
    return parseOptions(args);
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n\n${usage}\n`);
    return undefined;
  }
}

/** Each thread takes the next job as soon as it has none. */
async function exploreJobs({ jobs, states, workers }: Options): Promise<JobExplored[]> {
  const left = [...jobs];
  const all: JobExplored[] = [];
  const work = (): Promise<void> => {
    const worker = new Worker(new URL("explore-worker.ts", import.meta.url));
    return new Promise((resolve, reject) => {
      const goOn = (): void => {
        const job = left.shift();
        if (job === undefined) worker.terminate().then(() => resolve(), reject);
        else worker.postMessage({ job, states });
      };
      worker.on("message", (explored: JobExplored) => {
        all.push(explored);
        tell(explored);
        goOn();
      });
      worker.on("error", reject);
      goOn();
    });
  };
  await Promise.all(Array.from({ length: Math.min(workers, jobs.length) }, work));
  return all;
}

function tell({ job, violations, ...counts }: JobExplored): void {
  const { states, transitions, ends, outcomes, longestPath, isComplete } = counts;
  const [graph, faults] = [job.graph, budgetText(job.budget)];
  const some = isComplete ? "" : " (NOT ALL)";
  const line = { graph, faults, states, transitions, ends, outcomes, longestPath };
  const result = { ...line, violations: violations.length, isComplete, seconds: seconds(counts.seconds) };
  process.stdout.write(`${JSON.stringify(result)}\n`);
  process.stderr.write(
    `${row(graph, faults, `${states}${some}`, transitions, ends, longestPath, violations.length, seconds(counts.seconds))}\n`,
  );
}

/** The one with the shortest path; the others may be its consequences. */
async function tellViolation({ job, violations }: JobExplored): Promise<void> {
  const [shortest] = violations.toSorted((a, b) => a.path.length - b.path.length);
  if (shortest === undefined) return;
  const others = violations.length > 1 ? `, and ${violations.length - 1} more` : "";
  const again = `npm run test:exhaustive -- --graph ${job.graph} --faults ${budgetText(job.budget)} --path ${pathText(shortest.path)}`;
  const { text } = await replayJob(job, shortest.path);
  process.stderr.write(`\n${job.graph}, ${budgetText(job.budget)}: ${shortest.message}${others}\n${text}\n${again}\n`);
}

function row(graph: string, faults: string, ...cells: readonly (string | number)[]): string {
  return `${graph.padEnd(20)}${faults.padEnd(28)}${cells.map((cell) => String(cell).padStart(12)).join("")}`;
}

function seconds(value: number): number {
  return Math.round(value * 10) / 10;
}

process.exitCode = await main(process.argv.slice(2));
