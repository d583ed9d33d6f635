// Keeps the journal of steps that run in functions, and kills the processes of some of them in the middle of their work.
import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import process from "node:process";
import { json } from "node:stream/consumers";
import type { Deed } from "../soak/journal.ts";

/** From the moment at which a step begins: while it works, while it commits, and after that. */
const killWithinMs = 500;

export class Executioner {
  readonly url: string;
  /** Every execution that has begun, in order. */
  readonly journal: Deed[] = [];
  /** Processes that were killed, with the step that was their undoing. */
  readonly killed: string[] = [];
  readonly #server: Server;
  readonly #isDoomed: (deed: Deed) => boolean;

  private constructor(server: Server, isDoomed: (deed: Deed) => boolean) {
    this.#server = server;
    this.#isDoomed = isDoomed;
    this.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
    server.on("request", (request, response) => {
      void json(request)
        .then((body) => {
          const { deed, pid } = body as { readonly deed: Deed; readonly pid: number };
          this.journal.push(deed);
          response.end("{}");
          if (this.#isDoomed(deed)) setTimeout(() => this.#kill(pid, deed), Math.random() * killWithinMs);
        })
        .catch(() => response.destroy());
    });
  }

  /** @param isDoomed asked of each execution as it begins */
  static async open(isDoomed: (deed: Deed) => boolean): Promise<Executioner> {
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    return new Executioner(server, isDoomed);
  }

  async close(): Promise<void> {
    this.#server.close();
    this.#server.closeAllConnections();
    await once(this.#server, "close");
  }

  #kill(pid: number, { runId, stepId, attempt }: Deed): void {
    try {
      process.kill(pid, "SIGKILL");
      this.killed.push(`${runId} ${stepId} ${attempt}`);
    } catch {
      // Another step has killed it, or its pool has ended it.
    }
  }
}
