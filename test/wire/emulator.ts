// AWS on this machine, for suites that speak its protocols: MiniStack in a process and with files of its own.
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rename, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

export interface Emulator {
  /** Every service answers here. */
  readonly endpoint: string;
  /** What an AWS SDK, the CDK or a function needs in its environment to meet the emulator instead of AWS. */
  readonly environment: Readonly<Record<string, string>>;
  /** The last of what it has printed, for messages of failed tests. */
  output(): string;
  /** Ends the process and deletes what it stored. */
  stop(): Promise<void>;
}

const region = "us-east-1";
const startWithinMs = 60_000;
const stopWithinMs = 5_000;
const outputKept = 20_000;

/**
 * Each start is an AWS of its own, empty, for this machine only. The first one on a machine installs it from PyPI.
 *
 * @param options.port a free one by default
 * @param options.announcedPort the port in the addresses that it hands out (of queues, APIs, and of AWS itself to its
 *   functions): that of a proxy before it. Its own by default.
 * @throws {Error} saying why it cannot be installed or does not answer
 */
export async function startEmulator(
  options: { readonly port?: number; readonly announcedPort?: number } = {},
): Promise<Emulator> {
  const packages = await install();
  const port = options.port ?? (await freePort());
  const announcedPort = options.announcedPort ?? port;
  const endpoint = `http://localhost:${port}`;
  const folder = await mkdtemp(join(tmpdir(), "pawl-emulator-"));
  const environment = {
    AWS_ENDPOINT_URL: endpoint,
    AWS_REGION: region,
    AWS_DEFAULT_REGION: region,
    AWS_ACCESS_KEY_ID: "test",
    AWS_SECRET_ACCESS_KEY: "test",
  };
  const server = ["ministack.app:app", "--bind", `127.0.0.1:${port}`, "--keep-alive", "75", "--workers", "0"];
  const emulator = spawn("python3", ["-c", untilOrphaned, ...server], {
    stdio: ["pipe", "pipe", "pipe"],
    // A group of its own: the functions that it starts end with it.
    detached: true,
    env: {
      ...process.env,
      ...environment,
      // It starts the functions' Node by name: the one that runs the tests.
      PATH: [dirname(process.execPath), process.env.PATH].join(delimiter),
      PYTHONPATH: packages,
      // Lambda's Node brings the AWS SDK along, and helpers of the CDK count on that.
      NODE_PATH: fileURLToPath(new URL("../../node_modules", import.meta.url)),
      AWS_ENDPOINT_URL: `http://localhost:${announcedPort}`,
      // A number has no subdomains: SDKs then name buckets in the path, as `<bucket>.localhost` resolves nowhere.
      AWS_ENDPOINT_URL_S3: `http://127.0.0.1:${announcedPort}`,
      GATEWAY_PORT: String(announcedPort),
      LAMBDA_EXECUTOR: "local",
      LOG_LEVEL: "WARNING",
      TMPDIR: folder,
      STATE_DIR: join(folder, "state"),
      S3_DATA_DIR: join(folder, "s3"),
    },
  });
  let output = "";
  const keep = (chunk: Buffer): void => {
    output = (output + chunk.toString()).slice(-outputKept);
  };
  emulator.stdout.on("data", keep);
  emulator.stderr.on("data", keep);
  const stop = async (): Promise<void> => {
    await end(emulator);
    await rm(folder, { recursive: true, force: true });
  };
  try {
    await untilReady(endpoint, emulator);
  } catch (cause) {
    await stop();
    throw new Error(`The emulator at ${endpoint} did not start. It said:\n${output}`, { cause });
  }
  return { endpoint, environment, output: () => output, stop };
}

/**
 * Runs MiniStack, and ends its whole group when its input does: however the test process dies, nothing is left running.
 */
const untilOrphaned = `
import os, runpy, signal, sys, threading

def end_with_input():
    os.read(0, 1)
    os.killpg(0, signal.SIGKILL)

threading.Thread(target=end_with_input, daemon=True).start()
sys.argv[0] = "hypercorn"
runpy.run_module("hypercorn", run_name="__main__")
`;

/** The folder of the installed packages: one per list of packages and Python, kept among the caches of node_modules. */
async function install(): Promise<string> {
  const requirements = fileURLToPath(new URL("emulator-requirements.txt", import.meta.url));
  const python = await run("python3", ["-c", "import sys; assert sys.version_info >= (3, 10); print(sys.version)"]);
  const hash = createHash("sha256")
    .update(await readFile(requirements))
    .update(python);
  const cache = fileURLToPath(new URL("../../node_modules/.cache/pawl-emulator/", import.meta.url));
  const folder = join(cache, hash.digest("hex").slice(0, 16));
  if (existsSync(folder)) return folder;
  await mkdir(cache, { recursive: true });
  // Several may install at the same time, or be interrupted: what has the final name is whole.
  const draft = await mkdtemp(join(cache, "unfinished-"));
  try {
    await run("python3", ["-m", "pip", "install", "--quiet", "--target", draft, "--requirement", requirements]);
    await rename(draft, folder);
  } catch (error) {
    if (!existsSync(folder)) throw error;
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
  return folder;
}

async function run(command: string, args: readonly string[]): Promise<string> {
  try {
    const { stdout } = await promisify(execFile)(command, args, {
      env: { ...process.env, PIP_DISABLE_PIP_VERSION_CHECK: "1" },
    });
    return stdout;
  } catch (cause) {
    const said = cause instanceof Error ? cause.message : String(cause);
    throw new Error(
      `These tests need the AWS emulator MiniStack: Python 3.10 or newer as python3, with pip, and a package index that can be reached. ${said}`,
      { cause },
    );
  }
}

/** The system names it; another process could take it before we do, but rarely takes the one that was just free. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  if (address === null || typeof address === "string") throw new Error("The system named no port.");
  return address.port;
}

async function untilReady(endpoint: string, emulator: ChildProcess): Promise<void> {
  const giveUpAtMs = Date.now() + startWithinMs;
  for (;;) {
    const answered = await fetch(`${endpoint}/_ministack/health`).then(
      (response) => response.ok,
      () => false,
    );
    if (hasEnded(emulator)) throw new Error(`Its process ended (${emulator.signalCode ?? emulator.exitCode}).`);
    if (answered) return;
    if (Date.now() > giveUpAtMs) throw new Error(`It did not answer within ${startWithinMs / 1000} s.`);
    await sleep(50);
  }
}

async function end(emulator: ChildProcess): Promise<void> {
  if (hasEnded(emulator)) return;
  const ended = once(emulator, "exit");
  signal(emulator, "SIGTERM");
  const timer = setTimeout(() => {
    signal(emulator, "SIGKILL");
  }, stopWithinMs);
  await ended;
  clearTimeout(timer);
  // What is left of its group.
  signal(emulator, "SIGKILL");
}

function hasEnded(emulator: ChildProcess): boolean {
  return emulator.exitCode !== null || emulator.signalCode !== null;
}

function signal({ pid }: ChildProcess, name: NodeJS.Signals): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, name);
  } catch {
    // It has ended.
  }
}
