/**
 * What holders of task tokens do: one answer per token, and signs of life until then. Whoever has a token may use it;
 * whoever has none learns nothing, not even whether the run exists.
 */
import { failureFingerprint } from "../definition/failure-fingerprint.ts";
import type { CallbackStep, Graph } from "../definition/graph.ts";
import { limits } from "../definition/limits.ts";
import { answerCallback, prolongWait } from "../engine/callback.ts";
import { nudge } from "../engine/due.ts";
import { allowsStepMove } from "../engine/moves.ts";
import type { OutsideEnd } from "../engine/outside.ts";
import { payloadKey, placePayload } from "../engine/placement.ts";
import { failurePlace } from "../engine/run-error.ts";
import type { RunState } from "../engine/run-state.ts";
import type { Transition } from "../engine/transition.ts";
import { transitionTo } from "../engine/transition-to.ts";
import { keepError } from "./claim-step.ts";
import type { Definitions } from "./definitions.ts";
import { advanceBecauseOf } from "./effects.ts";
import { PawlError } from "./errors.ts";
import { change, type Image, imageOf } from "./image.ts";
import type { Ports } from "./ports.ts";
import { parsePayload } from "./request.ts";
import type { RunView } from "./run-view.ts";
import { openSteps, truncate } from "./step-data.ts";
import { hashSecret, isSameHash, parseToken, type TaskToken } from "./task-token.ts";

/** Why the outside party could not do what it was asked for. */
export interface CallbackFailure {
  /** Of the step's error. At most 64 characters are kept. @default "CallbackFailed" */
  readonly name?: string;
  /** At most 2,000 characters are kept. */
  readonly message: string;
  /** `false`: no further attempt is made. @default true: as the step's retry policy says */
  readonly retryable?: boolean;
}

export type CallbackAnswered = Pick<RunView, "runId" | "status">;

export interface CallbackCommands {
  /**
   * The answer: the step has succeeded with this output. The token is used up, unless the output is refused.
   *
   * @throws {PawlError} callback_not_found, invalid_payload, payload_too_large, status_conflict
   */
  succeed(token: string, output?: unknown): Promise<CallbackAnswered>;
  /** The attempt has failed; the step's retry policy decides on another, with another token. @throws {PawlError} callback_not_found */
  fail(token: string, failure: CallbackFailure): Promise<CallbackAnswered>;
  /** A sign of life: the attempt has its whole heartbeat timeout again. @throws {PawlError} callback_not_found */
  heartbeat(token: string): Promise<CallbackAnswered>;
}

export function createCallbacks(ports: Ports, definitions: Definitions): CallbackCommands {
  return new TokenCallbacks(ports, definitions);
}

/** An attempt whose token was shown. */
interface Awaited {
  readonly token: TaskToken;
  readonly hash: string;
  readonly image: Image;
  readonly graph: Graph;
  readonly step: CallbackStep;
}

class TokenCallbacks implements CallbackCommands {
  readonly #ports: Ports;
  readonly #definitions: Definitions;

  constructor(ports: Ports, definitions: Definitions) {
    this.#ports = ports;
    this.#definitions = definitions;
  }

  async succeed(text: string, output?: unknown): Promise<CallbackAnswered> {
    const awaited = await this.#find(text);
    const { image, graph, step, token } = awaited;
    const code = this.#definitions.find(image.run.workflow)?.code.get(step.id);
    if (code?.kind !== "callback") {
      const message = `The code of workflow "${image.run.workflow}" has no callback "${step.id}" any more, so its output cannot be checked. Deploy code that has it, then answer again.`;
      throw new PawlError("status_conflict", message, { status: image.run.status });
    }
    const json = await parsePayload(code.output, output, {
      code: "invalid_payload",
      what: "output",
      name: `The output of callback "${step.id}"`,
      none: `Callback "${step.id}" takes no output; answer without one.`,
    });
    const id = this.#ports.random.id().slice(0, 10);
    const key = payloadKey.callback(token.step, id);
    const placed = placePayload(json, key, image.fields, openSteps(graph, image.run.steps));
    if ("key" in placed) await this.#ports.store.putPayload(token.runId, key, json);
    return this.#answer(awaited, id, { kind: "succeeded", output: placed });
  }

  async fail(text: string, failure: CallbackFailure): Promise<CallbackAnswered> {
    const awaited = await this.#find(text);
    const { image, step, token } = awaited;
    const { random, clock } = this.#ports;
    const name = truncate(failure.name ?? "CallbackFailed", limits.nameLength);
    const record = { name, message: truncate(failure.message, limits.errorMessageLength), atMs: clock.now() };
    await keepError(this.#ports, image.run, { track: "step", step: token.step }, token.attempt, record);
    return this.#answer(awaited, random.id().slice(0, 10), {
      kind: "failed",
      error: {
        name,
        message: truncate(failure.message, limits.errorSummaryLength),
        step: step.id,
        fingerprint: failureFingerprint(failurePlace(awaited.graph, step.id), { name, message: failure.message }),
      },
      failure: { retryable: failure.retryable === false ? "not_retryable" : true },
      fraction: random.fraction(),
    });
  }

  async heartbeat(text: string): Promise<CallbackAnswered> {
    const awaited = await this.#find(text);
    const { image, graph, token } = awaited;
    const { store, clock } = this.#ports;
    const after = await change(store, image, (run) => {
      if (!isAwaited(run, awaited)) throw notFound();
      const next = prolongWait(graph, run, token.step, clock.now());
      return next === undefined ? undefined : transitionTo(run, next);
    });
    return answerOf(after);
  }

  async #answer(awaited: Awaited, id: string, end: OutsideEnd): Promise<CallbackAnswered> {
    const { image, graph, token } = awaited;
    const { store, queue, clock } = this.#ports;
    await queue.send([nudge(graph, image.run, clock.now())]);
    const after = await change(store, image, (run): Transition | undefined => {
      // This very answer had been written before, and the response was lost.
      if (run.tokens[token.step] === id) return undefined;
      const isOpen = isAwaited(run, awaited);
      const transition = isOpen ? answerCallback(graph, run, token, id, end, clock.now()) : undefined;
      if (transition === undefined) throw notFound();
      return transition;
    });
    return answerOf(await advanceBecauseOf(this.#ports, graph, after, token.step));
  }

  /** @throws {PawlError} callback_not_found, the same for every reason */
  async #find(text: string): Promise<Awaited> {
    const token = parseToken(text);
    if (token === undefined) throw notFound();
    const fields = await this.#ports.store.get(token.runId);
    if (fields === undefined) throw notFound();
    const image = imageOf(token.runId, fields);
    const graph = await this.#definitions.graph(image.run.workflow, image.run.fingerprint);
    const step = graph?.steps[token.step];
    if (graph === undefined || step?.kind !== "callback") throw notFound();
    const awaited = { token, hash: hashSecret(token.secret), image, graph, step };
    if (!isAwaited(image.run, awaited)) throw notFound();
    return awaited;
  }
}

function isAwaited(run: RunState, { token, hash }: Pick<Awaited, "token" | "hash">): boolean {
  const step = run.steps[token.step];
  const isOpen = run.epoch === token.epoch && step?.attempt === token.attempt;
  return (
    isOpen && isSameHash(run.tokens[token.step], hash) && allowsStepMove("endFromOutside", run.status, step.status)
  );
}

function answerOf({ run: { runId, status } }: Image): CallbackAnswered {
  return { runId, status };
}

function notFound(): PawlError {
  const message =
    "No callback waits for an answer by this token: it is unknown, was used before, or its attempt is over.";
  return new PawlError("callback_not_found", message);
}
