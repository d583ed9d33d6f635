import { ApiError, errorResponse } from "../api/api-error.ts";

/**
 * The local server asks nobody for a password, and any web page may send requests to it: those of foreign pages are
 * refused. Also those that reach it under a foreign name, as a page does that rebinds its own name to this machine.
 *
 * @returns the refusal, or `undefined` for requests that are welcome
 */
export function refuseForeignPages(request: Request, host: string): Response | undefined {
  const target = new URL(request.url);
  const origin = request.headers.get("origin");
  if (origin !== null && origin !== target.origin) return refuse(`of the web page ${origin.slice(0, 200)}`);
  if (isLoopback(host) && !isLoopback(target.hostname))
    return refuse(`under the name ${target.hostname.slice(0, 200)}`);
  return undefined;
}

export function isLoopback(host: string): boolean {
  return /^(localhost|.+\.localhost|127(\.\d+){3}|::1|\[::1\])$/.test(host);
}

function refuse(what: string): Response {
  const message = `A request ${what} is refused. Ask from the command line, or from a page of this very server.`;
  return errorResponse(new ApiError("forbidden_origin", message));
}
