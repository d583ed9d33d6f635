// `pawl dev` in a process of its own, which is started again on the same data whenever it dies.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import type { Answer, Host } from "./host.ts";

const pawl = fileURLToPath(new URL("../../dist/bin/pawl.js", import.meta.url));

export class EmbeddedHost implements Host {
  readonly #dataDir: string;
  #file: string;
  #server: ChildProcess | undefined;
  #port = 0;
  #stopped = false;
  #up: Promise<void> = Promise.resolve();

  private constructor(file: string, dataDir: string) {
    this.#file = file;
    this.#dataDir = dataDir;
  }

  /** @param file exports the workflows */
  static async serve(file: string): Promise<EmbeddedHost> {
    const host = new EmbeddedHost(file, await mkdtemp(join(tmpdir(), "pawl-embedded-")));
    host.#up = host.#start();
    await host.#up;
    return host;
  }

  /** Serves other workflows on the same data. */
  async change(file: string): Promise<void> {
    this.#file = file;
    await this.#end("SIGTERM");
    await this.#up;
  }

  async request(method: string, path: string, body?: unknown): Promise<Answer> {
    const response = await fetch(`http://127.0.0.1:${this.#port}${path}`, {
      method,
      ...(body === undefined ? {} : { body: JSON.stringify(body), headers: { "content-type": "application/json" } }),
    });
    return { status: response.status, body: await response.json() };
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#end("SIGKILL");
    await rm(this.#dataDir, { recursive: true, force: true, maxRetries: 3 });
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    if (this.#server?.exitCode !== null || this.#server.signalCode !== null) return;
    const ended = once(this.#server, "exit");
    this.#server.kill(signal);
    await ended;
  }

  async #start(): Promise<void> {
    const args = ["dev", this.#file, "--port", String(this.#port), "--data-dir", this.#dataDir];
    const server = spawn(process.execPath, [pawl, ...args], { stdio: ["ignore", "pipe", "pipe"] });
    this.#server = server;
    let output = "";
    await new Promise<void>((resolve, reject) => {
      const look = (chunk: Buffer): void => {
        output += chunk.toString();
        const [, port] = /API +http:\/\/[^:]+:(\d+)/.exec(output) ?? [];
        if (port === undefined) return;
        this.#port = Number(port);
        resolve();
      };
      server.stdout.on("data", look);
      server.stderr.on("data", look);
      server.once("exit", () => {
        reject(new Error(`pawl dev ended before it was up: ${output}`));
      });
    });
    server.once("exit", () => {
      if (!this.#stopped) this.#up = this.#start();
    });
  }
}
