/**
 * What passes between a run and the runs that its steps have started: ends of children upwards, ends of parents
 * downwards. Both handlers look at both runs, do the one write that follows, and send what it causes.
 *
 * Invariants:
 * 1. A message that is delivered again finds its write done, and sends what that write caused once more (R6).
 * 2. No message sends itself again by way of others: the end of a child that nobody waits for any more goes no further.
 */
import type { Graph, GraphStep } from "../definition/graph.ts";
import { limits } from "../definition/limits.ts";
import { childError, childRunId, endWithParent, isAwaited } from "../engine/child.ts";
import { dueAtEnd } from "../engine/due.ts";
import type { ChildEndedMessage, EndChildMessage } from "../engine/message.ts";
import { endFromOutside, type OutsideEnd } from "../engine/outside.ts";
import { hasEnded, isTerminal, type RunState } from "../engine/run-state.ts";
import { transitionTo } from "../engine/transition-to.ts";
import { keepError, runMissing } from "./claim-step.ts";
import type { Definitions } from "./definitions.ts";
import { advanceAll, advanceBecauseOf } from "./effects.ts";
import { change, type Image, imageOf } from "./image.ts";
import type { Disposition, Logger, Ports } from "./ports.ts";
import { childOutput } from "./start-child.ts";
import { storeOutput, truncate } from "./step-data.ts";

interface Family {
  readonly graph: Graph;
  readonly step: GraphStep;
  readonly parent: Image;
  readonly childGraph: Graph;
  readonly child: Image;
}

const acknowledge: Disposition = { kind: "acknowledge" };

/** A child may have ended: the attempt that waits for it ends with it. */
export async function takeChildEnd(
  ports: Ports,
  definitions: Definitions,
  message: ChildEndedMessage,
  log: Logger,
): Promise<Disposition> {
  const family = await readFamily(ports, definitions, message);
  if ("kind" in family) return family;
  const { graph, parent, child } = family;
  const index = message.step;
  const attempt = child.run.parent?.attempt;
  const state = parent.run.steps[index];
  if (!isAwaited(parent.run, child.run) || attempt === undefined || state?.attempt !== attempt) return acknowledge;
  if (hasEnded(state)) {
    // Perhaps by this message, whose worker died before it could send what follows.
    if (state.status !== "cancelled") await advanceBecauseOf(ports, graph, parent, index);
    return acknowledge;
  }
  const end = await endOfChild(ports, family, index, attempt);
  let before = parent.run;
  const after = await change(ports.store, parent, (run) => {
    before = run;
    if (!isAwaited(run, child.run)) return undefined;
    const next = endFromOutside(graph, run, index, attempt, end, ports.clock.now());
    return next === undefined ? undefined : transitionTo(run, next);
  });
  if (after.run === before) {
    await advanceBecauseOf(ports, graph, after, index);
    return acknowledge;
  }
  log.info("step ended with its child", { child: child.run.runId, status: child.run.status });
  await advanceBecauseOf(ports, graph, after, index, before);
  return acknowledge;
}

async function endOfChild(ports: Ports, family: Family, index: number, attempt: number): Promise<OutsideEnd> {
  const { graph, step, parent, childGraph, child } = family;
  if (child.run.status === "succeeded") {
    const json = await childOutput(ports.store, childGraph, child.run);
    const output = await storeOutput(ports.store, graph, parent, { step: index, attempt }, json);
    return { kind: "succeeded", output };
  }
  const error = childError(step, child.run);
  await keepError(ports, parent.run, index, attempt, { ...error, atMs: ports.clock.now() });
  const summary = { ...error, message: truncate(error.message, limits.errorSummaryLength) };
  return { kind: "failed", error: summary, failure: { retryable: "fatal" }, fraction: 0 };
}

/** The parent has ended without success, or unwinds: the child ends, and its own children with it. */
export async function endChild(
  ports: Ports,
  definitions: Definitions,
  message: EndChildMessage,
  log: Logger,
): Promise<Disposition> {
  const family = await readFamily(ports, definitions, message);
  if ("kind" in family) return family;
  const { step, parent, childGraph, child } = family;
  const after = await change(ports.store, child, (run) => endWithParent(step, parent.run, run, ports.clock.now()));
  if (after !== child) {
    log.info("child ended with its parent", { child: child.run.runId, status: after.run.status });
    await advanceAll(ports, childGraph, after);
  } else if (isTerminal(child.run.status)) {
    // Perhaps by this message, as above.
    const isNews = isOpenAttempt(parent.run, message.step, child.run);
    const all = dueAtEnd(childGraph, child.run, ports.clock.now());
    const messages = all.filter((one) => isNews || one.message.kind !== "childEnded");
    if (messages.length > 0) await ports.queue.send(messages);
  }
  return acknowledge;
}

function isOpenAttempt(parent: RunState, index: number, child: RunState): boolean {
  const state = parent.steps[index];
  return isAwaited(parent, child) && state?.attempt === child.parent?.attempt && !hasEnded(state);
}

async function readFamily(
  { store, clock }: Ports,
  definitions: Definitions,
  message: ChildEndedMessage | EndChildMessage,
): Promise<Family | Disposition> {
  const { runId, workflow, fingerprint } = message;
  const graph = await definitions.graph(workflow, fingerprint);
  const step = graph?.steps[message.step];
  const fields = await store.get(runId);
  if (fields === undefined) return runMissing(message, clock.now());
  if (graph === undefined || step === undefined) {
    throw new Error(`Step ${message.step} of run ${runId} is in no graph ${fingerprint} of workflow "${workflow}".`);
  }
  const childId = childRunId(runId, step);
  const childFields = await store.get(childId);
  // A worker may be about to start it.
  if (childFields === undefined) return runMissing(message, clock.now());
  const child = imageOf(childId, childFields);
  const childGraph = await definitions.graph(child.run.workflow, child.run.fingerprint);
  if (childGraph === undefined) {
    throw new Error(`The graph ${child.run.fingerprint} of run ${childId} is neither in code nor store.`);
  }
  return { graph, step, parent: imageOf(runId, fields), childGraph, child };
}
