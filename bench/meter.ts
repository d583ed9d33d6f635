/**
 * What it costs an engine on a file to count what its runs would cost: CPU time for each step of chains of ten that do
 * nothing, of an engine that counts and of one that does not, in turn.
 *
 *     npm run bench:meter -- [--json]
 *
 * Figures are of this machine and this moment; the ratio is of rounds that lie side by side.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { createRunMeter } from "../lib/cost/run-meter.ts";
import type { StepRef } from "../lib/definition/step.ts";
import { workflow } from "../lib/definition/workflow.ts";
import { createEngine, createEngineWith, type Engine } from "../lib/embedded/engine.ts";

const stepsPerRun = 10;
const rounds = 11;

const chain = workflow("chain", {}, (w) => {
  let last: StepRef<string, number> | undefined;
  for (let index = 0; index < stepsPerRun; index++) {
    last = w.step(`s${index}`, { after: last === undefined ? [] : [last], run: () => index });
  }
  return last;
});

/** CPU ms of the whole process for each step. */
async function measure(engine: Engine, runsAtATime: number, runs: number): Promise<number> {
  const begun = process.cpuUsage();
  let left = runs;
  await Promise.all(
    Array.from({ length: runsAtATime }, async () => {
      while (left-- > 0) await engine.waitForEnd((await engine.start(chain)).runId);
    }),
  );
  const { user, system } = process.cpuUsage(begun);
  return (user + system) / 1_000 / (runs * stepsPerRun);
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? NaN;
}

const folder = await mkdtemp(join(tmpdir(), "pawl-bench-"));
const figures: { runsAtATime: number; plainMs: number; countingMs: number; ratio: number }[] = [];
try {
  const options = { workflows: [chain] };
  const plain = await createEngine({ ...options, dataDir: join(folder, "plain") });
  const counting = await createEngineWith({ ...options, dataDir: join(folder, "counting") }, createRunMeter().between);
  for (const [runsAtATime, runs] of [
    [1, 50],
    [50, 500],
  ] as const) {
    const samples: (readonly [plain: number, counting: number])[] = [];
    for (let round = 0; round < rounds; round++) {
      // Who is first has the other's garbage to collect.
      const [first, second] = round % 2 === 0 ? [plain, counting] : [counting, plain];
      const [one, other] = [await measure(first, runsAtATime, runs), await measure(second, runsAtATime, runs)];
      samples.push(round % 2 === 0 ? [one, other] : [other, one]);
    }
    // The first round warms up.
    const measured = samples.slice(1);
    figures.push({
      runsAtATime,
      plainMs: median(measured.map(([ms]) => ms)),
      countingMs: median(measured.map(([, ms]) => ms)),
      ratio: median(measured.map(([without, by]) => by / without)),
    });
  }
  await plain.stop();
  await counting.stop();
} finally {
  await rm(folder, { recursive: true, force: true });
}

const machine = `${cpus()[0]?.model ?? "unknown"} x${cpus().length}, Node ${process.version}`;
if (process.argv.includes("--json")) process.stdout.write(`${JSON.stringify({ machine, rounds, figures })}\n`);
else {
  process.stdout.write(`${machine}\n`);
  for (const { runsAtATime, plainMs, countingMs, ratio } of figures) {
    const line = `${String(runsAtATime).padStart(3)} at a time  ${plainMs.toFixed(3)} ms CPU per step  ${countingMs.toFixed(3)} counting  ${ratio.toFixed(2)} times as much\n`;
    process.stdout.write(line);
  }
}
