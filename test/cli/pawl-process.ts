import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { onTestFinished } from "vitest";

export const root = fileURLToPath(new URL("../../", import.meta.url));
const bin = join(root, "dist/bin/pawl.js");

/** What users run is dist/; nothing happens when it is up to date, as it is after `npm test` has begun. */
export function buildOnce(): void {
  execFileSync(process.execPath, [join(root, "bin/setup.mjs")], { stdio: "inherit" });
}

export interface PawlOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly stdin?: string;
  /**
   * On a pseudo-terminal of this size, made by `script`: util-linux is an essential package of Debian, and there before
   * Python is. stdout and stderr are one then, and `type` is the keyboard.
   */
  readonly terminal?: { readonly columns: number; readonly rows: number };
  /** Who ends the process. @default "test": it is killed when the test is over */
  readonly owner?: "test" | "caller";
}

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A real process of the command line. It is killed when the test is over. */
export class PawlProcess {
  readonly ended: Promise<Ended>;
  readonly #child: ChildProcess;
  readonly #waiting = new Set<() => void>();
  #stdout = "";
  #stderr = "";

  constructor(args: readonly string[], options: PawlOptions = {}) {
    const { cwd = tmpdir(), env = {}, stdin = "", terminal, owner = "test" } = options;
    const given = [bin, ...args];
    const [file, words] = terminal === undefined ? [process.execPath, given] : onTerminal(given, terminal);
    this.#child = spawn(file, words, {
      cwd,
      env: { PATH: process.env.PATH, HOME: process.env.HOME, ...(terminal && { TERM: "xterm-256color" }), ...env },
      stdio: "pipe",
    });
    if (terminal === undefined) this.#child.stdin?.end(stdin);
    this.#child.stdout?.setEncoding("utf8").on("data", (text: string) => {
      this.#stdout += text;
      for (const look of this.#waiting) look();
    });
    this.#child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      this.#stderr += text;
    });
    this.ended = new Promise((resolve) => {
      this.#child.on("close", (code, signal) => {
        resolve({ code, signal, stdout: this.#stdout, stderr: this.#stderr });
        for (const look of this.#waiting) look();
      });
    });
    if (owner === "test") {
      onTestFinished(async () => {
        this.#child.kill("SIGKILL");
        await this.ended;
      });
    }
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  get stdout(): string {
    return this.#stdout;
  }

  /** What somebody types; `\u0003` is Ctrl-C. */
  type(keys: string): void {
    this.#child.stdin?.write(keys);
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** Resolves with the match as soon as the output has it; rejects when the process ends without. */
  async output(pattern: RegExp): Promise<RegExpExecArray> {
    return new Promise((resolve, reject) => {
      const look = (): void => {
        const match = pattern.exec(this.#stdout);
        if (match !== null) resolve(match);
        else if (this.#child.exitCode !== null || this.#child.signalCode !== null) {
          reject(new Error(`It ended without ${pattern}.\n${this.#stdout}\n${this.#stderr}`));
        } else return;
        this.#waiting.delete(look);
      };
      this.#waiting.add(look);
      look();
    });
  }
}

function onTerminal(
  args: readonly string[],
  { columns, rows }: NonNullable<PawlOptions["terminal"]>,
): [string, string[]] {
  const quoted = [process.execPath, ...args].map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(" ");
  return ["script", ["-qefc", `stty cols ${columns} rows ${rows}; exec ${quoted}`, "/dev/null"]];
}

export function pawl(args: readonly string[], options: PawlOptions = {}): Promise<Ended> {
  return new PawlProcess(args, options).ended;
}

export interface Served {
  readonly server: PawlProcess;
  readonly url: string;
}

/** `pawl dev` on a free port, when it is up. */
export async function serve(args: readonly string[], options: PawlOptions = {}): Promise<Served> {
  const server = new PawlProcess(["dev", "--port", "0", ...args], options);
  const [, url = ""] = await server.output(/API +(http:\S+)/);
  return { server, url };
}

/** A folder outside of any package, with these files; it is gone when the test is over. */
export function folderWith(files: Readonly<Record<string, string>>): string {
  const folder = mkdtempSync(join(tmpdir(), "pawl-cli-"));
  onTestFinished(() => {
    rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
  });
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
  return folder;
}

/** Workflows whose steps can be held: `gate` ends when the file named in the input is there. */
export const flows = `
import { existsSync } from "node:fs";
import { setTimeout } from "node:timers/promises";
import { FatalError, workflow } from "pawl";
import * as z from "zod";

export const gated = workflow("gated", { input: z.object({ gate: z.string() }) }, (w) => {
  const first = w.step("first", { run: ({ log }) => { log.info("hello \\u001b[31mthere", { answer: 42 }); return 1; } });
  const gate = w.step("gate", {
    after: [first],
    run: async ({ input, attempt, signal }) => {
      while (!existsSync(input.gate)) await setTimeout(20, undefined, { signal });
      return attempt;
    },
  });
  return w.step("last", { after: [first, gate], run: ({ outputs }) => outputs });
});

export const broken = workflow("broken", {}, (w) => {
  w.step("only", { run: () => { throw new FatalError("not today"); } });
});

export const stubborn = workflow("stubborn", {}, (w) => {
  w.step("deaf", { timeout: "1h", run: () => setTimeout(600_000) });
});

export const wide = workflow("wide", {}, (w) => w.step("only", { run: () => "x".repeat(2 * 1024 * 1024 - 2) }));
`;
