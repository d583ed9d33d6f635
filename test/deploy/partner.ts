// The outside party of a callback: it is given a token, by which somebody answers later.
import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";

export class Partner {
  readonly url: string;
  /** The first token that it was given. */
  readonly token: Promise<string>;
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
    this.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
    this.token = new Promise((resolve) => {
      server.on("request", (request, response) => {
        void text(request).then((token) => {
          resolve(token);
          response.end();
        });
      });
    });
  }

  static async open(): Promise<Partner> {
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    return new Partner(server);
  }

  async close(): Promise<void> {
    this.#server.close();
    this.#server.closeAllConnections();
    await once(this.#server, "close");
  }
}
