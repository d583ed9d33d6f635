/** One attempt to undo a step, from its data to its outcome. */
import type { CompensationContext } from "../definition/step.ts";
import type { Outcome } from "../engine/commit.ts";
import { nothing } from "../engine/waiting.ts";
import { StepTimeout } from "./errors.ts";
import { failed, type StepWork, unlessLost } from "./perform-step.ts";
import { idempotencyKey, loadPayload, loadStepView, ofIntact } from "./step-data.ts";

/** The outcome to commit; `undefined` when the code goes on although its worker stops. */
export async function performUndo(work: StepWork): Promise<Outcome | undefined> {
  return unlessLost(work, () => perform(work));
}

async function perform(work: StepWork): Promise<Outcome | undefined> {
  const { ports, graph, image, mine, code, attempt } = work;
  const step = graph.steps[mine.step];
  const { compensate } = code;
  if (step?.compensate === undefined || compensate === undefined) {
    throw new Error(`Step ${mine.step} of ${graph.workflow} has no compensation, and yet it was claimed.`);
  }
  const view = await loadStepView(ports.store, graph, image.run, step);
  const output = image.run.outputs[mine.step];
  const hasSucceeded = image.run.steps[mine.step]?.status === "succeeded";
  const context: CompensationContext<unknown, unknown, unknown, string> = {
    ...view,
    ...(hasSucceeded
      ? { outcome: "succeeded", output: await ofIntact(() => loadPayload(ports.store, image.run, output)) }
      : { outcome: "unknown", output: undefined }),
    runId: image.run.runId,
    stepId: step.id,
    attempt: mine.attempt,
    idempotencyKey: idempotencyKey(image.run, mine, step.id),
    signal: attempt.signal,
    log: work.log,
    background: attempt.background,
  };
  const result = await attempt.run(() => compensate.run(context), step.compensate.timeoutMs);
  switch (result.kind) {
    case "returned":
      return { kind: "succeeded", output: nothing };
    case "threw":
      return failed(work, result.error);
    case "aborted": {
      const { because, message } = result.error;
      if (because === "shutdown") return result.settled ? { kind: "released" } : undefined;
      return failed(work, because === "timeout" ? new StepTimeout(message) : result.error);
    }
  }
}
