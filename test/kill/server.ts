// A server to be killed: asks for so many runs (again, after each restart), works on them, and writes down every success
// that was committed. It prints "done" when all have ended.
import { appendFileSync } from "node:fs";
import { createEngine } from "../../lib/embedded/engine.ts";
import { isTerminal } from "../../lib/engine/run-state.ts";
import { wide } from "./map-workflow.ts";
import { work } from "./workflow.ts";

const [dataDir, journal, name, runs] = process.argv.slice(2);
const workflow = [work, wide].find((one) => one.name === name);
if (dataDir === undefined || journal === undefined || workflow === undefined) {
  throw new Error("usage: server.ts <data-dir> <journal> <workflow> <runs>");
}

const ignore = (): void => undefined;
const quiet = { debug: ignore, info: ignore, warn: ignore, error: console.error };

const engine = await createEngine({ workflows: [workflow], dataDir, concurrency: 32, logger: quiet });
engine.onUpdate(({ before, after }) => {
  after.steps.forEach((step, index) => {
    if (step?.status === "succeeded" && before?.steps[index]?.status !== "succeeded") {
      appendFileSync(journal, `${after.runId} step ${index}\n`);
    }
  });
  if (isTerminal(after.status) && after.status !== before?.status)
    appendFileSync(journal, `${after.runId} ${after.status}\n`);
});
const ids = Array.from({ length: Number(runs) }, (_, index) => `run-${index}`);
const ended = ids.map(async (runId, index) => {
  await engine.start(workflow, { runId, input: index });
  return engine.waitForEnd(runId);
});
await Promise.all(ended);
process.stdout.write("done\n");
await engine.stop();
