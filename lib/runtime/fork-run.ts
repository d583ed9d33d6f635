/** Forks: a new run that begins with what another one has done. */
import type { Graph } from "../definition/graph.ts";
import { decodeRun } from "../engine/codec.ts";
import { forkedRun, keptSteps } from "../engine/fork.ts";
import { payloadKey } from "../engine/placement.ts";
import type { PayloadRef, RunState } from "../engine/run-state.ts";
import { PawlError } from "./errors.ts";
import type { LoadedRun, Ports } from "./ports.ts";
import { parseRunId, parseTags } from "./request.ts";
import type { Slots } from "./slots.ts";
import { answerExisting, answerStart, type Started, sendDue, startRun } from "./start-run.ts";
import { readRecord, stepIndex } from "./step-data.ts";

export interface ForkRequest {
  /** Id of the step that begins anew, and with it every step that depends on it. */
  readonly from: string;
  /** Id of the new run. The same id and the same fork make one run, however often it is asked for. @default a random one */
  readonly runId?: string;
  /** @default those of the original */
  readonly tags?: Readonly<Record<string, string>>;
}

/** @throws {PawlError} step_not_found, invalid_request, run_conflict, unavailable */
export async function forkRun(
  ports: Ports,
  slots: Slots,
  graph: Graph,
  original: RunState,
  request: ForkRequest & { readonly retentionMs: number },
): Promise<Started> {
  const { store, clock, random } = ports;
  const fork = {
    runId: parseRunId(request.runId) ?? random.id(),
    from: stepIndex(graph, original, request.from),
    id: random.id().slice(0, 10),
    retentionMs: request.retentionMs,
    ...(request.tags === undefined ? {} : { tags: parseTags(request.tags) }),
  };
  const existing = request.runId === undefined ? undefined : await store.get(fork.runId);
  if (existing !== undefined) {
    const run = decodeRun(fork.runId, existing);
    const started = answerExisting(run, forkedRun(graph, original, fork, clock.now()));
    // Whoever made it may have died before it could.
    await sendDue(ports, graph, run);
    return started;
  }
  const stored = await store.load(original.runId);
  if (stored === undefined) throw new PawlError("run_not_found", `Run ${original.runId} has been removed.`);
  await copyPayloads(ports, stored, original, forkedRun(graph, original, fork, clock.now()));
  await copyRecords(ports, stored, original, fork, keptSteps(graph, original, fork.from));
  // Copying may have taken a while: the run begins now.
  return answerStart(await startRun(ports, slots, graph, forkedRun(graph, original, fork, clock.now())));
}

/** One after the other: each may be as large as a payload can be. */
async function copyPayloads({ store }: Ports, stored: LoadedRun, original: RunState, copy: RunState): Promise<void> {
  const copyOne = async (from: PayloadRef | undefined, to: PayloadRef | undefined): Promise<void> => {
    if (from === undefined || to === undefined || !("key" in from) || !("key" in to)) return;
    const json = stored.payloads.get(from.key) ?? (await store.getPayloads(original.runId, [from.key])).get(from.key);
    if (json === undefined) throw new Error(`Payload ${from.key} of run ${original.runId} is not in the store.`);
    await store.putPayload(copy.runId, to.key, json);
  };
  await copyOne(original.input, copy.input);
  for (const [index, output] of copy.outputs.entries()) await copyOne(original.outputs[index], output);
}

/** What says how kept steps ended. */
async function copyRecords(
  { store }: Ports,
  stored: LoadedRun,
  original: RunState,
  { runId, id }: { readonly runId: string; readonly id: string },
  kept: readonly number[],
): Promise<void> {
  for (const index of kept) {
    for (const kind of ["error", "background"] as const) {
      const record = readRecord(kind, original, index, stored.payloads);
      const key = payloadKey[kind](index, id, original.steps[index]?.attempt ?? 0);
      if (record !== undefined) await store.putPayload(runId, key, record);
    }
    const handId = original.byHand?.[index];
    const key = handId === undefined ? undefined : payloadKey.byHand(index, handId);
    const record = key === undefined ? undefined : stored.payloads.get(key);
    if (key !== undefined && record !== undefined) await store.putPayload(runId, key, record);
  }
}
