/** The HTTP API as the commands use it. */

import type { ErrorBody } from "../api/api-error.ts";
import { PlainError } from "../dev/plain-error.ts";
import { withoutToken } from "../runtime/task-token.ts";

export interface ApiClient {
  get(path: string): Promise<Answer>;
  post(path: string, body?: unknown): Promise<Answer>;
}

export interface Answer {
  readonly status: number;
  readonly body: unknown;
}

/** @param url of a server, as the user gave it @throws {PlainError} when it is no URL */
export function createApiClient(url: string): ApiClient {
  const base = parseUrl(url);
  const send = async (path: string, init: RequestInit): Promise<Answer> => {
    const target = new URL(`${base.pathname.replace(/\/$/, "")}${path}`, base);
    let response: Response;
    let text: string;
    try {
      response = await fetch(target, init);
      text = await response.text();
    } catch (error) {
      throw new PlainError(explainUnreachable(error, base), { cause: error });
    }
    const body = parseBody(text, target, response.status);
    if (!response.ok) throw refusal(body, target, response.status);
    return { status: response.status, body };
  };
  return {
    get: (path) => send(path, {}),
    post: (path, body) =>
      send(path, {
        method: "POST",
        ...(body === undefined ? {} : { body: JSON.stringify(body), headers: { "content-type": "application/json" } }),
      }),
  };
}

function parseUrl(url: string): URL {
  const parsed = URL.parse(url);
  if (parsed !== null && /^https?:$/.test(parsed.protocol)) return parsed;
  const message = `The URL of the server is ${JSON.stringify(url)}; allowed is http:// or https://, such as http://127.0.0.1:7070.`;
  throw new PlainError(message, { exitCode: 2 });
}

function explainUnreachable(error: unknown, { origin }: URL): string {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  const reason =
    cause instanceof Error ? ("code" in cause && typeof cause.code === "string" ? cause.code : cause.message) : "";
  return `No Pawl server answers at ${origin} (${reason}). Start one with: pawl dev <file.ts>, or name another address with --url or PAWL_URL.`;
}

function parseBody(text: string, target: URL, status: number): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    const message = `${withoutToken(target.href)} answered ${status} with something that is no JSON. Is there a Pawl server at this address?`;
    throw new PlainError(message, { cause: error });
  }
}

/** The server's own words, and where to read more. */
function refusal(body: unknown, target: URL, status: number): PlainError {
  const error = (body as Partial<ErrorBody> | null)?.error;
  if (typeof error?.message !== "string")
    return new PlainError(`${withoutToken(target.href)} answered ${status}: ${JSON.stringify(body)}`);
  return new PlainError(`${error.message} (${error.code}, see ${error.docs})`, { cause: body });
}
