/** The HTTP API as the commands use it. */

import type { ErrorBody } from "../api/api-error.ts";
import type { WorkflowView } from "../api/workflow-view.ts";
import { pathSegment } from "../client/path-segment.ts";
import type { RunCost } from "../cost/run-meter.ts";
import { PlainError } from "../dev/plain-error.ts";
import type { RunView } from "../runtime/run-view.ts";
import { withoutToken } from "../runtime/task-token.ts";
import { aCost, aRun, aWorkflow, type Shape } from "./answers.ts";

export interface Server {
  readonly base: URL;
  /** Shows who is asking, if that matters. */
  readonly fetch: (url: string, init: RequestInit) => Promise<Response>;
}

export interface ApiClient {
  get<Body>(path: string, shape: Shape<Body>, signal?: AbortSignal): Promise<Body>;
  post<Body>(path: string, shape: Shape<Body>, body?: unknown): Promise<Answer<Body>>;
  delete<Body>(path: string, shape: Shape<Body>): Promise<Body>;
}

export interface Answer<Body> {
  readonly status: number;
  readonly body: Body;
}

/** A server that answers at all does so sooner: it ends waits after 25 s, and API Gateway everything after 30 s. */
const answerWithinMs = 60_000;

/** All of it @throws {PlainError} when the server is not there, refuses, or answers what no Pawl server does */
export function createApiClient({ base, fetch }: Server): ApiClient {
  async function send<Body>(path: string, shape: Shape<Body>, init: RequestInit): Promise<Answer<Body>> {
    const target = new URL(`${base.pathname.replace(/\/$/, "")}${path}`, base);
    const deadline = AbortSignal.timeout(answerWithinMs);
    const signal = AbortSignal.any([deadline, ...(init.signal instanceof AbortSignal ? [init.signal] : [])]);
    const place = withoutToken(target.href);
    const response = await unlessCut(
      fetch(target.href, { ...init, redirect: "manual", signal }),
      init.signal,
      (error) => explainUnreachable(error, base),
    );
    if (response.status >= 300 && response.status < 400) throw redirected(place, response.status);
    const text = await unlessCut(response.text(), init.signal, (error) => explainCut(error, place));
    const body = parseBody(text, place, response.status);
    if (!response.ok) throw refusal(body, place, response.status);
    const fault = shape.faultOf(body);
    if (fault === undefined) return { status: response.status, body: body as Body };
    throw new PlainError(
      `${place} answered ${response.status} with something that is not ${shape.name} (${fault}). Is there a Pawl server of this version at this address?`,
    );
  }
  return {
    get: async (path, shape, signal) => (await send(path, shape, signal === undefined ? {} : { signal })).body,
    post: (path, shape, body) =>
      send(path, shape, {
        method: "POST",
        ...(body === undefined ? {} : { body: JSON.stringify(body), headers: { "content-type": "application/json" } }),
      }),
    delete: async (path, shape) => (await send(path, shape, { method: "DELETE" })).body,
  };
}

export function runPath(runId: string): string {
  return `/runs/${pathSegment(runId)}`;
}

/** @param waitMs the answer comes when the run has ended, or after this time */
export function getRun(
  api: ApiClient,
  runId: string,
  { waitMs, signal }: { readonly waitMs?: number; readonly signal?: AbortSignal } = {},
): Promise<RunView> {
  return api.get(`${runPath(runId)}${waitMs === undefined ? "" : `?wait=${waitMs}ms`}`, aRun, signal);
}

/** Of a local server's run. @throws {PlainError} also when the server has not counted it */
export function getCost(api: ApiClient, runId: string): Promise<RunCost> {
  return api.get(`${runPath(runId)}/cost`, aCost);
}

/** The code that a server has refused a request with. */
export function refusedWith(error: unknown): string | undefined {
  if (!(error instanceof PlainError)) return undefined;
  return (error.cause as Partial<ErrorBody> | undefined)?.error?.code;
}

export function getWorkflow(api: ApiClient, name: string): Promise<WorkflowView> {
  return api.get(`/workflows/${pathSegment(name)}`, aWorkflow);
}

/** Who gives up by himself gets his own reason back. */
async function unlessCut<Value>(
  promise: Promise<Value>,
  signal: AbortSignal | null | undefined,
  explain: (error: unknown) => string,
): Promise<Value> {
  try {
    return await promise;
  } catch (error) {
    signal?.throwIfAborted();
    throw error instanceof PlainError ? error : new PlainError(explain(error), { cause: error });
  }
}

function explainUnreachable(error: unknown, { origin }: URL): string {
  return `No Pawl server answers at ${origin} (${reasonOf(error)}). Start one with: pawl dev <file.ts>, or name another address with --url or PAWL_URL.`;
}

function explainCut(error: unknown, place: string): string {
  return `${place} broke off in the middle of its answer (${reasonOf(error)}). What was asked for may have been done; look, then try again.`;
}

function reasonOf(error: unknown): string {
  if (error instanceof Error && error.name === "TimeoutError") return `no answer within ${answerWithinMs / 1_000} s`;
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  if (!(cause instanceof Error)) return String(cause);
  return "code" in cause && typeof cause.code === "string" ? cause.code : cause.message;
}

/** What is sent, credentials and task tokens included, is for the address that was named, and for no other. */
function redirected(place: string, status: number): PlainError {
  return new PlainError(
    `${place} answered ${status}, and redirects are not followed. Name the address that it leads to.`,
  );
}

function parseBody(text: string, place: string, status: number): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    const message = `${place} answered ${status} with something that is no JSON. Is there a Pawl server at this address?`;
    throw new PlainError(message, { cause: error });
  }
}

/** The server's own words, and where to read more. */
function refusal(body: unknown, place: string, status: number): PlainError {
  const error = (body as Partial<ErrorBody> | null)?.error;
  if (typeof error?.message === "string") {
    return new PlainError(`${error.message} (${error.code}, see ${error.docs})`, { cause: body });
  }
  return new PlainError(`${place} answered ${status}: ${JSON.stringify(body)}${remedyOf(status)}`);
}

/** For what API Gateway answers itself. */
function remedyOf(status: number): string {
  if (status === 401) return ". It wants a token: set PAWL_TOKEN, and give --auth bearer.";
  if (status === 403)
    return ". It wants AWS credentials that may call it (grantHttp): choose them with AWS_PROFILE, and give --auth iam.";
  return "";
}
