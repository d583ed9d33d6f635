import { expect, onTestFinished } from "vitest";
import { type Api, type ApiOptions, createApi } from "../../lib/api/app.ts";
import { type Between, createEngineWith } from "../../lib/embedded/engine.ts";
import { createEngine, type Engine, type Logger, type Workflow } from "../../lib/index.ts";
import { documented } from "./documented.ts";

export interface LogLine {
  readonly level: keyof Logger;
  readonly message: string;
  readonly fields: Readonly<Record<string, unknown>> | undefined;
}

export interface Answered {
  readonly status: number;
  readonly headers: Headers;
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- tests say what they expect of it
  readonly body: any;
}

export interface ApiHarness {
  readonly engine: Engine;
  readonly api: Api;
  readonly logged: LogLine[];
  /** Sends a request; a body that is no text is sent as JSON. */
  request(route: string, body?: unknown, init?: RequestInit): Promise<Answered>;
}

/** The API over an engine in memory. */
export async function apiHarness(
  workflows: readonly Workflow[],
  options: Partial<Pick<ApiOptions, "commands" | "waitForEnd" | "stopping" | "costOf">> = {},
  between?: Between,
): Promise<ApiHarness> {
  const logged: LogLine[] = [];
  const logger = Object.fromEntries(
    (["debug", "info", "warn", "error"] as const).map((level) => [
      level,
      (message: string, fields?: Readonly<Record<string, unknown>>) => void logged.push({ level, message, fields }),
    ]),
  ) as unknown as Logger;
  const engine = await (between === undefined
    ? createEngine({ workflows, logger })
    : createEngineWith({ workflows, logger }, between));
  onTestFinished(() => engine.stop({ graceMs: 0 }));
  const api = createApi({
    commands: engine.commands,
    queries: engine.queries,
    operations: engine.operations,
    cursorKey: () => engine.cursorKey(),
    waitForEnd: (runId, wait) => engine.waitForEnd(runId, wait),
    logger,
    ...options,
  });
  const check = documented(api);
  return {
    engine,
    api,
    logged,
    async request(route, body, init = {}) {
      const [method = "", path = ""] = route.split(" ");
      const response = await api.request(path, {
        method,
        ...(body === undefined ? {} : { headers: { "content-type": "application/json" } }),
        ...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) }),
        ...init,
      });
      const answered = { status: response.status, headers: response.headers, body: await response.json() };
      check(method, path, answered.status, answered.body);
      expect(answered.headers.get("cache-control")).toBe("no-store");
      return answered;
    },
  };
}
