import type { Workflow } from "../../lib/definition/workflow.ts";
import { createEngine, type Engine } from "../../lib/embedded/engine.ts";

/** Where an engine keeps its runs: in a folder, or in memory. */
export type DataDir = string | undefined;

export async function openEngine(workflow: Workflow, dataDir: DataDir): Promise<Engine> {
  return createEngine({ workflows: [workflow], ...(dataDir === undefined ? {} : { dataDir }) });
}

/** Starts a run and waits for its end. @throws {Error} when it does not succeed */
export async function finish(engine: Engine, workflow: Workflow): Promise<void> {
  const { runId } = await engine.start(workflow, {});
  const { status } = await engine.waitForEnd(runId);
  if (status !== "succeeded") throw new Error(`Run ${runId} is ${status}.`);
}
