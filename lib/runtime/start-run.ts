/** How every new run comes to be, whether it is started, forked or the child of another. */
import type { Graph } from "../definition/graph.ts";
import { limits } from "../definition/limits.ts";
import { encodeRun } from "../engine/codec.ts";
import { due, dueSlot, nudge, startsLater } from "../engine/due.ts";
import { payloadKey, placePayload } from "../engine/placement.ts";
import type { RunState, RunStatus } from "../engine/run-state.ts";
import { create, isSameStart, type NewRun, newRun } from "../engine/start.ts";
import { PawlError } from "./errors.ts";
import { type Image, imageOf } from "./image.ts";
import type { Ports } from "./ports.ts";
import type { Slots } from "./slots.ts";

export interface Started {
  readonly runId: string;
  readonly status: RunStatus;
  /** `false`: the run was there already, from the same start. */
  readonly created: boolean;
}

/** What a new run begins with, except for a fork. */
export interface RunStart extends Omit<NewRun, "input"> {
  readonly graph: Graph;
  /** The input, as JSON. */
  readonly json: string;
  /** Stores the graph, when nothing else makes sure that it will be found. */
  readonly keepGraph: () => Promise<void>;
}

export interface StartedRun {
  /** The run as it was to be written. */
  readonly wanted: RunState;
  /** The run that had the id already; absent when the start was made. */
  readonly existing?: Image;
  /** Nothing was started: the parent has given the child up (`engine/barred.ts`). */
  readonly isBarred?: true;
}

/** Stores what the run will refer to, unless there is a run of that id. */
export async function prepareRun({ store, clock }: Ports, start: RunStart): Promise<StartedRun> {
  const { graph, json, keepGraph, ...draft } = start;
  const nowMs = clock.now();
  const bare = newRun(graph, { ...draft, input: { json: "" } }, nowMs);
  const key = payloadKey.input(draft.inputHash);
  // A shard's own record is for what its items return.
  const input = graph.shard === undefined ? placePayload(json, key, encodeRun(bare), graph.steps.length) : { key };
  const wanted = newRun(graph, { ...draft, input }, nowMs);
  if ("key" in input) {
    const existing = await store.get(wanted.runId);
    if (existing !== undefined) return { wanted, existing: imageOf(wanted.runId, existing) };
    await store.putPayload(wanted.runId, input.key, json);
  }
  await keepGraph();
  return { wanted };
}

/**
 * Arms what will drive the run, then writes it. What it refers to must be stored before.
 *
 * A start arms its first steps' messages. A fork arms a nudge, and sends its steps' messages when it is written: two forks
 * of one id may keep different steps, and a message of the one that was not written would begin a step of the other
 * before what it depends on.
 *
 * @throws {PawlError} unavailable, when the start was held up for too long; nothing has begun then
 */
export async function startRun(ports: Ports, slots: Slots, graph: Graph, run: RunState): Promise<StartedRun> {
  const { store, queue, clock } = ports;
  const nowMs = run.createdAtMs;
  const isFork = run.forkedFrom !== undefined;
  await queue.send(isFork ? [nudge(graph, run, nowMs)] : due(graph, run, nowMs));
  // Messages without a run are dropped after some time: a start that was held up writes nothing, and one whose write
  // was held up sends them again.
  const armedForMs = isFork ? limits.nudgeDelayMs : limits.startGraceMs / 2;
  const isLate = (): boolean => clock.now() - nowMs > armedForMs;
  if (isLate()) throw new PawlError("unavailable", "The start took too long and was not made. Start the run again.");
  const result = await store.update(run.runId, create(run));
  if (result.fields === undefined) {
    // Whoever starts a run of its own must not be told that it is there.
    if (run.parent === undefined) throw new Error(`Run ${run.runId} was refused by an empty store.`);
    return { wanted: run, isBarred: true };
  }
  const image = imageOf(run.runId, result.fields);
  if (!result.applied && !isSameStart(image.run, run)) return { wanted: run, existing: image };
  if (isFork || (result.applied && isLate())) await sendDue(ports, graph, image.run);
  // Also when the run is there: the former start may have died before it asked.
  await askForSlot(ports, slots, graph, image);
  return { wanted: run, ...(result.applied ? {} : { existing: image }) };
}

/** The run is started: whatever fails here, the message that was armed does again. */
async function askForSlot(
  { queue, clock, random, logger }: Ports,
  slots: Slots,
  graph: Graph,
  image: Image,
): Promise<void> {
  const { slot } = image.run;
  if (slot?.status !== "wanted" || slot.ticket !== undefined || startsLater(image.run)) return;
  try {
    if (await slots.settle(image)) return;
    const asks = dueSlot(graph, image.run, clock.now());
    // Many start at once: this one asks among its workers, soon.
    const delayMs = Math.ceil(limits.startRetryMs * random.fraction());
    if (asks !== undefined) await queue.send([{ ...asks, delayMs }]);
  } catch (error) {
    logger.warn("a started run could not ask for its turn yet", { error, runId: image.run.runId });
  }
}

export async function sendDue(
  { queue, clock }: Pick<Ports, "queue" | "clock">,
  graph: Graph,
  run: RunState,
): Promise<void> {
  const messages = due(graph, run, clock.now());
  if (messages.length > 0) await queue.send(messages);
}

/** @throws {PawlError} run_conflict, unless the run that is there comes from the same start or fork */
export function answerStart({ wanted, existing }: StartedRun): Started {
  if (existing !== undefined) return answerExisting(existing.run, wanted);
  return { runId: wanted.runId, status: wanted.status, created: true };
}

/** @throws {PawlError} run_conflict, as above */
export function answerExisting(existing: RunState, wanted: RunState): Started {
  const { runId, workflow, status } = existing;
  if (isSameStart(existing, wanted)) return { runId, status, created: false };
  const message = `Run ${runId} was started ${differently(existing, wanted)}. Use another runId, or the same workflow and input.`;
  throw new PawlError("run_conflict", message, { workflow, status });
}

function differently({ workflow, inputHash, forkedFrom }: RunState, wanted: RunState): string {
  if (workflow !== wanted.workflow) return `with another workflow, "${workflow}"`;
  if (inputHash !== wanted.inputHash) return "with another input";
  if (forkedFrom === undefined) return "by itself, not as a fork";
  return `as a fork of run ${forkedFrom.runId} from step "${forkedFrom.from}"`;
}
