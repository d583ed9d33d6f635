/** The API on a local port. */
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { getRequestListener } from "@hono/node-server";
import { ApiError, errorResponse } from "../api/api-error.ts";
import { type Api, createApi } from "../api/app.ts";
import type { CostOf } from "../api/cost-route.ts";
import type { Engine } from "../embedded/engine.ts";
import type { Logger } from "../runtime/ports.ts";
import { UnderWay } from "../runtime/under-way.ts";
import { refuseForeignPages } from "./foreign-pages.ts";
import { OpenConnections } from "./open-connections.ts";
import { PlainError } from "./plain-error.ts";
import { answerUnreadable } from "./unreadable-requests.ts";

export interface DevServerOptions {
  /** As a function, it is called when the port is open: a server that gets no port has then begun no work. */
  readonly engine: Engine | ((url: string) => Promise<Engine>);
  /** 0 takes a free one. @default 7070 */
  readonly port?: number;
  /** @default "127.0.0.1" */
  readonly host?: string;
  readonly logger: Logger;
  /** @default nobody counts what runs cost */
  readonly costOf?: CostOf;
}

export interface DevServer {
  readonly engine: Engine;
  readonly url: string;
  /** Accepts nothing new, ends waits, and resolves when open requests are answered, or cut off after 2 s, and nothing works on them any more. */
  close(): Promise<void>;
}

/** Serves an engine's API. Stopping the engine is left to the caller, after `close()`. @throws {PlainError} when the port cannot be opened */
export async function startDevServer({
  engine: given,
  port = 7070,
  host = "127.0.0.1",
  logger,
  costOf,
}: DevServerOptions): Promise<DevServer> {
  const stopping = new AbortController();
  let api: Api | undefined;
  const starting = new ApiError("unavailable", "The server is starting. Try again in a moment.");
  const answer = (request: Request): Response | Promise<Response> =>
    refuseForeignPages(request, host) ?? api?.fetch(request) ?? errorResponse(starting);
  const listener = getRequestListener(answer, {
    overrideGlobalObjects: false,
    errorHandler: () =>
      errorResponse(new ApiError("invalid_request", "The request is not valid HTTP for this server.")),
  });
  const answering = new UnderWay();
  const server = createServer((incoming, outgoing) => answering.add(listener(incoming, outgoing)));
  const connections = new OpenConnections(server);
  answerUnreadable(server, (socket) => connections.isBusy(socket));
  await listen(server, port, host);
  try {
    const address = server.address() as AddressInfo;
    const url = `http://${host.includes(":") ? `[${host}]` : host}:${address.port}`;
    const engine = typeof given === "function" ? await given(url) : given;
    api = createApi({
      commands: engine.commands,
      queries: engine.queries,
      operations: engine.operations,
      cursorKey: () => engine.cursorKey(),
      waitForEnd: (runId, options) => engine.waitForEnd(runId, options),
      logger,
      ...(costOf === undefined ? {} : { costOf }),
      stopping: stopping.signal,
    });
    return {
      engine,
      url,
      async close() {
        stopping.abort();
        await connections.close();
        await answering.ended();
      },
    };
  } catch (error) {
    await connections.close();
    throw error;
  }
}

function listen(server: Server, port: number, host: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) => {
      reject(new PlainError(explainListenFailure(error, port, host), { cause: error }));
    });
    server.listen({ port, host, exclusive: true }, resolve);
  });
}

function explainListenFailure({ code, message }: NodeJS.ErrnoException, port: number, host: string): string {
  if (code === "EADDRINUSE") {
    const other = port === 65_535 ? 7070 : port + 1;
    return `Port ${port} of ${host} is in use, perhaps by another pawl dev. Choose another one, such as --port ${other}, or any free one with --port 0.`;
  }
  if (code === "EACCES") {
    return `Port ${port} may not be opened by this user. Choose one from 1024 up, such as --port 7070.`;
  }
  if (code === "EADDRNOTAVAIL" || code === "ENOTFOUND") {
    return `This machine has no address ${host}. Choose another --host, such as 127.0.0.1.`;
  }
  return `Port ${port} of ${host} cannot be opened: ${message}.`;
}
