// A server to be killed: asks for 200 runs (again, after each restart), works on them, and writes down every success
// that was committed. It prints "done" when all have ended.
import { appendFileSync } from "node:fs";
import { createEngine } from "../../lib/embedded/engine.ts";
import { isTerminal } from "../../lib/engine/run-state.ts";
import { work } from "./workflow.ts";

const [dataDir, journal, runs] = process.argv.slice(2);
if (dataDir === undefined || journal === undefined) throw new Error("usage: server.ts <data-dir> <journal> <runs>");

const engine = await createEngine({ workflows: [work], dataDir, concurrency: 32 });
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
  await engine.start(work, { runId, input: index });
  return engine.waitForEnd(runId);
});
await Promise.all(ended);
process.stdout.write("done\n");
await engine.stop();
