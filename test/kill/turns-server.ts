// A server to be killed: starts runs that wait for their turn (again, after each restart), one after the other, and
// writes down whose turn it was.
import { appendFileSync } from "node:fs";
import { createEngine } from "../../lib/embedded/engine.ts";
import { turns } from "./turns-workflow.ts";

const [dataDir, journal, runs] = process.argv.slice(2);
if (dataDir === undefined || journal === undefined)
  throw new Error("usage: turns-server.ts <data-dir> <journal> <runs>");

const engine = await createEngine({ workflows: [turns], dataDir });
engine.onUpdate(({ before, after }) => {
  if (after.slot?.status === "held" && before?.slot?.status !== "held")
    appendFileSync(journal, `turn ${after.runId}\n`);
});
const ids = Array.from({ length: Number(runs) }, (_, index) => `run-${index}`);
for (const [index, runId] of ids.entries()) await engine.start(turns, { runId, input: index });
await Promise.all(ids.map((runId) => engine.waitForEnd(runId)));
await engine.stop();
