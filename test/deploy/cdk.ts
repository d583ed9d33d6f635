// The CDK's own command line, on an emulated AWS.
import { execFile } from "node:child_process";
import { delimiter, dirname, join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type { Emulator } from "../wire/emulator.ts";

const cdk = fileURLToPath(new URL("bin/cdk", import.meta.resolve("aws-cdk/package.json")));

export interface CdkApp {
  /** Has the cdk.json. */
  readonly folder: string;
  /** Takes what is synthesised. */
  readonly outputFolder: string;
  /** What the app is told beside where AWS is. */
  readonly environment?: Readonly<Record<string, string>>;
}

/** @throws {Error} with the last of what it printed, when it fails */
export async function runCdk(
  emulator: Pick<Emulator, "environment">,
  { folder, outputFolder, environment = {} }: CdkApp,
  ...args: readonly string[]
): Promise<void> {
  const PATH = [dirname(process.execPath), process.env.PATH].join(delimiter);
  try {
    await promisify(execFile)(process.execPath, [cdk, ...args, "--output", join(outputFolder, "cdk.out")], {
      cwd: folder,
      // Bundles are as large as they are.
      maxBuffer: 64 * 1024 * 1024,
      env: {
        ...process.env,
        ...emulator.environment,
        ...environment,
        PATH,
        CDK_DISABLE_CLI_TELEMETRY: "1",
        CI: "1",
      },
    });
  } catch (cause) {
    const { stdout = "", stderr = "" } = cause as { readonly stdout?: string; readonly stderr?: string };
    throw new Error(`cdk ${args.join(" ")} failed.\n${stdout.slice(-5_000)}\n${stderr.slice(-5_000)}`, { cause });
  }
}
