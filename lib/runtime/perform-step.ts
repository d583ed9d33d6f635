/** One attempt, from its data to its outcome. Everything that user code can do wrong becomes an outcome here. */
import { $ZodError, prettifyError } from "zod/v4/core";
import { FatalError } from "../definition/errors.ts";
import { failureFingerprint } from "../definition/failure-fingerprint.ts";
import type { Graph, GraphStep } from "../definition/graph.ts";
import { instantForm, parseInstant } from "../definition/instant.ts";
import { depthFault, serialize, utf8Bytes } from "../definition/json.ts";
import { limits } from "../definition/limits.ts";
import type {
  AttemptContext,
  CallbackCode,
  RunCode,
  SleepCode,
  StepCode,
  StepContext,
  StepView,
} from "../definition/step.ts";
import { firstWaitMs } from "../engine/callback.ts";
import type { Outcome } from "../engine/commit.ts";
import { payloadKey } from "../engine/placement.ts";
import { failurePlace } from "../engine/run-error.ts";
import type { Attempt } from "../engine/track.ts";
import { nothing } from "../engine/waiting.ts";
import type { AttemptResult, RunningAttempt } from "./attempt.ts";
import type { Definitions } from "./definitions.ts";
import { type AttemptAborted, HeartbeatTimeout, LostPayload, StepTimeout } from "./errors.ts";
import type { Image } from "./image.ts";
import { type AskedQuestion, AttemptInterrupts, parkedOn } from "./interrupt.ts";
import type { Logger, Ports } from "./ports.ts";
import type { Slots } from "./slots.ts";
import { startChild, startMap, startShard } from "./start-child.ts";
import {
  classify,
  idempotencyKey,
  loadStepView,
  missingPayload,
  recordError,
  storedJson,
  storeOutput,
  thrownError,
  truncate,
} from "./step-data.ts";

export interface StepWork {
  readonly ports: Ports;
  readonly definitions: Definitions;
  readonly slots: Slots;
  readonly graph: Graph;
  readonly image: Image;
  readonly mine: Attempt;
  readonly code: StepCode;
  readonly attempt: RunningAttempt;
  readonly log: Logger;
  /** The attempt follows a pause that was decided before: its condition and start time are not asked again. */
  readonly isResumed: boolean;
  /** What is wrong with the step, found out before its attempt began. */
  readonly fault?: Error | undefined;
  /** Of a callback's attempt. */
  readonly token?: string;
}

/** The outcome to commit; `undefined` when the code goes on although its worker stops. */
export async function performStep(work: StepWork): Promise<Outcome | undefined> {
  return unlessLost(work, () => perform(work));
}

/** What an attempt needs and cannot be had any more fails it. (When it cannot be had now, its message comes again.) */
export async function unlessLost(
  work: StepWork,
  perform: () => Promise<Outcome | undefined>,
): Promise<Outcome | undefined> {
  try {
    return await perform();
  } catch (error) {
    if (error instanceof LostPayload) return failed(work, error);
    throw error;
  }
}

async function perform(work: StepWork): Promise<Outcome | undefined> {
  const { ports, graph, image, mine } = work;
  const step = graph.steps[mine.step];
  if (step === undefined) throw new Error(`The graph of ${graph.workflow} has no step ${mine.step}.`);
  if (work.fault !== undefined) return failed(work, work.fault);
  const view = await loadStepView(ports.store, graph, image.run, step);

  const early = work.isResumed ? undefined : decideBeforeRunning(work, view);
  if (early !== undefined) return unlessThrown(work, early);
  switch (work.code.kind) {
    case "step":
      return runCode(work, work.code, step, view);
    case "callback":
      return runCallback(work, work.code, step, view);
    case "signal": {
      const waitMs = step.kind === "signal" ? step.waitMs : undefined;
      return { kind: "waits", ...(waitMs === undefined ? {} : { forMs: waitMs }) };
    }
    case "sleep":
      return sleepUntil(work, step, work.code, view);
    case "child": {
      const { code } = work;
      return callCode(
        work,
        () => code.input?.(view),
        step,
        async (input) => {
          return unlessThrown(work, await startChild(work, step, code, input));
        },
      );
    }
    case "map": {
      const { code } = work;
      return callCode(
        work,
        () => code.items(view),
        step,
        async (items) => {
          if (step.kind !== "map") throw new Error(`Step "${step.id}" has the code of a map and is none.`);
          return unlessThrown(work, await startMap(work, step, items));
        },
      );
    }
    case "shard":
      if (step.kind !== "shard") throw new Error(`Step "${step.id}" has the code of a shard and is none.`);
      return unlessThrown(work, await startShard(work, step, view.input));
  }
}

async function unlessThrown(
  work: StepWork,
  result: Outcome | { readonly kind: "threw"; readonly error: unknown },
): Promise<Outcome> {
  return result.kind === "threw" ? failed(work, result.error) : result;
}

async function runCode(
  work: StepWork,
  code: RunCode,
  step: GraphStep,
  view: StepView<unknown, unknown, string>,
): Promise<Outcome | undefined> {
  const interrupts = new AttemptInterrupts(await loadAnswers(work));
  const details = work.image.run.heartbeats[work.mine.step];
  const own: Omit<StepContext<unknown, unknown, string>, keyof AttemptContext<unknown, unknown, string>> = {
    interrupt: interrupts.ask,
    heartbeat: (given) => {
      work.attempt.beat(heartbeatDetails(given));
    },
    lastHeartbeat: details === undefined ? undefined : storedJson(work.image.run, details),
  };
  // Assigned, as a spread would ask for the signal.
  const context = Object.assign(contextOf(work, step, view), own);
  const heartbeatMs = step.kind === "step" ? step.heartbeatMs : undefined;
  const result = await work.attempt.run(() => code.run(context), step.timeoutMs, heartbeatMs);
  // Also when the code went on after it had asked: what it did then is done again with the answer.
  if (interrupts.open !== undefined) return interrupted(work, interrupts.open);
  return result.kind === "returned" ? succeeded(work, result.value) : notReturned(work, result);
}

/** As JSON. @throws {FatalError} when they cannot be kept */
function heartbeatDetails(details: unknown): string | undefined {
  if (details === undefined) return undefined;
  const serialized = serialize(details, "The details of heartbeat()");
  if (!serialized.ok) throw new FatalError(serialized.message);
  const bytes = utf8Bytes(serialized.json);
  if (bytes <= limits.heartbeatBytes) return serialized.json;
  throw new FatalError(
    `The details of heartbeat() are ${bytes} bytes as JSON; at most ${limits.heartbeatBytes} are allowed.`,
  );
}

async function loadAnswers({ ports, image, mine }: StepWork): Promise<readonly string[]> {
  const keys = (image.run.interrupts[mine.step]?.answers ?? []).map(payloadKey.answer);
  if (keys.length === 0) return [];
  const payloads = await ports.store.getPayloads(image.run.runId, keys);
  return keys.map((key) => payloads.get(key) ?? missingPayload(image.run, key));
}

async function interrupted({ ports, image, mine }: StepWork, question: AskedQuestion): Promise<Outcome> {
  const id = ports.random.id().slice(0, 10);
  await ports.store.putPayload(image.run.runId, payloadKey.question(id), question.json);
  return { kind: "interrupted", interrupts: parkedOn(question, image.run.interrupts[mine.step], id) };
}

/** Whoever has the token may have answered by it already: the commit then finds the attempt ended. */
async function runCallback(
  work: StepWork,
  code: CallbackCode,
  step: GraphStep,
  view: StepView<unknown, unknown, string>,
): Promise<Outcome | undefined> {
  const { token } = work;
  if (token === undefined) throw new Error(`Callback "${step.id}" was claimed without a task token.`);
  const result = await work.attempt.run(() => code.run({ ...contextOf(work, step, view), token }), step.timeoutMs);
  if (result.kind !== "returned") return notReturned(work, result);
  const waitMs = step.kind === "callback" ? firstWaitMs(step) : undefined;
  return { kind: "waits", ...(waitMs === undefined ? {} : { forMs: waitMs }) };
}

function contextOf(
  { image, mine, attempt, log }: StepWork,
  step: GraphStep,
  view: StepView<unknown, unknown, string>,
): AttemptContext<unknown, unknown, string> {
  return {
    ...view,
    runId: image.run.runId,
    stepId: step.id,
    attempt: mine.attempt,
    idempotencyKey: idempotencyKey(image.run, mine, step.id),
    get signal() {
      return attempt.signal;
    },
    log,
    background: attempt.background,
  };
}

async function notReturned(
  work: StepWork,
  result: Exclude<AttemptResult, { kind: "returned" }>,
): Promise<Outcome | undefined> {
  if (result.kind === "threw") return failed(work, result.error);
  const { because } = result.error;
  if (because === "shutdown") return result.settled ? { kind: "released" } : undefined;
  if (because === "run_ending") return { kind: "cutOff" };
  return failed(work, errorOfAbort(result.error));
}

function errorOfAbort(error: AttemptAborted): Error {
  if (error.because === "timeout") return new StepTimeout(error.message);
  return error.because === "heartbeat_timeout" ? new HeartbeatTimeout(error.message) : error;
}

/** Calls code that tells what the step is to do, within its limits, and goes on with what it returned. */
async function callCode(
  work: StepWork,
  code: () => unknown,
  step: GraphStep,
  goOn: (value: unknown) => Promise<Outcome>,
): Promise<Outcome | undefined> {
  const result = await work.attempt.run(code, step.timeoutMs);
  return result.kind === "returned" ? goOn(result.value) : notReturned(work, result);
}

async function sleepUntil(
  work: StepWork,
  step: GraphStep,
  code: SleepCode,
  view: StepView<unknown, unknown, string>,
): Promise<Outcome> {
  if (step.kind === "sleep" && step.durationMs !== undefined) return { kind: "waits", forMs: step.durationMs };
  const nowMs = work.ports.clock.now();
  try {
    const untilMs = computedInstant("until", code.until?.(view), nowMs);
    return untilMs > nowMs ? { kind: "waits", untilMs } : { kind: "succeeded", output: nothing };
  } catch (error) {
    return failed(work, error);
  }
}

/** @throws {FatalError} when it is no time, or too far ahead */
function computedInstant(what: string, value: unknown, nowMs: number): number {
  const atMs = parseInstant(value);
  if (atMs === undefined) {
    throw new FatalError(`${what} returned ${JSON.stringify(value)}; allowed is ${instantForm}.`);
  }
  if (atMs - nowMs > limits.delayMs) {
    const most = `at most ${limits.delayMs / 86_400_000} days ahead are allowed`;
    throw new FatalError(`${what} returned ${new Date(atMs).toISOString()}; ${most}.`);
  }
  return atMs;
}

/** `when` and a computed `startAt` are asked when the step begins. */
function decideBeforeRunning(
  { code, ports }: StepWork,
  view: StepView<unknown, unknown, string>,
): Outcome | { kind: "threw"; error: unknown } | undefined {
  try {
    const wanted = code.when === undefined ? true : code.when(view);
    if (typeof wanted !== "boolean") {
      throw new FatalError(
        `when returned ${typeof wanted === "object" ? "an object" : typeof wanted}; it decides with true or false, at once.`,
      );
    }
    if (!wanted) return { kind: "skipped" };
    if (code.kind !== "step" || code.startAt === undefined) return undefined;
    const nowMs = ports.clock.now();
    const wakeAtMs = computedInstant("startAt", code.startAt(view), nowMs);
    return wakeAtMs <= nowMs ? undefined : { kind: "deferred", wakeAtMs };
  } catch (error) {
    return { kind: "threw", error };
  }
}

async function succeeded(work: StepWork, value: unknown): Promise<Outcome> {
  const { ports, graph, image, mine, code } = work;
  const fault = depthFault(value, "The step's output");
  if (fault !== undefined) return failed(work, new InvalidOutput(fault));
  let output = value;
  try {
    if (code.kind === "step" && code.output !== undefined) output = await code.output.parseAsync(value);
  } catch (error) {
    const text = error instanceof $ZodError ? prettifyError(error) : recordError(error, 0).message;
    return failed(work, new InvalidOutput(`The step's output does not fit its schema: ${text}`));
  }
  if (code.kind === "step" && code.until !== undefined) {
    try {
      const isFound = code.until(output);
      if (typeof isFound !== "boolean") throw new FatalError("until decides with true or false, at once.");
      if (!isFound) return { kind: "notYet", fraction: ports.random.fraction() };
    } catch (error) {
      return failed(work, error);
    }
  }
  const serialized = serialize(output, "The step's output");
  if (!serialized.ok) return failed(work, new InvalidOutput(serialized.message));
  return { kind: "succeeded", output: await storeOutput(ports.store, graph, image, mine, serialized.json) };
}

/** What a step returned cannot be stored: running the same code again would not change that. */
class InvalidOutput extends FatalError {
  override readonly name = "InvalidOutput";
}

export async function failed(work: StepWork, error: unknown): Promise<Outcome> {
  const { ports, graph, image, mine, code, log, token } = work;
  const record = recordError(error, ports.clock.now(), token);
  const key = payloadKey.error(mine.step, image.run.epoch, mine.attempt, mine.track);
  await ports.store.putPayload(image.run.runId, key, JSON.stringify(record));
  const stepId = graph.steps[mine.step]?.id;
  return {
    kind: "failed",
    error: {
      name: record.name,
      message: truncate(record.message, limits.errorSummaryLength),
      ...(stepId === undefined ? {} : { step: stepId }),
      fingerprint: failureFingerprint(failurePlace(graph, stepId), thrownError(error)),
    },
    failure: classify(error, code, mine.track, (problem) => {
      const record = recordError(problem, ports.clock.now(), token);
      log.error("isRetryable threw; the error is retried as the policy says", { error: record });
    }),
    fraction: ports.random.fraction(),
  };
}
