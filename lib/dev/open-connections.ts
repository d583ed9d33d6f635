import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { withinMs } from "../runtime/attempt.ts";
import { systemClock } from "../runtime/system.ts";

const closeGraceMs = 2_000;

/**
 * Knows which connections of a server have a request under way. Node's own `closeIdleConnections` overlooks those that
 * have not sent one yet, and clients keep such connections in reserve.
 */
export class OpenConnections {
  readonly #server: Server;
  readonly #requests = new Map<Socket, number>();
  #isClosing = false;

  constructor(server: Server) {
    this.#server = server;
    server.on("connection", (socket: Socket) => {
      this.#requests.set(socket, 0);
      socket.once("close", () => this.#requests.delete(socket));
    });
    server.on("request", ({ socket }: IncomingMessage, outgoing: ServerResponse) => {
      this.#count(socket, 1);
      outgoing.once("close", () => this.#count(socket, -1));
    });
  }

  /** Whether a request on it is under way. */
  isBusy(socket: Socket): boolean {
    return (this.#requests.get(socket) ?? 0) > 0;
  }

  /** Accepts no more; resolves when every answer is given, or cut off after 2 s. */
  async close(): Promise<void> {
    this.#isClosing = true;
    const closed = new Promise<true>((resolve) => {
      this.#server.close(() => resolve(true));
    });
    for (const [socket, requests] of this.#requests) if (requests === 0) socket.destroySoon();
    if ((await withinMs(systemClock(), closeGraceMs, closed)) === true) return;
    this.#server.closeAllConnections();
    await closed;
  }

  #count(socket: Socket, change: 1 | -1): void {
    const requests = this.#requests.get(socket);
    if (requests === undefined) return;
    this.#requests.set(socket, requests + change);
    if (this.#isClosing && requests + change === 0) socket.destroySoon();
  }
}
