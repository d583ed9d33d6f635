// A server to be killed: begins the one bulk operation (again, after each restart), and writes down every redrive and every
// success that was committed. It prints how far it is, and ends when all has ended.
import { appendFileSync } from "node:fs";
import { createEngine } from "../../lib/embedded/engine.ts";
import { fingerprint, mended, operationId } from "./bulk-workflow.ts";

const [dataDir, journal] = process.argv.slice(2);
if (dataDir === undefined || journal === undefined) throw new Error("usage: bulk-server.ts <data-dir> <journal>");

const ignore = (): void => undefined;
const quiet = { debug: ignore, info: ignore, warn: ignore, error: console.error };
const engine = await createEngine({ workflows: [mended], dataDir, logger: quiet });
engine.onUpdate(({ before, after }) => {
  if (after.workflow !== mended.name || after.status === before?.status) return;
  appendFileSync(journal, `${after.runId} ${after.status} ${after.epoch}\n`);
  if (after.status === "running") process.stdout.write(".");
});
await engine.operations.begin({
  action: "redrive",
  filter: { fingerprint },
  ratePerSecond: 200,
  operationId,
});
await engine.waitForEnd(operationId);
for (;;) {
  const { runs } = await engine.queries.list({ workflow: mended.name, status: "running", limit: 100 });
  if (runs.length === 0) break;
  await Promise.all(runs.map(({ runId }) => engine.waitForEnd(runId)));
}
await engine.stop();
