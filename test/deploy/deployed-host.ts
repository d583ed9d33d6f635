// The HTTP API of the deployed stack, called with AWS credentials.
import type { Answer, Host } from "./host.ts";
import { signedFetch } from "./signed-fetch.ts";

export class DeployedHost implements Host {
  readonly #base: string;

  /**
   * @param endpoint of the emulator
   * @param url of the API, as the stack tells it. Its host name is the emulator's own invention and resolves nowhere.
   */
  constructor(endpoint: string, url: string) {
    const [api = ""] = new URL(url).hostname.split(".");
    this.#base = `${endpoint}/_aws/execute-api/${api}/$default`;
  }

  async request(method: string, path: string, body?: unknown): Promise<Answer> {
    const response = await signedFetch({
      service: "execute-api",
      method,
      url: `${this.#base}${path}`,
      ...(body === undefined ? {} : { body: JSON.stringify(body), contentType: "application/json" }),
    });
    return { status: response.status, body: await response.json() };
  }
}
