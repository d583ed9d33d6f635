// Stands between the deployed functions and the emulator, hands everything on, and remembers who called what.
import { once } from "node:events";
import { Agent, createServer, type IncomingMessage, request, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { buffer } from "node:stream/consumers";
import { type AwsRequest, type Permission, permissionsOf } from "./permissions.ts";

/** One AWS call of one function: what it must be allowed. */
export interface Call extends Permission {
  /** As the function names itself to AWS: see `NamedFunctions` in app/app.ts. */
  readonly caller: string;
}

export class RecordingProxy {
  readonly port: number;
  /** Every call that was made, once. */
  readonly calls = new Map<string, Call>();
  /** Requests that it could not tell the permission of. */
  readonly unknown = new Set<string>();
  readonly #server: Server;
  readonly #agent = new Agent({ keepAlive: true });
  #target = 0;

  private constructor(server: Server) {
    this.#server = server;
    this.port = (server.address() as AddressInfo).port;
    server.on("request", (incoming, outgoing) => {
      this.#handOn(incoming, outgoing).catch((error: unknown) => outgoing.destroy(error as Error));
    });
  }

  static async open(): Promise<RecordingProxy> {
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    return new RecordingProxy(server);
  }

  /** @param port of the emulator, on this machine */
  handOnTo(port: number): void {
    this.#target = port;
  }

  async close(): Promise<void> {
    this.#server.close();
    this.#server.closeAllConnections();
    this.#agent.destroy();
    await once(this.#server, "close");
  }

  async #handOn(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const { method = "GET", url = "/", headers } = incoming;
    const body = await buffer(incoming);
    const onward = request({ agent: this.#agent, host: "127.0.0.1", port: this.#target, method, path: url, headers });
    onward.end(body);
    const [answer] = (await once(onward, "response")) as [IncomingMessage];
    this.#record({ method, url, headers, body, status: answer.statusCode ?? 0 });
    outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
    answer.pipe(outgoing);
  }

  #record(call: AwsRequest & { readonly headers: IncomingMessage["headers"] }): void {
    // Powertools adds names of its own behind it.
    const [, caller] = / app\/([\w.]+)/.exec(call.headers["user-agent"] ?? "") ?? [];
    // Others than the functions: the CDK, and the emulator's own helpers.
    if (caller === undefined) return;
    const permissions = permissionsOf(call);
    if (permissions === undefined) this.unknown.add(`${caller}: ${call.method} ${call.url}`);
    for (const permission of permissions ?? []) {
      this.calls.set(JSON.stringify([caller, permission]), { caller, ...permission });
    }
  }
}
