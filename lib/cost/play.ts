/** Plays one run of a workflow, in memory and in virtual time, and says what AWS would bill for it. */
import type { Workflow } from "../definition/workflow.ts";
import type { RunStatus } from "../engine/run-state.ts";
import { startTestEngine } from "../testing/test-engine.ts";
import { TestError } from "../testing/test-error.ts";
import type { Assumptions } from "./assumptions.ts";
import { Meter, meterBackend, meterBlobs, type Part } from "./meter.ts";
import type { WorkDone } from "./peers.ts";
import type { Usage } from "./usage.ts";

export interface PlayedRun {
  readonly status: RunStatus;
  /** What it waits for, when it has not ended: in words, with what would let it go on. */
  readonly waitsFor?: string;
  readonly usage: Usage;
  readonly byPart: ReadonlyMap<Part, Usage>;
  readonly work: WorkDone;
}

export interface PlayOptions {
  readonly input?: unknown;
  /** Payloads of signals, by name. All are sent when the run has started: each is kept until its step waits. */
  readonly signals?: Readonly<Record<string, unknown>>;
  readonly assumptions: Assumptions;
}

/**
 * The steps run their own code. Time is skipped while nothing is at work.
 *
 * @throws {PawlError} when the run cannot be started, or a signal not be sent
 */
export async function playMetered(workflow: Workflow, options: PlayOptions): Promise<PlayedRun> {
  const { input, signals = {}, assumptions } = options;
  const meter = new Meter();
  const counterOf = (): Meter => meter;
  await using engine = await startTestEngine(
    { workflows: [workflow] },
    {
      backend: (own, clock) => meterBackend(own, { counterOf, assumptions, clock }),
      blobs: (own) => meterBlobs(own, counterOf),
    },
  );
  const run = await engine.start(workflow, { input });
  for (const [name, payload] of Object.entries(signals)) await run.signal(name, payload);
  let waitsFor: string | undefined;
  try {
    await run.toEnd();
  } catch (error) {
    if (!(error instanceof TestError)) throw error;
    waitsFor = error.message;
  }
  const { status } = await run.show();
  return {
    status,
    ...(waitsFor === undefined ? {} : { waitsFor }),
    usage: meter.total,
    byPart: meter.usage,
    work: meter.work,
  };
}
