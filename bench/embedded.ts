/**
 * Throughput and hand-off time of the embedded engine: chains of ten steps that do nothing, on both stores.
 *
 *     npm run bench -- [--json]
 *
 * Figures are of this machine and this moment; compare them only with others of the same run.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import type { StepRef } from "../lib/definition/step.ts";
import { workflow } from "../lib/definition/workflow.ts";
import { createEngine, type Engine } from "../lib/embedded/engine.ts";

const stepsPerRun = 10;
const rounds = 5;

const chain = workflow("chain", {}, (w) => {
  let last: StepRef<string, number> | undefined;
  for (let index = 0; index < stepsPerRun; index++) {
    last = w.step(`s${index}`, { after: last === undefined ? [] : [last], run: () => index });
  }
  return last;
});

interface Figure {
  readonly store: string;
  readonly runsAtATime: number;
  readonly stepsPerSecond: number;
  /** CPU seconds of the whole process. */
  readonly cpuPer1000Steps: number;
  readonly msPerStep: number;
}

async function measure(engine: Engine, store: string, runsAtATime: number, runs: number): Promise<Figure> {
  const samples: Figure[] = [];
  for (let round = 0; round < rounds; round++) {
    const cpu = process.cpuUsage();
    const begun = performance.now();
    let left = runs;
    await Promise.all(
      Array.from({ length: runsAtATime }, async () => {
        while (left-- > 0) {
          const { runId } = await engine.start(chain);
          const run = await engine.waitForEnd(runId);
          if (run.status !== "succeeded") throw new Error(`Run ${runId} is ${run.status}`);
        }
      }),
    );
    const ms = performance.now() - begun;
    const { user, system } = process.cpuUsage(cpu);
    const steps = runs * stepsPerRun;
    samples.push({
      store,
      runsAtATime,
      stepsPerSecond: Math.round((steps / ms) * 1_000),
      cpuPer1000Steps: Number(((user + system) / 1e6 / (steps / 1_000)).toFixed(3)),
      msPerStep: Number(((ms * runsAtATime) / steps).toFixed(3)),
    });
  }
  // The first round warms up; of the others, the median.
  const measured = samples.slice(1).sort((a, b) => a.stepsPerSecond - b.stepsPerSecond);
  return measured[Math.floor(measured.length / 2)] as Figure;
}

const dataDir = await mkdtemp(join(tmpdir(), "pawl-bench-"));
const figures: Figure[] = [];
try {
  for (const [store, options] of Object.entries({ memory: {}, sqlite: { dataDir } })) {
    const engine = await createEngine({ workflows: [chain], ...options });
    figures.push(await measure(engine, store, 1, 100));
    figures.push(await measure(engine, store, 50, 1_000));
    await engine.stop();
  }
} finally {
  await rm(dataDir, { recursive: true, force: true });
}

const machine = `${cpus()[0]?.model ?? "unknown"} x${cpus().length}, Node ${process.version}`;
if (process.argv.includes("--json")) process.stdout.write(`${JSON.stringify({ machine, rounds, figures })}\n`);
else {
  process.stdout.write(`${machine}\n`);
  for (const { store, runsAtATime, stepsPerSecond, cpuPer1000Steps, msPerStep } of figures) {
    const line = `${store.padEnd(7)} ${String(runsAtATime).padStart(3)} at a time  ${String(stepsPerSecond).padStart(6)} steps/s  ${msPerStep.toFixed(3)} ms per step  ${cpuPer1000Steps.toFixed(3)} s CPU per 1,000 steps\n`;
    process.stdout.write(line);
  }
}
