/** What a step's code reads and what its attempts leave behind: payloads, between their JSON and user code. */
import { parseDuration } from "../definition/duration.ts";
import { isFatalError, isRetryableError } from "../definition/errors.ts";
import type { ThrownError } from "../definition/failure-fingerprint.ts";
import { dependencies, type Graph, type GraphStep } from "../definition/graph.ts";
import { deserialize } from "../definition/json.ts";
import { limits } from "../definition/limits.ts";
import type { StepCode, StepError, StepView } from "../definition/step.ts";
import { pollExhausted } from "../engine/commit.ts";
import { StoredRunError } from "../engine/field-reader.ts";
import { payloadKey, placePayload } from "../engine/placement.ts";
import type { Failure } from "../engine/retry.ts";
import type { PayloadRef, RunState, StepState } from "../engine/run-state.ts";
import { blockedError } from "../engine/settle.ts";
import { type Attempt, stateOn, type Track } from "../engine/track.ts";
import { signalTimeout } from "../engine/waiting.ts";
import type { StoredSummary } from "./child-end.ts";
import { AttemptAborted, HeartbeatTimeout, LostPayload, PawlError, StepTimeout } from "./errors.ts";
import type { Image } from "./image.ts";
import { mapResults } from "./map-results.ts";
import type { RunStore } from "./ports.ts";

/** The error of one attempt as it is kept. The stack is for logs and operators; callers of the API do not get it. */
export interface ErrorRecord extends StepError {
  readonly stack?: string;
  readonly atMs: number;
}

/** Everything the step may read, in at most one read of the store. Each call gets values of its own to change. */
export async function loadStepView(
  store: RunStore,
  graph: Graph,
  run: RunState,
  step: GraphStep,
): Promise<StepView<unknown, unknown, string>> {
  const keys = new Set<string>();
  const want = (payload: PayloadRef | undefined): void => {
    if (payload !== undefined && "key" in payload) keys.add(payload.key);
  };
  want(run.input);
  const named = dependencies(step);
  const failed = [...step.afterFailed, ...step.afterSettled].filter((index) => {
    const status = run.steps[index]?.status;
    return status === "failed" || status === "unknown";
  });
  for (const index of named) want(run.outputs[index]);
  for (const index of failed) for (const key of recordKeys("error", run, index)) keys.add(key);
  const payloads = keys.size === 0 ? new Map<string, string>() : await store.getPayloads(run.runId, [...keys]);

  return ofIntact(() => viewOf(store, graph, run, { named, failed, payloads }));
}

interface Loaded {
  readonly named: readonly number[];
  readonly failed: readonly number[];
  readonly payloads: ReadonlyMap<string, string>;
}

function viewOf(
  store: RunStore,
  graph: Graph,
  run: RunState,
  { named, failed, payloads }: Loaded,
): StepView<unknown, unknown, string> {
  // Without a prototype: a step may be called "constructor".
  const outputs = Object.create(null) as Record<string, unknown>;
  const errors = Object.create(null) as Record<string, StepError>;
  for (const index of named) {
    const output = readPayload(run, run.outputs[index], payloads);
    const dependency = graph.steps[index];
    const isMap = dependency?.kind === "map" && output !== undefined;
    outputs[idOf(graph, index)] = isMap ? mapResults(store, graph, dependency, output as StoredSummary) : output;
  }
  for (const index of failed) errors[idOf(graph, index)] = readError(graph, run, index, payloads);
  return { input: readPayload(run, run.input, payloads), outputs, errors };
}

/** A damaged payload is a lost one to a step: it fails with it. @throws {LostPayload} */
export async function ofIntact<T>(read: () => T | Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    throw error instanceof StoredRunError ? new LostPayload(error.message, { cause: error }) : error;
  }
}

/** Tells whatever must not happen twice that it is asked for again. After it was undone, it must happen again. */
export function idempotencyKey(
  run: RunState,
  { track, step }: Pick<Attempt, "track" | "step">,
  stepId: string,
): string {
  const generation = run.generations[step];
  const key = `${run.runId}/${stepId}${generation === undefined ? "" : `#${generation}`}`;
  return track === "step" ? key : `${key}/undo`;
}

/** One payload of the run, as a value of the caller's own; `undefined` when there is none. */
export async function loadPayload(store: RunStore, run: RunState, payload: PayloadRef | undefined): Promise<unknown> {
  const isBeside = payload !== undefined && "key" in payload;
  const payloads = isBeside ? await store.getPayloads(run.runId, [payload.key]) : new Map<string, string>();
  return readPayload(run, payload, payloads);
}

export function readPayload(
  run: RunState,
  payload: PayloadRef | undefined,
  payloads: ReadonlyMap<string, string>,
): unknown {
  if (payload === undefined) return undefined;
  const json = "key" in payload ? payloads.get(payload.key) : payload.json;
  return json === undefined ? missingPayload(run, "key" in payload ? payload.key : "") : storedJson(run, json);
}

/** What is stored of a run as JSON. Errors do not show it: payloads are the users' own. @throws {StoredRunError} */
export function storedJson({ runId }: Pick<RunState, "runId">, json: string): unknown {
  try {
    return deserialize(json);
  } catch {
    throw new StoredRunError(runId, "a payload of it is not JSON");
  }
}

/** @throws {LostPayload} always */
export function missingPayload({ runId }: Pick<RunState, "runId">, key: string): never {
  const remedy = "Restore the store from a backup that has it, then redrive the run.";
  throw new LostPayload(`Run ${runId} refers to the payload ${key}, which is not in the store. ${remedy}`);
}

/** The error of the step's last attempt; of a step that was blocked by others, the reason. */
export function readError(
  graph: Graph,
  run: RunState,
  index: number,
  payloads: ReadonlyMap<string, string>,
): StepError {
  const json = readRecord("error", run, index, payloads);
  const { name, message } =
    json === undefined ? errorWithoutRecord(graph, run, index) : (storedJson(run, json) as ErrorRecord);
  return { name, message };
}

/**
 * What the step's last attempt left behind, newest epoch first: a redrive keeps steps of former epochs as they ended.
 * What a fork copied is older than all of them.
 */
function recordKeys(kind: "error" | "background", run: RunState, index: number, track: Track = "step"): string[] {
  const attempt = stateOn(track, run, index)?.attempt ?? 0;
  const epochs: (number | string)[] = Array.from({ length: run.epoch + 1 }, (_, back) => run.epoch - back);
  if (run.forkedFrom !== undefined) epochs.push(run.forkedFrom.id);
  return epochs.map((epoch) => payloadKey[kind](index, epoch, attempt, track));
}

export function readRecord(
  kind: "error" | "background",
  run: RunState,
  index: number,
  payloads: ReadonlyMap<string, string>,
  track: Track = "step",
): string | undefined {
  if (payloads.size === 0) return undefined;
  const key = recordKeys(kind, run, index, track).find((candidate) => payloads.has(candidate));
  return key === undefined ? undefined : payloads.get(key);
}

/** Steps that fail without running anything leave no record: their state says it all. */
function errorWithoutRecord(graph: Graph, run: RunState, index: number): StepError {
  const step = graph.steps[index];
  // Without an attempt, it was blocked.
  if (step === undefined || (run.steps[index]?.attempt ?? 0) === 0) return blockedError(graph, index, run.steps);
  return step.kind === "signal" ? signalTimeout(step) : pollExhausted(graph, index);
}

export function idOf(graph: Graph, index: number): string {
  return graph.steps[index]?.id ?? String(index);
}

/** @throws {PawlError} step_not_found */
export function stepIndex(graph: Graph, run: RunState, stepId: string): number {
  const index = graph.steps.findIndex((step) => step.id === stepId);
  if (index !== -1) return index;
  const known = graph.steps.map(({ id }) => id);
  const message = `Run ${run.runId} of workflow "${run.workflow}" has no step ${JSON.stringify(stepId)}. It has: ${known.join(", ")}.`;
  throw new PawlError("step_not_found", message, { known });
}

/**
 * Anything can be thrown; this is what is kept of it.
 *
 * @param token of the attempt: may be part of what its code throws, such as the URL of a request, and is not kept
 */
export function recordError(error: unknown, nowMs: number, token?: string): ErrorRecord {
  const kept = (text: string, length: number): string => truncate(withoutSecret(text, token), length);
  if (!(error instanceof Error)) {
    return {
      name: "NonError",
      message: kept(`Thrown: ${describe(error)}`, limits.errorMessageLength),
      atMs: nowMs,
    };
  }
  const cause = error.cause === undefined ? "" : ` (cause: ${describe(error.cause)})`;
  // User code may have put anything into these.
  const { name, message, stack } = error as { name: unknown; message: unknown; stack?: unknown };
  return {
    name: kept(name === "Error" ? error.constructor.name : String(name), limits.nameLength),
    message: kept(`${String(message)}${cause}`, limits.errorMessageLength),
    ...(typeof stack === "string" ? { stack: kept(stack, limits.errorStackLength) } : {}),
    atMs: nowMs,
  };
}

/** What tells it from others, and where it was thrown. */
export function thrownError(error: unknown): ThrownError {
  return thrownAt(error, 0);
}

/** @param depth in the chain of causes, which may be a circle */
function thrownAt(error: unknown, depth: number): ThrownError {
  const { name, message } = recordError(error, 0);
  if (!(error instanceof Error) || depth === limits.errorCauses) return { name, message };
  const { stack, code, cause } = error as { stack?: unknown; code?: unknown; cause?: unknown };
  const said: unknown = error.message;
  return {
    name,
    message: String(said),
    ...(typeof stack === "string" ? { stack } : {}),
    ...(typeof code === "string" ? { code } : {}),
    ...(cause instanceof Error ? { cause: thrownAt(cause, depth + 1) } : {}),
  };
}

function withoutSecret(text: string, token: string | undefined): string {
  return token === undefined ? text : text.replaceAll(token, "(task token)");
}

export function truncate(text: string, length: number): string {
  return text.length <= length ? text : `${text.slice(0, length - 1)}…`;
}

function describe(value: unknown): string {
  if (value instanceof Error) return `${value.name}: ${value.message}`;
  if (typeof value === "string") return value;
  if (value === undefined || typeof value === "function" || typeof value === "symbol") return String(value);
  try {
    return JSON.stringify(value);
  } catch {
    return Object.prototype.toString.call(value);
  }
}

/**
 * The two questions about an error, answered by its type: may it be retried, and when.
 *
 * @param report told when the user's own answer cannot be had; the policy then decides
 */
export function classify(error: unknown, code: StepCode, track: Track, report: (problem: unknown) => void): Failure {
  if (isFatalError(error)) return { retryable: "fatal" };
  const tried =
    track === "undo" ? code.compensate : code.kind === "step" || code.kind === "callback" ? code : undefined;
  // A condition or a time that was computed: nothing was tried that could go better next time.
  if (tried === undefined) return { retryable: "fatal" };
  // The engine's own: no question for the user's isRetryable.
  const isCutOff = [AttemptAborted, HeartbeatTimeout, StepTimeout].some((own) => error instanceof own);
  if (isCutOff) return { retryable: true, isCutOff };
  if (isRetryableError(error)) {
    const afterMs = parseDuration(error.after);
    return { retryable: true, ...(afterMs === undefined ? {} : { afterMs }) };
  }
  try {
    return { retryable: tried.isRetryable === undefined || tried.isRetryable(error) ? true : "not_retryable" };
  } catch (problem) {
    report(problem);
    return { retryable: true };
  }
}

/** Keeps the output of an attempt: beside the run, when it does not fit into it. */
export async function storeOutput(
  store: RunStore,
  graph: Graph,
  { run, fields }: Image,
  { step, attempt, owner, unclaimed }: Pick<Attempt, "step" | "attempt"> & Partial<Attempt>,
  json: string,
): Promise<PayloadRef> {
  const key = payloadKey.output(step, run.epoch, attempt, unclaimed && owner);
  const placed = placePayload(json, key, fields, openSteps(graph, run.steps));
  if ("key" in placed) await store.putPayload(run.runId, key, json);
  return placed;
}

/** Open steps will add their final state to the run item. */
export function openSteps(graph: Graph, states: readonly (StepState | undefined)[]): number {
  let open = 0;
  for (let index = 0; index < graph.steps.length; index++) if (states[index] === undefined) open++;
  return open;
}
