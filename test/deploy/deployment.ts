// The stack of app/, deployed to an emulated AWS by the CDK's own command line, with a recording proxy in between.
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import * as z from "zod";
import { type Emulator, freePort, startEmulator } from "../wire/emulator.ts";
import { runCdk } from "./cdk.ts";
import { account, region } from "./permissions.ts";
import { RecordingProxy } from "./recording-proxy.ts";

const stack = "Scenarios";
/** Has the cdk.json. */
const app = fileURLToPath(new URL("app", import.meta.url));

const Outputs = z.object({
  Url: z.url(),
  Published: z.url(),
  Archive: z.url(),
  DefaultQueue: z.url(),
  Table: z.string(),
  Blobs: z.string(),
  Key: z.string(),
  ApiFunction: z.string(),
  AuditFunction: z.string(),
});

export type Outputs = z.output<typeof Outputs>;

/** Workflows before and after a change: see app/evolving.ts. */
export type Edition = "before" | "after";

export class Deployment {
  readonly emulator: Emulator;
  readonly proxy: RecordingProxy;
  readonly #folder: string;

  private constructor(emulator: Emulator, proxy: RecordingProxy, folder: string) {
    this.emulator = emulator;
    this.proxy = proxy;
    this.#folder = folder;
  }

  /** An empty AWS, ready for the CDK. @throws {Error} when there is no emulator */
  static async prepare(): Promise<Deployment> {
    const proxy = await RecordingProxy.open();
    let emulator: Emulator | undefined;
    try {
      const port = await freePort();
      proxy.handOnTo(port);
      emulator = await startEmulator({ port, announcedPort: proxy.port });
      const deployment = new Deployment(emulator, proxy, await mkdtemp(join(tmpdir(), "pawl-deployment-")));
      await deployment.#cdk("before", "bootstrap", `aws://${account}/${region}`);
      return deployment;
    } catch (error) {
      await emulator?.stop();
      await proxy.close();
      throw error;
    }
  }

  async deploy(edition: Edition): Promise<Outputs> {
    const file = join(this.#folder, "outputs.json");
    await this.#cdk(edition, "deploy", stack, "--require-approval", "never", "--outputs-file", file);
    return Outputs.parse(JSON.parse(await readFile(file, "utf8"))[stack]);
  }

  async destroy(): Promise<void> {
    await this.#cdk("after", "destroy", stack, "--force");
  }

  async stop(): Promise<void> {
    await this.emulator.stop();
    await this.proxy.close();
    await rm(this.#folder, { recursive: true, force: true });
  }

  async #cdk(edition: Edition, ...args: readonly string[]): Promise<void> {
    const options = { folder: app, outputFolder: this.#folder, environment: { EDITION: edition } };
    await runCdk(this.emulator, options, ...args);
  }
}
