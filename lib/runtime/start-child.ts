/** From an attempt of a step to the run that is its work: started once, and found again by every later attempt. */
import type { ChildCode } from "../definition/child.ts";
import { FatalError } from "../definition/errors.ts";
import type { GraphStep, MapStep, ShardStep } from "../definition/graph.ts";
import { serialize } from "../definition/json.ts";
import { limits } from "../definition/limits.ts";
import { parseShardFingerprint, rootShard, shardFingerprint } from "../definition/shards.ts";
import type { Workflow } from "../definition/workflow.ts";
import { adopt, childRunId, linkTo, nestingOf } from "../engine/child.ts";
import type { Outcome } from "../engine/commit.ts";
import { isTerminal, type RunState } from "../engine/run-state.ts";
import { type Child, endOfChild, storeFailure, summaryJson } from "./child-end.ts";
import { advanceAll, tellWaiters } from "./effects.ts";
import { PawlError } from "./errors.ts";
import { change, type Image } from "./image.ts";
import type { StepWork } from "./perform-step.ts";
import { hashPayload, parsePayload, parseSlotKey } from "./request.ts";
import { prepareRun, type RunStart, startRun } from "./start-run.ts";
import { storeOutput } from "./step-data.ts";

type ChildStarted = Outcome | { readonly kind: "threw"; readonly error: unknown };

/** What the attempt wants to have run. */
interface Wanted extends Pick<RunStart, "graph" | "fingerprint" | "json" | "slotKey" | "keepGraph"> {
  readonly workflow: string;
}

/** @param value what the step's code gave as the child's input */
export async function startChild(
  work: StepWork,
  step: GraphStep,
  code: ChildCode,
  value: unknown,
): Promise<ChildStarted> {
  const workflow = code.workflow();
  const parsed = await parseInput(workflow, value);
  if ("error" in parsed) return { kind: "threw", error: parsed.error };
  return startOrAdopt(work, step, {
    workflow: workflow.name,
    graph: workflow.graph,
    fingerprint: workflow.fingerprint,
    ...parsed,
    keepGraph: () => work.definitions.keep(workflow),
  });
}

/** @param value what the map's code gave as its list */
export async function startMap(work: StepWork, step: MapStep, value: unknown): Promise<ChildStarted> {
  if (!Array.isArray(value)) {
    const given = value === null ? "null" : typeof value;
    return { kind: "threw", error: new InvalidItems(`items returned ${given}; it returns a list.`) };
  }
  if (value.length > limits.mapItems) {
    const message = `items returned ${value.length} items; at most ${limits.mapItems} are allowed. Let each item stand for several.`;
    return { kind: "threw", error: new InvalidItems(message) };
  }
  const serialized = serialize(value, "The list of items");
  if (!serialized.ok) return { kind: "threw", error: new InvalidItems(serialized.message) };
  const { image, mine } = work;
  if (value.length === 0) {
    const json = summaryJson({ items: 0, failures: 0 }, childRunId(work.graph, image.run, mine.step));
    return { kind: "succeeded", output: await storeOutput(work.ports.store, work.graph, image, mine, json) };
  }
  const fingerprint = shardFingerprint(image.run.fingerprint, mine.step, rootShard(step, value.length));
  return startOrAdopt(work, step, await shardRun(work, fingerprint, serialized.json));
}

/** @param items those of the shard that the step belongs to */
export async function startShard(work: StepWork, step: ShardStep, items: unknown): Promise<ChildStarted> {
  const { graph, image } = work;
  const own = parseShardFingerprint(image.run.fingerprint);
  if (own === undefined || graph.shard === undefined) throw new Error(`Run ${image.run.runId} is no shard.`);
  const { from, count } = step.shard;
  const at = from - graph.shard.from;
  const json = JSON.stringify((items as readonly unknown[]).slice(at, at + count));
  const fingerprint = shardFingerprint(own.base, own.mapIndex, step.shard);
  return startOrAdopt(work, step, await shardRun(work, fingerprint, json));
}

async function shardRun({ definitions, image }: StepWork, fingerprint: string, json: string): Promise<Wanted> {
  const { workflow } = image.run;
  const graph = await definitions.graph(workflow, fingerprint);
  if (graph === undefined) throw new Error(`Workflow "${workflow}" has no graph for the shard ${fingerprint}.`);
  // What it is derived from was kept when the run was started that has the map.
  return { workflow, graph, fingerprint, json, keepGraph: async () => undefined };
}

async function startOrAdopt(work: StepWork, step: GraphStep, start: Wanted): Promise<ChildStarted> {
  const { ports, slots, graph, image, mine } = work;
  const runId = childRunId(graph, image.run, mine.step);
  if (nestingOf(runId) > limits.nesting || runId.length > limits.derivedRunIdLength) {
    return { kind: "threw", error: new NestedTooDeep(runId) };
  }
  const { workflow, ...rest } = start;
  const inputHash = hashPayload(start.json);
  const parent = linkTo(graph, image.run, mine.step, mine.attempt);
  const prepared = await prepareRun(ports, { ...rest, runId, inputHash, parent });
  const { existing, isBarred } =
    prepared.existing === undefined ? await startRun(ports, slots, start.graph, prepared.wanted) : prepared;
  // Whoever barred it has taken the attempt away: the commit says so.
  if (isBarred === true) work.log.warn("the step was given up before it could start its run; nothing was started");
  return existing === undefined ? { kind: "waits" } : adoptChild(work, step, existing, { workflow, inputHash, parent });
}

async function parseInput(
  workflow: Workflow,
  value: unknown,
): Promise<Pick<Wanted, "json" | "slotKey"> | { readonly error: unknown }> {
  try {
    const json = await parsePayload(workflow.inputSchema, value, {
      code: "invalid_input",
      what: "input",
      name: `The input of workflow "${workflow.name}"`,
      none: `Workflow "${workflow.name}" takes no input; leave the child's input out.`,
    });
    const slotKey = parseSlotKey(workflow, json);
    return { json, ...(slotKey === undefined ? {} : { slotKey }) };
  } catch (error) {
    return { error: error instanceof PawlError ? new InvalidInput(error.message) : error };
  }
}

/** Goes on with the child that a former attempt has started; its worker may have died at any moment since. */
async function adoptChild(
  work: StepWork,
  step: GraphStep,
  existing: Image,
  wanted: Parameters<typeof adopt>[2],
): Promise<ChildStarted> {
  const { ports, definitions, slots } = work;
  const { runId, workflow, fingerprint } = existing.run;
  const graph = await definitions.graph(workflow, fingerprint);
  if (graph === undefined) throw new Error(`The graph ${fingerprint} of run ${runId} is neither in code nor store.`);
  const decide = (run: RunState): ReturnType<typeof adopt> => adopt(graph, run, wanted, ports.clock.now());
  // A run that goes on after its end asks for another slot, and nobody would know of this one any more.
  if (!(await slots.leave(existing.run))) throw new Error(`Run ${runId} could not give back its turn yet.`);
  // A redrive forgets who waits for it.
  await tellWaiters(ports, existing.run);
  const hasEndedSince = (run: RunState): boolean =>
    isTerminal(run.status) && !(isTerminal(existing.run.status) && run.epoch === existing.run.epoch);
  const child = await change(ports.store, existing, (run) => {
    const verdict = hasEndedSince(run) ? undefined : decide(run);
    return verdict?.kind === "write" ? verdict.transition : undefined;
  });
  // What comes before a redrive was done for the run as it was before it ended: nobody had waited for this end yet.
  if (hasEndedSince(child.run)) return adoptChild(work, step, child, wanted);
  switch (decide(child.run).kind) {
    case "write":
    case "waits":
      await advanceAll(ports, graph, child);
      return { kind: "waits" };
    case "conflict":
      return { kind: "threw", error: new ChildConflict(child.run, wanted.workflow) };
    case "exhausted":
      return { kind: "threw", error: new ChildConflict(child.run, wanted.workflow, limits.redrives) };
    case "ended":
      return endedBefore(work, step, { graph, image: child });
  }
}

/** The child ended while no attempt waited for it. */
async function endedBefore(work: StepWork, step: GraphStep, child: Child): Promise<ChildStarted> {
  const { ports, graph, image, mine } = work;
  const end = await endOfChild(ports.store, graph, step, child);
  if (end.kind === "succeeded") {
    return { kind: "succeeded", output: await storeOutput(ports.store, graph, image, mine, end.json) };
  }
  return { kind: "failed", ...(await storeFailure(ports, image.run, mine, end)) };
}

class NestedTooDeep extends FatalError {
  override readonly name = "NestedTooDeep";

  constructor(runId: string) {
    const level = nestingOf(runId);
    super(
      `Run ${runId} would be ${level} levels below the run that was started first (${runId.length} characters long); allowed are ${limits.nesting} levels and ${limits.derivedRunIdLength} characters. End the recursion earlier, or start that run with a client.`,
    );
  }
}

class InvalidInput extends FatalError {
  override readonly name = "InvalidInput";
}

class ChildConflict extends FatalError {
  override readonly name = "ChildConflict";

  constructor({ runId, workflow, epoch }: RunState, wanted: string, redrives?: number) {
    const what =
      redrives !== undefined
        ? `has been redriven ${epoch} times, and ${redrives} are allowed`
        : workflow === wanted
          ? "was started before with another input; input must give the same for the same outputs"
          : `was started before as a run of "${workflow}", and this step now starts "${wanted}"`;
    super(`Run ${runId} ${what}. Start a new run of the parent.`);
  }
}

class InvalidItems extends FatalError {
  override readonly name = "InvalidItems";
}
