/** The client of an HTTP API: of a deployed stack, or of a local server. */
import process from "node:process";
import { serialize } from "../definition/json.ts";
import type { Workflow } from "../definition/workflow.ts";
import { isTerminal } from "../engine/run-state.ts";
import { isParked } from "../engine/waiter.ts";
import type { ForkRequest, RedriveRequest, Started, StartRequest } from "../runtime/commands.ts";
import { completed, parseTimeout, type WaitOptions } from "../runtime/completion.ts";
import { PawlError } from "../runtime/errors.ts";
import type { OperationRequest, Operations } from "../runtime/operations.ts";
import type { FailureView, ListRequest, RunPage, Stats, StatsRequest } from "../runtime/queries.ts";
import { parseStartAt } from "../runtime/request.ts";
import type { RunView } from "../runtime/run-view.ts";
import { asBegun, asFailures, asOperation, asPage, asRun, asStarted, asStats } from "./answers.ts";
import { type Client, outputOf } from "./client.ts";
import { type ApiAnswer, createTransport, type Transport } from "./http-transport.ts";
import { pathSegment } from "./path-segment.ts";
import { type Credentials, type Fetch, regionOf, signedFetch } from "./signed-fetch.ts";

export interface HttpClientOptions {
  /** `Pawl.url` of a stack, or that of a local server: `http://127.0.0.1:7070`. */
  readonly url: string;
  /** What `workflows()` tells. The server has its own, and checks inputs and payloads by these. @default none */
  readonly workflows?: readonly Workflow[];
  /**
   * How requests show who asks: `"iam"` signs them with AWS credentials, `bearer` gives the token of each.
   *
   * @default "iam" for an address of API Gateway, else "none"
   */
  readonly auth?: HttpAuth;
  /** Of the API, for signed requests. @default that of its address, then AWS_REGION */
  readonly region?: string;
  /** What sends requests. @default the global `fetch` */
  readonly fetch?: Fetch;
}

export type HttpAuth = "iam" | "none" | { readonly bearer: () => string | Promise<string> };

/** A server is not asked more often than this for the same run, whatever it answers. */
const leastPauseMs = 1_000;
/** The longest `?wait=` that the HTTP API takes. */
const longestWaitMs = 25_000;

/**
 * A client over HTTP. Requests that are safe to repeat are repeated when the server is busy or does not answer: those that
 * only read, and starts, forks and bulk operations that name their id.
 *
 * @example
 * ```ts
 * import { createHttpClient } from "pawl/client";
 * import { order } from "./order.ts";
 *
 * const pawl = createHttpClient({ url: "http://127.0.0.1:7070" });
 * const { runId } = await pawl.start(order, { input: { orderId: "A-1" }, runId: "order-A-1" });
 * const shipped = await pawl.result(order, runId, { timeout: "10m" });
 * ```
 * @throws {TypeError} when the URL is none
 */
export function createHttpClient(options: HttpClientOptions): Client {
  const base = URL.parse(options.url);
  if (base === null || !/^https?:$/.test(base.protocol)) {
    throw new TypeError(
      `The URL of the HTTP API is ${JSON.stringify(options.url)}; allowed is http:// or https://, such as http://127.0.0.1:7070.`,
    );
  }
  return new HttpClient(createTransport(base, fetchFor(base, options)), options.workflows ?? []);
}

function fetchFor(base: URL, { auth, region = regionOf(base), fetch = globalThis.fetch }: HttpClientOptions): Fetch {
  const kind = auth ?? (regionOf(base) === undefined ? "none" : "iam");
  if (kind === "none") return fetch;
  if (kind === "iam") return signedFetch(credentialsFinder(), region ?? regionOfEnvironment(base), fetch);
  return async (url, init) => {
    const headers = new Headers(init.headers);
    headers.set("authorization", `Bearer ${await kind.bearer()}`);
    return fetch(url, { ...init, headers });
  };
}

/** Where the SDK looks for them. Each call asks again, and is answered from memory until they expire. */
function credentialsFinder(): () => Promise<Credentials> {
  let loading: Promise<() => Promise<Credentials>> | undefined;
  return async () => {
    loading ??= import("@aws-sdk/credential-provider-node").then(({ defaultProvider }) => defaultProvider());
    return (await loading)();
  };
}

function regionOfEnvironment({ origin }: URL): string {
  const { AWS_REGION: region = "", AWS_DEFAULT_REGION: fallback = "" } = process.env;
  const found = region === "" ? fallback : region;
  if (found !== "") return found;
  throw new TypeError(`Nobody says in which AWS region ${origin} is. Give region, or set AWS_REGION.`);
}

class HttpClient implements Client {
  readonly #transport: Transport;
  readonly #workflows: readonly Workflow[];
  readonly #closing = new AbortController();
  readonly callbacks: Client["callbacks"];
  readonly operations: Operations;

  constructor(transport: Transport, workflows: readonly Workflow[]) {
    this.#transport = transport;
    this.#workflows = workflows;
    const answer = async (token: string, what: string, isRepeatable: boolean, body?: unknown) =>
      asStarted((await this.#post(`/callbacks/${pathSegment(token)}/${what}`, body, isRepeatable)).body);
    this.callbacks = {
      succeed: async (token, output) => {
        checkJson("invalid_payload", "The output", output);
        return answer(token, "succeed", false, output);
      },
      fail: (token, failure) => answer(token, "fail", false, failure),
      heartbeat: (token) => answer(token, "heartbeat", true),
    };
    this.operations = {
      begin: async (request) => asBegun((await this.#beginOperation(request)).body),
      get: async (operationId) => asOperation(await this.#get(operationPath(operationId))),
      abort: async (operationId) => asOperation((await this.#post(`${operationPath(operationId)}/abort`)).body),
    };
  }

  async start(workflow: Workflow | string, request: StartRequest = {}): Promise<Started> {
    const name = typeof workflow === "string" ? workflow : workflow.name;
    const { startAt, ...rest } = request;
    checkJson("invalid_input", "The input", request.input);
    // A time that is none is refused in the words of the engine.
    const startAtMs = parseStartAt(startAt, Date.now());
    const body = { ...rest, ...(startAtMs === undefined ? {} : { startAt: new Date(startAtMs).toISOString() }) };
    const path = `/workflows/${pathSegment(name)}/runs`;
    return started(await this.#post(path, body, request.runId !== undefined));
  }

  async fork(runId: string, request: ForkRequest): Promise<Started> {
    return started(await this.#post(`${runPath(runId)}/fork`, request, request.runId !== undefined));
  }

  async get(runId: string): Promise<RunView> {
    return asRun(await this.#get(runPath(runId)));
  }

  async input(runId: string): Promise<unknown> {
    return this.#payload(`${runPath(runId)}/input`);
  }

  async output(runId: string, stepId?: string): Promise<unknown> {
    const step = stepId === undefined ? "" : `/steps/${pathSegment(stepId)}`;
    return this.#payload(`${runPath(runId)}${step}/output`);
  }

  cancel(runId: string): Promise<RunView> {
    return this.#operate(runId, "cancel");
  }

  pause(runId: string): Promise<RunView> {
    return this.#operate(runId, "pause");
  }

  resume(runId: string): Promise<RunView> {
    return this.#operate(runId, "resume");
  }

  terminate(runId: string): Promise<RunView> {
    return this.#operate(runId, "terminate");
  }

  redrive(runId: string, request?: RedriveRequest): Promise<RunView> {
    return this.#operate(runId, "redrive", request);
  }

  async signal(runId: string, name: string, payload?: unknown): Promise<RunView> {
    checkJson("invalid_payload", "The payload", payload);
    return this.#operate(runId, `signals/${pathSegment(name)}`, payload);
  }

  async answer(runId: string, interruptId: string, answer?: unknown): Promise<RunView> {
    checkJson("invalid_payload", "The answer", answer);
    return this.#operate(runId, `interrupts/${pathSegment(interruptId)}`, answer);
  }

  /** Deletes a run that has ended. */
  async purge(runId: string): Promise<void> {
    await this.#send({ method: "DELETE", path: runPath(runId), isRepeatable: false });
  }

  workflows(): readonly Workflow[] {
    return this.#workflows;
  }

  async list(request: ListRequest = {}): Promise<RunPage> {
    const { status, from, to, tag, limit, ...rest } = request;
    const statuses = typeof status === "string" ? [status] : status;
    const query = queryOf({
      ...rest,
      ...(statuses === undefined ? {} : { status: statuses.join(",") }),
      ...(from === undefined ? {} : { from: instantText(from) }),
      ...(to === undefined ? {} : { to: instantText(to) }),
      ...(tag === undefined ? {} : { tag: tagText(tag) }),
      ...(limit === undefined ? {} : { limit: String(limit) }),
    });
    return asPage(await this.#get(`/runs${query}`));
  }

  async stats({ days, workflow }: StatsRequest = {}): Promise<Stats> {
    const query = queryOf({
      ...(days === undefined ? {} : { days: String(days) }),
      ...(workflow === undefined ? {} : { workflow }),
    });
    return asStats(await this.#get(`/stats${query}`));
  }

  async failures(request: { readonly workflow?: string } = {}): Promise<readonly FailureView[]> {
    return asFailures(await this.#get(`/failures${queryOf(request)}`)).failures;
  }

  async waitForCompletion(runId: string, { timeout, signal }: WaitOptions = {}): Promise<RunView> {
    const timeoutMs = parseTimeout(timeout);
    const endsAtMs = performance.now() + timeoutMs;
    // A server ends a wait when a run is parked meanwhile, and not for one that is already: so this looks first.
    let run = asRun(await this.#get(runPath(runId), signal));
    for (let askAtMs = 0; ; ) {
      const leftMs = endsAtMs - performance.now();
      if (isTerminal(run.status) || isParked(run) || leftMs <= 0) return completed(run, timeoutMs);
      const tooEarlyMs = Math.min(askAtMs - performance.now(), leftMs);
      if (tooEarlyMs > 0) await this.#pause(Math.ceil(tooEarlyMs), signal);
      // A server that stops, or waits for nobody, answers at once.
      askAtMs = performance.now() + leastPauseMs;
      const waitMs = Math.max(1, Math.min(Math.ceil(endsAtMs - performance.now()), longestWaitMs));
      run = asRun(await this.#get(`${runPath(runId)}?wait=${waitMs}ms`, signal));
    }
  }

  async result<Output>(
    workflow: Workflow<string, unknown, Output>,
    runId: string,
    options?: WaitOptions,
  ): Promise<Awaited<Output>> {
    const run = await this.waitForCompletion(runId, options);
    return (await outputOf(workflow, run, (id) => this.output(id))) as Awaited<Output>;
  }

  async close(): Promise<void> {
    this.#closing.abort(new PawlError("unavailable", "The client has been closed. Runs that were waited for go on."));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
    const ended = AbortSignal.any([this.#closing.signal, AbortSignal.timeout(ms), ...(signal ? [signal] : [])]);
    await new Promise<void>((resolve) => {
      ended.addEventListener("abort", () => resolve(), { once: true });
    });
    this.#closing.signal.throwIfAborted();
    signal?.throwIfAborted();
  }

  async #operate(runId: string, operation: string, body?: unknown): Promise<RunView> {
    return asRun((await this.#post(`${runPath(runId)}/${operation}`, body)).body);
  }

  async #beginOperation({ filter, ...request }: OperationRequest): Promise<ApiAnswer> {
    const { status, from, to, ...rest } = filter;
    const sent = {
      ...rest,
      ...(status === undefined ? {} : { status: typeof status === "string" ? [status] : status }),
      ...(from === undefined ? {} : { from: instantText(from) }),
      ...(to === undefined ? {} : { to: instantText(to) }),
    };
    const isRepeatable = request.operationId !== undefined || request.dryRun === true;
    return this.#post("/operations", { ...request, filter: sent }, isRepeatable);
  }

  async #payload(path: string): Promise<unknown> {
    try {
      return await this.#get(path);
    } catch (error) {
      if (error instanceof PawlError && (error.code as string) === "payload_not_found") return undefined;
      throw error;
    }
  }

  async #get(path: string, signal?: AbortSignal): Promise<unknown> {
    return (await this.#send({ method: "GET", path, isRepeatable: true, signal })).body;
  }

  #post(path: string, body?: unknown, isRepeatable = false): Promise<ApiAnswer> {
    return this.#send({ method: "POST", path, body, isRepeatable });
  }

  async #send({ signal, ...request }: Parameters<Transport["send"]>[0]): Promise<ApiAnswer> {
    this.#closing.signal.throwIfAborted();
    const either = signal === undefined ? this.#closing.signal : AbortSignal.any([signal, this.#closing.signal]);
    return this.#transport.send({ ...request, signal: either });
  }
}

/** What JSON would silently change is refused, as by the engine itself. @throws {PawlError} with the code, or payload_too_large */
function checkJson(code: "invalid_input" | "invalid_payload", what: string, value: unknown): void {
  const serialized = serialize(value, what);
  if (serialized.ok) return;
  throw new PawlError(serialized.code === "too_large" ? "payload_too_large" : code, serialized.message);
}

function started({ status, body }: ApiAnswer): Started {
  const { runId, status: runStatus } = asStarted(body);
  return { runId, status: runStatus, created: status === 202 };
}

function runPath(runId: string): string {
  return `/runs/${pathSegment(runId)}`;
}

function operationPath(operationId: string): string {
  return `/operations/${pathSegment(operationId)}`;
}

function queryOf(values: Readonly<Record<string, string | undefined>>): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(values)) if (value !== undefined) query.set(name, value);
  return query.size === 0 ? "" : `?${query.toString()}`;
}

/** A text that is no time is for the server to refuse. */
function instantText(instant: string | Date): string {
  if (typeof instant === "string") return instant;
  return Number.isNaN(instant.getTime()) ? "no time" : instant.toISOString();
}

/** @throws {PawlError} invalid_request for a key that a query cannot say */
function tagText({ key, value }: { readonly key: string; readonly value: string }): string {
  if (!key.includes(":")) return `${key}:${value}`;
  const message = `The tag's key is ${JSON.stringify(key)}; over HTTP it cannot have a ":", which ends it in a query. Use a client on the table itself.`;
  throw new PawlError("invalid_request", message);
}
