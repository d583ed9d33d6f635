/** The outside party of callbacks: steps bring it their task tokens over HTTP. It lives as long as the client. */
import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { json } from "node:stream/consumers";

export class Partner {
  readonly url: string;
  readonly #server: Server;
  readonly #tokens = new Map<string, string[]>();
  readonly #waiting = new Set<() => void>();

  private constructor(server: Server) {
    this.#server = server;
    this.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    server.on("request", (request, response) => {
      void json(request)
        .then((body) => {
          const { runId, token } = body as { readonly runId: string; readonly token: string };
          this.#tokens.set(runId, [...(this.#tokens.get(runId) ?? []), token]);
          for (const look of this.#waiting) look();
          response.end("{}");
        })
        // The caller was killed while it spoke.
        .catch(() => response.destroy());
    });
  }

  static async open(): Promise<Partner> {
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    return new Partner(server);
  }

  /** The token that this run has brought, the first one under 0; waits for it. */
  token(runId: string, index: number): Promise<string> {
    return new Promise((resolve) => {
      const look = (): void => {
        const token = this.#tokens.get(runId)?.[index];
        if (token === undefined) return;
        this.#waiting.delete(look);
        resolve(token);
      };
      this.#waiting.add(look);
      look();
    });
  }

  close(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }
}
