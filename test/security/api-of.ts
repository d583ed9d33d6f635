// The HTTP API over an engine that a whole file shares: each test attacks the same server, which has to stand it.
import { AsyncLocalStorage } from "node:async_hooks";
import { createApi } from "../../lib/api/app.ts";
import type { Engine, Logger } from "../../lib/index.ts";

export interface Answered {
  readonly status: number;
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- tests say what they expect of it
  readonly body: any;
}

/** Sends a request; a body that is no text is sent as JSON. */
export type Ask = (route: string, body?: unknown) => Promise<Answered>;

export function apiOf(engine: Engine, logger: Logger): Ask {
  const { commands, queries, operations } = engine;
  const api = createApi({
    commands,
    queries,
    operations,
    cursorKey: () => engine.cursorKey(),
    waitForEnd: (runId, wait) => engine.waitForEnd(runId, wait),
    logger,
  });
  // What the engine goes on with afterwards is the file's, and not that of the test which has asked.
  const asFile = AsyncLocalStorage.snapshot();
  return async (route, body) => {
    const [method = "", path = ""] = route.split(" ");
    const request = {
      method,
      ...(body === undefined ? {} : { headers: { "content-type": "application/json" } }),
      ...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) }),
    };
    const response = await asFile(() => api.request(path, request));
    return { status: response.status, body: await response.json() };
  };
}
