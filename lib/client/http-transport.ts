/** One request to the HTTP API, repeated within bounds while that is safe. Its errors come out as those of the engine. */
import { setTimeout as sleep } from "node:timers/promises";
import * as z from "zod";
import { limits } from "../definition/limits.ts";
import { PawlError, type PawlErrorCode } from "../runtime/errors.ts";
import { withoutToken } from "../runtime/task-token.ts";
import type { Fetch } from "./signed-fetch.ts";

export interface ApiRequest {
  readonly method: "GET" | "POST" | "DELETE";
  /** With its query. */
  readonly path: string;
  /** Sent as JSON. */
  readonly body?: unknown;
  /** The same request again changes nothing more: also one whose fate is not known may be repeated. */
  readonly isRepeatable: boolean;
  readonly signal?: AbortSignal | undefined;
}

export interface ApiAnswer {
  readonly status: number;
  readonly body: unknown;
}

export interface Transport {
  /** @throws {PawlError} with the server's code, or request_failed; the signal's reason when it is aborted */
  send(request: ApiRequest): Promise<ApiAnswer>;
}

/** These statuses say that nothing was done: too many requests, or one that the server did not begin. */
const isRefusal = (status: number): boolean => status === 429;
const isPassing = (status: number): boolean => isRefusal(status) || [500, 502, 503, 504].includes(status);

export function createTransport(base: URL, fetch: Fetch): Transport {
  const prefix = base.pathname.replace(/\/$/, "");
  const once = async ({ method, path, body, signal }: ApiRequest): Promise<Tried> => {
    const target = new URL(`${prefix}${path}`, base).href;
    const deadline = AbortSignal.timeout(limits.httpAnswerMs);
    const init: RequestInit = {
      method,
      // What is sent, credentials and task tokens included, is for the address that was configured, and for no other.
      redirect: "manual",
      signal: signal === undefined ? deadline : AbortSignal.any([signal, deadline]),
      ...(body === undefined ? {} : { body: JSON.stringify(body), headers: { "content-type": "application/json" } }),
    };
    try {
      const response = await fetch(target, init);
      return { response, text: await response.text() };
    } catch (error) {
      signal?.throwIfAborted();
      return { error };
    }
  };
  return {
    async send(request) {
      const place = withoutToken(new URL(`${prefix}${request.path}`, base).href);
      for (let tries = 1; ; tries++) {
        const tried = await once(request);
        const isLast = tries === limits.httpTries;
        if ("error" in tried) {
          if (isLast || !request.isRepeatable) throw unreachable(place, tried.error);
          await pause(tries, null, request.signal);
          continue;
        }
        const { response, text } = tried;
        const { status } = response;
        const mayRepeat = isRefusal(status) || (request.isRepeatable && isPassing(status));
        if (mayRepeat && !isLast) {
          await pause(tries, response.headers.get("retry-after"), request.signal);
          continue;
        }
        const body = parseJson(text);
        if (!response.ok) throw refused(place, status, body);
        if (body === undefined) throw notOurs(place, status);
        return { status, body };
      }
    },
  };
}

type Tried = { readonly response: Response; readonly text: string } | { readonly error: unknown };

/** Grows, and differs from client to client, so that those who were refused together do not come back together. */
async function pause(tries: number, retryAfter: string | null, signal: AbortSignal | undefined): Promise<void> {
  const asked = retryAfter !== null && /^\d+$/.test(retryAfter) ? Number(retryAfter) * 1000 : 0;
  const growing = limits.httpPauseMs * 2 ** tries * (0.5 + Math.random() / 2);
  const ms = Math.min(Math.max(asked, growing), limits.httpPauseMostMs);
  try {
    await sleep(ms, undefined, signal === undefined ? {} : { signal });
  } catch {
    signal?.throwIfAborted();
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

const Refusal = z.object({
  error: z.object({ code: z.string().regex(/^[a-z_]+$/), message: z.string(), details: z.unknown() }),
});

/** What says more about the client or the server than about what was asked for. */
const codesOfHttp: readonly string[] = [
  "route_not_found",
  "method_not_allowed",
  "malformed_json",
  "unsupported_content_type",
  "forbidden_origin",
  "internal_error",
];

function refused(place: string, status: number, body: unknown): PawlError {
  const found = Refusal.safeParse(body).data?.error;
  if (found === undefined) {
    const hint = hintOf(status);
    const told = z.object({ message: z.string() }).safeParse(body).data?.message;
    const message = `${place} answered ${status}${told === undefined ? "" : `: ${told.slice(0, 500)}`}.${hint}`;
    return new PawlError("request_failed", message, { status });
  }
  const { code, message, details } = found;
  if (codesOfHttp.includes(code)) {
    return new PawlError("request_failed", `${place} answered ${status} ${code}: ${message}`, {
      status,
      code,
      details,
    });
  }
  // Those of a newer server, too: a program that knows them can act on them.
  return new PawlError(sameAsOurs(code), message, details ?? undefined);
}

function hintOf(status: number): string {
  if (status >= 300 && status < 400) return " Redirects are not followed: configure the address that it leads to.";
  return status === 401 || status === 403 ? " Are these the right credentials?" : "";
}

/** A cursor travels sealed, and is refused by another name when the seal is broken. */
function sameAsOurs(code: string): PawlErrorCode {
  return (code === "invalid_cursor" ? "invalid_request" : code) as PawlErrorCode;
}

function notOurs(place: string, status: number): PawlError {
  const message = `${place} answered ${status} with something that is no JSON. Is there a Pawl server at this address?`;
  return new PawlError("request_failed", message, { status });
}

function unreachable(place: string, error: unknown): PawlError {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new PawlError("request_failed", `${place} does not answer: ${reason}`, {}, { cause: error });
}
