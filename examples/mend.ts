/**
 * Many runs have failed for one reason, and the reason is mended: redrive all that failed like this one.
 *
 *     node examples/mend.ts <data directory> <id of a run that failed>
 */
import process from "node:process";
import { createEngine, type Engine, type OperationView } from "pawl";
import { order } from "./order.ts";

/** Counts them first; redrives them when they are no more than expected. */
export async function mendAllLike(engine: Engine, runId: string, atMost: number): Promise<OperationView> {
  const { error } = await engine.commands.get(runId);
  if (error?.fingerprint === undefined) throw new Error(`Run ${runId} has not failed, or cannot be compared.`);
  const request = { action: "redrive", filter: { fingerprint: error.fingerprint }, ratePerSecond: 100 } as const;

  const told = await engine.operations.begin({ ...request, dryRun: true });
  if ("dryRun" in told && told.runs > atMost)
    throw new Error(`${told.runs} runs failed like it, e.g. ${told.examples[0]}.`);

  // The same id, however often this is called for the run: one operation.
  const begun = await engine.operations.begin({ ...request, operationId: `mend-${runId}` });
  if ("dryRun" in begun) throw new Error("A request without dryRun begins.");
  await engine.waitForEnd(begun.operationId);
  return engine.operations.get(begun.operationId);
}

if (import.meta.main) {
  const [dataDir = ".pawl", runId = ""] = process.argv.slice(2);
  const engine = await createEngine({ workflows: [order], dataDir });
  const { progress, failures } = await mendAllLike(engine, runId, 10_000);
  console.log(`${progress.done} redriven, ${progress.skipped} had changed, ${progress.failed} failed`, failures);
  await engine.stop();
}
