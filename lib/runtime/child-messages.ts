/**
 * What passes between a run and the runs that its steps have started: ends of children upwards, ends of parents
 * downwards. Both handlers look at both runs, do the one write that follows, and send what it causes.
 *
 * Invariants:
 * 1. A message that is delivered again finds its write done, and sends what that write caused once more (R6).
 * 2. No message sends itself again by way of others: the end of a child that nobody waits for any more goes no further.
 */
import type { Graph, GraphStep } from "../definition/graph.ts";
import { bar } from "../engine/barred.ts";
import { childRunId, childrenOf, endOrphan, endWithParent, isAwaited } from "../engine/child.ts";
import { dueAtEnd } from "../engine/due.ts";
import type { ChildEndedMessage, EndChildMessage } from "../engine/message.ts";
import { endFromOutside, type OutsideEnd } from "../engine/outside.ts";
import { hasEnded, isTerminal } from "../engine/run-state.ts";
import type { Attempt } from "../engine/track.ts";
import { transitionTo } from "../engine/transition-to.ts";
import { type Child, endOfChild, storeFailure } from "./child-end.ts";
import type { Definitions } from "./definitions.ts";
import { advanceAll, advanceBecauseOf, tellWaiters } from "./effects.ts";
import { ContendedRunError, change, type Image, imageOf } from "./image.ts";
import type { Disposition, Logger, Ports, RunStore } from "./ports.ts";
import { storeOutput } from "./step-data.ts";

interface Parent {
  readonly graph: Graph;
  readonly step: GraphStep;
  readonly image: Image;
}

const acknowledge: Disposition = { kind: "acknowledge" };

/** A child may have ended: the attempt that waits for it ends with it. */
export async function takeChildEnd(
  ports: Ports,
  definitions: Definitions,
  message: ChildEndedMessage,
  log: Logger,
): Promise<Disposition> {
  const parent = await readParent(ports, definitions, message);
  // It was removed: nobody waits for the child any more.
  if (parent === undefined) return acknowledge;
  const child = await readChild(ports, definitions, parent, message.step);
  const { run } = parent.image;
  const state = run.steps[message.step];
  // Without a child, a worker is about to start it, or never will.
  if (child === undefined || !isTerminal(child.image.run.status)) return acknowledge;
  if (hasEnded(state)) {
    // Perhaps by this message, whose worker died before it could send what follows.
    if (state.status !== "cancelled") await advanceBecauseOf(ports, parent.graph, parent.image, message.step);
    return acknowledge;
  }
  if (state === undefined || !isAwaited(parent.graph, run, message.step, child.image.run)) return acknowledge;
  log.info("the step's child has ended", { child: child.image.run.runId, status: child.image.run.status });
  const theirs = { track: "step", step: message.step, attempt: state.attempt } as const;
  await endAttempt(ports, parent, theirs, await endFor(ports, parent, theirs, child));
  return acknowledge;
}

/**
 * The parent has ended without success, or unwinds: the child ends, and its own children with it.
 *
 * @param isFirstTime whether the message has not been delivered before
 */
export async function endChild(
  ports: Ports,
  definitions: Definitions,
  message: EndChildMessage,
  isFirstTime: boolean,
  log: Logger,
): Promise<Disposition> {
  const parent = await readParent(ports, definitions, message);
  if (parent === undefined) {
    await endOrphans(ports, definitions, message, log);
    return acknowledge;
  }
  const child = await readChild(ports, definitions, parent, message.step);
  const { run } = parent.image;
  if (child === undefined) {
    await endWithoutChild(ports, parent, message.step, isFirstTime);
    return acknowledge;
  }
  const { graph, image } = child;
  const after = await change(ports.store, image, (current) =>
    endWithParent(parent.step, run, { graph, run: current }, ports.clock.now()),
  );
  if (after !== image) {
    log.info("the child ends with its parent", { child: image.run.runId, status: after.run.status });
    await advanceAll(ports, graph, after);
  } else if (image.run.status === "unwinding") {
    // Perhaps by this message, whose worker died before it could send what follows.
    await advanceAll(ports, graph, image);
  } else if (isTerminal(image.run.status)) {
    // Perhaps by this message, as above. An end that nobody waits for any more goes no further.
    const isNews = isAwaited(parent.graph, run, message.step, image.run) && !hasEnded(run.steps[message.step]);
    const all = dueAtEnd(graph, image.run, ports.clock.now());
    const messages = all.filter((one) => isNews || one.message.kind !== "childEnded");
    if (messages.length > 0) await ports.queue.send(messages);
    await tellWaiters(ports, image.run);
  }
  return acknowledge;
}

/** The parent ended, and was removed before its child has ended with it: which of its children that was is not known any more. */
async function endOrphans(
  ports: Ports,
  definitions: Definitions,
  message: EndChildMessage,
  log: Logger,
): Promise<void> {
  const parent = await definitions.graph(message.workflow, message.fingerprint);
  if (parent === undefined) return;
  for (const runId of childrenOf(parent, message.runId, message.step, message.epoch)) {
    const child = await readRun(ports.store, definitions, runId);
    if (child === undefined) continue;
    const { graph, image } = child;
    const after = await change(ports.store, image, (run) => endOrphan(graph, run, message.epoch, ports.clock.now()));
    if (after !== image) log.info("the child ends with its parent", { child: runId, status: after.run.status });
    if (after !== image || image.run.status === "unwinding") await advanceAll(ports, graph, after);
  }
}

/** The worker of the attempt was lost while the run unwound, and had not started the child that is waited for. */
async function endWithoutChild(ports: Ports, parent: Parent, index: number, isFirstTime: boolean): Promise<void> {
  const { graph, image, step } = parent;
  const state = image.run.steps[index];
  if (hasEnded(state) && !isFirstTime) {
    // Perhaps by this message, whose worker died before it could send what follows. (What follows from the run's end is this
    // very message, too: sent at each first time, it would go in a circle.)
    await advanceBecauseOf(ports, graph, image, index);
    return;
  }
  if (image.run.status !== "unwinding" || state?.status !== "waiting") return;
  // That worker may only stand still, and go on.
  const barred = await ports.store.update(childRunId(graph, image.run, index), bar(image.run.epoch));
  // It did.
  if (!barred.applied && barred.fields !== undefined) throw new ContendedRunError(image.run.runId);
  const mine = { track: "step", step: index, attempt: state.attempt } as const;
  const message = `Run ${childRunId(graph, image.run, index)} was not started any more.`;
  const error = { name: "ChildCancelled", message, step: step.id };
  await endAttempt(ports, parent, mine, { kind: "failed", ...(await storeFailure(ports, image.run, mine, { error })) });
}

type AttemptOf = Omit<Attempt, "owner">;

async function endAttempt(ports: Ports, parent: Parent, { step, attempt }: AttemptOf, end: OutsideEnd): Promise<void> {
  const { graph, image } = parent;
  let before = image.run;
  const after = await change(ports.store, image, (run) => {
    before = run;
    if (run.epoch !== image.run.epoch) return undefined;
    const next = endFromOutside(graph, run, step, attempt, end, ports.clock.now());
    return next === undefined ? undefined : transitionTo(run, next);
  });
  await advanceBecauseOf(ports, graph, after, step, "step", after.run === before ? undefined : before);
}

async function endFor(
  ports: Ports,
  { graph, step, image }: Parent,
  mine: AttemptOf,
  child: Child,
): Promise<OutsideEnd> {
  const end = await endOfChild(ports.store, graph, step, child);
  if (end.kind === "failed") return { kind: "failed", ...(await storeFailure(ports, image.run, mine, end)) };
  return { kind: "succeeded", output: await storeOutput(ports.store, graph, image, mine, end.json) };
}

async function readParent(
  { store }: Ports,
  definitions: Definitions,
  message: ChildEndedMessage | EndChildMessage,
): Promise<Parent | undefined> {
  const { runId, workflow, fingerprint } = message;
  const graph = await definitions.graph(workflow, fingerprint);
  const step = graph?.steps[message.step];
  const fields = await store.get(runId);
  if (fields === undefined) return undefined;
  if (graph === undefined || step === undefined) {
    throw new Error(`Run ${runId} of workflow "${workflow}" has no step ${message.step}, or no graph ${fingerprint}.`);
  }
  return { graph, step, image: imageOf(runId, fields) };
}

async function readChild(
  { store }: Ports,
  definitions: Definitions,
  parent: Parent,
  index: number,
): Promise<Child | undefined> {
  return readRun(store, definitions, childRunId(parent.graph, parent.image.run, index));
}

async function readRun(store: RunStore, definitions: Definitions, runId: string): Promise<Child | undefined> {
  const fields = await store.get(runId);
  if (fields === undefined) return undefined;
  const child = imageOf(runId, fields);
  const { workflow, fingerprint } = child.run;
  const graph = await definitions.graph(workflow, fingerprint);
  if (graph === undefined) throw new Error(`The graph ${fingerprint} of run ${runId} is neither in code nor store.`);
  return { graph, image: child };
}
