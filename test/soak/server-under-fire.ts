/** `pawl dev` as users start it, in a process group of its own, killed and started again on the same data and port. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import process from "node:process";
import { fileURLToPath } from "node:url";

const pawl = fileURLToPath(new URL("../../dist/bin/pawl.js", import.meta.url));
/** Characters kept of what a server prints, for the report on one that ended by itself. */
const charactersKept = 4_000;
const upWithinMs = 60_000;

export interface ServerOptions {
  /** Exports the workflows. */
  readonly file: string;
  readonly port: number;
  readonly dataDir: string;
  readonly env: Readonly<Record<string, string>>;
  /** Whose process it is. @default our own */
  readonly uid?: number;
}

export class ServerUnderFire {
  readonly startedAtMs = Date.now();
  /** Whether it has said that it is up; `false` when it ended before, or has not said so for a minute. */
  readonly ready: Promise<boolean>;
  readonly #child: ChildProcess;
  readonly #exited: Promise<unknown>;
  #said = "";

  constructor({ file, port, dataDir, env, uid }: ServerOptions) {
    this.#child = spawn(process.execPath, [pawl, "dev", file, "--port", String(port), "--data-dir", dataDir], {
      detached: true,
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, ...env },
      ...(uid === undefined ? {} : { uid, gid: uid }),
    });
    this.#exited = once(this.#child, "close");
    this.ready = new Promise((resolve) => {
      const hear = (chunk: Buffer): void => {
        this.#said += chunk.toString();
        if (this.#said.includes("Start a run:")) resolve(true);
        // Only now: what it resumes may be told in one breath with that it is up.
        this.#said = this.#said.slice(-charactersKept);
      };
      this.#child.stdout?.on("data", hear);
      this.#child.stderr?.on("data", hear);
      const timer = setTimeout(() => resolve(false), upWithinMs);
      void this.#exited.then(() => {
        clearTimeout(timer);
        resolve(false);
      });
    });
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** The last of what it has printed. */
  get said(): string {
    return this.#said;
  }

  /** Ended by itself: nobody has asked it to. */
  get hasEnded(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  /** SIGKILL to its whole group. */
  async kill(): Promise<void> {
    this.#signal("SIGKILL");
    await this.#exited;
  }

  /** @returns the exit code of a server that is asked to stop */
  async stop(): Promise<number | null> {
    this.#signal("SIGTERM");
    await this.#exited;
    return this.#child.exitCode;
  }

  #signal(signal: NodeJS.Signals): void {
    if (this.hasEnded || this.#child.pid === undefined) return;
    try {
      process.kill(-this.#child.pid, signal);
    } catch {
      // It has ended in this moment.
    }
  }
}
